"""What `add` takes, and what its future says."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from memtrace import AddMemoryRequest, ConfigurationError, InvalidRequestError, PayloadTooLargeError, TransportError
from memtrace._runtime.write_buffer.limits import BufferLimits
from memtrace_transports.memory import Fault
from tests.write_buffer.faces import ONCE, contents, memory, total


def test_a_memory_is_stored_and_its_future_says_so(face, fake):
    buffer = face.client(fake).memories.buffered()
    face.enter(buffer)
    first = face.call(buffer.add, **memory(1))
    second = face.call(buffer.add, AddMemoryRequest(**memory(2)))
    face.leave(buffer)
    outcomes = [face.outcome(future) for future in (first, second)]
    assert [(outcome.index, outcome.status, outcome.memory.content) for outcome in outcomes] == [
        (0, "stored", "memory 1"),
        (1, "stored", "memory 2"),
    ]
    assert contents(fake) == ["memory 1", "memory 2"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"content": ""}, InvalidRequestError),
        ({"tags": ["no spaces"]}, InvalidRequestError),
        ({"content": "x" * (4 << 20)}, PayloadTooLargeError),
        ({"content": "x" * ((4 << 20) - 75)}, PayloadTooLargeError),  # too large only within a batch
        ({"colour": "red"}, TypeError),
    ],
)
def test_what_breaks_a_rule_is_refused_at_the_call_and_not_counted(face, fake, fields, error):
    buffer = face.client(fake).memories.buffered()
    with pytest.raises(error):
        face.call(buffer.add, **{**memory(1), **fields})
    face.call(buffer.close)
    assert buffer.counts.accepted == 0
    assert len(fake.calls) == 0


def test_a_request_that_is_changed_later_is_sent_as_it_was(face, fake):
    buffer = face.client(fake).memories.buffered()
    request = AddMemoryRequest(**memory(1, metadata={"list": [1]}))
    future = face.call(buffer.add, request)
    request.content = "changed"
    request.metadata["list"].append(2)
    face.call(buffer.close)
    row = face.outcome(future).memory
    assert (row.content, row.metadata) == ("memory 1", {"list": [1]})


def test_equal_memories_are_all_stored_unless_the_server_is_to_tell(face, fake):
    client = face.client(fake)
    face.call(client.with_options(dedup="server").memories.add, **memory(1))
    fake.flush()
    with_server_keys = client.with_options(dedup="server").memories.buffered()
    with_own_keys = client.memories.buffered()
    for buffer in (with_server_keys, with_own_keys):
        face.call(buffer.add, **memory(1))
        face.call(buffer.close)
    assert with_server_keys.counts.duplicate == 1
    assert with_own_keys.counts.stored == 1


def test_what_is_repeated_under_a_key_of_its_own_is_stored_once(face, fake):
    fake.faults.add(Fault("reset", on="memories.add_many", applied=True))
    buffer = face.client(fake, dedup="per_call").memories.buffered()
    for _ in range(3):
        face.call(buffer.add, **memory(1))
    face.call(buffer.close)
    assert buffer.counts.stored == 3
    assert contents(fake) == ["memory 1"] * 3


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("refused"), "failed"),
        (Fault("status", status=503), "failed"),
        (Fault("reset", applied=True), "unknown"),
        (Fault("garbled"), "unknown"),
    ],
    ids=lambda part: getattr(part, "kind", part),
)
def test_the_outcome_of_a_failure_says_whether_it_may_be_stored(face, fake, fault, status):
    fake.faults.add(fault)
    buffer = face.client(fake, retry=ONCE).memories.buffered()
    future = face.call(buffer.add, **memory(1))
    face.call(buffer.flush)
    after = face.call(buffer.add, **memory(2))
    face.call(buffer.close)
    outcome = face.outcome(future)
    assert (outcome.status, outcome.error.maybe_applied) == (status, status == "unknown")
    assert face.outcome(after).status == "stored"


def test_a_request_that_a_middleware_breaks_is_unknown_and_the_next_is_sent(face, fake):
    broken = [ZeroDivisionError("with content")]

    def breaks_once(request, call_next):
        response = yield from call_next(request)
        if broken:
            raise broken.pop()
        return response

    buffer = face.client(fake, middleware=[breaks_once]).memories.buffered()
    first = face.call(buffer.add, **memory(1))
    face.call(buffer.flush)
    second = face.call(buffer.add, **memory(2))
    face.call(buffer.close)
    outcome = face.outcome(first)
    assert (outcome.status, outcome.error.code, outcome.error.maybe_applied) == ("unknown", "unexpected_error", True)
    assert "ZeroDivisionError" in str(outcome.error)
    assert "with content" not in str(outcome.error)
    assert face.outcome(second).status == "stored"


def test_on_result_hears_of_every_outcome_in_order_and_harms_nothing(face, fake, caplog):
    heard = []

    def listen(outcome):
        heard.append(outcome.index)
        raise ValueError("secret content")

    buffer = face.client(fake).memories.buffered(max_items=2, on_result=listen)
    for number in range(5):
        face.call(buffer.add, **memory(number))
    assert face.call(buffer.flush)
    assert heard == list(range(5))
    face.call(buffer.close)
    assert buffer.counts.stored == 5
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert messages[0] == "on_result of a write buffer raised ValueError for outcome 0"
    assert "secret" not in caplog.text


def test_a_future_that_nobody_waits_for_or_that_was_cancelled_changes_nothing(face, fake):
    buffer = face.client(fake).memories.buffered()
    future = face.call(buffer.add, **memory(1))
    if face.kind == "sync":
        assert not future.cancel()
    else:
        face.loop.call_soon_threadsafe(future.cancel)
    face.call(buffer.close)
    assert buffer.counts.stored == 1


def test_the_counts_add_up_at_every_moment_while_threads_add(face, fake):
    buffer = face.client(fake).memories.buffered(max_items=7, max_pending=20)
    highest, wrong = [0], []
    done = threading.Event()

    def watch():
        while not done.is_set():
            counts = face.counts(buffer)
            highest.append(counts.pending)
            if total(counts) != counts.accepted:
                wrong.append(counts)

    def add(thread):
        for number in range(50):
            face.call(buffer.add, agent_id=f"a{thread}", content=f"{number}")

    watcher = threading.Thread(target=watch)
    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in (watcher, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    face.call(buffer.close)
    done.set()
    watcher.join()
    assert wrong == []
    assert max(highest) <= 20
    assert (buffer.counts.accepted, buffer.counts.stored) == (400, 400)
    stored = fake.client().memories.list(limit=1000, order="asc").memories if fake.flush() is None else []
    for thread in range(8):
        assert [row.content for row in stored if row.agent_id == f"a{thread}"] == [str(n) for n in range(50)]


@pytest.mark.parametrize(
    "settings",
    [
        {"max_items": 0},
        {"max_items": 101},
        {"max_items": True},
        {"max_pending": 0},
        {"flush_interval": -1},
        {"flush_interval": float("nan")},
        {"drain_timeout": None},
        {"max_block": -1},
        {"on_full": "wait"},
        {"on_result": "no function"},
    ],
)
def test_settings_that_make_no_sense_are_refused(face, fake, settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        face.client(fake).memories.buffered(**settings)


def test_an_async_listener_is_refused(face, fake):
    async def listen(outcome):
        await asyncio.sleep(0)

    with pytest.raises(ConfigurationError, match="plain function"):
        face.client(fake).memories.buffered(on_result=listen)


def test_the_defaults_are_those_of_the_limits(face, fake):
    client = face.client(fake)
    assert client.memories.buffered()._worker._limits == BufferLimits()
    assert client.memories.buffered(max_block=2)._worker._limits == BufferLimits(max_block=2)


def test_without_a_thread_nothing_is_taken_and_the_next_one_is(fake, monkeypatch):
    with fake.client().memories.buffered() as buffer:
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", no_more_threads)
            with pytest.raises(TransportError, match="the write buffer has not taken this memory") as caught:
                buffer.add(**memory(1))
        assert (caught.value.code, caught.value.retryable, caught.value.maybe_applied) == ("no_thread", True, False)
        assert buffer.counts.accepted == 0
        buffer.add(**memory(2))
    assert contents(fake) == ["memory 2"]


def test_another_error_of_a_thread_that_starts_is_no_lack_of_threads(fake, monkeypatch):
    with fake.client().memories.buffered() as buffer, monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", a_defect)
        with pytest.raises(RuntimeError, match="a defect"):
            buffer.add(**memory(1))


def no_more_threads(thread):
    raise RuntimeError("can't start new thread")


def a_defect(thread):
    raise RuntimeError("a defect")
