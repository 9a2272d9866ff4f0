"""The prompt page: what would go into a prompt, why, and what a prompt cache could reuse."""

from __future__ import annotations

import html
import re

import pytest

from memtrace.models import Memory
from tests.integrations.viewer.conftest import elements


@pytest.fixture
def session(client, fake):
    """A session of twelve memories, which a small budget cannot hold."""
    for number in range(12):
        subject = "tea" if number % 3 == 0 else "train"
        client.memories.add(
            agent_id="a",
            session_id="sess_1",
            content=f"m{number} the {subject} {'and more ' * 8}",
            importance=number / 12 or None,
        )
        fake.clock.advance(60)
    return "sess_1"


def raw(page):
    """The prompt on the page: the shaded part and the rest."""
    shaded, rest = re.search(r"<mark>([^<]*)</mark>([^<]*)</pre>", page).groups()
    return html.unescape(shaded), html.unescape(rest)


@pytest.mark.parametrize("form", ["markdown", "xml", "messages"])
def test_it_is_what_the_client_gives(client, session, get, form):
    made = client.memories.prompt_context("tea", agent_id="a", max_tokens=300, format=form, recent=1, explain=True)
    address = f"q=tea&agent=a&budget=300&format={form}&recent=1"
    page, data = get(f"/prompt?{address}", f"/prompt.json?{address}")
    assert "".join(raw(page.text)) == made.text
    assert data.json()["text"] == made.text
    assert data.json()["tokens"] == made.tokens
    assert f"{made.tokens} of 300 tokens" in page.text
    told = [(row["included"], row["reason"]) for row in data.json()["verdicts"]]
    assert told == [(each.included, each.reason) for each in made.verdicts]
    rows = re.findall(r'<tr class="(in|out)">\s*<td>(?:yes|no)</td>\s*<td>(\w+)</td>', page.text)
    assert rows == [("in" if each.included else "out", each.reason) for each in made.verdicts]


def test_without_a_question_and_a_session_it_reads_nothing(session, get, fake):
    fake.calls.clear()
    assert get("/prompt.json").json() == {"text": "", "tokens": 0, "verdicts": []}
    assert len(fake.calls) == 0
    assert "Enter a question, or choose a session" in get("/prompt").text


def test_a_sessions_prompt_stays_whole_while_memories_are_added(client, session, get):
    before, rest = raw(get(f"/prompt?session={session}").text)
    assert rest == ""
    client.memories.add(agent_id="a", session_id=session, content="one more")
    assert "".join(raw(get(f"/prompt?session={session}").text)).startswith(before)
    trimmed = get(f"/prompt?session={session}&budget=200").text
    assert re.search(r"changed [1-9]\d* times", trimmed)
    assert "importance</td>" in trimmed


@pytest.mark.slow
@pytest.mark.parametrize("form", ["markdown", "xml", "messages"])
def test_of_a_question_the_heading_stays(session, get, form):
    one, other = (raw(get(f"/prompt?q={q}&format={form}&budget=150").text) for q in ("tea", "train"))
    assert one[0] == other[0] != ""
    assert "Memories, oldest first" in one[0]
    assert "m0" not in one[0]
    assert one[1] != other[1]


def test_another_question_is_compared_with_the_one_before(session, get):
    page = get("/prompt?q=train&before=tea&budget=250").text
    assert "begin the prompt of <q><bdi>tea</bdi></q> too" in page
    assert "now in" in page
    assert "now out" in page
    same = get("/prompt?q=tea&before=tea&budget=250").text
    assert raw(same)[1] == ""
    assert "(100 %)" in same
    assert "now in" not in same


def test_the_form_remembers_the_question_for_the_next_one(session, get):
    fields = [each for tag, each in elements(get("/prompt?q=tea&agent=a&tag=x").text) if tag == "input"]
    named = {each.get("name"): each.get("value") for each in fields}
    assert (named["before"], named["agent"], named["tag"]) == ("tea", "a", "x")


def test_nothing_found_is_an_empty_prompt(session, get):
    page = get("/prompt?q=tea&agent=nobody").text
    assert raw(page) == ("", "")
    assert "(0 %)" in page


def test_many_verdicts_are_cut_and_said_to_be(session, get, monkeypatch):
    monkeypatch.setattr("memtrace.integrations._viewer._prompt.ROWS", 2)
    page = get(f"/prompt?session={session}").text
    assert page.count("10 more are in") == 2  # the verdicts and the memories
    assert page.count('class="memory ') == 2
    assert page.count("<tr class=") == 2


def moved(page):
    """The subjects of the memories that the table marks, with the mark."""
    rows = re.findall(r'<tr class="\w+">(.*?)</tr>', page, re.DOTALL)
    marks = [(re.search(r"now (in|out)", row), re.search(r">(\w+) the (\w+)", row)) for row in rows]
    return {name[1]: mark[1] for mark, name in marks if mark is not None}


def test_memories_that_the_new_question_does_not_consider_are_now_out(client, get, fake, monkeypatch):
    for number, subject in enumerate(["coffee", "coffee", "bicycle", "both coffee and bicycle"]):
        client.memories.add(agent_id="a", session_id=f"sess_{number}", content=f"m{number} the {subject}")
        fake.clock.advance(86_400)  # no neighbours of each other
    ask = "q=bicycle&before=coffee&agent=a"
    page, data = get(f"/prompt?{ask}", f"/prompt.json?{ask}")
    assert moved(page.text) == {"m0": "out", "m1": "out", "m2": "in"}
    assert page.text.count("not considered") == 2
    assert sorted(each["content"] for each in data.json()["no_longer_considered"]) == ["m0 the coffee", "m1 the coffee"]
    assert get("/prompt.json?q=bicycle").json()["no_longer_considered"] == []
    monkeypatch.setattr("memtrace.integrations._viewer._prompt.ROWS", 1)
    short = get(f"/prompt?{ask}").text
    assert len(moved(short)) == 1
    assert "3 more are in" in short


def test_the_comparison_compares_no_memory_with_each_other_one(session, get, monkeypatch):
    compared = []
    equal = Memory.__eq__
    monkeypatch.setattr(Memory, "__eq__", lambda one, other: compared.append(one) or equal(one, other))
    page = get("/prompt?q=train&before=tea&budget=250").text
    assert "now in" in page
    assert compared == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("budget=0", "budget must be a whole number from 1 to 32000"),
        ("budget=many", "budget must be"),
        ("recent=-1", "recent must be a whole number from 0 to 1000"),
        ("format=html", "format must be markdown or xml or messages"),
    ],
)
def test_a_setting_that_is_none_is_a_banner(session, get, query, problem):
    response = get(f"/prompt?q=tea&{query}")
    assert response.status_code == 400
    assert problem in response.text
