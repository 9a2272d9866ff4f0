"""A span is current for its own call alone: among tasks, in threads, when a call is cancelled, on each event loop."""

import asyncio
import logging

import pytest
import trio
import trio.testing
from opentelemetry import trace

from memtrace import AsyncMemtrace
from memtrace.middleware import call
from memtrace.transport import Response
from tests.conftest import AsyncScript
from tests.faces import json_response

pytestmark = pytest.mark.framework

EMPTY = json_response(200, '{"agents": [], "count": 0}')


def current():
    return trace.get_current_span().get_span_context().span_id


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_a_cancelled_call_ends_its_spans_and_leaves_none_current(library, collected, caplog):
    caplog.set_level(logging.WARNING)
    after = []

    class Stuck(AsyncScript):
        async def send(self, request):
            if library == "asyncio":
                await asyncio.Event().wait()
            await trio.sleep_forever()

    client = AsyncMemtrace(
        "http://server.test", "k", transport=Stuck(), middleware=[collected.calls, collected.attempts]
    )

    async def work():
        try:
            await client.agents.list()
        finally:
            after.append(trace.get_current_span())

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
    assert after == [trace.INVALID_SPAN]
    kind = {"asyncio": "asyncio.exceptions.CancelledError", "trio": "trio.Cancelled"}[library]
    assert [span.attributes["error.type"] for span in collected.spans] == [kind, kind]
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


def test_calls_of_several_tasks_at_once_have_each_their_own_span_current(collected):
    class Turns(AsyncScript):
        async def send(self, request):
            before = current()
            await asyncio.sleep(0.001)
            assert current() == before
            return Response(200, body=b'{"agents": [], "count": 0}')

    client = AsyncMemtrace(
        "http://server.test", "k", transport=Turns(), middleware=[collected.calls, collected.attempts]
    )

    async def turn(name):
        with collected.tracers.get_tracer("application").start_as_current_span(name):
            await client.agents.list()
            await client.agents.list()

    async def main():
        await asyncio.gather(*(turn(f"turn {number}") for number in range(8)))

    asyncio.run(main())
    by_id = {span.get_span_context().span_id: span for span in collected.spans}
    attempts = [span for span in collected.spans if span.name.startswith("GET")]
    assert len(attempts) == 16
    for attempt in attempts:
        operation = by_id[attempt.parent.span_id]
        turn_of = by_id[operation.parent.span_id]
        assert operation.name == "memtrace agents.list"
        assert turn_of.name.startswith("turn ")
        assert len({span.get_span_context().trace_id for span in (attempt, operation, turn_of)}) == 1


def test_what_a_middleware_calls_in_a_thread_sees_the_span_too(face, collected):
    seen = []

    def look(request, call_next):
        yield from call(lambda: seen.append(current()))
        return (yield from call_next(request))

    client, _ = face.scripted(EMPTY, middleware=[collected.calls, look])
    client.agents.list()
    (span,) = collected.spans
    assert seen == [span.get_span_context().span_id]
