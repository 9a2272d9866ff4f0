"""What a fake is told is checked when it is told."""

from __future__ import annotations

import contextlib

import pytest

from memtrace import AddMemoryRequest
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.faces import ONCE


@pytest.mark.parametrize(
    ("tell", "text"),
    [
        (lambda fake: FakeMemtrace(visibility="servr"), "visibility must be one of immediate, server, not 'servr'"),
        (lambda fake: FakeMemtrace(dedup_enabled=1), "dedup_enabled must be true or false"),
        (lambda fake: FakeMemtrace(dedup_window_hours=-1), "dedup_window_hours must be a whole number from 0 to 8760"),
        (lambda fake: FakeMemtrace(write_batch_size=0), "write_batch_size must be a whole number from 1 to 10000"),
        (lambda fake: FakeMemtrace(write_batch_size=True), "write_batch_size must be a whole number"),
        (lambda fake: fake.configure(write_flush_interval_ms=0.5), "write_flush_interval_ms must be a whole number"),
        (lambda fake: fake.organisation("a", visibility="x"), "visibility must be one of"),
        (lambda fake: fake.organisation("a", storage="sideways"), "storage must be one of up, none, down"),
        (lambda fake: fake.set_storage("a", "dwon"), "not 'dwon'"),
        (lambda fake: fake.new_organisation(storage="x"), "storage must be one of"),
        (lambda fake: fake.seed("a", [{"agent_id": "a", "content": "c", "age": 5}]), "has no field 'age'"),
        (lambda fake: fake.seed("a", [{"agent_id": "a", "content": "c"}]), "age_s is how many seconds ago"),
    ],
)
def test_what_is_misspelt_is_refused(tell, text):
    with pytest.raises(ValueError, match=text):
        tell(FakeMemtrace())


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"nth": 1.5}, "nth and times"),
        ({"nth": True}, "nth and times"),
        ({"nth": "2"}, "nth and times"),
        ({"times": 2.5}, "nth and times"),
        ({"org": 5}, "org must be"),
        ({"when": 3}, "when must be a function"),
        ({"status": 200.5}, "status must be a whole number"),
        ({"status": "503"}, "status must be a whole number"),
        ({"headers": {"X": 5}}, "headers must be names and values"),
        ({"headers": {"X": "a\nb"}}, "headers must be names and values"),
        ({"headers": {"é": "5"}}, "headers must be names and values"),
        ({"headers": {5: "5"}}, "headers must be names and values"),
    ],
)
def test_a_faults_settings_are_checked(settings, text):
    with pytest.raises(ValueError, match=text):
        Fault("status", **settings)


@pytest.mark.parametrize("seconds", ["1", True, float("nan"), -1, 1e12])
def test_a_faults_seconds_are_a_number(seconds):
    with pytest.raises(ValueError, match="seconds must be a number"):
        Fault("delay", seconds=seconds)


def test_the_log_takes_an_organisation_its_name_or_its_id():
    fake = FakeMemtrace()
    acme, globex = fake.organisation("acme"), fake.organisation("globex")
    fake.client(acme, retry=ONCE).remember("a", "b")
    for org in (acme, "acme", acme.org_id):
        fake.calls.assert_called("memories.add", org=org, times=1)
    fake.calls.assert_not_called("memories.add", org=globex)
    with pytest.raises(AssertionError, match="by globex, got 0"):
        fake.calls.assert_called("memories.add", org=globex)
    with pytest.raises(TypeError, match="org must be an organisation, its name or its id, not int"):
        fake.calls.filter(org=3)


def test_the_arguments_of_a_call_cannot_be_changed():
    fake = FakeMemtrace()
    fake.client(retry=ONCE).remember("a", "b")
    with pytest.raises(TypeError):
        fake.calls[0].arguments["agent_id"] = "evil"


def test_an_organisation_that_gets_a_key_is_told_with_it():
    fake = FakeMemtrace()
    first = fake.organisation("acme", api_key="one")
    second = fake.organisation("acme", api_key="two")
    assert (first.api_key, second.api_key, first.org_id) == ("one", "two", second.org_id)
    fake.client(second, retry=ONCE).remember("a", "b")


def test_a_fault_that_can_hit_no_more_counts_no_more():
    fake = FakeMemtrace()
    client, asked = fake.client(retry=ONCE), []
    fake.faults.add(Fault("status", on="agents.list", when=lambda call: asked.append(call) or True))
    for _ in range(3):
        with pytest.raises(Exception, match="service unavailable") if not asked else contextlib.nullcontext():
            client.agents.list()
    assert len(asked) == 1


# ---- the server's own settings


def written(client, content="tea"):
    """Whether this is stored: False for a duplicate."""
    return bool(
        client.with_options(dedup="server")
        .memories.add_many([AddMemoryRequest(agent_id="bot", content=content)])
        .stored
    )


@pytest.mark.parametrize(
    "make", [lambda **given: FakeMemtrace(clock=ManualClock(), **given), lambda **given: later(given)]
)
class TestTheServersSettings:
    def test_without_the_check_nothing_is_a_duplicate(self, make):
        client = make(dedup_enabled=False).client()
        for _ in range(2):
            client.memories.add(agent_id="bot", content="tea", dedup_key="k")
        assert client.memories.list().count == 2

    @pytest.mark.parametrize(("hours", "free_after"), [(0, 0), (1, 3600), (24, 86_400), (48, 172_800)])
    def test_the_window_says_how_long_a_memory_makes_another_one_a_duplicate(self, make, hours, free_after):
        fake = make(dedup_window_hours=hours)
        assert written(fake.client())
        if free_after:
            fake.clock.advance(free_after - 1)
            assert not written(fake.client())
            fake.clock.advance(1)
        assert written(fake.client())

    def test_so_many_waiting_writes_send_themselves(self, make):
        fake = make(write_batch_size=3, write_flush_interval_ms=60_000)
        client = fake.client(fake.organisation(visibility="server"))
        for number, count in ((1, 0), (2, 0), (3, 3)):
            client.remember("bot", f"{number}")
            fake.clock.advance(0.1)
            assert client.agents.stats("bot").memory_count == count

    def test_the_tick_comes_as_often_as_is_set(self, make):
        fake = make(write_flush_interval_ms=5_000)
        client = fake.client(fake.organisation(visibility="server"))
        client.remember("bot", "tea")
        fake.clock.advance(5.0)
        assert client.agents.stats("bot").memory_count == 0
        fake.clock.advance(0.1)
        assert client.agents.stats("bot").memory_count == 1


def later(given):
    fake = FakeMemtrace(clock=ManualClock())
    fake.configure(**given)
    return fake


def test_a_wrong_setting_changes_none_and_a_reset_goes_back_to_the_first():
    fake = FakeMemtrace(dedup_enabled=False)
    with pytest.raises(ValueError, match="write_batch_size"):
        fake.configure(dedup_enabled=True, write_batch_size=0)
    assert [written(fake.client()) for _ in range(2)] == [True, True]
    fake.configure(dedup_enabled=True)
    assert not written(fake.client())
    fake.reset()
    assert [written(fake.client()) for _ in range(2)] == [True, True]


def test_a_snapshot_leaves_the_settings_as_they_are():
    fake = FakeMemtrace(clock=ManualClock(), visibility="server")
    client, before = fake.client(), fake.snapshot()
    fake.configure(dedup_enabled=False, write_flush_interval_ms=5_000)
    fake.restore(before)
    client.remember("bot", "tea")
    fake.flush()
    assert fake.clock.monotonic() == 5.1
    assert written(client)
