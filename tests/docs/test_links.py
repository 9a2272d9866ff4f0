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


def test_every_page_of_the_manual_is_in_its_table_of_contents():
    index = (pages.ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^[a-z][a-z/-]*$", index, re.MULTILINE)
    written = [page.relative_to(pages.ROOT / "docs").with_suffix("").as_posix() for page in pages.MANUAL]
    assert sorted(listed) == sorted(page for page in written if page != "index")
