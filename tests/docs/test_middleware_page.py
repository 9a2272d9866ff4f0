"""The page about middleware and the reference name what there is, in the order in which it stands."""

from __future__ import annotations

import re

import memtrace.middleware
from memtrace import Memtrace
from memtrace._runtime.chain import build_chain
from memtrace.middleware._placement import BUILT_IN
from tests.docs import pages

PAGE = (pages.ROOT / "docs" / "middleware.md").read_text(encoding="utf-8")


def _mine(request, call_next):
    return (yield from call_next(request))


def test_the_drawing_of_the_chain_has_the_built_in_links_and_the_lists_as_they_stand():
    drawing = PAGE[PAGE.index("your call →") :].partition("```")[0]
    drawn = [step.strip() for step in drawing.split("→") if "…" not in step]
    settings = Memtrace("memory://", "k", middleware=[_mine] * 2, attempt_middleware=[_mine])._dispatcher.settings
    names = iter(BUILT_IN)
    lists = iter(["middleware[0]", "middleware[1]", "attempt_middleware[0]"])
    stands = [next(lists) if link is _mine else next(names) for link in build_chain(settings)]
    assert drawn == ["your call", *stands, "transport"]


def test_each_built_in_link_is_described_twice_why_it_stands_there_and_what_replacing_it_does():
    for name in BUILT_IN:
        assert len(re.findall(rf"^- \*\*{name}\*\*", PAGE, re.MULTILINE)) == 2


def test_the_reference_has_every_name_of_the_middleware_package():
    text = pages.reference()
    assert [name for name in memtrace.middleware.__all__ if not re.search(rf"\.{name}\b", text)] == []
