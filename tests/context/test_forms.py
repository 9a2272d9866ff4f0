"""What a memory says stays inside its fence and comes out whole: by a CommonMark parser, an XML parser and JSON."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from memtrace import InvalidRequestError
from memtrace.context import build_context, estimate_tokens
from tests.context.memories import hostile, memories, memory, patiently

keys = st.lists(st.sampled_from(["reasoning", "a key", "missing"]) | hostile, max_size=3, unique=True)
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def shared(first, agents):
    """What is written above a group that begins with a memory, beside the day."""
    found = {}
    if first.memory_type != "episodic":
        found["type"] = first.memory_type
    if first.event_type != "general":
        found["event"] = first.event_type
    if agents:
        found["agent"] = first.agent_id
    return found


def attributes(row, agents, first):
    """What is written of a memory beside its time, content and metadata, in a group that begins with another."""
    found = {}
    if row.memory_type != first.memory_type:
        found["type"] = row.memory_type
    if row.event_type != first.event_type:
        found["event"] = row.event_type
    if agents and row.agent_id != first.agent_id:
        found["agent"] = row.agent_id
    if row.importance is not None:
        found["importance"] = f"{row.importance:g}"
    if row.tags:
        found["tags"] = ",".join(row.tags)
    return found


def details(row, wanted):
    found = {key: (row.metadata or {}).get(key) for key in wanted}
    return {key: value for key, value in found.items() if value is not None}


def same_detail(written, value):
    return written == value if isinstance(value, str) else json.loads(written) == value


# ---- Markdown


def in_markdown(text):
    """As CommonMark reads it: every line end is a line feed, and there is no NUL."""
    return re.sub("\r\n?", "\n", text).replace("\0", "\ufffd")


def words(line):
    """The line of attributes, taken apart."""
    quoted = r'"(?:[^"\\]|\\.)*"'
    pattern = re.compile(rf'({quoted}|[^\s="]+)=({quoted}|[^\s"]+)(?: |$)')
    found, place = [], 0
    while place < len(line):
        match = pattern.match(line, place)
        found.append(tuple(json.loads(part) if part.startswith('"') else part for part in match.groups()))
        place = match.end()
    return found


def check_line(line, time, expected):
    """The first line of a block: a time, then attributes."""
    assert len(line.splitlines()) == 1
    written, _, rest = line.partition(" ")
    assert written == time
    found = words(rest)
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert all(same_detail(value, wanted) for (_, value), (_, wanted) in zip(found, expected, strict=True))


@patiently
@given(memories(), keys, st.booleans())
def test_nothing_leaves_its_fence_in_markdown(rows, wanted, agents):
    text = build_context(rows, metadata_keys=wanted, show_agents=agents).text
    tokens = MarkdownIt("commonmark").parse(text)
    blocks = [token for token in tokens if token.type == "fence"]
    around = [token.type for token in tokens if token.type != "fence"]
    heading = ["heading_open", "inline", "heading_close", "paragraph_open", "inline", "paragraph_close"]
    assert around == (heading if rows else [])
    assert [block.info for block in blocks] == ["group", *[""] * len(rows)][: len(blocks)]
    assert len(blocks) == (len(rows) + 1 if rows else 0)
    for block in blocks[:1]:
        check_line(block.content.rstrip("\n"), "2026-03-02", [*shared(rows[0], agents).items()])
    for block, row in zip(blocks[1:], rows, strict=True):
        line, _, content = block.content.partition("\n")
        assert content == in_markdown(f"{row.content}\n")
        check_line(line, "09:00", [*attributes(row, agents, rows[0]).items(), *details(row, wanted).items()])


def test_a_fence_is_longer_than_any_run_of_backticks_in_its_memory():
    text = build_context([memory(content="see ````` here", metadata={"reasoning": "``````"}, event_type="```")]).text
    assert re.findall("^`+", text, re.MULTILINE) == ["`" * 4] * 2 + ["`" * 7] * 2


# ---- XML


def in_xml(text):
    """As XML can say it."""
    return NOT_IN_XML.sub("\ufffd", text)


def check_element(element, row, wanted, agents, first):
    assert element.tag == "memory"
    expected = details(row, wanted)
    assert element.text == in_xml(row.content) + ("\n" if expected else "")
    written = {"time": "09:00", **attributes(row, agents, first)}
    assert element.attrib == {name: in_xml(value) for name, value in written.items()}
    assert [(child.tag, child.attrib) for child in element] == [("metadata", {"name": in_xml(key)}) for key in expected]
    assert [child.tail for child in element] == ["\n"] * (len(expected) - 1) + [None] * bool(expected)
    for child, value in zip(element, expected.values(), strict=True):
        plain = in_xml(value) if isinstance(value, str) else json.loads(in_xml(json.dumps(value, ensure_ascii=False)))
        assert same_detail(child.text or "", plain)


def check_group(element, first, agents):
    assert (element.tag, element.text, len(element)) == ("group", None, 0)
    written = {"day": "2026-03-02", **shared(first, agents)}
    assert element.attrib == {name: in_xml(value) for name, value in written.items()}


@patiently
@given(memories(), keys, st.booleans())
def test_nothing_leaves_its_element_in_xml(rows, wanted, agents):
    text = build_context(rows, format="xml", metadata_keys=wanted, show_agents=agents).text
    root = ET.fromstring(f"<all>{text}</all>")
    assert len(root) == (len(rows) + 1 if rows else 0)
    assert (root.text or "").count("\n") == bool(rows)
    for element in root[:1]:
        check_group(element, rows[0], agents)
    for element, row in zip(root[1:], rows, strict=True):
        check_element(element, row, wanted, agents, rows[0])
        assert element.tail == "\n"


@patiently
@given(memories(), keys, st.booleans())
def test_every_message_is_one_memory_in_its_element(rows, wanted, agents):
    context = build_context(rows, format="messages", metadata_keys=wanted, show_agents=agents)
    assert {message["role"] for message in context.messages} <= {"user"}
    assert len(context.messages) == (len(rows) + 1 if rows else 0)
    for number, (message, row) in enumerate(zip(context.messages[1:], rows, strict=True)):
        above, element = ([None] + [*ET.fromstring(f"<all>{message['content']}</all>")])[-2:]
        check_element(element, row, wanted, agents, rows[0])
        assert (above is None) is (number > 0)
        if above is not None:
            check_group(above, row, agents)
    assert context.text == "".join(f"{message['content']}\n" for message in context.messages)


@pytest.mark.parametrize("form", ["markdown", "xml"])
def test_a_text_is_one_message_too(form):
    context = build_context([memory()], format=form)
    assert context.messages == [{"role": "user", "content": context.text}]


# ---- what is written


def test_a_time_is_written_in_utc():
    row = memory(time="2026-03-02T01:00:00.999+02:00")
    assert "\n2026-03-01 event=message\n" in build_context([row]).text
    assert "\n23:00\nsomething\n" in build_context([row]).text


def test_the_time_is_when_it_occurred():
    rows = [memory(1, "later"), memory(2, "before", metadata={"occurred_at": "2020-01-01T00:00:00Z"})]
    context = build_context(rows)
    assert context.memories == rows[::-1]
    assert "\n2020-01-01 event=message\n" in context.text


# ---- groups and gaps


@pytest.mark.parametrize("form", ["markdown", "xml", "messages"])
def test_what_a_group_shares_is_written_once(form):
    rows = [
        *(memory(n, f"first {n}", session_id="one") for n in range(3)),
        *(memory(90_000 + n, f"next day {n}", session_id="one") for n in range(2)),
        memory(90_010, "another session", session_id="two"),
        memory(90_020, "of none"),
        memory(90_030, "again", session_id="one"),
    ]
    text = build_context(rows, format=form).text
    days = re.findall(r"(?:^|day=.)(2026-03-0\d)", text, re.MULTILINE)
    assert days == ["2026-03-02", "2026-03-03", "2026-03-03", "2026-03-03", "2026-03-03"]
    assert re.findall(r'session="?(\d)', text) == ["1", "1", "2", "1"]
    assert text.count("event=") == 5


@pytest.mark.parametrize(
    ("form", "mark"), [("markdown", "\n\n...\n\n"), ("xml", "\n<omitted/>\n"), ("messages", "\n<omitted/>\n")]
)
def test_a_gap_is_marked(form, mark):
    rows = [memory(n, f"apple {n}") for n in range(9)]
    wanted = {1, 2, 5, 6, 8}
    settings = {
        "rank": lambda row: rows.index(row) in wanted,
        "count_tokens": lambda text: 100 * text.count("apple ") or 1,
    }
    context = build_context(rows, format=form, max_tokens=530, **settings)
    assert [rows.index(row) for row in context.memories] == sorted(wanted)
    assert context.text.count(mark) == 2
    assert mark not in build_context(rows, format=form).text


def test_a_form_costs_little():
    rows = [memory(20 * n, "User said that the weather was fine today") for n in range(100)]
    contents = estimate_tokens(rows[0].content) * 100
    for form in ("markdown", "xml"):
        assert (build_context(rows, format=form).tokens - contents) / 100 <= 12.5


def test_a_time_without_a_zone_is_refused():
    row = memory().model_copy(update={"time": memory().time.replace(tzinfo=None)})
    with pytest.raises(InvalidRequestError, match="naive datetime") as caught:
        build_context([row])
    assert caught.value.field == "memories"
    assert "something" not in str(caught.value)


def test_the_reasoning_of_a_decision_is_written_and_no_other_metadata_unless_asked_for():
    row = memory(metadata={"reasoning": "it is late", "screen": {"b": 1, "a": [True]}})
    assert 'reasoning="it is late"' in build_context([row]).text
    assert "screen" not in build_context([row]).text
    assert 'screen="{\\"a\\":[true],\\"b\\":1}"' in build_context([row], metadata_keys=["screen"]).text
    assert "it is late" not in build_context([row], metadata_keys=["screen"]).text


def test_metadata_in_another_order_is_written_the_same():
    texts = [
        build_context([memory(metadata={"k": value})], metadata_keys=["k"], format=form).text
        for form in ("markdown", "xml")
        for value in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    ]
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]
