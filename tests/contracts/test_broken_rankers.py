"""Each broken ranker fails the contract, and only by the tests of the rule that it breaks."""

from __future__ import annotations

import functools
import logging
import random
import threading
from dataclasses import replace
from fractions import Fraction

import pytest

from memtrace.ranking import SearchHit
from memtrace.testing import RankerContract
from tests.contracts import noticing
from tests.sampling import sample

BROKEN = {}

noticed_by = functools.partial(noticing.noticed_by, table=BROKEN)


def overlap(query, hit):
    """How many words of the query stand in the memory."""
    return len(set(query.lower().split()) & set(hit.memory.content.lower().split()))


@noticed_by("it_gives_candidates_and_nothing_else", "it_gives_each_candidate_once")
class CopiesMemories:
    def rank(self, query, candidates):
        return [replace(hit, memory=hit.memory.model_copy()) for hit in candidates]


@noticed_by("it_gives_candidates_and_nothing_else", "it_gives_each_candidate_once")
class GivesMemories:
    def rank(self, query, candidates):
        return [hit.memory for hit in candidates]


@noticed_by("it_gives_candidates_and_nothing_else")
class AddsWhatItHasSeen:
    def rank(self, query, candidates):
        return [*candidates, *(SearchHit(hit.memory.model_copy(), hit.score) for hit in candidates[:1])]


@noticed_by("it_gives_each_candidate_once")
class LosesWhatHasNoWordOfTheQuery:
    def rank(self, query, candidates):
        return [hit for hit in candidates if overlap(query, hit)]


@noticed_by("it_gives_each_candidate_once")
class GivesTheBestTwice:
    def rank(self, query, candidates):
        return [*candidates[:1], *candidates]


@noticed_by("it_gives_nothing_for_no_candidates")
class NeedsABest:
    def rank(self, query, candidates):
        highest = max(hit.score for hit in candidates)
        return [replace(hit, score=hit.score / highest) for hit in candidates]


@noticed_by("a_hit_keeps_its_count_and_its_neighbours")
class MakesHitsAnew:
    def rank(self, query, candidates):
        return [SearchHit(hit.memory, 1.0) for hit in candidates]


@noticed_by("every_score_is_a_finite_number")
class ScoresWithoutANumber:
    def rank(self, query, candidates):
        return [replace(hit, score=float("nan")) for hit in candidates]


@noticed_by("every_score_is_a_finite_number")
class ScoresByAnotherType:
    def rank(self, query, candidates):
        return [replace(hit, score=Fraction(1, place + 1)) for place, hit in enumerate(candidates)]


@noticed_by("the_same_candidates", "one_instance_serves_threads")
class RollsUnseededDice:
    def rank(self, query, candidates):
        return random.SystemRandom().sample(list(candidates), len(candidates))


@noticed_by("the_same_candidates", "one_instance_serves_threads")
class PutsLastWhatItGaveBefore:
    def __init__(self):
        self.given = set()

    def rank(self, query, candidates):
        order = sorted(candidates, key=lambda hit: hit.memory.content in self.given)
        self.given.update(hit.memory.content for hit in candidates[:5])
        return order


@noticed_by("it_changes_no_candidate_in_place")
class SetsScoresInPlace:
    def rank(self, query, candidates):
        for hit in candidates:
            object.__setattr__(hit, "score", float(overlap(query, hit)))
        return candidates


@noticed_by("it_changes_no_candidate_in_place")
class MarksMemories:
    def rank(self, query, candidates):
        for hit in candidates:
            if hit.memory.metadata is not None:
                hit.memory.metadata["ranked"] = True
        return candidates


@noticed_by("one_instance_serves_threads")
class KeepsTheQueryInItself:
    def rank(self, query, candidates):
        self.query = query
        return sorted(candidates, key=lambda hit: overlap(self.query, hit), reverse=True)


@noticed_by("one_instance_serves_threads")
class BelongsToTheThreadThatMadeIt:
    def __init__(self):
        self.made_in = threading.get_ident()

    def rank(self, query, candidates):
        if threading.get_ident() != self.made_in:
            raise RuntimeError("objects that were made in a thread can only be used in it")
        return candidates


@noticed_by("one_instance_serves_threads")
class KeepsEveryOtherThreadOut:
    end = threading.Event()

    def __init__(self):
        self.guard = threading.Lock()
        self.owner = None

    def rank(self, query, candidates):
        with self.guard:
            self.owner = self.owner or threading.get_ident()
        if threading.get_ident() != self.owner:
            self.end.wait()
        return candidates


@noticed_by("no_log_and_no_print")
class LogsContents:
    def rank(self, query, candidates):
        for hit in candidates:
            logging.getLogger("broken").debug("ranked %s", hit.memory)
        return candidates


@noticed_by("no_log_and_no_print")
class PrintsContents:
    def rank(self, query, candidates):
        print(*candidates, *(hit.memory.content for hit in candidates))  # noqa: T201 - the fault
        return candidates


MODULE = """
import pytest
from memtrace.testing import RankerContract
from memtrace.testing import _ranker_contract as ranker_contract
from tests.contracts import test_broken_rankers as broken

class TestIt(RankerContract):
    {flags}

    @pytest.fixture
    def create(self):
        return broken.{name}
"""

IMPATIENT = """
    @pytest.fixture(autouse=True)
    def _what_hangs_is_not_waited_for_long(self, request, monkeypatch):
        if request.function.__name__ == "test_one_instance_serves_threads_at_once":
            monkeypatch.setattr(ranker_contract, "_LONGEST", 0.5)
        yield
        broken.KeepsEveryOtherThreadOut.end.set()
        broken.KeepsEveryOtherThreadOut.end = broken.threading.Event()
"""


def failures(pytester, broken, flags=""):
    return noticing.failures(pytester, MODULE.format(name=broken.__name__, flags=flags))


@pytest.mark.slow
@pytest.mark.parametrize("broken", sample(BROKEN, 2), ids=lambda broken: broken.__name__)
def test_a_broken_ranker_is_caught(pytester, broken):
    flags = IMPATIENT if broken is KeepsEveryOtherThreadOut else ""
    assert noticing.astray(failures(pytester, broken, flags), BROKEN[broken]) == ([], [])


class Choosing(RankerContract):
    leaves_out = True


def test_one_that_leaves_candidates_out_may_say_so():
    Choosing().test_it_gives_each_candidate_once(LosesWhatHasNoWordOfTheQuery, "tea", 24)


def test_one_that_leaves_some_out_gives_the_others_once_all_the_same():
    with pytest.raises(AssertionError, match="came more than once"):
        Choosing().test_it_gives_each_candidate_once(GivesTheBestTwice, "tea", 24)


class IsAsync:
    async def rank(self, query, candidates):
        return candidates


class SortsAndReturnsNothing:
    def rank(self, query, candidates):
        list(candidates).sort(key=lambda hit: hit.score)


@pytest.mark.parametrize(
    ("create", "text"),
    [
        (IsAsync(), "the fixture create gives a function without arguments"),
        (lambda weight: IsAsync(), "missing 1 required positional argument"),
        (lambda: IsAsync, "it made the class IsAsync"),
        (lambda: sorted, "it made builtin_function_or_method"),
        (IsAsync, "rank returned coroutine: it must return the candidates in order"),
        (SortsAndReturnsNothing, "rank returned NoneType: it must return the candidates in order"),
    ],
)
def test_what_is_no_ranker_is_told_what_is_due(create, text):
    with pytest.raises(pytest.fail.Exception, match=text):
        RankerContract().test_it_gives_nothing_for_no_candidates(create)
