"""A file outlives the death of those who write to it."""

from __future__ import annotations

import sys

import pytest

from tests.sampling import is_whole
from tests.sqlite.killing import check, kill_writers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.mark.slow
def test_what_was_acknowledged_survives_the_death_of_all_writers(tmp_path):
    store, acknowledged = tmp_path / "agent.db", []
    for number in range(10 if is_whole() else 1):
        acknowledged += kill_writers(store, f"round-{number}", 0.2)
        assert len(acknowledged) >= 4
        assert check(store, acknowledged) >= len(acknowledged)
