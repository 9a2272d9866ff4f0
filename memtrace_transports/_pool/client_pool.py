"""Clients of a blocking library, each lent to one thread at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from memtrace_transports._pool.lazy_clients import Closable, transport_closed

ClientT = TypeVar("ClientT", bound=Closable)


class ClientPool(Generic[ClientT]):
    """Lends clients, each with one connection, so that no two threads ever meet in one of them.

    At most `max_size` are lent at once. The newest is lent first; at most `max_idle` wait for that, each for `expiry` seconds.
    """

    # In one pool a thread may close the connection of another: https://github.com/encode/httpcore/issues/1110

    def __init__(
        self, make: Callable[[], ClientT], *, max_size: int, max_idle: int, expiry: float, now: Callable[[], float]
    ) -> None:
        self._make = make
        self._max_idle = max_idle
        self._expiry = expiry
        self._now = now
        self._slots = threading.Semaphore(max_size)
        self._guard = threading.Lock()  # taken by itself, never around I/O
        self._idle: deque[tuple[float, ClientT]] = deque()
        self._closed = False

    def acquire(self, timeout: float | None) -> ClientT | None:
        """A client, to be given back; None where none comes free within `timeout` seconds. Raises `ClientClosedError`."""
        if not self._slots.acquire(timeout=timeout):
            return None
        try:
            return self._next()
        except BaseException:
            self._slots.release()
            raise

    def _next(self) -> ClientT:
        with self._guard:
            if self._closed:  # meanwhile
                raise transport_closed()
            if self._idle:
                return self._idle.pop()[1]
        return self._make()

    def release(self, client: ClientT) -> None:
        """Keep it for the next, or close it; and close what has waited too long."""
        now = self._now()
        ended: list[ClientT] = []
        with self._guard:
            if self._closed or self._max_idle == 0:
                ended.append(client)
            else:
                self._idle.append((now, client))
            while self._idle and (len(self._idle) > self._max_idle or self._idle[0][0] < now - self._expiry):
                ended.append(self._idle.popleft()[1])
        try:
            for each in ended:
                each.close()
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close those that wait; one that is lent is closed when it is given back."""
        with self._guard:
            self._closed = True
            ended = [client for _, client in self._idle]
            self._idle.clear()
        for client in ended:
            client.close()
