"""Clients of an awaiting library: each lent to one task at a time, or one for all. For asyncio and trio."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from memtrace._support.event_loops import shielded
from memtrace_transports._pool.lazy_clients import transport_closed

if TYPE_CHECKING:
    from collections.abc import Awaitable


class AsyncClosable(Protocol):
    """An awaiting library's client."""

    def aclose(self) -> Awaitable[None]:
        """Close its connections."""
        ...


ClientT = TypeVar("ClientT", bound=AsyncClosable)


class SharedClient(Generic[ClientT]):
    """Lends one client to every task; `max_size` at once where it says so."""

    # Who waits does so here: in httpcore, one that is cancelled takes a connection for good:
    # https://github.com/encode/httpcore/issues/1093

    def __init__(self, client: ClientT, *, max_size: int | None = None) -> None:
        self._client = client
        self._slots = None if max_size is None else anyio.Semaphore(max_size)

    async def acquire(self, timeout: float | None) -> ClientT | None:  # noqa: ASYNC109
        """The client, to be given back; None where its turn does not come within `timeout` seconds."""
        if self._slots is not None and not await _acquired(self._slots, timeout):
            return None
        return self._client

    async def release(self, client: ClientT, *, usable: bool = True) -> None:
        """Let the next have it."""
        if self._slots is not None:
            self._slots.release()

    async def close(self) -> None:
        """Close it."""
        await self._client.aclose()

    def discard(self) -> None:
        """Leave its sockets to the garbage collector: httpx cannot close them without their event loop."""


class AsyncClientPool(Generic[ClientT]):
    """Lends clients, each with one connection, so that no two tasks ever meet in one of them.

    50 tasks with a client each make three times the requests of 50 tasks with one. At most `max_size` are lent at once. The
    newest is lent first; at most `max_idle` wait for that, each for `expiry` seconds.
    """

    # At each request, httpcore looks at every connection of a client: https://github.com/encode/httpx/issues/3215

    def __init__(
        self,
        first: ClientT,
        make: Callable[[], ClientT],
        *,
        max_size: int,
        max_idle: int,
        expiry: float,
        now: Callable[[], float],
    ) -> None:
        self._make = make
        self._max_idle = max_idle
        self._expiry = expiry
        self._now = now
        self._slots = anyio.Semaphore(max_size)
        self._idle = deque([(now(), first)])
        self._lent: set[ClientT] = set()
        self._closed = False

    async def acquire(self, timeout: float | None) -> ClientT | None:  # noqa: ASYNC109
        """A client, to be given back; None where none comes free within `timeout` seconds. Raises `ClientClosedError`."""
        if not await _acquired(self._slots, timeout):
            return None
        try:
            client = self._next()
        except BaseException:
            self._slots.release()
            raise
        self._lent.add(client)
        return client

    def _next(self) -> ClientT:
        if self._closed:  # meanwhile
            raise transport_closed()
        return self._idle.pop()[1] if self._idle else self._make()

    async def release(self, client: ClientT, *, usable: bool = True) -> None:
        """Keep it for the next, or close it where it is not `usable`; and close what has waited too long."""
        now = self._now()
        self._lent.discard(client)
        if usable:
            self._idle.append((now, client))
        else:  # the first to be closed
            self._idle.appendleft((-math.inf, client))
        self._slots.release()
        if self._closed or len(self._idle) > self._max_idle or self._idle[0][0] < now - self._expiry:
            await self._close_oldest()

    async def close(self) -> None:
        """Close all, those that are lent too."""
        self._closed = True
        self._idle.extend((self._now(), client) for client in self._lent)
        await self._close_oldest()

    async def _close_oldest(self) -> None:
        """Close those that are not to wait any longer; where the task is cancelled, the next one goes on."""
        while self._idle and (
            self._closed or len(self._idle) > self._max_idle or self._idle[0][0] < self._now() - self._expiry
        ):
            with shielded():
                await self._idle.popleft()[1].aclose()

    def discard(self) -> None:
        """Leave their sockets to the garbage collector: httpx cannot close them without their event loop."""


async def _acquired(slots: anyio.Semaphore, timeout: float | None) -> bool:  # noqa: ASYNC109
    """Whether a slot came free in time."""
    try:
        slots.acquire_nowait()
    except anyio.WouldBlock:
        with anyio.move_on_after(timeout) as waiting:
            await slots.acquire()
        return not waiting.cancelled_caught
    return True
