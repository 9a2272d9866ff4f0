"""How often and how long: the numbers of a policy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import ConfigurationError, Memtrace, RetryPolicy
from memtrace.middleware import Retry


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_attempts": 0}, "max_attempts must be a whole number of 1 or more; 1 turns retries off"),
        ({"max_attempts": True}, "max_attempts must be a whole number"),
        ({"max_attempts": 2.0}, "max_attempts must be a whole number"),
        ({"initial_backoff": -0.1}, "initial_backoff must be a number of seconds from 0 to 86400"),
        ({"max_backoff": math.nan}, "max_backoff must be a number of seconds"),
        ({"max_backoff": True}, "max_backoff must be a number of seconds"),
        ({"max_retry_after": math.inf}, "max_retry_after must be a number of seconds"),
        ({"max_retry_after": "5"}, "max_retry_after must be a number of seconds"),
        ({"verify_before_retry": "never"}, "verify_before_retry must be one of wait, read"),
        ({"jitter": 0.5}, "jitter must be a function"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_the_fields_name(settings, told):
    with pytest.raises(ConfigurationError, match=f"^retry.{told}"):
        RetryPolicy(**settings)


@pytest.mark.parametrize("wrong", [3, None, "always", RetryPolicy])
def test_a_client_takes_a_policy_and_nothing_else(wrong):
    with pytest.raises(ConfigurationError, match=r"^retry must be a RetryPolicy, not .*max_attempts=1\) turns"):
        Memtrace("memory://", "key", retry=wrong)
    with Memtrace("memory://", "key") as client, pytest.raises(ConfigurationError, match="must be a RetryPolicy"):
        client.with_options(retry=wrong)


@pytest.mark.parametrize("wrong", ["client", "", True, ["server"]])
def test_dedup_is_one_of_two_words_or_left_to_each_face(wrong):
    with pytest.raises(
        ConfigurationError,
        match=r"^dedup must be one of server, per_call, or None .docs: https://\S+/errors/[a-z_]+.md.$",
    ):
        Memtrace("memory://", "key", dedup=wrong)
    with Memtrace("memory://", "key") as client, pytest.raises(ConfigurationError, match="^dedup must be"):
        client.with_options(dedup=wrong)


def test_the_longest_wait_doubles_up_to_its_bound():
    policy = RetryPolicy(initial_backoff=0.5, max_backoff=3, jitter=lambda: 1.0)
    assert [policy.backoff(attempt) for attempt in (1, 2, 3, 4, 5, 5000)] == [0.5, 1, 2, 3, 3, 3]


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 100), st.floats(allow_nan=False))
def test_a_wait_is_never_negative_and_never_over_its_bound(attempt, initial, longest, jitter):
    policy = RetryPolicy(initial_backoff=initial, max_backoff=longest, jitter=lambda: jitter)
    assert 0 <= policy.backoff(attempt) <= longest


def test_jitter_is_full_by_default():
    waits = {RetryPolicy(initial_backoff=1, max_backoff=1).backoff(1) for _ in range(50)}
    assert len(waits) > 40
    assert min(waits) < 0.4
    assert max(waits) > 0.6


def test_the_reprs_say_the_policy():
    assert repr(RetryPolicy(max_attempts=5)) == (
        "RetryPolicy(max_attempts=5, initial_backoff=0.25, max_backoff=8.0, max_retry_after=30.0, verify_before_retry='wait')"
    )
    assert repr(Retry()) == f"Retry({RetryPolicy()!r})"
