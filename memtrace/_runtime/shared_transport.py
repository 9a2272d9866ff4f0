"""One transport for a client and all its `with_options` copies: made at the first call, closed with the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakSet

from memtrace._support.forks import PerProcess
from memtrace._support.locks import Locks
from memtrace.exceptions import ClientClosedError

TransportT = TypeVar("TransportT")


class SharedTransport(Generic[TransportT]):
    """Owns a transport on behalf of its members.

    A transport that the user handed over is used and never closed. A member that is garbage without having been closed no
    longer counts; nothing is closed by garbage collection, since closing is I/O.
    """

    def __init__(self, make: Callable[[], TransportT], *, owned: bool = True) -> None:
        self._make = make
        self._owned = owned
        self._transport: TransportT | None = None
        # taken by itself, never around I/O
        self._guard: PerProcess[threading.Lock] = PerProcess(lambda _: threading.Lock())
        self._members: WeakSet[object] = WeakSet()
        self.locks: Locks = Locks()

    def attach(self, member: object, beside: object | None = None) -> None:
        """Count `member` in. Raises `ClientClosedError` when the one that it is copied from has left."""
        with self._guard.get():
            if beside is not None and beside not in self._members:
                raise ClientClosedError
            self._members.add(member)

    def detach(self, member: object) -> TransportT | None:
        """Count `member` out; gives the transport, to be closed, when it was the last. A second call gives None."""
        with self._guard.get():
            if member not in self._members:
                return None
            self._members.discard(member)
            if len(self._members) or not self._owned:
                return None
            transport, self._transport = self._transport, None
            return transport

    def transport(self, member: object) -> TransportT:
        """The transport, made now if this is the first call of the clients that share it. Raises `ClientClosedError` for one that has left."""
        with self._guard.get():
            if member not in self._members:
                raise ClientClosedError
            if self._transport is None:
                self._transport = self._make()
            return self._transport
