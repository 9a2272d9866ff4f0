"""How cases are dealt out to the kinds of a fixture."""

from __future__ import annotations

import pytest

from tests.dealing import by_face, dealt


def rows(mark):
    return [row.values for row in mark.args[1]]


def test_by_default_each_case_runs_once_and_each_kind_has_one(draw):
    draw(seed=1, whole=False)
    dealt_out = rows(by_face(("path", "status"), [("/a", 200), ("/b", 404), ("/c", 500)]))
    assert sorted(case for _, *case in dealt_out) == [["/a", 200], ["/b", 404], ["/c", 500]]
    assert {face for face, *_ in dealt_out} == {"sync", "async"}


def test_a_single_case_runs_on_every_kind(draw):
    draw(seed=1, whole=False)
    assert sorted(rows(by_face("path", ["/a"]))) == [("async", "/a"), ("sync", "/a")]


def test_in_a_whole_run_each_case_runs_on_every_kind(draw):
    draw(seed=1, whole=True)
    assert len(rows(dealt("runner", ["sync", "asyncio", "trio"], "n", range(5)))) == 15


def test_the_fixture_gets_its_kind_and_a_label_names_both(draw):
    draw(seed=1, whole=True)
    mark = by_face("value, told", [(1, "one"), pytest.param(2, "two", id="pair")], ids=["single", "unused"])
    assert mark.args[0] == ("face", "value", "told")
    assert mark.kwargs["indirect"] == ["face"]
    assert [row.id for row in mark.args[1]] == ["sync-single", "sync-pair", "async-single", "async-pair"]
    (first, *_) = by_face("kind", [int, str], ids=lambda kind: kind.__name__).args[1]
    assert first.id == "sync-int"


def test_marks_of_a_case_stay_with_it(draw):
    draw(seed=1, whole=True)
    slow = by_face("n", [pytest.param(1, marks=pytest.mark.slow)]).args[1]
    assert [[mark.name for mark in row.marks] for row in slow] == [["slow"], ["slow"]]
