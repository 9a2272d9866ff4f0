"""When a write can be read and counts as a duplicate, as on the real server."""

from __future__ import annotations

import pytest

from memtrace.clock import SystemClock
from memtrace_transports._engine.ingest_buffer import IngestBuffer
from memtrace_transports.memory import FakeMemtrace, ManualClock
from tests.fake.caller import Caller


def test_immediate_writes_are_read_and_are_duplicates_at_once(api: Caller) -> None:
    api.add()
    assert api.contents() == ["likes tea"]
    assert api.add().status == 409
    assert api.get("/agents/bot/stats").json["memory_count"] == 1


def test_a_read_flushes_and_does_not_show_what_it_flushed(late: Caller, clock: ManualClock) -> None:
    late.add()
    assert late.contents() == []
    clock.advance(0.099)
    assert late.contents() == []
    clock.advance(0.001)
    assert late.contents() == ["likes tea"]


def test_a_repeat_before_any_read_is_stored_twice(late: Caller, clock: ManualClock) -> None:
    assert late.add().status == 201
    clock.advance(0.2)
    assert late.add().status == 201
    clock.advance(0.9)
    assert late.add().status == 409


def test_a_repeat_after_a_read_is_stored_twice_at_once_and_refused_from_a_tenth_of_a_second_on(
    late: Caller, clock: ManualClock
) -> None:
    late.add()
    late.get("/memories")
    assert late.add().status == 201
    clock.advance(0.1)
    assert late.add().status == 409


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/memories", None),
        ("GET", "/memories/text", None),
        ("GET", "/memories?since=nonsense", None),
        ("GET", "/agents/bot/memories", None),
        ("GET", "/sessions/s1/memories", None),
        ("POST", "/search", b"{}"),
        ("POST", "/sessions/s1/context", None),
    ],
)
def test_every_read_of_memories_flushes(
    late: Caller, clock: ManualClock, method: str, path: str, body: bytes | None
) -> None:
    late.add()
    late.raw(method, path, body)
    clock.advance(0.1)
    assert late.add().status == 409


@pytest.mark.parametrize("path", ["/memories?agent_id=!", "/agents/bot/stats", "/agents", "/sessions", "/nope"])
def test_what_is_no_valid_read_of_memories_does_not_flush(late: Caller, clock: ManualClock, path: str) -> None:
    late.add()
    late.get(path)
    clock.advance(0.1)
    assert late.add().status == 201


def test_a_read_of_another_organisation_does_not_flush(late: Caller, clock: ManualClock) -> None:
    late.add()
    other = Caller(late.fake, late.fake.organisation("other", visibility="server"))
    other.get("/memories")
    clock.advance(0.1)
    assert late.add().status == 201


def test_the_tick_of_each_second_flushes(late: Caller, clock: ManualClock) -> None:
    clock.advance(0.95)
    late.add()
    clock.advance(0.149)
    assert late.get("/agents/bot/stats").json["memory_count"] == 0
    clock.advance(0.001)
    assert late.get("/agents/bot/stats").json["memory_count"] == 1


def test_a_hundred_waiting_rows_flush(late: Caller, clock: ManualClock) -> None:
    for n in range(100):
        late.add(f"{n}")
    clock.advance(0.1)
    late.add("0", dedup_key="later")
    assert late.get("/agents/bot/stats").json["memory_count"] == 100


def test_a_batch_flushes_at_its_end(late: Caller, clock: ManualClock) -> None:
    late.post("/memories", {"memories": [{"agent_id": "bot", "content": "a"}]})
    clock.advance(0.1)
    assert late.get("/agents/bot/stats").json["memory_count"] == 1


def test_settling_moves_the_clock_no_further_than_needed(late: Caller, clock: ManualClock) -> None:
    late.fake.flush()
    assert clock.monotonic() == 0
    late.add("a")
    late.fake.flush()
    assert clock.monotonic() == 1.1
    assert late.contents() == ["a"]
    late.add("b")
    late.get("/memories")
    late.fake.flush()
    assert clock.monotonic() == 1.2
    assert late.contents() == ["a", "b"]


def test_settling_without_a_manual_clock_makes_writes_arrive_at_once() -> None:
    fake = FakeMemtrace(clock=SystemClock(), visibility="server")
    api = Caller(fake, fake.organisation())
    api.add("a")
    api.get("/memories")
    api.add("b")
    fake.flush()
    assert api.contents() == ["a", "b"]


def test_settling_without_a_manual_clock_leaves_what_waits_for_storage() -> None:
    fake = FakeMemtrace(visibility="server")
    api = Caller(fake, fake.organisation(storage="down"))
    api.add()
    fake.flush()
    fake.set_storage("default", "up")
    assert api.contents() == []
    fake.flush()
    assert api.contents() == ["likes tea"]


def test_a_change_of_visibility_holds_from_then_on(api: Caller, clock: ManualClock) -> None:
    api.add("a")
    api.fake.organisation("default", visibility="server")
    assert api.contents() == ["a"]
    api.add("b")
    assert api.contents() == ["a"]
    api.fake.organisation("default", visibility="immediate")
    assert api.contents() == ["a", "b"]


def test_a_fake_may_be_late_for_every_organisation() -> None:
    fake = FakeMemtrace(clock=ManualClock(), visibility="server")
    api = Caller(fake, fake.organisation())
    api.add()
    assert api.contents() == []


def test_an_empty_buffer_has_nothing_to_wait_for() -> None:
    buffer = IngestBuffer(0)
    buffer.tick(10**9)
    buffer.flush(10**9)
    assert (buffer.arrived(10**12), buffer.settled_at()) == ([], None)
