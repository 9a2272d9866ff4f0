"""The picture of a terminal shows what the console prints, and every picture stands by itself."""

from __future__ import annotations

import html
import re
import runpy

import pytest

from tests.docs import pages

SVGS = sorted((pages.ROOT / "docs" / "_static").rglob("*.svg"))
CHARACTER = 12.2  # the width of one, in rich's pictures
RECORDER = pages.ROOT / "scripts" / "record_terminal.py"


def lasting(text):
    """A text without what differs from run to run: ids and times."""
    text = re.sub(r"\b(agent|sess)_[0-9a-f]{24}\b", r"\1_…", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
    return [line.rstrip() for line in re.sub(r"\b\d\d:\d\d:\d\d\b", "<time>", text).splitlines() if line.strip()]


def shown(picture):
    """The lines of a recorded terminal: its texts, each at its column."""
    lines = {}
    for match in re.finditer(r'<text class="demo-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', picture):
        column = round(float(match[1]) / CHARACTER)
        line = lines.get(float(match[2]), "").ljust(column)
        lines[float(match[2])] = line + html.unescape(match[3]).replace("\xa0", " ")
    return "\n".join(lines[place] for place in sorted(lines))


def test_the_recorded_terminal_is_what_the_demo_prints():
    picture = (pages.ROOT / "docs" / "_static" / "demo.svg").read_text(encoding="utf-8")
    printed = runpy.run_path(str(RECORDER))["recorded"]()
    assert lasting(shown(picture)) == lasting(printed.plain), "`python scripts/record_terminal.py` records it anew"


def test_the_drawing_of_a_call_has_the_links_of_a_clients_chain():
    drawn = (pages.ROOT / "docs" / "_static" / "call.svg").read_text(encoding="utf-8")
    made = runpy.run_path(str(pages.ROOT / "scripts" / "draw_call.py"))["picture"]()
    assert drawn == made, "`python scripts/draw_call.py` draws it anew"


@pytest.mark.parametrize("path", SVGS, ids=lambda path: path.name)
def test_a_picture_needs_nothing_of_another_host_and_says_what_it_shows(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]
    assert "<title" in text or "aria-label=" in text
    assert len(text) < 64_000
