"""One blocking face for both forms of a transport, so that each rule of a contract is written once."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

from memtrace.testing._threads import in_thread
from memtrace.transport import AsyncTransport, Headers, Request, Response, Transport

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

Backend = Literal["asyncio", "trio"]
"""An event loop that an async transport may run on."""


class TransportUnderTest(Protocol):
    """A transport under test."""

    def send(self, request: Request) -> Response:
        """Send and wait."""
        ...

    def start(self, request: Request) -> Future[Response]:
        """Send beside others: in a thread, or in a task."""
        ...

    def send_in_new_loop(self, requests: Sequence[Request]) -> list[Response]:
        """Send one after the other where nothing else runs: on a new event loop, for an async transport."""
        ...

    def close(self) -> None:
        """Close the transport."""
        ...

    def end(self) -> None:
        """Close the transport, unless it is, and stop what served the test."""
        ...


def checked(response: object) -> Response:
    """What a transport returned, which has to be a `Response` with `Headers` and bytes."""
    if not isinstance(response, Response):
        pytest.fail(f"send returned {type(response).__name__}: it must return a memtrace.transport.Response")
    kinds = (type(response.headers), type(response.body))
    if kinds != (Headers, bytes):
        pytest.fail("the Response that send returned needs memtrace.transport.Headers, and its body as bytes")
    return response


class SyncTransportUnderTest:
    """A blocking transport as it is."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def send(self, request: Request) -> Response:
        """Send and wait."""
        return checked(self.transport.send(request))

    def start(self, request: Request) -> Future[Response]:
        """Send in a separate thread, which nothing waits for if it never ends."""
        return in_thread(partial(self.send, request))

    def send_in_new_loop(self, requests: Sequence[Request]) -> list[Response]:
        """Send one after the other."""
        return [self.send(request) for request in requests]

    def close(self) -> None:
        """Close the transport."""
        self.transport.close()

    def end(self) -> None:
        """Close it."""
        self.transport.close()


class AsyncTransportUnderTest:
    """An awaiting transport, on an event loop in a thread that begins with the first request."""

    def __init__(self, transport: AsyncTransport, backend: Backend) -> None:
        self.transport = transport
        self.backend: Backend = backend
        self._stack = ExitStack()
        self._begun: BlockingPortal | None = None
        self._was_apart = False

    @property
    def portal(self) -> BlockingPortal:
        """The way onto the event loop."""
        from anyio.from_thread import start_blocking_portal

        if self._begun is None:
            self._begun = self._stack.enter_context(start_blocking_portal(self.backend))
        return self._begun

    def send(self, request: Request) -> Response:
        """Send and wait."""
        return self.portal.call(self._send, request)

    def start(self, request: Request) -> Future[Response]:
        """Send in a separate task."""
        return self.portal.start_task_soon(self._send, request)

    async def _send(self, request: Request) -> Response:
        return checked(await self.transport.send(request))

    def send_in_new_loop(self, requests: Sequence[Request]) -> list[Response]:
        """Send one after the other on an event loop that begins and ends here."""
        import anyio

        self._was_apart = True
        return anyio.run(self._send_all, requests, backend=self.backend)

    async def _send_all(self, requests: Sequence[Request]) -> list[Response]:
        return [await self._send(request) for request in requests]

    def cancel(self, request: Request, is_sent: Callable[[], bool]) -> bool:
        """Send, cancel the task once `is_sent`, and tell whether it ended as cancelled."""
        return self.portal.call(self._cancelled, request, is_sent)

    async def _cancelled(self, request: Request, is_sent: Callable[[], bool]) -> bool:
        if self.backend == "trio":
            return await self._cancelled_by_scope(request, is_sent)
        task = asyncio.ensure_future(self.transport.send(request))  # a bare task: anyio's scopes cancel in another way
        while not (is_sent() or task.done()):  # noqa: ASYNC110  # it is sent when the server, in its thread, has read it
            await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait((task,))
        return task.cancelled()

    async def _cancelled_by_scope(self, request: Request, is_sent: Callable[[], bool]) -> bool:
        import anyio

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(self.transport.send, request)
                while not is_sent():  # noqa: ASYNC110  # as above
                    await anyio.sleep(0.002)
                scope.cancel()
        return scope.cancelled_caught

    def silence_while(self, request: Request) -> float:
        """Send, and give the longest time, in seconds, for which another task had no turn meanwhile."""
        return self.portal.call(self._silence_while, request)

    async def _silence_while(self, request: Request) -> float:
        import anyio

        longest = 0.0

        async def take_turns() -> None:
            nonlocal longest
            while True:
                began = time.monotonic()
                await anyio.sleep(0.01)
                longest = max(longest, time.monotonic() - began)

        async with anyio.create_task_group() as group:
            group.start_soon(take_turns)
            await anyio.lowlevel.checkpoint()
            await self.transport.send(request)
            await anyio.sleep(0.02)
            group.cancel_scope.cancel()
        return longest

    def close(self) -> None:
        """Close the transport on its event loop."""
        self.portal.call(self.transport.close)

    def end(self) -> None:
        """Close, end the event loop, and collect what loops that ended before have left behind."""
        with self._stack:
            self.close()
            self.portal.call(self.portal.stop, True)  # noqa: FBT003  # and cancel what has not ended
        if self._was_apart:
            gc.collect()
