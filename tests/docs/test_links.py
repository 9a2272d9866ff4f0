"""What a page points to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import memtrace
from tests.docs import pages

LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)\)")
PACKAGES = ("memtrace", "memtrace_transports")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    found: set[str] = set()
    for heading in pages.headings(page.read_text(encoding="utf-8")):
        plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        repeated = sum(1 for anchor in found if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", anchor))
        found.add(f"{plain}-{repeated}" if repeated else plain)
    return found


def place(page: Path, path: str) -> Path:
    """The file that a link of this page means; a package's sources may be installed elsewhere than the pages are."""
    target = (page.parent / path).resolve() if path else page
    inside = target.relative_to(pages.ROOT.resolve())
    if inside.parts[0] in PACKAGES:
        return Path(memtrace.__file__).parents[1] / inside
    return target


@pytest.mark.parametrize("page", pages.ALL, ids=pages.name_of)
def test_every_relative_link_and_anchor_points_to_something(page):
    text = re.sub(r"`[^`\n]*`", "code", page.read_text(encoding="utf-8"))
    broken = []
    for match in LINK.finditer(pages.without_code(text)):
        path, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = place(page, path)
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(match["target"])
    assert broken == []


@pytest.mark.parametrize("page", pages.ALL, ids=pages.name_of)
def test_no_page_names_a_place_of_somebodys_machine(page):
    assert not re.search(r"(?<![\w.:/])/(?:home|Users|work|root|tmp)/", page.read_text(encoding="utf-8"))


def listed_by(page: Path) -> list[Path]:
    """The pages that the tables of contents of `page` name, some by a pattern."""
    entries = [line for table in pages.tables_of_contents(page.read_text(encoding="utf-8")) for line in table]
    return [found for entry in entries for found in sorted(page.parent.glob(f"{entry}.md")) if found != page]


def test_every_page_of_the_manual_is_in_one_table_of_contents():
    listed = [found for page in pages.MANUAL for found in listed_by(page)]
    assert sorted(listed) == sorted(set(pages.MANUAL) - {pages.ROOT / "docs" / "index.md"})


def test_a_caption_of_the_navigation_has_at_most_8_entries():
    tables = pages.tables_of_contents((pages.ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    assert [len(table) for table in tables if len(table) > 8] == []
