"""The write buffer of the async client."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, overload

from memtrace._runtime.write_buffer.admission import prepare
from memtrace._runtime.write_buffer.asyncio_worker import AsyncioWorker
from memtrace._runtime.write_buffer.limits import BufferLimits
from memtrace._runtime.write_buffer.reporting import check_listener, log_failed_drain, warn_open
from memtrace._support.forks import PerProcess
from memtrace.models import AddMemoryRequest
from memtrace.operations._coercion import coerce_request
from memtrace.outcomes import BufferCounts, BufferDrainError, OnResult, Outcome
from memtrace.resources._defaults import RESOURCES
from memtrace.resources._signatures import keywords

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace._runtime.write_buffer.spool_delivery import Outbox
    from memtrace.operations import Dedup
    from memtrace.resources.request_params import AddMemoryParams


class AsyncWriteBuffer:
    """A write buffer, which stores memories in the background, in batches. ``client.memories.buffered()`` creates it.

    A task sends; it begins with the first memory and ends with the block.
    A buffer belongs to one event loop, of asyncio: under trio it raises `ConfigurationError`.

    A forked child starts with an empty buffer and never sends its parent's memories. If nobody
    closes a buffer, its memories are sent when the process ends, if Python runs exit hooks then. A
    `RuntimeWarning` names memories that were not sent.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> async def main():
        ...     async with AsyncMemtrace("memory://", "any key") as client, client.memories.buffered() as buffer:
        ...         future = await buffer.add(agent_id="assistant", content="User prefers dark mode")
        ...     return (await future).status, buffer.counts.stored
        >>> asyncio.run(main())
        ('stored', 1)
    """

    def __init__(
        self,
        dispatcher: AsyncDispatcher,
        limits: BufferLimits,
        on_result: OnResult | None,
        open_spool: Callable[[], Outbox] | None = None,
    ) -> None:
        check_listener(on_result)
        self._dispatcher = dispatcher
        #: Memories in a spool are recognised by their key, even after their process has ended.
        self._dedup: Dedup = (dispatcher.settings.dedup if open_spool is None else None) or RESOURCES.dedup
        self._workers: PerProcess[AsyncioWorker] = PerProcess(
            partial(AsyncioWorker, dispatcher, limits, on_result, open_spool=open_spool)
        )

    @property
    def _worker(self) -> AsyncioWorker:
        return self._workers.get()

    @overload
    async def add(self, request: AddMemoryRequest) -> Future[Outcome]: ...
    @overload
    async def add(self, **fields: Unpack[AddMemoryParams]) -> Future[Outcome]: ...
    @keywords("AddMemoryParams")
    async def add(self, request: AddMemoryRequest | None = None, **fields: object) -> Future[Outcome]:
        """Accept one memory, given as `AddMemoryRequest` or as its fields.

        With a spool it returns once the memory is on disk. After an error nothing is accepted.

        Args:
            request: The memory; or pass its fields as keyword arguments.
            **fields: The fields of `AddMemoryRequest`.

        Returns:
            A future of the `Outcome`. The outcome's `index` is the memory's number in this buffer,
            from 0.

        Raises:
            InvalidRequestError: A field breaks a rule of the server.
            PayloadTooLargeError: The memory is over 4 MiB.
            BufferFullError: The buffer is full and `on_full` is ``raise``, or `max_block` seconds
                have passed.
            ClientClosedError: The buffer is closed.
            ConfigurationError: The spool's file cannot be used.
            TransportError: The spool's file is locked, or its disk failed.
        """
        given = coerce_request(AddMemoryRequest, request, fields)
        return await self._worker.entered().put(*prepare(given, self._dedup))

    async def flush(self, timeout: float | None = None) -> bool:
        """Send waiting memories now, and wait for the outcome of everything accepted before this call.

        Args:
            timeout: Seconds to wait at most. Default: no limit.

        Returns:
            False if the timeout expired. The rest is still sent.

        Raises:
            RuntimeError: It would wait for itself, since it is called in `on_result` or in
                middleware.
        """
        return await self._worker.entered().flush(timeout)

    async def close(self) -> None:
        """Send waiting memories, for at most `drain_timeout` seconds, and close. A second call does nothing.

        With a spool no memory is lost: the rest has the outcome ``unknown`` and stays in the file.
        An interrupt or a cancellation ends the wait in the same way and is re-raised.

        Raises:
            BufferDrainError: `drain_timeout` expired. Memories that were not sent are ``failed``
                and in `unsent`. Those being sent are ``unknown``. Never with a spool.
            RuntimeError: It would wait for itself, since it is called in `on_result` or in
                middleware.
        """
        await self._worker.entered().close()

    @property
    def counts(self) -> BufferCounts:
        """The outcomes so far, as counts."""
        return self._worker.counts

    @property
    def unsent(self) -> list[AddMemoryRequest]:
        """Accepted memories that were surely not sent when the buffer closed, oldest first, without dropped ones."""
        return list(self._worker.state.unsent)

    async def __aenter__(self) -> Self:
        self._worker.entered()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except BufferDrainError as left:
            if error is None:
                raise
            log_failed_drain(left)

    def __del__(self) -> None:
        if hasattr(self, "_workers") and not (worker := self._worker).state.closing:
            warn_open(worker.state.counts)
            worker.release()
