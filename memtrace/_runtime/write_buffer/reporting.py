"""What a write buffer says of outcomes: to `on_result`, in the log, and in the error at its end."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import suppress

from memtrace._support.callables import is_async_callable
from memtrace.exceptions import BufferFullError, ClientClosedError, ConfigurationError, MemtraceError
from memtrace.models import AddMemoryRequest
from memtrace.outcomes import BufferCounts, BufferDrainError, OnResult, Outcome

_logger = logging.getLogger("memtrace")


def check_listener(on_result: object) -> None:
    """Refuse what could not be called; raises `ConfigurationError`."""
    if on_result is not None and (not callable(on_result) or is_async_callable(on_result)):
        raise ConfigurationError(
            "on_result must be a plain function of one outcome, also for AsyncMemtrace", argument="on_result"
        )


def report(on_result: OnResult | None, outcome: Outcome, swallowed: type[BaseException] = Exception) -> None:
    """Call `on_result`. What it raises, if `swallowed`, is logged by its type alone, since its text may hold contents."""
    if on_result is None:
        return
    try:
        on_result(outcome)
    except swallowed as error:
        log_raised("on_result", error, outcome)


def log_raised(what: str, error: BaseException, outcome: Outcome) -> None:
    """A warning about what a user's function raised."""
    _logger.warning("%s of a write buffer raised %s for outcome %d", what, type(error).__name__, outcome.index)


def aborted(error: BaseException) -> Outcome:
    """The outcome of a request that ended with something that is no error of the SDK."""
    reason = MemtraceError(f"the request ended with {type(error).__name__}", code="unexpected_error")
    reason.maybe_applied = True
    reason.__cause__ = error
    return Outcome(0, "unknown", error=reason)


def buffer_closed() -> ClientClosedError:
    """What `add` raises after the end."""
    return ClientClosedError(
        "this write buffer is closed; make another with client.memories.buffered()", code="buffer_closed"
    )


def buffer_full(max_pending: int) -> BufferFullError:
    """What `add` raises when there is no room."""
    error = BufferFullError(
        f"the write buffer is full: it has {max_pending} memories, and accepts more once some are sent"
    )
    error.retryable = True
    return error


def drain_error(unsent: Sequence[AddMemoryRequest], unknown: int, counts: BufferCounts) -> BufferDrainError:
    """What closing raises."""
    error = BufferDrainError(
        f"the write buffer was closed with {len(unsent)} memories unsent and {unknown} under way: {counts}",
        unsent=unsent,
        counts=counts,
        hint="`unsent` has what was not sent; raise drain_timeout, or look why the server takes so long",
    )
    error.maybe_applied = unknown > 0
    return error


def log_failed_drain(error: BufferDrainError) -> None:
    """A warning in place of the error, where another one leaves the block."""
    _logger.warning("%s", error.message)


def log_end(counts: BufferCounts, kept: int, spool: str | None) -> None:
    """Say in the log what a closed buffer has lost, and what its spool keeps."""
    log_losses(counts, kept)
    log_kept(kept, spool)


def say_never_closed(counts: BufferCounts, kept: int, spool: str | None) -> None:
    """As `log_end`, of a buffer that nobody has closed: also as a warning that is seen where no log is."""
    warn_never_closed(counts, kept if spool else 0)
    log_kept(kept, spool)


def log_kept(kept: int, spool: str | None) -> None:
    """A warning when a buffer ends and its spool has memories still."""
    if spool is not None and kept:
        _logger.warning(
            "a write buffer has ended, and %d memories are in the spool %s until it is opened again", kept, spool
        )


def log_unsent(spool: str, error: MemtraceError, seconds: float) -> None:
    """A warning when what is in a spool cannot be sent now; without the error's text, which may hold contents."""
    _logger.warning(
        "the spool %s could not be sent: %s (%s); next try in %g s", spool, type(error).__name__, error.code, seconds
    )


def log_losses(counts: BufferCounts, kept: int = 0) -> None:
    """A warning when a buffer ends and not all that it accepted is stored, or kept in a spool."""
    if counts.accepted > counts.stored + counts.duplicate + kept:
        _logger.warning("a write buffer was closed, and not all is stored: %s", counts)


def warn_open(counts: BufferCounts) -> None:
    """A warning for developers where a buffer with pending memories ends, and nobody closed it."""
    if counts.pending:
        with suppress(ResourceWarning):  # where a filter raises it
            warnings.warn(f"a write buffer was not closed: {counts}", ResourceWarning, stacklevel=1)


def warn_never_closed(counts: BufferCounts, kept: int = 0) -> None:
    """Say at the end of a buffer that nobody closed what of it is not stored: in the log, and as a visible warning.

    Nobody gets a `BufferDrainError` there, and where no logging is configured no log.
    """
    if counts.accepted > counts.stored + counts.duplicate + kept:
        text = f"a write buffer was never closed, and not all is stored: {counts}"
        _logger.warning("%s", text)
        with suppress(RuntimeWarning):  # where a filter raises it: it must not hide what ends the buffer
            warnings.warn(text, RuntimeWarning, stacklevel=1)
