"""What of an error's traceback is worth keeping: neither frames that show secrets nor those that say nothing."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

ErrorT = TypeVar("ErrorT", bound=BaseException)

_OWN = ("memtrace", "memtrace_transports")


def drop_own_frames(error: BaseException) -> None:
    """Keep only frames of users' code, such as middleware, in the tracebacks of an error and of its cause."""
    for link in (error, error.__cause__):
        if link is not None:
            link.__traceback__ = without_own_frames(link.__traceback__)


def without_own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The frames of other people's code; None where there are none."""
    kept: list[TracebackType] = []
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0] not in _OWN:
            kept.append(traceback)
        traceback = traceback.tb_next
    rebuilt: TracebackType | None = None
    for each in reversed(kept):
        rebuilt = TracebackType(rebuilt, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return rebuilt


def caused(failure: ErrorT, cause: BaseException | None) -> ErrorT:
    """`failure` as a transport raises it: with a library's error as its one cause, and no frame of the way to it so far."""
    failure.__traceback__ = failure.__context__ = None
    failure.__cause__ = None if cause is None else _without_frames(cause)
    return failure


def _without_frames(error: ErrorT) -> ErrorT:
    """A library's `error` without its frames, whose locals hold the request with its key.

    Of what led to it the first is kept, such as the system's own error, as its context, which no traceback shows.
    """
    first: BaseException = error
    for link in list(_links(error)):
        link.__traceback__ = None
    while (before := first.__cause__ or first.__context__) is not None and before is not error:
        first = before
    error.__cause__ = None  # which hides the context too
    error.__context__ = None if first is error else first
    return error


def _links(error: BaseException) -> Iterator[BaseException]:
    """It, what led to it, and what libraries wrap into arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__, *link.args]
