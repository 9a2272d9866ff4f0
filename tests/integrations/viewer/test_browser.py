"""The pages in headless Chromium: each part clicked through, nothing of a memory runs, and accessibility by axe-core.

`nox -s view` installs Playwright and fetches axe-core. Without Playwright or Chromium these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memtrace import AddMemoryRequest, Memtrace

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = os.environ.get("AXE_CORE")
pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
ATTACK = (
    "\"'><script>window.hacked=1</script><img src=x onerror=window.hacked=1><svg onload=window.hacked=1>\u202e{{7*7}}"
)
TABS = ("timeline", "search?q=tea", "prompt?q=tea", "decisions", "statistics", "agents", "sessions")
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A file with memories of two agents, half of them attacks."""
    url = f"sqlite:///{tmp_path_factory.mktemp('view')}/agent.db"
    with Memtrace(url) as client:
        agent = client.agents.register(f"Ines {ATTACK}", description=ATTACK, config={ATTACK: ATTACK})
        session = client.sessions.create(agent.id, metadata={ATTACK: ATTACK})
        client.sessions.update(session.id, status=ATTACK)
        for number in range(230):
            client.memories.add(
                agent_id=agent.id if number % 2 else "other",
                session_id=session.id if number % 2 else None,
                memory_type=("episodic", "session", "decision", "entity")[number % 4],
                content=f"{number} tea {ATTACK if number % 2 else ''}",
                tags=["drinks", f"n{number % 5}"],
                importance=number / 230 or None,
                metadata={ATTACK: ATTACK, "reasoning": ATTACK},
                dedup_key=f"{number} {ATTACK}",
            )
    return url


@pytest.fixture(scope="module")
def served(store, tmp_path_factory):
    """The program as a process; gives its URL with the token."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMTRACE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "memtrace", "view", "--base-url", store, "--json"],
        cwd=tmp_path_factory.mktemp("cwd"),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield json.loads(process.stdout.readline())["url"]
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser, served):
    """A page that has the cookie. At the end nothing of a memory has run, and the console has no error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    shown, problems = context.new_page(), []
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    shown.on("dialog", lambda dialog: problems.append(dialog.message))
    shown.problems = problems
    shown.base = served.partition("/?")[0]
    shown.goto(served)
    yield shown
    assert shown.evaluate("window.hacked") is None
    assert problems == []
    context.close()


def wait_until(page, script):
    """Wait until a script is true. Playwright's own way evaluates a string in the page, which its policy forbids."""
    for _ in range(600):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    raise AssertionError(script)


def said(page):
    return page.eval_on_selector_all("main .memory p.content", "all => all.map(each => parseInt(each.textContent))")


def test_the_token_leaves_the_url_and_the_page_opens(page):
    assert page.url == f"{page.base}/timeline"
    assert page.evaluate("document.cookie") == ""  # no script can read it
    assert said(page)[:3] == [229, 228, 227]


def test_agents_sessions_and_chips_narrow_the_timeline(page):
    page.click("#agents >> text=other")
    assert all(number % 2 == 0 for number in said(page))
    page.click("main .chips >> text=n3 >> nth=0")
    assert {number % 5 for number in said(page)} == {3}
    page.click(".active >> text=tag")
    page.go_back()
    page.click("#agents >> text=Ines")
    page.click("#sessions a")
    assert "session=sess_" in page.url
    assert all(number % 2 for number in said(page))


def test_lists_narrow_while_one_types(page):
    page.fill("#narrow", "oth")
    assert page.locator("#agents li:visible").all_inner_texts()[0].startswith("other")
    assert page.locator("#agents li:visible").count() == 1


def test_scrolling_reads_on(page):
    assert len(said(page)) == 100
    page.locator(".next").scroll_into_view_if_needed()
    wait_until(page, "document.querySelectorAll('main .memory').length >= 200")
    page.locator("footer").scroll_into_view_if_needed()
    wait_until(page, "document.querySelectorAll('main .memory').length >= 230")
    assert said(page)[:230] == [*range(229, -1, -1)]


def test_next_and_previous_work_without_the_script(browser, served):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served)
    first = page.locator("main .memory").all_inner_texts()
    page.click("a[rel=next]")
    assert page.locator("main .memory").all_inner_texts() != first
    page.click("a[rel=prev]")
    assert page.locator("main .memory").all_inner_texts() == first
    context.close()


def test_keys_move_choose_search_and_help(page):
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.querySelector('p.content').textContent").startswith("228")
    page.keyboard.press("Enter")
    page.wait_for_selector(".selection")
    assert '"content": "228 tea' in page.inner_text(".selection .json")
    page.keyboard.press("Escape")
    page.wait_for_selector(".selection", state="detached")
    page.wait_for_load_state()
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.keyboard.press("Escape")
    assert not page.is_visible("#keys")
    page.keyboard.press("/")
    page.keyboard.type("tea 17")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?*q=tea+17*")
    assert page.locator("meter").count() == 50


def test_a_snippet_is_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("main .pick >> nth=0")
    page.click(".selection summary >> text=Copy as Python")
    page.click(".selection .copy:visible")
    page.wait_for_selector(".selection .copy:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()").startswith("from memtrace import Memtrace")


def test_the_slider_builds_another_prompt_and_shows_what_moved(page):
    page.goto(f"{page.base}/prompt?q=tea+17&budget=600")
    whole = int(re.match(r"([\d,]+) of", page.inner_text(".used").strip())[1].replace(",", ""))
    page.focus("input[type=range]")
    page.keyboard.press("Home")
    page.wait_for_url("**budget=100*")
    assert "0 memories in" in page.inner_text(".used") or whole > 100
    page.goto(f"{page.base}/prompt?q=tea+17&budget=600")
    page.fill(".question input[name=q]", "tea 21")
    page.keyboard.press("Enter")
    page.wait_for_url("**before=tea+17*")
    assert page.locator("tr.in").count() > 0
    assert page.inner_text(".raw mark").startswith("## Memories, oldest first")


def test_new_memories_slide_in_and_can_be_paused(page, store):
    def add(content):
        with Memtrace(store) as client:
            client.remember("other", content, event_type="late")

    add("1000 came")
    page.wait_for_selector("main .memory.fresh >> text=1000 came", timeout=30_000)
    assert said(page)[:2] == [1000, 229]
    assert page.inner_text("#live-state") == "1 new"
    page.keyboard.press("p")
    assert page.inner_text("#live") == "Paused"
    add("1001 came")
    page.wait_for_timeout(3000)
    assert said(page)[0] == 1000
    page.keyboard.press("p")
    page.wait_for_selector("text=1001 came", timeout=30_000)
    assert said(page)[:2] == [1001, 1000]


def burst(store, agent, count, first=0):
    with Memtrace(store) as client:
        requests = [
            AddMemoryRequest(agent_id=agent, content=f"{number} burst") for number in range(first, first + count)
        ]
        client.memories.add_many(requests)


def pause_until(page, write):
    """Pause new memories, write some, and let them come."""
    page.keyboard.press("p")
    assert page.inner_text("#live") == "Paused"
    write()
    page.keyboard.press("p")


def test_more_new_memories_than_a_part_has_come_all_the_same(page, store):
    burst(store, "steady", 3)
    page.goto(f"{page.base}/timeline?agent=steady")
    pause_until(page, lambda: burst(store, "steady", 250, first=3))
    wait_until(page, "document.querySelectorAll('main .memory').length >= 253")
    assert sorted(said(page)) == [*range(253)]
    assert page.locator("main .gap").count() == 0
    assert page.inner_text("#live-state") == "250 new"


def test_more_than_the_page_reads_are_a_gap_with_a_link_that_reloads(page, store):
    burst(store, "flood", 5)
    page.goto(f"{page.base}/timeline?agent=flood")
    pause_until(page, lambda: burst(store, "flood", 1100, first=5))
    wait_until(page, "document.querySelectorAll('main .gap').length > 0")
    assert page.locator("main .memory").count() == 1000
    assert page.evaluate("document.querySelector('#rows').lastElementChild.className") == "gap"
    page.click("main .gap a")
    page.wait_for_selector("main .gap", state="detached")
    assert (len(said(page)), page.locator("main .next").count()) == (100, 1)


def test_memories_that_leave_a_long_page_are_a_gap_at_its_end(page, store):
    burst(store, "long", 20)
    page.goto(f"{page.base}/timeline?agent=long")
    pause_until(page, lambda: burst(store, "long", 990, first=20))
    wait_until(page, "document.querySelectorAll('main .memory').length >= 1000")
    assert page.locator("main .memory").count() == 1000
    assert page.locator("main .gap").count() == 1
    assert page.evaluate("document.querySelector('#rows').lastElementChild.className") == "gap"


def test_it_says_that_the_server_is_away_and_goes_on(page, store):
    page.route("**/timeline?*", lambda route: route.abort())
    wait_until(page, "document.getElementById('live-state').textContent.includes('does not respond')")
    page.unroute("**/timeline?*")
    page.problems.clear()
    wait_until(page, "document.getElementById('live-state').textContent === ''")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("tab", TABS)
def test_nothing_is_wider_than_the_page(page, tab, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{page.base}/{tab}")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    if page.locator("main .pick:visible").count():
        page.click("main .pick >> nth=0")
        page.wait_for_url("**memory=*")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width


@pytest.mark.skipif(AXE is None, reason="AXE_CORE names no file of axe-core")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tab", [*TABS, "timeline?selected"])
def test_axe_finds_nothing(page, tab, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{page.base}/{tab}")
    if tab.endswith("selected"):
        page.click("main .pick >> nth=0")
        page.wait_for_url("**memory=*")
    page.evaluate(Path(AXE).read_text(encoding="utf-8") + "\n;0")
    found = page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})")
    assert len(found["passes"]) > 10
    told = [(each["id"], each["nodes"][0]["html"][:200]) for each in found["violations"]]
    assert told == []


def test_a_file_opens_without_a_server(browser, store, tmp_path):
    path = tmp_path / "out.html"
    subprocess.run([sys.executable, "-m", "memtrace", "view", "--base-url", store, "--html", path], check=True)
    page, problems = browser.new_page(), []
    page.on("console", lambda told: problems.append(told.text))
    page.on("request", lambda request: problems.append(request.url) if request.url != path.as_uri() else None)
    page.goto(path.as_uri())
    assert page.evaluate("getComputedStyle(document.querySelector('.memory')).borderLeftStyle") == "solid"
    assert page.evaluate("window.hacked") is None
    assert problems == []
    page.close()
