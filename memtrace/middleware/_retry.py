"""Retry: makes a call again that failed, where that can neither lose a thing nor do it twice."""

from __future__ import annotations

from typing import NamedTuple, cast

from memtrace._flow.composition import CallNext
from memtrace._flow.effects import sleep
from memtrace.exceptions import MemtraceError, ResponseDecodeError, TransportError
from memtrace.middleware._errors import error_for, is_failure, retry_after, to_public_error
from memtrace.operations import RetryPolicy
from memtrace.operations._answered_rows import AnsweredRows
from memtrace.operations._recovery import ServerClock, verifying_read
from memtrace.operations._retry_policy import VERIFY_DELAY_AFTER_READ, VERIFY_DELAY_BEFORE_READ
from memtrace.operations._retry_rules import Verdict, is_permanent, may_retry, verdict_of
from memtrace.transport import Flow, Recovery, RecoveryContext, Request, Response


class _Attempt(NamedTuple):
    """How one attempt ended."""

    verdict: Verdict
    response: Response | None = None
    error: MemtraceError | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the response is the server's; else it is a proxy's, or cannot be read."""
        return self.verdict not in ("not_applied", "maybe_applied")

    def result(self) -> Response:
        """The response. Raises if there was none."""
        if self.response is None:
            raise cast("MemtraceError", self.error)  # it has one of the two
        return self.response


_SUCCESS = _Attempt("final")  # without its response, so that one instance serves all


class Retry:
    """Retry failed attempts, by a `RetryPolicy`.

    Every call is retried if the attempt surely was not applied: no connection, 429, or 503 of a
    server with storage. If it may have been applied (a timeout, a broken connection, 502, 504 or an
    unreadable response), the call's `Idempotency` decides. Before a write of memories is retried,
    the first attempt is looked for in the server's storage, and what is found there is not written
    again.

    A read is also retried after a 500 that names a storage failure. No other status is retried. A
    write that a terminated process may have sent is looked for before its first attempt. After a
    failure that is `permanent`, such as a response over ``max_response_bytes``, only a verified
    write is retried, since its next response differs.

    Args:
        policy: How often, and after which wait. Default: ``RetryPolicy()``.
    """

    __slots__ = ("_answered", "_policy")

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self._policy = RetryPolicy() if policy is None else policy
        self._answered = AnsweredRows()

    def __call__(self, request: Request, call_next: CallNext) -> Flow[Response]:
        """Send until there is an answer to be had, or no attempt is left."""
        response: Response | None = None
        if request.context.sent_since is not None:
            response = yield from _RetryRun(self._policy, request, call_next, self._answered).resumed()
        else:
            try:
                response = yield from call_next(request)
            except TransportError as error:
                attempt = _unanswered(error)
            else:
                attempt = _classify(response, request)
            if response is None or attempt is not _SUCCESS:
                response = yield from _RetryRun(self._policy, request, call_next, self._answered).after(attempt)
        if request.context.idempotency == "keyed" and response.status < 300:
            self._answered.note(request.context.read(response))
        return response

    def __repr__(self) -> str:
        return f"Retry({self._policy!r})"


class _RetryRun:
    """One call that did not end with its first attempt."""

    def __init__(self, policy: RetryPolicy, request: Request, call_next: CallNext, answered: AnsweredRows) -> None:
        self._policy = policy
        self._answered = answered
        self._request = request
        self._context = request.context
        self._call_next = call_next
        self._server_clock = ServerClock(request.context)
        #: Whether an attempt may be on its way into storage still.
        self._unverified = False

    def resumed(self) -> Flow[Response]:
        """The response of a call that a dead process may have sent: the one it got, or the one to a new attempt.

        Raises if it is unknown whether that process has stored it.
        """
        self._unverified = self._context.maybe_applied = True
        try:
            found = yield from self._look_for_lost()
        except MemtraceError as error:
            error.hint = "an earlier process may have stored it, and looking for it failed; it was not retried"
            error.request = None  # of the read: this error is about the call
            raise
        if found is not None:
            return found
        self._context.maybe_applied = False
        return (yield from self.after((yield from _try(self._request, self._call_next))))

    def after(self, attempt: _Attempt) -> Flow[Response]:
        """The answer to have after this first attempt. Raises where there is none."""
        uncertain = False
        recovery = self._context.recovery
        number = 1
        while True:
            if attempt.response is not None and attempt.is_answered:
                self._server_clock.note(attempt.response)
                if recovery is not None and recovery.applies_to(attempt.response, uncertain=uncertain):
                    return (yield from self._recovered(recovery, attempt.response))
            if attempt.verdict == "not_applied" and self._context.applied_attempt == self._context.attempt > 0:
                attempt = attempt._replace(verdict="maybe_applied")  # an attempt middleware changed what had come
            if attempt.verdict == "maybe_applied" and self._context.idempotency != "read":
                uncertain = self._unverified = self._context.maybe_applied = True
            if attempt.verdict == "final" or number == self._policy.max_attempts:
                return attempt.result()
            wait = self._wait_before_retry(attempt, number)
            if wait is None:
                return attempt.result()
            yield from sleep(wait)
            try:
                found = yield from self._look_for_lost()
            except MemtraceError:
                return attempt.result()  # not known, so that a repeat could store it twice
            if found is not None:
                return found
            self._note(attempt)
            attempt = yield from _try(self._request, self._call_next)
            number += 1

    def _note(self, attempt: _Attempt) -> None:
        """Keep what made the next attempt necessary; without what came before it, or each attempt would add to a chain."""
        error = cast("MemtraceError", attempt.error)  # only a success has none, and is not repeated
        cause = self._context.retried_after = to_public_error(error, self._request)
        cause.last_cause = None

    def _recovery_context(self) -> RecoveryContext:
        sent_since = self._context.sent_since
        if sent_since is not None:  # whoever resumes a call had no answer to it, whatever came down to here
            return RecoveryContext(sent_since, is_dated=True, read=self._read, verify=self._verify)
        clock = self._server_clock
        return RecoveryContext(clock.began, clock.is_known, self._read, self._verify, self._answered.holds)

    def _recovered(self, recovery: Recovery, response: Response) -> Flow[Response]:
        """What `response` and the state of the server say together. Raises where a conflict cannot be explained."""
        try:
            return (yield from recovery.recover(self._request, response, self._recovery_context()))
        except MemtraceError as error:
            if response.status != 409:
                return response  # it is true as it is, and less exact
            error.hint = "an earlier attempt may have stored it, and looking for it failed; look again later"
            error.request = None  # of the read: this error is about the call
            raise

    # ---- before a repeat

    def _wait_before_retry(self, attempt: _Attempt, number: int) -> float | None:
        """Seconds to wait before the call is retried; None if it must not be retried, or not in time."""
        may = may_retry(
            attempt.verdict,
            self._context.idempotency,
            is_recoverable=self._context.recovery is not None,
            permanent=is_permanent(attempt.error),
        )
        wait = self._wait(attempt, number) if may else None
        verification = self._verification_seconds if self._must_verify else 0.0
        return None if wait is None or not self._has_time_for(wait + verification) else wait

    def _wait(self, attempt: _Attempt, number: int) -> float | None:
        """Seconds until the next attempt, before verifying; None where the server asks for more than the policy allows."""
        recovery = self._context.recovery
        if attempt.verdict == "maybe_applied" and recovery is not None and recovery.needs_verification:
            number = 0  # verifying is wait enough
        return self._pause(attempt, number)

    def _pause(self, attempt: _Attempt, number: int) -> float | None:
        """The backoff after this many attempts, none after 0, or as long as the server asks for."""
        answer = attempt.response
        asked = 0.0 if answer is None else retry_after(answer, self._context.clock.wall()) or 0.0
        if asked > self._policy.max_retry_after:
            return None
        return max(asked, self._policy.backoff(number) if number else 0.0)

    def _has_time_for(self, seconds: float) -> bool:
        remaining = self._context.remaining()
        return remaining is None or seconds < remaining

    # ---- verification

    @property
    def _must_verify(self) -> bool:
        recovery = self._context.recovery
        return self._unverified and recovery is not None and recovery.needs_verification

    def _look_for_lost(self) -> Flow[Response | None]:
        """The lost response, if its attempt is found on the server. Raises if that is unknown."""
        recovery = self._context.recovery
        if recovery is None or not self._unverified:
            return None
        if recovery.needs_verification:
            yield from self._verify()
        return (yield from recovery.look_for(self._request, self._recovery_context()))

    @property
    def _verification_seconds(self) -> float:
        return VERIFY_DELAY_AFTER_READ + (
            VERIFY_DELAY_BEFORE_READ if self._policy.verify_before_retry == "wait" else 0.0
        )

    def _verify(self) -> Flow[None]:
        """Wait until what has reached the server is seen by its reads and its check for duplicates."""
        number = 1
        while True:
            # Again after a read that failed: storage may have been down until then.
            if self._policy.verify_before_retry == "wait":
                yield from sleep(VERIFY_DELAY_BEFORE_READ)
            attempt = yield from _try(verifying_read(self._request), self._call_next)
            if attempt.error is None:
                break
            wait = self._pause(attempt, number)
            may = may_retry(attempt.verdict, "read", is_recoverable=False, permanent=is_permanent(attempt.error))
            if not may or number == self._policy.max_attempts or wait is None:
                raise attempt.error
            yield from sleep(wait)
            number += 1
        self._server_clock.note(attempt.result())
        yield from sleep(VERIFY_DELAY_AFTER_READ)
        self._unverified = False

    def _read(self, request: Request) -> Flow[Response]:
        attempt = yield from _try(request, self._call_next)
        response = yield from _RetryRun(self._policy, request, self._call_next, self._answered).after(attempt)
        if is_failure(response, request):
            raise error_for(response, request)
        self._server_clock.note(response)
        request.context.read(response)
        return response


def _try(request: Request, call_next: CallNext) -> Flow[_Attempt]:
    try:
        response = yield from call_next(request)
    except TransportError as error:
        return _unanswered(error)
    attempt = _classify(response, request)
    return _Attempt("final", response) if attempt is _SUCCESS else attempt


def _unanswered(error: TransportError) -> _Attempt:
    return _Attempt(verdict_of(error), error=error)


def _classify(response: Response, request: Request) -> _Attempt:
    """The verdict on a call that got a response."""
    if response.status < 300 or not is_failure(response, request):  # a success costs no call
        try:
            request.context.read(response)
        except ResponseDecodeError as unreadable:
            return _Attempt(verdict_of(unreadable), response, unreadable)
        return _SUCCESS
    error = error_for(response, request)
    return _Attempt(verdict_of(error), response, error)
