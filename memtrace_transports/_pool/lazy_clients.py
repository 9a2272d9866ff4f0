"""A library's clients, created at first use: per process, for all threads or for each event loop."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from memtrace._support.event_loops import is_closed, new_lock, running_loop, running_under_trio, shielded
from memtrace._support.forks import PerProcess, current_process
from memtrace.exceptions import ClientClosedError


class Closable(Protocol):
    """A blocking library's client."""

    def close(self) -> None:
        """Close its connections."""


class Channel(Protocol):
    """An async library's client, with the settings of an exchange through it."""

    async def close(self) -> None:
        """Close its connections, on their event loop."""

    def discard(self) -> None:
        """Drop it, since its event loop has ended."""


ValueT = TypeVar("ValueT")
ClientT = TypeVar("ClientT", bound=Closable)
ChannelT = TypeVar("ChannelT", bound=Channel)
PreparedT = TypeVar("PreparedT")


class _ProcessState(Generic[ValueT]):
    """The clients of one process, under a lock that is acquired while no other is held."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.made: WeakKeyDictionary[object, ValueT] = WeakKeyDictionary()


class _Clients(Generic[ValueT]):
    """The clients of each user, until they are closed; by process, since responses would cross over shared sockets."""

    def __init__(self) -> None:
        self.closed: bool = False
        self._holding: PerProcess[_ProcessState[ValueT]] = PerProcess(lambda _: _ProcessState())

    def _of(self, user: object, make: Callable[[], ValueT]) -> ValueT:
        holding = self._holding.get()
        with holding.guard:
            if self.closed:
                raise transport_closed()
            value = holding.made.get(user)
            if value is None:
                value = holding.made[user] = make()
            return value

    def _close(self, user: object) -> ValueT | None:
        """The clients of `user` in this process that are still to be closed. From now on none is created."""
        self.closed = True
        holding = self._holding.get()
        with holding.guard:
            return holding.made.pop(user, None)


def transport_closed() -> ClientClosedError:
    """The error of a call after `close`."""
    return ClientClosedError("this transport is closed")


class LazyClient(_Clients[ClientT]):
    """The client of a blocking transport: the user's, which is never closed, or one from `make` for all threads."""

    def __init__(self, given: ClientT | None, make: Callable[[], ClientT]) -> None:
        super().__init__()
        self._given = given
        self._make = make

    def get(self) -> ClientT:
        """The client. Raises `ClientClosedError` after the transport is closed."""
        if self._given is None:
            return self._of(self, self._make)
        if self.closed:
            raise transport_closed()
        return self._given

    def close(self) -> None:
        """Close the client of this process. A second call does nothing."""
        client = self._close(self)
        if client is not None:
            client.close()


class PerLoopClients(_Clients["_PendingClient[ChannelT, PreparedT]"], Generic[ChannelT, PreparedT]):
    """The channels of an async transport: the user's, which is never closed, or one per event loop.

    `prepare` runs in a thread, since imports and TLS settings take 0.2 s the first time. `finish` creates a channel
    from its result, on the event loop.
    """

    def __init__(
        self, given: ChannelT | None, prepare: Callable[[], PreparedT], finish: Callable[[PreparedT], ChannelT]
    ) -> None:
        super().__init__()
        self._given = given
        self._prepare = prepare
        self._finish = finish

    async def get(self) -> ChannelT:
        """The channel for this event loop. Raises `ClientClosedError` after the transport is closed."""
        channel = self._given
        if channel is None:
            making = self._of(running_loop(), self._begin)
            channel = making.channel or await making.run(self)
        if self.closed or channel is None:  # perhaps since the previous line began
            raise transport_closed()
        return channel

    def _begin(self) -> _PendingClient[ChannelT, PreparedT]:
        self._forget_ended_loops(self._holding.get())
        return _PendingClient(self._prepare, self._finish)

    async def close(self) -> None:
        """Close the client of this event loop. A second call does nothing. A client of another loop is closed there."""
        making = self._close(running_loop())
        if making is not None:
            with shielded():
                await making.close()
        holding = self._holding.get()
        with holding.guard:
            self._forget_ended_loops(holding)

    @staticmethod
    def _forget_ended_loops(holding: _ProcessState[_PendingClient[ChannelT, PreparedT]]) -> None:
        """An object that refers to an asyncio event loop may keep it alive, so ended loops are searched for."""
        for loop in [loop for loop in holding.made if is_closed(loop)]:
            making = holding.made.pop(loop)
            if making.channel is not None:
                making.channel.discard()


class _PendingClient(Generic[ChannelT, PreparedT]):
    """Creates the channel of one event loop, once for all tasks that start together."""

    def __init__(self, prepare: Callable[[], PreparedT], finish: Callable[[PreparedT], ChannelT]) -> None:
        self.channel: ChannelT | None = None
        self._ending: AsyncGenerator[None, None] | None = None
        self._prepare = prepare
        self._finish = finish
        self._prepared: list[PreparedT] = []
        self._turn = new_lock()
        self._preparing = threading.Lock()  # guards against the thread that a cancelled task left behind

    async def run(self, clients: PerLoopClients[ChannelT, PreparedT]) -> ChannelT | None:
        """Create it, or wait until another task has. It is discarded if `clients` are closed meanwhile."""
        async with self._turn:
            if self.channel is None:
                prepared = await _in_thread(self._prepare_once)
                if not clients.closed:
                    self.channel = self._finish(prepared)
                    if not running_under_trio():  # which would warn of a leftover generator
                        self._ending = _closed_with_the_loop(self.channel)
                        await anext(self._ending)
            return self.channel

    async def close(self) -> None:
        """Close the channel, if there is one."""
        if self._ending is not None:
            await self._ending.aclose()
        elif self.channel is not None:
            await self.channel.close()

    def _prepare_once(self) -> PreparedT:
        with self._preparing:
            if not self._prepared:
                self._prepared.append(self._prepare())
            return self._prepared[0]


async def _closed_with_the_loop(channel: Channel) -> AsyncGenerator[None, None]:
    """Closes `channel` when it is closed: asyncio closes leftover generators while their loop still runs."""
    process = current_process()
    try:
        yield
    finally:
        if current_process() == process:  # a forked child would end its parent's connections
            await channel.close()


async def _in_thread(prepare: Callable[[], PreparedT]) -> PreparedT:
    if running_under_trio():
        import trio

        try:
            return await trio.to_thread.run_sync(prepare)
        except RuntimeError:  # as below
            return prepare()
    import asyncio  # late, as in memtrace._support.event_loops

    try:
        from concurrent.futures import ThreadPoolExecutor

        executor = ThreadPoolExecutor(1)  # the loop's executor may be busy, and in a forked child its threads are gone
        preparing = asyncio.get_running_loop().run_in_executor(executor, prepare)
    except RuntimeError:  # no thread can be started, as in an exit hook
        return prepare()
    try:
        return await preparing
    finally:
        executor.shutdown(wait=False)
