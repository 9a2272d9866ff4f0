"""What is drawn of the contracts in a default run; and garbage, which is collected after many of these tests."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.contracts.drawing import draw, each_rule, each_situation

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config, items):
    draw(config, items, HERE / "test_builtin_transports.py", each_rule)
    draw(config, items, HERE / "test_builtin_middleware.py", each_situation)


@pytest.fixture(scope="module", autouse=True)
def _what_was_there_before_is_no_garbage_of_theirs():
    gc.freeze()
    yield
    gc.unfreeze()
