"""What the tests of the fake are worth: each of its rules, broken, is noticed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import memtrace_transports
from memtrace_transports.memory import FakeMemtrace, ManualClock
from tests.fake.model.side_by_side import DifferenceError
from tests.fake.mutants.directed import DIRECTED
from tests.fake.mutants.flip import Fake, StaleQuirkError, broken_source, flipped
from tests.fake.mutants.quirks import QUIRKS, Quirk
from tests.fake.replay import in_process, replay
from tests.sampling import sample

VECTORS = Path(__file__).parent / "vectors"


def replayed(path: Path) -> Callable[[Fake], None]:
    """A check that a fake answers one file of vectors as the server did."""

    def check(subject: Fake) -> None:
        for scenario in json.loads(path.read_text(encoding="utf-8")):
            clock = subject.clock()
            fake = subject.fake(clock=clock)
            difference = next(filter(None, replay(scenario, fake, clock, in_process(fake))), None)
            if difference is not None:
                raise DifferenceError(difference)

    return check


RECORDED = {path.stem: replayed(path) for path in sorted(VECTORS.glob("*.json"))}
WITNESSES = {**RECORDED, **DIRECTED}


def those_who_notice(subject: Fake, first: str) -> Iterator[str]:
    """The witnesses who see a difference: the one that is asked `first`, then all the others."""
    for name in (first, *(name for name in WITNESSES if name != first)):
        try:
            WITNESSES[name](subject)
        except DifferenceError:
            yield name


@pytest.mark.parametrize("witness", [*sample(RECORDED, 3), *DIRECTED])
def test_the_fake_as_it_is_satisfies_every_witness(witness: str) -> None:
    WITNESSES[witness](Fake(FakeMemtrace, ManualClock))


@pytest.mark.parametrize("quirk", sample(QUIRKS, 20), ids=lambda quirk: quirk.rule)
def test_a_broken_rule_is_noticed(quirk: Quirk) -> None:
    subject = flipped(quirk.module, quirk.old, quirk.new)
    assert next(those_who_notice(subject, quirk.witness), None) == quirk.witness


@pytest.mark.parametrize("module", sample(sorted({quirk.module for quirk in QUIRKS}), 4))
def test_importing_anew_without_a_change_is_not_what_is_noticed(module: str) -> None:
    quirk = next(quirk for quirk in QUIRKS if quirk.module == module)
    subject = flipped(module, quirk.old, quirk.old)
    assert subject.fake is not FakeMemtrace
    WITNESSES["dedup"](subject)
    WITNESSES["storage goes down"](subject)


def test_nothing_of_a_flipped_fake_is_of_the_one_as_it_is() -> None:
    subject = flipped(QUIRKS[0].module, QUIRKS[0].old, QUIRKS[0].new)
    ours, others = FakeMemtrace.exchange.__globals__, subject.fake.exchange.__globals__
    for name in ("CallLog", "Exchange", "FakeEngine", "FaultPlan", "Stamps", "open_backing", "serve"):
        assert ours[name] is not others[name]
    assert ours["serve"].__globals__["match_route"] is not others["serve"].__globals__["match_route"]


def test_a_rule_that_is_no_longer_in_the_source_is_told_of() -> None:
    with pytest.raises(StaleQuirkError, match=r"0 times in _engine\.rules\.new_memories\.py"):
        flipped("_engine.rules.new_memories", "_KEY_BYTES = 199", "_KEY_BYTES = 198")


def test_a_text_that_would_break_two_rules_is_told_of() -> None:
    with pytest.raises(StaleQuirkError, match=r"3 times in _engine\.engine\.py"):
        flipped("_engine.engine", "raise no_storage()", "pass")


def test_the_package_is_the_same_one_afterwards() -> None:
    before = {name: module for name, module in sys.modules.items() if name.startswith("memtrace_transports.")}
    flipped(QUIRKS[0].module, QUIRKS[0].old, QUIRKS[0].new)
    after = {name: module for name, module in sys.modules.items() if name.startswith("memtrace_transports.")}
    assert after == before
    assert memtrace_transports.memory is before["memtrace_transports.memory"]
    assert memtrace_transports._engine is before["memtrace_transports._engine"]


def test_every_rule_stands_in_the_source_once_and_has_a_witness() -> None:
    for quirk in QUIRKS:
        broken_source(quirk.module, quirk.old, quirk.new)
    assert {quirk.witness for quirk in QUIRKS} <= set(WITNESSES)


def test_every_rule_has_a_name_of_its_own() -> None:
    assert len({quirk.rule for quirk in QUIRKS}) == len(QUIRKS)
