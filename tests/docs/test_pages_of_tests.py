"""The tests that a page shows pass under pytest, as its reader would run them."""

from __future__ import annotations

import re

import pytest

from tests.docs import pages

SHOWN = {"testing-agents": 7, "many-users": 1}


@pytest.mark.parametrize("page", SHOWN)
def test_the_tests_of_a_page_pass_as_they_stand(page, pytester):
    text = (pages.ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    # what else the page builds at its own level is for its consoles
    blocks = [block for block in pages.python_blocks(text) if not re.search(r"^\w+ = \w+\(", block, re.MULTILINE)]
    pytester.makepyfile("\n\n".join(blocks))
    result = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=SHOWN[page])


def test_the_test_for_many_users_fails_where_they_share_an_agent(pytester):
    text = (pages.ROOT / "docs" / "many-users.md").read_text(encoding="utf-8")
    blocks = [block for block in pages.python_blocks(text) if "def " in block]
    shared = "\n\n".join(blocks).replace('f"assistant-{user_id}"', '"assistant"')
    assert shared != "\n\n".join(blocks)
    pytester.makepyfile(shared)
    pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider").assert_outcomes(failed=1)
