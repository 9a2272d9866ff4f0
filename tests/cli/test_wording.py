"""The SDK's texts in the console's words."""

from __future__ import annotations

import pytest

from memtrace.cli.wording import in_console_words
from memtrace.middleware import errors


@pytest.mark.parametrize("hint", [errors._SLOWER, errors._DOWN, errors._WITHOUT_STORAGE, errors._SMALLER])
def test_a_hint_names_nothing_that_the_console_does_not_have(hint):
    told = in_console_words(hint, None)
    for python in ("client.", "=", "(max_", "RetryPolicy"):
        assert python not in told


def test_an_address_with_the_clients_own_path_is_told_without_its_argument():
    told = in_console_words("base_url ends in /api/v1, which the client adds itself: leave it out", None)
    assert told == "the server's address ends in /api/v1, which is added to it: leave it out"
