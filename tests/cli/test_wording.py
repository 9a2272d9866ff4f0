"""The SDK's texts in the console's words."""

from __future__ import annotations

import pytest

from memtrace._cli.messages import to_console_message
from memtrace.middleware import _errors as errors


@pytest.mark.parametrize(
    "hint", [errors._RATE_LIMIT_HINT, errors._STORAGE_DOWN_HINT, errors._NO_STORAGE_HINT, errors._TOO_LARGE_HINT]
)
def test_a_hint_names_nothing_that_the_console_does_not_have(hint):
    told = to_console_message(hint, None)
    for python in ("client.", "=", "(max_", "RetryPolicy"):
        assert python not in told


def test_an_address_with_the_clients_own_path_is_told_without_its_argument():
    told = to_console_message("base_url ends in /api/v1, which the client adds itself: leave it out", None)
    assert told == "the server's address ends in /api/v1, which is added to it: leave it out"
