# Generated from _async_write_buffer.py by scripts/unasync.py: change that file and run the script.
"""The write buffer of the client."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, overload

from memtrace._runtime.write_buffer.admission import prepare
from memtrace._runtime.write_buffer.limits import BufferLimits
from memtrace._runtime.write_buffer.reporting import check_listener, log_failed_drain, warn_open
from memtrace._runtime.write_buffer.thread_worker import ThreadWorker
from memtrace._support.forks import PerProcess
from memtrace.models import AddMemoryRequest
from memtrace.operations._coercion import coerce_request
from memtrace.outcomes import BufferCounts, BufferDrainError, OnResult, Outcome
from memtrace.resources._defaults import RESOURCES
from memtrace.resources._signatures import keywords

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from memtrace._runtime.dispatch import Dispatcher
    from memtrace._runtime.write_buffer.spool_delivery import Outbox
    from memtrace.operations import Dedup
    from memtrace.resources.request_params import AddMemoryParams


class WriteBuffer:
    """Memories that are sent in the background, many in a request; made by ``client.memories.buffered()``.

    Many threads may use it. A daemon thread sends; it begins with the first memory and ends with the block.
    A forked child begins with an empty buffer of its own, and its parent's memories are never sent by it.
    One that nobody closes is sent when its process ends, if Python runs exit hooks then; a `RuntimeWarning` says what was not.

    >>> from memtrace import Memtrace
    >>> with Memtrace("memory://", "any key") as client, client.memories.buffered() as buffer:
    ...     future = buffer.add(agent_id="assistant", content="User prefers dark mode")
    >>> future.result().status, buffer.counts.stored
    ('stored', 1)
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        limits: BufferLimits,
        on_result: OnResult | None,
        open_spool: Callable[[], Outbox] | None = None,
    ) -> None:
        check_listener(on_result)
        self._dispatcher = dispatcher
        #: What is in a spool is recognised by its key, also after the death of its process.
        self._dedup: Dedup = (dispatcher.settings.dedup if open_spool is None else None) or RESOURCES.dedup
        self._workers: PerProcess[ThreadWorker] = PerProcess(
            partial(ThreadWorker, dispatcher, limits, on_result, open_spool=open_spool)
        )

    @property
    def _worker(self) -> ThreadWorker:
        return self._workers.get()

    @overload
    def add(self, request: AddMemoryRequest) -> Future[Outcome]: ...
    @overload
    def add(self, **fields: Unpack[AddMemoryParams]) -> Future[Outcome]: ...
    @keywords("AddMemoryParams")
    def add(self, request: AddMemoryRequest | None = None, **fields: object) -> Future[Outcome]:
        """Accept one memory, given as `AddMemoryRequest` or as its fields; gives a future of its `Outcome`.

        The outcome's `index` is the memory's number in this buffer, from 0. Raises `InvalidRequestError` and
        `PayloadTooLargeError` for what cannot be sent, `BufferFullError` when there is no room and `on_full` says so or
        `max_block` seconds have passed, `ClientClosedError` after `close`; then nothing is accepted. With a spool it returns once the
        memory is on the disk, and raises `ConfigurationError`, `APIConnectionError` and `APITimeoutError` where the file cannot take it.
        """
        given = coerce_request(AddMemoryRequest, request, fields)
        return self._worker.entered().put(*prepare(given, self._dedup))

    def flush(self, timeout: float | None = None) -> bool:
        """Send at once what waits, and wait until the outcome of all that was accepted before this call is known.

        False when `timeout` seconds were not enough; what is left goes on. Raises `RuntimeError` where it would wait for
        itself: in `on_result` and in middleware.
        """
        return self._worker.entered().flush(timeout)

    def close(self) -> None:
        """Send what waits, for at most `drain_timeout` seconds, and end. A second call does nothing.

        Raises `BufferDrainError` when that was not enough: what was not sent is ``failed`` and in `unsent`, what was under way is
        ``unknown``. With a spool nothing is raised: all that is left is ``unknown``, and in the file. An interruption or cancellation ends the wait in the same way, and goes out. Raises `RuntimeError` where it
        would wait for itself: in `on_result` and in middleware.
        """
        self._worker.entered().close()

    @property
    def counts(self) -> BufferCounts:
        """What became of the memories, at this moment."""
        return self._worker.counts

    @property
    def unsent(self) -> list[AddMemoryRequest]:
        """What was accepted and surely not sent when the buffer ended, oldest first; dropped ones are not among them."""
        return list(self._worker.state.unsent)

    def __enter__(self) -> Self:
        self._worker.entered()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BufferDrainError as left:
            if error is None:
                raise
            log_failed_drain(left)

    def __del__(self) -> None:
        if hasattr(self, "_workers") and not (worker := self._worker).state.closing:
            warn_open(worker.state.counts)
            worker.release()
