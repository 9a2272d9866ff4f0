"""Both clients under one blocking face, so that a test is written once and holds for both."""

from __future__ import annotations

import asyncio
import inspect

from memtrace import AsyncMemtrace, Memtrace, RetryPolicy
from memtrace.transport import Headers, Response

ONCE = RetryPolicy(max_attempts=1)


class Recorder:
    """A sync transport that notes requests and answers from a script: responses, exceptions, or one function."""

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.closed = 0

    def _answer(self, request):
        self.requests.append(request)
        answer = self.script[0] if callable(self.script[0]) else self.script.pop(0)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def send(self, request):
        return self._answer(request)

    def close(self):
        self.closed += 1

    @property
    def last(self):
        return self.requests[-1]


class AsyncRecorder(Recorder):
    async def send(self, request):
        await asyncio.sleep(0)
        return self._answer(request)

    async def close(self):
        self.closed += 1


def json_response(status, text):
    return Response(status, Headers({"content-type": "application/json"}), text.encode())


class Blocking:
    """An async object whose coroutines and iterators are run at once, on a loop of its own."""

    def __init__(self, target, loop):
        self.__dict__["_target"] = target
        self.__dict__["_loop"] = loop

    def __getattr__(self, name):
        return self._wrapped(getattr(self._target, name))

    def _wrapped(self, value):
        if inspect.iscoroutine(value):
            return self._wrapped(self._loop.run_until_complete(value))
        if inspect.isasyncgen(value):
            return self._items(value)
        if inspect.ismethod(value):
            return lambda *args, **kwargs: self._wrapped(value(*args, **kwargs))
        if hasattr(value, "_dispatcher"):
            return Blocking(value, self._loop)
        return value

    def _items(self, items):
        """An async iterator as a blocking one; closing it closes that."""
        try:
            while True:
                try:
                    item = self._loop.run_until_complete(anext(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            self._loop.run_until_complete(items.aclose())

    def __enter__(self):
        self._loop.run_until_complete(self._target.__aenter__())
        return self

    def __exit__(self, *error):
        return self._loop.run_until_complete(self._target.__aexit__(*error))

    def __repr__(self):
        return repr(self._target)


class Face:
    """One kind of client: makes clients over a script, over a fake, or as configured."""

    def __init__(self, kind, loop):
        self.kind = kind
        self._loop = loop

    def client(self, *args, **settings):
        if self.kind == "sync":
            return Memtrace(*args, **settings)
        return Blocking(AsyncMemtrace(*args, **settings), self._loop)

    def scripted(self, *script, url="http://server.test", **settings):
        """A client and the transport that notes its requests."""
        transport = Recorder(*script) if self.kind == "sync" else AsyncRecorder(*script)
        return self.client(url, "mtk_key", transport=transport, **settings), transport

    def of(self, fake, org="default", **settings):
        """A client of one organisation of a fake."""
        if self.kind == "sync":
            return fake.client(org=org, **settings)
        return Blocking(fake.async_client(org=org, **settings), self._loop)
