"""The contract of a ranker, as a class that pytest runs: subclass it, give it yours, and see what it breaks."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import wait
from datetime import datetime, timedelta, timezone
from functools import partial
from inspect import iscoroutine
from math import isfinite
from threading import Barrier
from typing import Any, ClassVar, cast

import pytest

from memtrace.models import Memory
from memtrace.ranking import Ranker, SearchHit, SearchHits
from memtrace.testing._canaries import CONTENT, is_shown, shown_in_records
from memtrace.testing._create_fixture import check_is_fixture, made_by
from memtrace.testing._threads import in_thread
from memtrace.transport import Neighbour

Create = Callable[[], Ranker]

_QUERIES = {
    "a word": "tea",
    "a question": "What does the user drink in the morning?",
    "other scripts": "Größe von 東京 🍵",
    "no letters": "?!",
    "no word in common": "quaternion",
    "a long one": "green tea in the morning, and no sugar " * 100,
}
_COUNTS = (1, 2, 24)

_CONTENTS = (
    "User drinks green tea in the morning",
    "User prefers dark mode",
    "tea",
    "Der Benutzer mag Größe M, keinen Zucker",
    "東京は好きです 🍵",
    '{"drink": "tea", "sugar": false}',
    "def brew(cups: int) -> None:\n    raise NotImplementedError",
    "?",
    "User asked about the weather, twice. " * 500,
    "User drinks green tea in the morning",  # another agent's
    "\t\n",
    "The build is green",
)
_MORE: tuple[dict[str, Any], ...] = (
    {},
    {"importance": 1.0, "tags": ["drinks", "morning"], "session_id": "sess_1"},
    {"importance": 0.0, "metadata": {"occurred_at": "2025-12-31T08:00:00+01:00", "seen": [1, {"by": None}]}},
    {"tags": [], "metadata": {}, "dedup_key": "key", "parent_id": "decision"},
    {"importance": 0.5, "memory_type": "decision", "event_type": "preference"},
)
_BEGUN = datetime(2026, 1, 1, tzinfo=timezone.utc)

_queries = pytest.mark.parametrize("query", _QUERIES.values(), ids=_QUERIES)
_counts = pytest.mark.parametrize("count", _COUNTS)
_THREADS = 8
_ROUNDS = 4
_LONGEST = 60.0
"""Seconds after which threads that rank at once wait for each other."""


class RankerContract:
    """Tests that every ranker must pass, for any query and any candidates.

    ::

        class TestMyRanker(RankerContract):
            @pytest.fixture
            def create(self):
                return lambda: MyRanker(weight=2)
    """

    leaves_out: ClassVar[bool] = False
    """True for one that leaves candidates out on purpose: they are no hits then."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_is_fixture(cls, "create")

    @pytest.fixture
    def create(self) -> Create:
        """Makes the ranker under test, at each call; each subclass overrides this."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `create` that returns a function making yours"
        )

    @_queries
    @_counts
    def test_it_gives_candidates_and_nothing_else(self, create: Create, query: str, count: int) -> None:
        """The hits of this call, with the memories that they have; a client raises `TypeError` for others."""
        candidates = _candidates(count)
        order = _order(_made(create), query, candidates)
        strange = [
            type(hit).__name__ for hit, place in zip(order, _places(order, candidates), strict=True) if place is None
        ]
        assert strange == [], "it gave what is none of the candidates, or a copy of a memory"

    @_queries
    @_counts
    def test_it_gives_each_candidate_once(self, create: Create, query: str, count: int) -> None:
        """None is lost, since it would be no hit (`leaves_out` allows that), and none comes twice."""
        candidates = _candidates(count)
        given = Counter(_places(_order(_made(create), query, candidates), candidates))
        twice = [place for place, times in given.items() if place is not None and times > 1]
        assert twice == [], "these places of the candidates came more than once"
        if not self.leaves_out:
            lost = [place for place in range(count) if place not in given]
            assert lost == [], "these places of the candidates are lost: say leaves_out = True if that is meant"

    def test_it_gives_nothing_for_no_candidates(self, create: Create) -> None:
        """A search that finds nothing asks it as well."""
        assert _order(_made(create), "tea", SearchHits()) == []

    @_queries
    def test_a_hit_keeps_its_count_and_its_neighbours(self, create: Create, query: str) -> None:
        """``dataclasses.replace(hit, score=...)`` changes the score alone; by the neighbours a prompt knows where there are gaps."""
        candidates = _candidates(_COUNTS[-1])
        order = _order(_made(create), query, candidates)
        kept = [
            (place, hit, candidates[place])
            for hit, place in zip(order, _places(order, candidates), strict=True)
            if isinstance(hit, SearchHit) and place is not None
        ]
        changed = [place for place, new, old in kept if _beside_score(new) != _beside_score(old)]
        assert changed == [], "the hits at these places of the candidates came with another count, previous or next"

    @_queries
    def test_every_score_is_a_finite_number(self, create: Create, query: str) -> None:
        """A ``float`` of Python: not a NaN, and none of a library's own that JSON does not take."""
        order = _order(_made(create), query, _candidates(_COUNTS[-1]))
        scores = [hit.score for hit in order if isinstance(hit, SearchHit)]
        assert [score for score in scores if not _is_finite(score)] == []

    @_queries
    @_counts
    def test_the_same_candidates_come_in_the_same_order(self, create: Create, query: str, count: int) -> None:
        """Whatever was ranked before, and by another instance too."""
        ranker = _made(create)
        first = _ranked(ranker, query, _candidates(count))
        for other in _QUERIES.values():
            _order(ranker, other, _candidates(_COUNTS[-1], first=3))
        for each in (ranker, _made(create)):
            assert _ranked(each, query, _candidates(count)) == first, "another order of the same candidates"

    @_queries
    def test_it_changes_no_candidate_in_place(self, create: Create, query: str) -> None:
        """Neither a hit nor its memory: others read them too."""
        candidates = _candidates(_COUNTS[-1])
        before = [*map(_written, candidates)]
        _order(_made(create), query, candidates)
        assert [*map(_written, candidates)] == before, "a hit or its memory was changed"

    def test_one_instance_serves_threads_at_once(self, create: Create) -> None:
        """Eight of them, none of which made it: each gets the order for its own query and candidates."""
        asked = [(query, first) for first in range(_ROUNDS) for query in (*_QUERIES.values(), *_CONTENTS[:2])]
        alone = [_ranked(_made(create), query, _candidates(_COUNTS[-1], first)) for query, first in asked]
        ranker, together = _made(create), Barrier(_THREADS)

        def rank(thread: int) -> list[list[int | None]]:
            together.wait(_LONGEST)
            return [
                _ranked(ranker, query, _InTurns(_candidates(_COUNTS[-1], first)))
                for query, first in asked[thread::_THREADS]
            ]

        outcomes = [in_thread(partial(rank, thread)) for thread in range(_THREADS)]
        late = wait(outcomes, _LONGEST).not_done
        assert not late, f"{len(late)} of {_THREADS} threads did not end within {_LONGEST:g} seconds: is there a lock?"
        orders = [outcome.result() for outcome in outcomes]
        assert orders == [alone[thread::_THREADS] for thread in range(_THREADS)], "the orders in threads, and alone"

    def test_no_log_and_no_print_shows_a_content(
        self, create: Create, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Not at DEBUG either."""
        planted = SearchHit(_memory(0, CONTENT), 1.0)
        with caplog.at_level(logging.DEBUG):
            _order(_made(create), "tea", SearchHits([planted, *_candidates(3)]))
        assert shown_in_records(caplog.records) == []
        assert not is_shown("".join(capfd.readouterr())), "the content of a memory was printed"


def _made(create: Create) -> Ranker:
    made = made_by(create)
    if isinstance(made, type) or not callable(getattr(made, "rank", None)):
        named = f"the class {made.__name__}" if isinstance(made, type) else type(made).__name__
        pytest.fail(f"the fixture create gives a function that makes an object with a method rank; it made {named}")
    return cast("Ranker", made)


def _order(ranker: Ranker, query: str, candidates: SearchHits | list[SearchHit]) -> list[object]:
    """What a ranker gives, as a client reads it."""
    given: object = ranker.rank(query, candidates if isinstance(candidates, _InTurns) else list(candidates))
    if iscoroutine(given):
        given.close()  # nobody awaits it, which would be a warning
    if not isinstance(given, Iterable):
        pytest.fail(
            f"rank returned {type(given).__name__}: it must return the candidates in order. It may block; an async "
            "client calls it in a thread"
        )
    return list(cast("Iterable[object]", given))


def _places(order: Sequence[object], candidates: SearchHits | list[SearchHit]) -> list[int | None]:
    """Which of the candidates each hit is, as a client compares them; None for none of them."""
    known = {id(hit.memory): place for place, hit in enumerate(candidates)}
    return [known.get(id(hit.memory)) if isinstance(hit, SearchHit) else None for hit in order]


def _ranked(ranker: Ranker, query: str, candidates: SearchHits | list[SearchHit]) -> list[int | None]:
    return _places(_order(ranker, query, candidates), candidates)


def _is_finite(score: object) -> bool:
    return isinstance(score, int | float) and isfinite(score)


def _beside_score(hit: SearchHit) -> tuple[int, Neighbour | None, Neighbour | None]:
    return hit.count, hit.previous, hit.next


def _written(hit: SearchHit) -> tuple[object, ...]:
    return hit.memory.model_dump_json(), hit.score, *_beside_score(hit)


class _InTurns(list[SearchHit]):
    """Candidates that let other threads have their turn before each."""

    __slots__ = ()

    def __iter__(self) -> Iterator[SearchHit]:
        """Give each, a moment later."""
        for place in range(len(self)):
            time.sleep(0.0005)
            yield self[place]


def _candidates(count: int, first: int = 0) -> SearchHits:
    """So many hits, the best first, with contents from the one at `first` on; neighbours in pairs have equal scores."""
    return SearchHits(
        SearchHit(
            _memory(number, _CONTENTS[(first + number) % len(_CONTENTS)]),
            8.0 / (1 + number // 2),
            1 + number % 3,
            _neighbour(number - 1) if number % 4 else None,
            _neighbour(number + 1) if number % 4 != 3 else None,
        )
        for number in range(count)
    )


def _neighbour(number: int) -> Neighbour:
    at = _BEGUN + timedelta(hours=number)
    return Neighbour(at, at)


def _memory(number: int, content: str) -> Memory:
    fields: dict[str, Any] = {
        "org_id": "org",
        "agent_id": f"agent_{number // len(_CONTENTS)}",
        "memory_type": "episodic",
        "event_type": "general",
        **_MORE[number % len(_MORE)],
    }
    return Memory.model_validate({**fields, "time": _BEGUN + timedelta(hours=number * 7 % 24), "content": content})
