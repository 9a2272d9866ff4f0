"""What each page shows of real memories, its JSON, and what its links lead to."""

from __future__ import annotations

import asyncio
import gc
import html
import json
import re
import shlex
import subprocess
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from memtrace import AddMemoryRequest
from memtrace.integrations._viewer._directory import AgentCounts, Directory
from memtrace.testing import Fault
from tests.integrations.viewer.conftest import contents, elements, link

TABS = ("timeline", "search", "prompt", "decisions", "statistics", "agents", "sessions")


@pytest.fixture
def told(client, fake):
    """Two agents, a session, and memories of each type."""
    agent = client.agents.register("Ines")
    session = client.sessions.create(agent.id)
    for number, kind in enumerate(["episodic", "session", "decision", "entity"]):
        client.memories.add(
            agent_id=agent.id,
            session_id=session.id,
            memory_type=kind,
            event_type="message",
            content=f"tea of {kind}",
            tags=["drinks", f"n{number}"],
            importance=number / 4 or None,
            metadata={"reasoning": "it was asked for"} if kind == "decision" else {"n": number},
        )
        fake.clock.advance(60)
    client.memories.add(agent_id="unregistered", content="coffee", event_type="error")
    return agent, session


class TestTimeline:
    def test_it_is_newest_first_and_can_be_turned(self, told, get):
        newest, oldest = get("/timeline", "/timeline?order=asc")
        assert contents(newest.text) == [
            "coffee",
            "tea of entity",
            "tea of decision",
            "tea of session",
            "tea of episodic",
        ]
        assert contents(oldest.text) == contents(newest.text)[::-1]

    @pytest.mark.parametrize(
        ("query", "left"),
        [
            ("type=decision", ["tea of decision"]),
            ("event=error", ["coffee"]),
            ("tag=n1", ["tea of session"]),
            ("tag=drinks&tag=n3", ["tea of entity"]),
            ("tag=drink", []),
            ("agent=unregistered", ["coffee"]),
            ("since=1h&until=365d", []),
        ],
    )
    def test_filters_are_in_the_url(self, told, get, query, left):
        page = get(f"/timeline?{query}").text
        assert contents(page) == left
        assert ("No memory matches" in page) is not left

    def test_a_session_is_a_filter_and_its_link_is_above_its_memories(self, told, get):
        _, session = told
        page = get(f"/timeline?session={session.id}").text
        assert len(contents(page)) == 4
        assert page.count('<h2 class="when">') == 1
        assert get(f"/timeline?session={session.id}&type=entity").text.count('class="memory ') == 1

    def test_pages_keep_filters_and_selection(self, client, get, fake):
        for number in range(205):
            client.memories.add(agent_id="a", content=f"{number}", tags=["x"])
            fake.clock.advance(1)
        first = get("/timeline?tag=x&agent=a")
        chosen = next(each["href"] for tag, each in elements(first.text) if each.get("class") == "pick")
        shown = get(chosen).text
        second = get(link(shown, "next")).text
        assert contents(second)[0] == "104"
        assert 'class="selection"' in second
        asked = parse_qs(urlsplit(link(second, "next")).query)
        assert (asked["tag"], asked["agent"]) == (["x"], ["a"])
        assert contents(get(link(second, "prev")).text) == contents(first.text)
        third = get(link(second, "next")).text
        assert (len(contents(third)), link(third, "next")) == (5, None)

    def test_a_chip_adds_its_tag_and_an_active_one_removes_it(self, told, get):
        page = get("/timeline?tag=n1").text
        leads = [each["href"] for tag, each in elements(page) if tag == "a" and "/timeline?" in each.get("href", "")]
        assert "/timeline?tag=n1&tag=drinks" in leads
        assert "/timeline" in {
            each["href"] for tag, each in elements(page) if each.get("title") == "remove this filter"
        }

    def test_facets_have_counts(self, told, get):
        page = get("/timeline").text
        words = re.sub(r"<[^>]+>|\s+", " ", page)
        assert re.search(r"message\s+4\s", words)
        assert re.search(r"drinks\s+4\s", words)

    def test_importance_is_a_weight_and_the_type_a_colour(self, told, get):
        page = get("/timeline").text
        assert 'class="memory t-entity w8"' in page
        assert 'class="memory t-episodic w0"' in page

    def test_a_type_of_a_newer_server_has_a_colour_and_is_counted(self, client, get, fake):
        row = {
            "time": "2026-01-01T00:00:00Z",
            "org_id": "o",
            "agent_id": "a",
            "memory_type": "semantic",
            "event_type": "e",
        }
        body = json.dumps({"memories": [{**row, "content": "new", "importance": 7}], "count": 1, "has_more": False})
        answer = Fault("status", on="memories.list", status=200, body=body.encode(), times=None)
        fake.faults.add(answer)
        assert 'class="memory t-other w10"' in get("/timeline").text
        assert get("/statistics.json").json()["days"] == {"2026-01-01": {"other": 1}}

    def test_when_it_occurred_is_shown_where_that_is_another_time(self, client, get):
        client.memories.add(
            AddMemoryRequest(agent_id="a", content="x", metadata={"occurred_at": "2020-01-02T03:04:05Z"})
        )
        assert "2020-01-02 03:04:05" in get("/timeline").text

    def test_a_part_of_the_page_is_its_rows_alone(self, told, get):
        part = get("/timeline?part=rows&type=entity").text
        assert contents(part) == ["tea of entity"]
        assert "<html" not in part
        assert "<html" in get("/search?part=rows").text


class TestSelection:
    def chosen(self, get, page):
        (address,) = [each["href"] for tag, each in elements(page) if each.get("class") == "pick"]
        return get(address).text

    def test_it_is_shown_as_json_with_its_neighbours(self, told, get):
        page = self.chosen(get, get("/timeline?type=decision").text)
        aside = page.partition("<aside")[2]
        assert "&#34;content&#34;: &#34;tea of decision&#34;" in aside
        before, _, after = aside.partition("the chosen memory</p>")
        assert contents(before.partition("</pre>")[2]) == ["tea of episodic", "tea of session"]
        assert contents(after) == ["tea of entity"]

    def test_memories_of_one_moment_are_told_apart(self, client, get):
        for number in range(5):
            client.memories.add(agent_id="a", content=f"{number}")
        page = get("/timeline").text
        for address in [each["href"] for tag, each in elements(page) if each.get("class") == "pick"]:
            one = get(address.replace("/timeline", "/memory.json")).json()
            asked = parse_qs(urlsplit(address).query)["memory"][0]
            assert one["memory"]["content"] in "01234"
            around = [each["content"] for each in [*one["before"], one["memory"], *one["after"]]]
            assert len(set(around)) == len(around) >= 4
            assert asked in page

    def test_snippets_read_the_memory_again_and_have_no_key(self, told, get, client):
        page = self.chosen(get, get("/timeline?type=entity").text)
        snippets = re.findall(r"<summary>Copy as (\w+)</summary><pre[^>]*>(.*?)</pre>", page, re.DOTALL)
        code = {name: text.replace("&#39;", "'").replace("&#34;", '"').replace("&amp;", "&") for name, text in snippets}
        assert set(code) == {"Python", "curl", "console"}
        assert "mtk_of_acme" not in page
        names = {"Memtrace": lambda: client}
        exec(code["Python"].replace("from memtrace import Memtrace\n", ""), names)  # what a reader copies
        assert names["memory"].content == "tea of entity"
        assert shlex.split(code["console"])[:2] == ["memtrace-sdk", "filter"]
        assert '"x-api-key: $MEMTRACE_API_KEY"' in code["curl"]
        assert subprocess.run(["sh", "-n", "-c", code["curl"]], check=False).returncode == 0

    @pytest.mark.parametrize("address", ["2026-01-01T00:00:00Z~0123456789abcdef", "x"])
    def test_one_that_is_not_there_is_a_banner_and_the_page_stays(self, told, get, address):
        response = get(f"/timeline?memory={address}")
        assert response.status_code == (404 if "~" in address else 400)
        assert 'role="alert"' in response.text
        assert len(contents(response.text)) == 5
        assert "error" in get(f"/memory.json?memory={address}").json()


class TestSearch:
    def test_hits_come_with_scores_best_first(self, told, get):
        page, data = get("/search?q=tea+decision", "/search.json?q=tea+decision")
        assert contents(page.text)[0] == "tea of decision"
        hits = data.json()["hits"]
        assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
        assert f">{hits[0]['score']:.2f}<" in page.text
        assert "<meter" in page.text

    def test_filters_narrow_it(self, told, get):
        assert contents(get("/search?q=tea&type=entity&min_importance=0.5").text) == ["tea of entity"]
        assert "Nothing is relevant" in get("/search?q=tea&min_importance=0.9").text

    def test_without_a_query_it_asks_for_one(self, told, get):
        assert "Enter a query" in get("/search").text
        assert get("/search.json").json() == {"hits": [], "count": 0}

    def test_a_number_that_is_none_is_a_banner(self, told, get):
        response = get("/search?q=tea&min_importance=much")
        assert response.status_code == 400
        assert "min_importance must be a number from 0 to 1" in response.text


class TestOtherPages:
    def test_decisions_have_their_reasoning(self, told, get, client):
        client.memories.add(agent_id="a", memory_type="decision", content="alone")
        client.memories.add(agent_id="a", memory_type="decision", content="list", metadata={"reasoning": ["x"]})
        page, part, data = get("/decisions", "/decisions?part=rows", "/decisions.json")
        assert contents(page.text) == contents(part.text) == ["list", "alone", "tea of decision"]
        assert "it was asked for" in page.text
        assert "no reasoning was stored" in page.text
        assert len(data.json()["memories"]) == 3
        assert "No decision matches" in get("/decisions?agent=nobody").text

    def test_statistics_count_days_by_type(self, told, get, fake, client):
        agent, _ = told
        fake.clock.advance(3 * 86400)
        client.memories.add(agent_id=agent.id, content="later")
        page, data = get(f"/statistics?agent={agent.id}", f"/statistics.json?agent={agent.id}")
        days = data.json()["days"]
        assert [sum(day.values()) for day in days.values()] == [4, 1]
        assert page.text.count("<rect") == 5
        assert page.text.count("<title>") == 5  # the page's, and one for each of four days
        assert data.json()["agent"]["stats"]["memory_count"] == 5
        assert get("/statistics.json").json()["agent"] == {"stats": None, "last_activity": None}

    def test_statistics_of_nothing_are_no_chart(self, client, get):
        assert "<svg" not in get("/statistics").text

    def test_days_long_ago_are_counted_apart(self, client, get, fake):
        client.memories.add(agent_id="a", content="long ago")
        fake.clock.advance(100 * 86400)
        client.memories.add(agent_id="a", content="now")
        assert get("/statistics.json").json()["earlier"] == 1
        assert "1 of them before these days" in get("/statistics").text

    def test_more_than_are_counted_are_said_to_be_more(self, client, get, monkeypatch):
        monkeypatch.setattr("memtrace.integrations._viewer._statistics.COUNTED", 2)
        for number in range(3):
            client.memories.add(agent_id="a", content=f"{number}")
        assert get("/statistics.json").json() == {
            **get("/statistics.json").json(),
            "counted": 2,
            "is_cut": True,
        }
        assert "older ones are not counted" in get("/statistics").text

    def test_agents_have_counts_and_their_last_activity(self, told, get):
        agent, _ = told
        rows = {row["id"]: row for row in get("/agents.json").json()["agents"]}
        assert rows[agent.id]["name"] == "Ines"
        assert rows[agent.id]["stats"]["memory_count"] == 4
        assert rows[agent.id]["last_activity"].endswith("Z")
        assert rows["unregistered"]["is_registered"] is False
        page = get("/agents?find=NES").text
        assert "Ines" in page.partition("<main")[2]
        assert "unregistered" not in page.partition("<main")[2]

    def test_sessions_are_found_by_a_part_of_their_id(self, told, get):
        agent, session = told
        page = get(f"/sessions?agent={agent.id}&find={session.id[-6:]}").text
        assert session.id in page.partition("<main")[2]
        assert get("/sessions.json?find=nothing").json() == {"sessions": [], "count": 0}

    def test_long_lists_have_pages(self, client, get):
        agent = client.agents.register("many")
        for _ in range(101):
            client.sessions.create(agent.id)
        first = get(f"/sessions?agent={agent.id}").text
        second = get(link(first, "next")).text
        assert (len(re.findall("<tr>", first)), len(re.findall("<tr>", second))) == (101, 2)
        assert link(second, "prev") is not None
        assert "71 more sessions" in first
        assert get("/sessions?page=0").status_code == 400

    def test_many_agents_are_cut_beside_the_page(self, client, get):
        for number in range(32):
            client.agents.register(f"agent {number}")
        page = get("/timeline?agent=other").text
        assert "3 more agents" in page
        assert "<bdi>other</bdi>" in page

    def test_counts_of_many_agents_are_not_kept_for_ever(self, client, fake, monkeypatch):
        monkeypatch.setattr("memtrace.integrations._viewer._directory._COUNTS_KEPT", 2)
        agents = [client.agents.register(f"agent {number}").id for number in range(5)]

        async def count():
            async with fake.async_client("acme") as made:
                directory = Directory(made, fake.clock)
                return [await directory.counts([each]) for each in agents], len(directory._counts)

        counts, kept = asyncio.run(count())
        assert [[*each] for each in counts] == [[each] for each in agents]
        assert kept == 2

    def test_a_page_does_not_wait_for_slow_counts(self, told, get, monkeypatch):
        started = []

        async def never(directory, agent_id):
            started.append(agent_id)
            await asyncio.Event().wait()

        monkeypatch.setattr("memtrace.integrations._viewer._pages._PATIENCE", 0)
        monkeypatch.setattr("memtrace.integrations._viewer._pages._PATIENCE_BESIDE", 0)
        monkeypatch.setattr(Directory, "_read_counts", never)
        agents, timeline = get("/agents", "/timeline")
        assert "2 agents are still being counted" in agents.text
        assert len(contents(timeline.text)) == 5
        assert len(started) == len(set(started))  # each is read once, for all pages

    def test_statistics_do_not_wait_for_slow_counts(self, told, get, monkeypatch):
        async def never(directory, agent_id):
            await asyncio.Event().wait()

        monkeypatch.setattr("memtrace.integrations._viewer._pages._PATIENCE", 0)
        monkeypatch.setattr("memtrace.integrations._viewer._pages._PATIENCE_BESIDE", 0)
        monkeypatch.setattr(Directory, "_read_counts", never)
        page, data = get("/statistics?agent=unregistered", "/statistics.json?agent=unregistered")
        assert "counts of this agent are not read yet" in page.text
        assert "<svg" in page.text
        assert data.json()["agent"] == {"stats": None, "last_activity": None}
        assert "not read yet" not in get("/statistics").text

    def test_the_chosen_agent_is_counted_before_those_that_wait(self, fake, monkeypatch):
        begun, most, gate = [], [], {}

        async def read(directory, agent_id):
            begun.append(agent_id)
            gate[agent_id] = asyncio.Event()
            most.append(len(gate))
            await gate[agent_id].wait()
            del gate[agent_id]
            return AgentCounts(None, None)

        async def until(count):
            for _ in range(1000):  # the reads have no event for it
                if len(begun) >= count:
                    return
                await asyncio.sleep(0)
            raise AssertionError(begun)

        async def main():
            async with fake.async_client("acme") as made:
                directory = Directory(made, fake.clock)
                beside = asyncio.create_task(directory.counts(["a", "b", "c", "d", "e"]))
                await until(2)
                waiting = asyncio.create_task(directory.counts(["d"], first="d"))
                new = asyncio.create_task(directory.counts(["f"], first="f"))
                for count in range(3, 7):
                    await asyncio.sleep(0)
                    gate[begun[count - 3]].set()
                    await until(count)
                for event in gate.values():
                    event.set()
                return [await each for each in (beside, waiting, new)]

        monkeypatch.setattr(Directory, "_read_counts", read)
        counted = asyncio.run(main())
        assert begun == ["a", "b", "f", "d", "c", "e"]
        assert max(most) == 2
        assert [[*each] for each in counted] == [["a", "b", "c", "d", "e"], ["d"], ["f"]]

    def test_agents_are_counted_after_one_that_cannot_be(self, fake, monkeypatch, caplog):
        async def read(directory, agent_id):
            if agent_id in "ab":
                raise RuntimeError("ours")
            return AgentCounts(None, None)

        async def main():
            async with fake.async_client("acme") as made:
                return await Directory(made, fake.clock).counts(["a", "b", "c", "d"])

        monkeypatch.setattr(Directory, "_read_counts", read)
        assert [*asyncio.run(main())] == ["c", "d"]
        gc.collect()
        assert {record.exc_info[0] for record in caplog.records} == {RuntimeError}

    def test_counts_are_read_again_later(self, told, get, fake, client):
        async def twice():
            async with fake.async_client("acme") as made:
                directory = Directory(made, fake.clock)
                before = await directory.counts(["unregistered"])
                again = await directory.counts(["unregistered"])
                fake.clock.advance(6)
                client.memories.add(agent_id="unregistered", content="one more")
                after = await directory.counts(["unregistered"])
                return [each["unregistered"].stats.memory_count for each in (before, again, after)]

        assert asyncio.run(twice()) == [1, 1, 2]

    def test_an_agent_that_cannot_be_counted_has_no_counts(self, told, get, fake):
        fake.faults.add(Fault("status", on="agents.stats", status=400, times=None))
        assert {row["stats"] for row in get("/agents.json").json()["agents"]} == {None}

    def test_the_first_page_is_the_timeline(self, get):
        response = get("/?agent=a&unknown=x")
        assert (response.status_code, response.headers["location"]) == (307, "/timeline?agent=a")

    @pytest.mark.parametrize(
        "path", ["/static/", "/static/viewer.py", "/static/../_app.py", "/templates/layout.html", "/memory"]
    )
    def test_nothing_else_is_served(self, get, path):
        assert get(path).status_code == 404

    @pytest.mark.parametrize("name", ["viewer.css", "viewer.js", "icon.svg"])
    def test_assets_need_nothing_from_elsewhere(self, get, name):
        response = get(f"/static/{name}")
        assert response.status_code == 200
        assert set(re.findall(r"https?://[^\s\"']+", response.text)) <= {"http://www.w3.org/2000/svg"}
        assert "@import" not in response.text

    @pytest.mark.parametrize("tab", TABS)
    def test_every_page_is_json_too(self, told, get, tab):
        response = get(f"/{tab}.json")
        assert response.headers["content-type"] == "application/json"
        assert json.loads(response.text)


def active(page):
    """The filters that a page shows as active, with their values."""
    shown = page.partition('<ul class="active"')[2].partition("</ul>")[0]
    return re.findall(r">(\w+) <bdi>(.*?)</bdi>", shown)


EVERY = {
    "agent": "a",
    "session": "sess_1",
    "type": "episodic",
    "event": "message",
    "since": "7d",
    "until": "2030-01-01",
    "min_importance": "0.8",
    "tag": "drinks",
}
LISTED = {name: value for name, value in EVERY.items() if name != "min_importance"}
APPLIED = {
    "timeline": LISTED,
    "search": EVERY,
    "prompt": EVERY,
    "decisions": {name: value for name, value in LISTED.items() if name != "type"},
    "statistics": LISTED,
    "agents": {},
    "sessions": {"agent": "a"},
}
FILTERED = urlencode(EVERY)


class TestFiltersOfPages:
    @pytest.mark.parametrize("tab", TABS)
    def test_a_page_shows_the_filters_that_it_applies(self, told, get, tab):
        page = get(f"/{tab}?{FILTERED}").text
        assert dict(active(page)) == APPLIED[tab]

    @pytest.mark.parametrize("tab", TABS)
    def test_its_links_carry_the_filters_that_their_page_applies(self, told, get, tab):
        page = get(f"/{tab}?{FILTERED}&q=tea&budget=300").text
        leads = [each["href"] for kind, each in elements(page) if kind == "a" and each["href"].startswith("/")]
        for lead in map(urlsplit, leads):
            target = lead.path.strip("/").removesuffix(".json")
            asked = parse_qs(lead.query)
            assert set(asked) & set(EVERY) <= {*APPLIED[target], "agent", "session"}, lead
        tabs = {urlsplit(lead).path.strip("/"): parse_qs(urlsplit(lead).query) for lead in leads[:7]}
        assert {*tabs} == {*TABS}
        for target, asked in tabs.items():
            assert {name: asked[name] for name in APPLIED[target]} == {
                name: [value] for name, value in APPLIED[target].items()
            }
            assert (asked["q"], asked["budget"]) == (["tea"], ["300"])

    @pytest.mark.parametrize("tab", ["timeline", "search", "decisions", "statistics"])
    def test_its_form_carries_the_filters_that_it_applies(self, told, get, tab):
        page = get(f"/{tab}?{FILTERED}&q=tea&order=asc").text
        form = page.partition('<form class="filters"')[2].partition("</form>")[0]
        named = [each["name"] for kind, each in elements(form) if kind in ("input", "select")]
        assert sorted({*named} - {"q", "order"}) == sorted(APPLIED[tab])
        assert len(named) == len(set(named))

    def test_a_type_on_decisions_leads_to_the_timeline(self, told, get):
        page = get("/decisions").text
        kinds = [each["href"] for _, each in elements(page) if each.get("class") == "kind"]
        assert kinds == ["/timeline?type=decision"]

    @pytest.mark.parametrize("tab", [*TABS, "timeline.json", "statistics.json"])
    @pytest.mark.parametrize(
        ("query", "problem"),
        [
            ("min_importance=much", "min_importance must be a number from 0 to 1"),
            ("min_importance=-1", "min_importance must be a finite number"),
            ("min_importance=nan", "min_importance must be a finite number"),
            ("type=-", "memory_type must be"),
            ("event=-", "event_type must be"),
            ("agent=1", "agent_id must be"),
            ("session=1", "session_id must be"),
            ("tag=*", "tags[0] must be"),
            ("since=yesterday", "since must be"),
            ("until=later", "until must be"),
            ("order=up", "order must be asc or desc"),
        ],
    )
    def test_an_invalid_value_is_refused_on_every_page(self, get, tab, query, problem):
        response = get(f"/{tab}?q=tea&{query}")
        assert response.status_code == 400
        assert problem in html.unescape(response.text)


class TestTimesOutOfTheCalendar:
    """Times of a server that have no place in UTC are shown as the server gave them."""

    EARLIEST = "0001-01-01T00:00:00+14:00"
    LATEST = "9999-12-31T23:59:59-12:00"

    @pytest.mark.parametrize("at", [EARLIEST, LATEST])
    def test_of_sessions(self, told, get, fake, at):
        agent, session = told
        row = {"id": session.id, "org_id": "o", "agent_id": agent.id, "status": "active", "created_at": at}
        row |= {"closed_at": at, "updated_at": at}
        body = json.dumps({"sessions": [row], "count": 1}).encode()
        fake.faults.add(Fault("status", on="sessions.list", status=200, body=body, times=None))
        for path in ("/sessions", f"/timeline?agent={agent.id}", "/sessions.json"):
            page = get(path)
            assert page.status_code == 200
            assert at.replace("T", " ") in page.text.replace("T", " ")

    @pytest.mark.parametrize("at", [EARLIEST, LATEST])
    def test_of_memories(self, client, get, fake, at):
        row = {"time": at, "org_id": "o", "agent_id": "a", "memory_type": "episodic", "event_type": "e", "content": "x"}
        body = json.dumps({"memories": [row], "count": 1, "has_more": False}).encode()
        fake.faults.add(Fault("status", on="memories.list", status=200, body=body, times=None))
        for path in ("/timeline", "/decisions", "/statistics", "/agents", "/timeline.json", "/agents.json"):
            assert get(path).status_code == 200, path
        assert at.replace("T", " ") in get("/timeline").text
        many = json.dumps({"memories": [row] * 101, "count": 101, "has_more": True}).encode()
        fake.faults.clear()
        fake.faults.add(Fault("status", on="memories.list", status=200, body=many, times=None))
        assert link(get("/timeline").text, "next") is not None


class TestErrors:
    @pytest.mark.parametrize("tab", TABS)
    def test_a_server_that_is_away_is_a_banner(self, told, get, fake, tab):
        fake.faults.add(Fault("refused", times=None))
        response = get(f"/{tab}?q=tea")
        assert response.status_code == 502
        assert 'role="alert"' in response.text
        assert f'href="/{tab}?q=tea">Try again' in response.text

    def test_it_goes_on_when_the_server_is_back(self, told, get, fake):
        fake.faults.add(Fault("refused", times=None))
        assert get("/timeline").status_code == 502
        fake.faults.clear()
        assert len(contents(get("/timeline").text)) == 5

    def test_a_rejected_key_is_a_banner_and_json(self, told, get, fake):
        fake.faults.add(Fault("status", status=401, body=b'{"error": "invalid API key"}', times=None))
        page, data, part = get("/timeline", "/timeline.json", "/timeline?part=rows")
        assert (page.status_code, data.status_code, part.status_code) == (502, 502, 502)
        assert "API key" in data.json()["error"]
        assert part.text == ""

    def test_an_invalid_filter_is_a_banner(self, told, get):
        response = get("/timeline?since=yesterday")
        assert response.status_code == 400
        assert "since must be" in response.text
