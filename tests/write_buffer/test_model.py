"""Random uses of a buffer: the counts add up, every memory has one outcome, nothing is stored twice, and order is kept."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from memtrace import BufferFullError
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.write_buffer.faces import AsyncFace, SyncFace, contents, memory, total

FAULTS = [
    {"kind": "refused"},
    {"kind": "reset"},
    {"kind": "reset", "applied": True},
    {"kind": "reset", "applied": True, "times": 3},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 502, "applied": True},
    {"kind": "garbled"},
    {"kind": "storage_down", "seconds": 1},
]


class Uses(RuleBasedStateMachine):
    make_face = SyncFace

    @initialize(
        visibility=st.sampled_from(["immediate", "server"]),
        on_full=st.sampled_from(["raise", "drop_oldest"]),
        max_items=st.integers(1, 5),
        max_pending=st.integers(1, 12),
    )
    def begin(self, visibility, on_full, max_items, max_pending):
        self.face = self.make_face()
        self.fake = FakeMemtrace(clock=ManualClock(), visibility=visibility)
        self.heard = []
        self.futures = []
        self.max_pending = max_pending
        client = self.face.client(self.fake, dedup="per_call")
        self.buffer = client.memories.buffered(
            max_items=max_items,
            max_pending=max_pending,
            on_full=on_full,
            on_result=self.heard.append,
            flush_interval=30,
            drain_timeout=1e6,
        )

    @rule(times=st.integers(1, 6))
    def add(self, times):
        for _ in range(times):
            try:
                self.futures.append(self.face.call(self.buffer.add, **memory(len(self.futures))))
            except BufferFullError:
                break

    @rule(settings=st.sampled_from(FAULTS))
    def fail(self, settings):
        kind = settings["kind"]
        rest = {name: value for name, value in settings.items() if name != "kind"}
        # Storage that goes down at a repeat itself lets it be stored again, whatever a client does.
        on = "memories.list" if kind == "storage_down" else "memories.add_many"
        self.fake.faults.add(Fault(kind, on=on, **rest))

    @rule()
    def hold_back(self):
        self.face.gate.shut()

    @rule()
    def let_through(self):
        self.face.gate.open.set()

    @rule()
    def pass_time(self):
        self.fake.clock.advance(30)

    @rule()
    def flush(self):
        self.face.gate.open.set()
        assert self.face.call(self.buffer.flush)
        assert self.buffer.counts.pending == 0
        assert len(self.heard) == len(self.futures)

    @invariant()
    def counts_add_up(self):
        counts = self.face.counts(self.buffer)
        assert counts.accepted == total(counts) == len(self.futures)
        assert counts.pending <= self.max_pending

    def teardown(self):
        self.face.gate.open.set()
        self.face.call(self.buffer.close)
        statuses = [self.face.outcome(future).status for future in self.futures]
        counts = self.buffer.counts
        for status in ("stored", "duplicate", "failed", "dropped", "unknown"):
            assert statuses.count(status) == getattr(counts, status)
        assert sorted(outcome.index for outcome in self.heard) == list(range(len(self.futures)))
        self.fake.faults.clear()
        self.fake.set_storage("default", "up")
        found = [int(text.removeprefix("memory ")) for text in contents(self.fake)]
        assert found == sorted(set(found))
        assert {number for number, status in enumerate(statuses) if status == "stored"} <= set(found)
        assert {statuses[number] for number in found} <= {"stored", "unknown"}
        self.face.end()


class AsyncUses(Uses):
    make_face = AsyncFace


@pytest.mark.parametrize("uses", [Uses, AsyncUses])
def test_whatever_happens_each_memory_has_one_outcome_and_is_stored_at_most_once(uses):
    checks = [HealthCheck.too_slow]
    run_state_machine_as_test(
        uses, settings=settings(stateful_step_count=25, deadline=None, suppress_health_check=checks)
    )
