"""The fake answers every recorded vector as the real server did."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from memtrace_transports.memory import FakeMemtrace, ManualClock
from tests.fake.replay import Scenario, Sender, in_process, load, over_socket, replay
from tests.loopback import LoopbackServer

SCENARIOS = list(load(Path(__file__).parent / "vectors"))
REQUESTS = 1265


def differences(scenario: Scenario, fake: FakeMemtrace, clock: ManualClock, send: Sender) -> list[object]:
    return [difference for difference in replay(scenario, fake, clock, send) if difference is not None]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["name"] for scenario in SCENARIOS])
def test_the_fake_answers_as_the_server_did(scenario: Scenario, fake: FakeMemtrace, clock: ManualClock) -> None:
    assert differences(scenario, fake, clock, in_process(fake)) == []


def test_the_fake_answers_as_the_server_did_over_a_socket(fake: FakeMemtrace, clock: ManualClock) -> None:
    with LoopbackServer(fake) as server:
        send = over_socket(server.url)
        assert [difference for scenario in SCENARIOS for difference in differences(scenario, fake, clock, send)] == []


def test_no_vector_is_lost() -> None:
    assert sum("request" in step for scenario in SCENARIOS for step in scenario["steps"]) == REQUESTS


def test_a_wrong_answer_is_noticed(fake: FakeMemtrace, clock: ManualClock) -> None:
    for scenario in deepcopy(SCENARIOS):
        if scenario["name"] == "create-minimal":
            scenario["steps"][0]["response"]["json"]["content"] += "!"
            assert [found.what for found in replay(scenario, fake, clock, in_process(fake)) if found] == ["body"]


def test_members_in_another_order_are_noticed(fake: FakeMemtrace, clock: ManualClock) -> None:
    scenario = deepcopy(next(scenario for scenario in SCENARIOS if scenario["name"] == "create-minimal"))
    members = scenario["steps"][0]["response"]["json"]
    members["time"] = members.pop("time")
    assert [found.what for found in replay(scenario, fake, clock, in_process(fake)) if found] == ["order"]
