"""The built-in ranker keeps the public contract, and so does one with a lock, which gives its order bit by bit."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from memtrace.ranking import LexicalRanker
from memtrace.testing import RankerContract
from tests.contracts.test_broken_rankers import overlap


class TestLexical(RankerContract):
    @pytest.fixture
    def create(self):
        return LexicalRanker


class ByOverlap:
    def __init__(self):
        self.guard = threading.Lock()

    def rank(self, query, candidates):
        with self.guard:
            order = sorted(candidates, key=lambda hit: overlap(query, hit), reverse=True)
        yield from (replace(hit, score=hit.score + overlap(query, hit)) for hit in order)


class TestByOverlap(RankerContract):
    @pytest.fixture
    def create(self):
        return ByOverlap
