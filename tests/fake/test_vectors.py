"""The fake answers every recorded vector as the real server did."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from memtrace_transports.memory import FakeMemtrace, ManualClock
from tests.fake.replay import Scenario, differences, in_process, load_files, over_socket, replay
from tests.loopback import LoopbackServer
from tests.sampling import sample

FILES = load_files(Path(__file__).parent / "vectors")
SCENARIOS = [scenario for scenarios in FILES.values() for scenario in scenarios]
REQUESTS = 1265


@pytest.mark.parametrize("scenarios", [pytest.param(scenarios, id=name) for name, scenarios in FILES.items()])
def test_the_fake_answers_as_the_server_did(scenarios: list[Scenario], fake: FakeMemtrace, clock: ManualClock) -> None:
    assert differences(scenarios, fake, clock, in_process(fake)) == []


@pytest.mark.slow
@pytest.mark.network
def test_the_fake_answers_as_the_server_did_over_a_socket(fake: FakeMemtrace, clock: ManualClock) -> None:
    with LoopbackServer(fake) as server:
        assert differences(sample(SCENARIOS, 20), fake, clock, over_socket(server.url)) == []


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
