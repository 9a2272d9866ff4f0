"""Batches as they go: what is sent when, what becomes of each item, and how far it is."""

import asyncio
import threading
import tracemalloc

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from memtrace import (
    AddMemoryRequest,
    AsyncMemtrace,
    BatchError,
    BatchProgress,
    ClientClosedError,
    InvalidRequestError,
    Memtrace,
)
from memtrace.transport import Response
from memtrace_transports import AsyncMemoryTransport, FakeMemtrace, ManualClock, MemoryTransport
from memtrace_transports.memory import Fault
from tests.dealing import by_face
from tests.faces import ONCE, json_response
from tests.sampling import is_whole


@pytest.fixture
def fake():
    return FakeMemtrace(clock=ManualClock())


def requests(count, start=0):
    return (AddMemoryRequest(agent_id="importer", content=f"row {n}") for n in range(start, start + count))


def contents(fake):
    return sorted(memory.content for memory in fake.client().memories.iter(order="asc"))


INVALID = AddMemoryRequest(agent_id="importer", content="")


# ---- what is sent when


def test_nothing_is_taken_before_the_first_outcome_is_asked_for_and_only_so_much_after(face, fake):
    taken = []

    def counted():
        for request in requests(10_000):
            taken.append(request)
            yield request

    outcomes = face.of(fake).memories.add_iter(counted(), chunk_size=10, max_concurrency=3)
    assert (len(taken), len(fake.calls)) == (0, 0)
    assert next(outcomes).status == "stored"
    assert (len(taken), len(fake.calls)) == (30, 3)
    for _ in range(29):
        next(outcomes)
    assert (len(taken), len(fake.calls)) == (30, 3)
    next(outcomes)
    assert (len(taken), len(fake.calls)) == (60, 6)
    outcomes.close()
    assert len(contents(fake)) == 60


def test_whoever_stops_has_the_outcome_of_all_that_was_sent(face, fake):
    known = []
    for outcome in face.of(fake).memories.add_iter(requests(1000), chunk_size=7):
        known.append(outcome)
        if len(known) == 70:
            break
    assert [outcome.index for outcome in known] == list(range(70))
    assert contents(fake) == sorted(f"row {n}" for n in range(70))


@by_face("chunk", [1, 99, 100, 1000])
def test_a_chunk_is_the_items_of_a_request(face, fake, chunk):
    face.of(fake).memories.add_many(requests(201), chunk_size=chunk)
    assert len(fake.calls) == -(-201 // chunk)


@by_face(
    ("argument", "value"),
    [
        ("chunk_size", 0),
        ("chunk_size", 1001),
        ("chunk_size", True),
        ("chunk_size", 2.0),
        ("max_concurrency", 0),
        ("max_concurrency", 65),
    ],
)
def test_a_size_out_of_bounds_is_refused_at_once(face, fake, argument, value):
    with pytest.raises(InvalidRequestError, match=f"^{argument} must be a whole number from 1 to") as caught:
        face.of(fake).memories.add_iter(requests(1), **{argument: value})
    assert caught.value.field == argument


def test_what_happens_after_a_failure_is_one_of_two_words(face, fake):
    with pytest.raises(InvalidRequestError, match="^on_failure must be 'stop' or 'continue'"):
        face.of(fake).memories.add_many([], on_failure="ignore")


# ---- failures


def down(**settings):
    return Fault("status", on="memories.add_many", status=403, **settings)


def test_after_a_request_that_failed_the_rest_is_not_sent(face, fake):
    fake.faults.add(down(nth=2))
    result = face.of(fake).memories.add_many(requests(50), chunk_size=10)
    assert [outcome.status for outcome in result] == ["stored"] * 10 + ["failed"] * 40
    assert {outcome.error.code for outcome in result.outcomes[20:]} == {"skipped"}
    assert len(fake.calls) == 2


def test_or_it_is_sent_all_the_same(face, fake):
    fake.faults.add(down(nth=2))
    result = face.of(fake).memories.add_many(requests(50), chunk_size=10, on_failure="continue")
    assert result.failed == list(range(10, 20))
    assert len(result.stored) == 40


def test_of_requests_at_once_those_that_began_with_the_failed_one_end(face, fake):
    fake.faults.add(Fault("status", status=403, when=lambda call: "row 12" in str(call.arguments)))
    result = face.of(fake).memories.add_many(requests(90), chunk_size=10, max_concurrency=3)
    assert result.failed == [*range(10, 20), *range(30, 90)]


HALF = json_response(500, '{"error":"failed to create memory 1: refused"}')


def by_content(request):
    """A server that refuses one content with the words for its place, after storing what stands before it."""
    import json

    items = json.loads(request.body)["memories"] if request.method == "POST" else []
    place = next((place for place, item in enumerate(items) if item["content"] == "row 1"), None)
    if request.method == "GET":
        return json_response(200, '{"memories": []}')
    if place is not None:
        return json_response(500, json.dumps({"error": f"failed to create memory {place}: refused"}))
    row = {"time": "2026-01-01T00:00:00Z", "org_id": "o", "agent_id": "importer", "memory_type": "episodic"}
    rows = [{**row, "event_type": "general", "content": item["content"]} for item in items]
    return json_response(201, json.dumps({"memories": rows, "count": len(rows)}))


@by_face(
    ("on_failure", "told"),
    [("stop", ["duplicate", "failed", "failed", "failed"]), ("continue", ["duplicate", "failed", "stored", "stored"])],
)
def test_what_stands_behind_an_item_that_the_server_refuses_is_sent_or_not_as_asked(face, on_failure, told):
    client, _ = face.scripted(by_content, clock=ManualClock())
    result = client.memories.add_many(requests(4), on_failure=on_failure)
    assert [outcome.status for outcome in result] == told
    assert result.outcomes[1].error.message == "refused" or "memory 1" in result.outcomes[1].error.message


@pytest.mark.parametrize("place", [2, 7, 99999, 10**9])
def test_a_place_behind_the_items_says_nothing_of_any_item(face, place):
    client, _ = face.scripted(
        lambda _: json_response(500, f'{{"error":"failed to create memory {place}: refused"}}'),
        retry=ONCE,
        clock=ManualClock(),
    )
    result = client.memories.add_many(requests(2))
    assert [outcome.status for outcome in result] == ["unknown", "unknown"]


def test_what_the_iterable_raises_comes_after_what_was_taken_before(face, fake):
    def failing():
        yield from requests(25)
        raise OSError("the file ended")

    known = []
    with pytest.raises(OSError, match="the file ended"):
        known.extend(
            outcome.status for outcome in face.of(fake).memories.add_iter(failing(), chunk_size=10, max_concurrency=4)
        )
    assert known == ["stored"] * 25
    assert len(contents(fake)) == 25


def test_an_iterable_that_raises_at_once_raises(face, fake):
    def failing():
        raise OSError("no such file")
        yield

    with pytest.raises(OSError, match="no such file"):
        face.of(fake).memories.add_many(failing())


def test_a_mistake_of_a_middleware_comes_out_after_the_other_requests_outcomes(face, fake):
    def broken(request, call_next):
        if b"row 15" in request.body:
            raise ZeroDivisionError
        return (yield from call_next(request))

    known = []
    with pytest.raises(ZeroDivisionError):
        known.extend(
            outcome.index
            for outcome in face.of(fake, middleware=[broken]).memories.add_iter(
                requests(40), chunk_size=10, max_concurrency=3
            )
        )
    assert known == [*range(10), *range(20, 30)]


def test_invalid_items_are_told_without_waiting_for_valid_ones(face, fake):
    def endless():
        while True:
            yield INVALID

    outcomes = face.of(fake).memories.add_iter(endless(), chunk_size=5)
    assert [next(outcomes).error.field for _ in range(7)] == [f"memories[{n}].content" for n in range(7)]
    outcomes.close()
    assert not fake.calls


async def awaited():
    yield AddMemoryRequest(agent_id="importer", content="row 0")


@by_face(
    ("given_", "kind"),
    [
        (INVALID, "AddMemoryRequest"),
        (None, "NoneType"),
        (awaited(), "async_generator"),
        ("row 0", "str"),
        ({"agent_id": "importer", "content": "row 0"}, "dict"),
    ],
    ids=["one memory", "None", "an async generator", "a string", "one memory's fields"],
)
def test_what_is_no_iterable_of_memories_is_refused_at_once(face, fake, given_, kind):
    for method in ("add_many", "add_iter"):
        with pytest.raises(
            InvalidRequestError, match=f"requests must be an iterable of .*: {kind} was given"
        ) as caught:
            getattr(face.of(fake).memories, method)(given_)
        assert caught.value.field == "requests"


@given(
    st.lists(st.booleans(), max_size=60),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sets(st.integers(1, 12)),
    st.sampled_from(["stop", "continue"]),
)
def test_every_item_has_one_outcome_and_the_store_agrees(valid, chunk, concurrency, failing, on_failure):
    fake = FakeMemtrace(clock=ManualClock())
    for nth in sorted(failing):
        fake.faults.add(down(nth=nth))
    given_ = [AddMemoryRequest(agent_id="importer", content=f"row {n}" if good else "") for n, good in enumerate(valid)]
    client = fake.client()
    told = []
    outcomes = list(
        client.memories.add_iter(
            given_, chunk_size=chunk, max_concurrency=concurrency, on_failure=on_failure, progress=told.append
        )
    )
    assert sorted(outcome.index for outcome in outcomes) == list(range(len(valid)))
    assert contents(fake) == sorted(given_[o.index].content for o in outcomes if o.status == "stored")
    assert all(outcome.memory.content == given_[outcome.index].content for outcome in outcomes if outcome.memory)
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    if valid:
        assert (told[-1].done, told[-1].total) == (len(valid), len(valid))


# ---- progress


def test_progress_is_told_after_each_wave_and_adds_up(face, fake):
    client, told = face.of(fake, dedup="server"), []
    client.remember("importer", "row 3")
    client.memories.add_many([*requests(7), INVALID], chunk_size=3, max_concurrency=1, progress=told.append)
    assert told == [
        BatchProgress(stored=3, total=8),
        BatchProgress(stored=5, duplicate=1, total=8),
        BatchProgress(stored=6, duplicate=1, failed=1, total=8),
    ]
    assert told[-1].done == 8


def test_a_batch_without_length_has_no_total(face, fake):
    told = []
    face.of(fake).memories.add_many(requests(2), progress=told.append)
    assert told == [BatchProgress(stored=2)]


def test_what_progress_raises_comes_out_after_the_outcomes(face, fake):
    def stop(progress):
        raise StopAsyncIteration if progress.done > 5 else KeyError("enough")

    known = []
    with pytest.raises(KeyError):
        known.extend(
            outcome.index for outcome in face.of(fake).memories.add_iter(requests(9), chunk_size=3, progress=stop)
        )
    assert known == [0, 1, 2]


# ---- at once


def test_requests_go_out_at_once_in_threads_that_end():
    fake = FakeMemtrace(clock=ManualClock())
    together = threading.Barrier(4, timeout=30)

    class Waits(MemoryTransport):
        def send(self, request):
            together.wait()
            return super().send(request)

    before = set(threading.enumerate())
    with Memtrace("memory://", fake.organisation().api_key, transport=Waits(fake)) as client:
        outcomes = client.memories.add_iter(requests(800), max_concurrency=4)
        next(outcomes)
        assert set(threading.enumerate()) == before
        assert sum(1 for _ in outcomes) == 799
    assert len(contents(fake)) == 800


class Together(AsyncMemoryTransport):
    """Answers when as many requests have come as there are to come."""

    def __init__(self, fake, count, new_event):
        super().__init__(fake)
        self._left = count
        self._all = new_event()

    async def send(self, request):
        self._left -= 1
        if not self._left:
            self._all.set()
        await self._all.wait()
        return await super().send(request)


@pytest.mark.parametrize(("run", "new_event"), [(asyncio.run, asyncio.Event), (trio.run, trio.Event)])
def test_requests_go_out_at_once_in_tasks(run, new_event):
    fake = FakeMemtrace(clock=ManualClock())

    async def main():
        transport = Together(fake, 4, new_event)
        client = AsyncMemtrace("memory://", fake.organisation().api_key, transport=transport)
        return await client.memories.add_many(requests(400), max_concurrency=4)

    result = run(main) if run is trio.run else run(main())
    assert len(result.stored) == len(contents(fake)) == 400


def test_a_cancelled_batch_leaves_no_task_behind():
    fake = FakeMemtrace(clock=ManualClock())

    async def main():
        transport = Together(fake, 99, asyncio.Event)
        client = AsyncMemtrace("memory://", fake.organisation().api_key, transport=transport)
        task = asyncio.ensure_future(client.memories.add_many(requests(400), max_concurrency=4))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert not contents(fake)


def test_an_interrupt_lets_the_requests_under_way_end_and_no_other_begin():
    fake = FakeMemtrace(clock=ManualClock())

    class Interrupted(MemoryTransport):
        def send(self, request):
            if b"row 0" in request.body:
                raise KeyboardInterrupt
            return super().send(request)

    before = set(threading.enumerate())
    with Memtrace("memory://", fake.organisation().api_key, transport=Interrupted(fake)) as client:
        for concurrency in (1, 3):
            with pytest.raises(KeyboardInterrupt):
                client.memories.add_many(requests(900), max_concurrency=concurrency)
    assert set(threading.enumerate()) == before
    assert len(contents(fake)) == 200


# ---- memory, and the flat form


@pytest.mark.slow
def test_a_long_batch_takes_no_more_memory_than_a_short_one():
    row = b'{"time":"2026-01-01T00:00:00Z","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"e","content":"c"}'

    class Constant:
        def send(self, request):
            return Response(201, body=b'{"count":50,"memories":[%s]}' % b",".join([row] * 50))

        def close(self):
            pass

    client = Memtrace("http://server", "key", transport=Constant())

    def peak(count):
        tracemalloc.start()
        for _ in client.memories.add_iter(requests(count), chunk_size=50):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(500)
    assert peak(10_000 if is_whole() else 3000) < 1.5 * peak(1000)


def test_the_flat_form_says_in_its_error_what_was_stored(face, fake):
    fake.faults.add(down(nth=2))
    with pytest.raises(BatchError) as caught:
        face.of(fake).add_memories(list(requests(150)))
    assert (len(caught.value.result.stored), len(caught.value.result.failed)) == (100, 50)


def test_what_a_closed_transport_refuses_was_surely_not_sent(face):
    client, _ = face.scripted(ClientClosedError())
    result = client.memories.add_many(requests(1))
    assert result.failed == [0]
    assert not result.outcomes[0].error.maybe_applied
