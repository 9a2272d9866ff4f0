"""What a fake is told is checked when it is told."""

from __future__ import annotations

import contextlib

import pytest

from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.faces import ONCE


@pytest.mark.parametrize(
    ("tell", "text"),
    [
        (lambda fake: FakeMemtrace(visibility="servr"), "visibility must be one of immediate, server, not 'servr'"),
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
    with pytest.raises(AssertionError, match="never called by globex"):
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
