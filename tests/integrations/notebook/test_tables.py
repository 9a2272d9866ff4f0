"""What notebooks show: tables that hold everything as text, within bounds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import AddMemoryRequest, Agent, AgentList, BatchResult, Health, Memory, MemoryList, Outcome, SearchResult
from memtrace.context import build_context
from memtrace.exceptions import InvalidRequestError
from memtrace.integrations.notebook import CELL_SHOWN, ROWS_SHOWN, TEXT_SHOWN, to_html
from memtrace.ranking import SearchHit, SearchHits
from memtrace_transports import FakeMemtrace

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
ALLOWED = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The elements of a page, its caption, its rows of cells, and what stands behind the table."""

    def __init__(self, html):
        super().__init__()
        self.open, self.rows, self.caption, self.rest, self.attributes = [], [], "", "", set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in ALLOWED
        self.attributes |= {name for name, _ in attributes}
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data
        elif self.open[-1] == "caption":
            self.caption += data
        else:
            self.rest += data

    def handle_comment(self, data):
        raise AssertionError("a comment came through")

    def handle_decl(self, decl):
        raise AssertionError("a declaration came through")

    def column(self, name):
        place = self.rows[0].index(name)
        return [row[place] for row in self.rows[1:]]

    @property
    def fields(self):
        return dict(self.rows)


def memory(content="hello", **fields):
    given = {"time": NOON, "org_id": "o", "agent_id": "a", "memory_type": "episodic", "event_type": "general"}
    return Memory(**{**given, "content": content, **fields})


def page_of(*rows, has_more=False):
    return Page(MemoryList(memories=list(rows), count=len(rows), has_more=has_more)._repr_html_())


def test_hits_are_a_table_with_scores_and_counts():
    hits = SearchHits([SearchHit(memory("<b>one</b>"), 2.345, 3), SearchHit(memory("two"), 1.0)])
    page = Page(hits._repr_html_())
    assert page.caption == "SearchHits: 2 hits"
    assert page.rows[0] == ["score", "count", "time", "content", "memory_type", "event_type", "agent_id"]
    assert [row[:2] + row[3:4] for row in page.rows[1:]] == [["2.35", "3", "<b>one</b>"], ["1.00", "", "two"]]
    assert "count" not in Page(hits[1:]._repr_html_()).rows[0]
    assert to_html(SearchHits()) == SearchHits()._repr_html_()
    assert Page(to_html(SearchHits())).caption == "SearchHits: 0 hits"


def test_a_prompt_context_is_a_table_of_its_figures_and_its_text():
    context = build_context([memory("<script>tea</script>"), memory("cake " * 3)], max_tokens=110)
    page = Page(context._repr_html_())
    assert page.caption == "PromptContext"
    assert page.fields["tokens"] == str(context.tokens)
    assert page.fields["memories"] == str(len(context.memories))
    assert "<script>tea" in page.fields["text"] or "cake" in page.fields["text"]
    assert to_html(context) == context._repr_html_()
    assert set(Page(build_context([])._repr_html_()).fields) == {"tokens", "memories", "omitted", "revision"}
    assert "src=" not in context._repr_html_()


def test_a_list_of_memories_is_a_table_of_its_rows():
    page = page_of(memory("one", tags=["ui", "b"], importance=0.0), memory("two", metadata={"é": [1, None]}))
    assert page.caption == "MemoryList: 2 memories"
    assert page.rows == [
        ["time", "content", "memory_type", "event_type", "tags", "importance", "metadata", "agent_id"],
        ["2026-11-22 12:00:00 UTC", "one", "episodic", "general", "ui, b", "0.0", "", "a"],
        ["2026-11-22 12:00:00 UTC", "two", "episodic", "general", "", "", '{"é": [1, null]}', "a"],
    ]
    assert page.rest == ""


def test_a_column_in_which_no_row_has_anything_is_left_out():
    assert "session_id" not in page_of(memory()).rows[0]
    assert page_of(memory(), memory(session_id="s")).column("session_id") == ["", "s"]


def test_an_empty_list_says_so():
    page = page_of()
    assert (page.caption, page.rows) == ("MemoryList: 0 memories", [])


def test_rows_beyond_the_bound_are_counted_and_not_shown():
    page = page_of(*(memory(f"row {i}") for i in range(ROWS_SHOWN + 1234)), has_more=True)
    assert page.caption == "MemoryList: 1,284 memories; more may follow"
    assert page.column("content") == [f"row {i}" for i in range(ROWS_SHOWN)]
    assert page.rest == "… and 1,234 more, which are not shown"


def test_exactly_as_many_rows_as_are_shown_hide_nothing():
    page = page_of(*(memory() for _ in range(ROWS_SHOWN)))
    assert (len(page.rows), page.rest) == (ROWS_SHOWN + 1, "")


def test_a_long_cell_is_cut_and_says_by_how_much():
    assert page_of(memory("x" * CELL_SHOWN)).column("content") == ["x" * CELL_SHOWN]
    assert page_of(memory("x" * (CELL_SHOWN + 1500))).column("content") == ["x" * CELL_SHOWN + "… (1,500 more)"]


def test_a_single_model_shows_more_of_a_field():
    page = Page(memory("x" * (TEXT_SHOWN + 1))._repr_html_())
    assert page.caption == "Memory"
    assert page.fields["content"] == "x" * TEXT_SHOWN + "… (1 more)"


def test_the_whole_table_is_bounded_whatever_it_holds():
    huge = {"k": ["<&>" * 10_000]}
    rows = [memory("<" * 100_000, metadata=huge, tags=["t" * 60] * 1000, session_id="s" * 10_000)] * 5000
    assert len(MemoryList(memories=rows, count=5000, has_more=False)._repr_html_()) < 500_000


def test_fields_that_a_newer_server_adds_are_shown_and_escaped():
    page = Page(Health(status="ok", service="s", uptime="1s", **{"<b>new": "<i>&"})._repr_html_())
    assert page.fields == {"status": "ok", "service": "s", "uptime": "1s", "<b>new": "<i>&"}


def test_more_fields_than_are_shown_are_counted():
    extra = {f"x{i}": i for i in range(100)}
    page = Page(Health(status="ok", service="s", uptime="1s", **extra)._repr_html_())
    assert (len(page.rows), page.rest) == (ROWS_SHOWN, "… and 53 more fields, which are not shown")


@given(
    st.text(
        alphabet=st.characters(exclude_characters="\r", exclude_categories=("Cs",)), min_size=1, max_size=CELL_SHOWN
    )
)
def test_any_content_comes_out_as_text_and_never_as_markup(content):
    shown = page_of(memory(content, tags=[content], metadata={content: content}))
    wanted = "".join("\ufffd" if c not in "\t\n" and not c.isprintable() and ord(c) < 0xA0 else c for c in content)
    assert shown.rows[1][1] == wanted
    assert shown.attributes <= {"class", "style", "scope", "dir"}


def test_what_no_page_can_show_is_a_replacement_character():
    assert page_of(memory("a\x00b\x1bc\r\nd\re")).column("content") == ["a\ufffdb\ufffdc\nd\ne"]
    assert to_html(Memory.model_construct(content="\ud800")).encode()


def test_no_colour_is_set_but_grey_lines_so_that_light_and_dark_pages_keep_theirs():
    html = MemoryList(memories=[memory()], count=1, has_more=False)._repr_html_()
    assert "background" not in html
    assert html.count("rgba(") == html.count("border-bottom:1px solid rgba(128,128,128,.35)") > 0
    assert ";color:" not in html


def test_a_time_with_another_offset_keeps_it():
    row = memory(time=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))
    assert page_of(row).column("time") == ["0001-01-01 00:00:00+14:00"]


def test_a_search_tells_its_time():
    page = Page(SearchResult(results=[memory()], count=1, query_time_ms=7)._repr_html_())
    assert page.caption == "SearchResult: 1 memory in 7 ms of the storage"


def test_a_batch_shows_first_what_was_not_stored():
    error = InvalidRequestError("<b> is no tag")
    result = BatchResult(
        (Outcome(0, "stored", memory("one")), Outcome(1, "duplicate"), Outcome(2, "failed", error=error))
    )
    page = Page(result._repr_html_())
    assert page.caption == "BatchResult of 3 memories: 1 stored, 1 duplicate, 1 failed"
    assert page.column("index") == ["2", "0", "1"]
    assert page.column("content") == ["", "one", ""]
    assert page.column("error")[0].startswith("<b> is no tag")
    assert Page(BatchResult(())._repr_html_()).caption == "BatchResult of 0 memories: nothing"


def test_what_the_client_reads_shows_itself():
    client = FakeMemtrace().client(org="acme")
    agent = client.agents.register(name="<assistant>", config={"model": "large"})
    session = client.sessions.create(agent_id=agent.id)
    client.memories.add(agent_id=agent.id, session_id=session.id, content="User likes tea")
    assert Page(client.agents.list()._repr_html_()).column("name") == ["<assistant>"]
    assert Page(client.agents.list()._repr_html_()).caption == "AgentList: 1 agent"
    assert Page(client.sessions.list()._repr_html_()).column("id") == [session.id]
    assert Page(agent._repr_html_()).fields["config"] == '{"model": "large"}'
    assert Page(session._repr_html_()).fields["status"] == "active"
    assert Page(client.agents.stats(agent.id)._repr_html_()).fields["memory_types"] == '{"episodic": 1}'
    assert "User likes tea" in Page(client.sessions.context(session.id)._repr_html_()).fields["context"]
    assert Page(client.health()._repr_html_()).fields["status"] == "ok"


def test_models_without_validation_show_what_they_have():
    page = Page(AgentList(agents=[Agent.model_construct(id="a")], count=1)._repr_html_())
    assert page.rows == [["id"], ["a"]]


@pytest.mark.parametrize("kind", [AddMemoryRequest])
def test_what_is_sent_shows_itself_as_before(kind):
    assert not hasattr(kind, "_repr_html_")


def test_any_other_model_is_a_table_of_its_fields():
    html = to_html(AddMemoryRequest(agent_id="assistant", content="<b>tea</b>"))
    assert "<caption" in html
    assert "AddMemoryRequest" in html
    assert "&lt;b&gt;tea&lt;/b&gt;" in html
