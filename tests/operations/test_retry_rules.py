"""What may be made again: one table, which the retry middleware and the errors of both clients follow."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from memtrace import (
    APIConnectionError,
    APITimeoutError,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    MemtraceError,
    MiddlewareError,
    NoArcInstanceError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    ResponseDecodeError,
    ServerError,
    TransportError,
)
from memtrace.middleware import Retry
from memtrace.middleware._errors import raise_errors
from memtrace.operations._retry_rules import Verdict, is_repeatable, is_retryable, may_retry, verdict_of
from memtrace.transport import Idempotency, Recovery, Response
from tests.retry.conftest import EXACT

STORAGE = "failed to query memories: failed to query Arc: connection refused"
IDEMPOTENCIES = get_args(Idempotency)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (TransportError("refused", cause="connect", maybe_sent=False), "not_applied"),
        (TransportError("cannot be written", maybe_sent=False, permanent=True), "final"),
        (TransportError("too long", permanent=True), "maybe_applied"),
        (APIConnectionError("reset", cause="reset"), "maybe_applied"),
        (APITimeoutError("late", cause="timeout"), "maybe_applied"),
        (APITimeoutError("no free connection", cause="timeout", maybe_sent=False), "not_applied"),
        (ResponseDecodeError("<html>", 200), "maybe_applied"),
        (RateLimitError("slow down"), "not_applied"),
        (ServerError("overloaded", 503), "not_applied"),
        (ServerError("bad gateway", 502), "maybe_applied"),
        (ServerError("gateway time-out", 504), "maybe_applied"),
        (ServerError(STORAGE, 500), "storage_failed"),
        (ServerError("failed to query memories: Arc query failed: Conversion Error", 500), "server_failed"),
        (ServerError("boom", 500), "server_failed"),
        (ServerError("moved", 302), "final"),
        (ServerError("no", 501), "final"),
        (NoArcInstanceError(), "final"),
        (AuthenticationError(), "final"),
        (NotFoundError(), "final"),
        (ConflictError(), "final"),
        (PayloadTooLargeError(), "final"),
        (InvalidRequestError("bad", 500), "final"),
        (MiddlewareError("wrong"), "final"),
        (MemtraceError("of mine", 503), "final"),
    ],
    ids=repr,
)
def test_a_failure_has_a_verdict(error, verdict):
    assert verdict_of(error) == verdict


# by idempotency: read, idempotent, keyed, non_idempotent
TABLE = [
    # verdict, the SDK makes another attempt, the same where it can recover, the caller may repeat, the same when maybe applied
    ("not_applied", (1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 0, 0)),
    ("maybe_applied", (1, 1, 0, 0), (1, 1, 1, 0), (1, 1, 0, 0), (1, 1, 0, 0)),
    ("storage_failed", (1, 0, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0)),
    ("server_failed", (0, 0, 0, 0), (0, 0, 0, 0), (1, 1, 0, 0), (1, 1, 0, 0)),
    ("final", (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
]


def test_the_table_has_every_verdict():
    assert sorted(row[0] for row in TABLE) == sorted(get_args(Verdict))


@pytest.mark.parametrize(("verdict", "alone", "recoverable", "by_the_caller", "perhaps_stored"), TABLE)
def test_what_may_be_made_again(verdict, alone, recoverable, by_the_caller, perhaps_stored):
    assert IDEMPOTENCIES == ("read", "idempotent", "keyed", "non_idempotent")
    assert tuple(may_retry(verdict, each, is_recoverable=False) for each in IDEMPOTENCIES) == alone
    assert tuple(may_retry(verdict, each, is_recoverable=True) for each in IDEMPOTENCIES) == recoverable
    assert tuple(is_retryable(verdict, each, maybe_applied=False) for each in IDEMPOTENCIES) == by_the_caller
    assert tuple(is_retryable(verdict, each, maybe_applied=True) for each in IDEMPOTENCIES) == perhaps_stored


def test_only_what_leaves_the_same_state_is_repeatable():
    assert [each for each in IDEMPOTENCIES if is_repeatable(each)] == ["read", "idempotent"]


# ---- the same table, by what the middleware does


class Recoverable(Recovery):
    """Settles nothing, so that no read comes in between."""

    needs_verification = False

    def applies_to(self, response, *, uncertain):
        return False


def failed(status, text):
    return Response(status, body=json.dumps({"error": text}).encode())


STEPS = {
    "not_applied": failed(503, "overloaded"),
    "maybe_applied": failed(502, "bad gateway"),
    "storage_failed": failed(500, STORAGE),
    "server_failed": failed(500, "boom"),
    "final": failed(403, "no"),
}


@pytest.mark.parametrize("idempotency", IDEMPOTENCIES)
@pytest.mark.parametrize("recovery", [None, Recoverable()], ids=["alone", "recoverable"])
@pytest.mark.parametrize("verdict", STEPS)
def test_the_middleware_follows_the_table(runner, verdict, idempotency, recovery):
    runner.context.idempotency, runner.context.recovery = idempotency, recovery
    handler = [raise_errors, Retry(EXACT)]
    again = may_retry(verdict, idempotency, is_recoverable=recovery is not None)
    if again:
        assert runner.call(handler, STEPS[verdict], 200).status == 200
        return
    with pytest.raises(MemtraceError) as caught:
        runner.call(handler, STEPS[verdict])
    error = caught.value
    assert error.attempts == 1
    assert error.retryable is is_retryable(verdict, idempotency, maybe_applied=error.maybe_applied)
