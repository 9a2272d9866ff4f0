"""A flow runs, and is closed, in the context that it began in: what tracing libraries need."""

import asyncio
import contextvars

import pytest
import trio
import trio.testing

from memtrace._flow.composition import compose
from memtrace._flow.drivers import drive_async
from memtrace._flow.effects import sleep
from memtrace._support.locks import Locks
from memtrace.exceptions import TransportError
from memtrace.transport import CallContext, Request, Response
from tests.conftest import AsyncScript

current = contextvars.ContextVar("current", default="outside")


def span(request, call_next):
    token = current.set("inside")
    try:
        return (yield from call_next(request))
    finally:
        current.reset(token)


def test_what_a_middleware_sets_is_seen_further_in_and_reset_further_out(runner):
    seen = []

    def inner(request, call_next):
        seen.append(current.get())
        yield from sleep(1)
        return (yield from call_next(request))

    def sent(request):
        seen.append(current.get())
        return Response(200)

    def outer(request, call_next):
        response = yield from call_next(request)
        seen.append(current.get())
        return response

    runner.call([outer, span, inner], sent)
    assert seen == ["inside", "inside", "outside"]
    assert current.get() == "outside"


def test_it_is_reset_when_the_transport_fails(runner):
    seen = []

    def outer(request, call_next):
        try:
            return (yield from call_next(request))
        finally:
            seen.append(current.get())

    with pytest.raises(TransportError):
        runner.call([outer, span], TransportError("gone"))
    assert seen == ["outside"]


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_it_is_reset_under_cancellation(library):
    seen = []

    class Stuck(AsyncScript):
        async def send(self, request):
            if library == "asyncio":
                await asyncio.Event().wait()
            await trio.sleep_forever()

    def flow():
        context = CallContext()
        return drive_async(compose([span])(Request("GET", "http://s", "/", context=context)), Stuck(), Locks(), context)

    async def work():
        try:
            await flow()
        finally:
            seen.append(current.get())

    async def with_asyncio():
        task = asyncio.create_task(work())
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def with_trio():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    if library == "asyncio":
        asyncio.run(with_asyncio())
    else:
        trio.run(with_trio)
    assert seen == ["outside"]


def test_two_tasks_do_not_see_each_others_variables():
    async def work(name):
        seen = []

        def named(request, call_next):
            token = current.set(name)
            try:
                yield from sleep(0)
                seen.append(current.get())
                return (yield from call_next(request))
            finally:
                current.reset(token)

        context = CallContext()
        flow = compose([named])(Request("GET", "http://s", "/", context=context))
        await drive_async(flow, AsyncScript(), Locks(), context)
        return seen

    async def main():
        return await asyncio.gather(work("a"), work("b"))

    assert asyncio.run(main()) == [["a"], ["b"]]
