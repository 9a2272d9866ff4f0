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
from memtrace.context import build_context
from tests.context.memories import hostile, memories, memory, patiently

keys = st.lists(st.sampled_from(["reasoning", "a key", "missing"]) | hostile, max_size=3, unique=True)
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def attributes(row, agents):
    """What is written of a memory beside its content and metadata."""
    found = {"time": row.time.strftime("%Y-%m-%dT%H:%M:%SZ"), "type": row.memory_type, "event": row.event_type}
    if agents:
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


@patiently
@given(memories(), keys, st.booleans())
def test_nothing_leaves_its_fence_in_markdown(rows, wanted, agents):
    text = build_context(rows, metadata_keys=wanted, show_agents=agents).text
    tokens = MarkdownIt("commonmark").parse(text)
    blocks = [token for token in tokens if token.type == "fence"]
    around = [token.type for token in tokens if token.type != "fence"]
    heading = ["heading_open", "inline", "heading_close", "paragraph_open", "inline", "paragraph_close"]
    assert around == (heading if rows else [])
    assert [block.info for block in blocks] == ["memory"] * len(rows)
    for block, row in zip(blocks, rows, strict=True):
        line, _, content = block.content.partition("\n")
        assert content == in_markdown(f"{row.content}\n")
        assert len(line.splitlines()) == 1
        expected = [*attributes(row, agents).items(), *details(row, wanted).items()]
        found = words(line)
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert all(same_detail(value, wanted) for (_, value), (_, wanted) in zip(found, expected, strict=True))


def test_a_fence_is_longer_than_any_run_of_backticks_in_its_memory():
    text = build_context([memory(content="see ````` here", metadata={"reasoning": "``````"})]).text
    assert re.findall("^`+", text, re.MULTILINE) == ["`" * 7] * 2


# ---- XML


def in_xml(text):
    """As XML can say it."""
    return NOT_IN_XML.sub("\ufffd", text)


def check_element(element, row, wanted, agents):
    assert element.tag == "memory"
    assert element.text == f"\n{in_xml(row.content)}\n"
    assert element.attrib == {name: in_xml(value) for name, value in attributes(row, agents).items()}
    expected = details(row, wanted)
    assert [(child.tag, child.attrib, child.tail) for child in element] == [
        ("metadata", {"name": in_xml(key)}, "\n") for key in expected
    ]
    for child, value in zip(element, expected.values(), strict=True):
        plain = in_xml(value) if isinstance(value, str) else json.loads(in_xml(json.dumps(value, ensure_ascii=False)))
        assert same_detail(child.text or "", plain)


@patiently
@given(memories(), keys, st.booleans())
def test_nothing_leaves_its_element_in_xml(rows, wanted, agents):
    text = build_context(rows, format="xml", metadata_keys=wanted, show_agents=agents).text
    root = ET.fromstring(f"<all>{text}</all>")
    assert len(root) == len(rows)
    assert (root.text or "").count("\n") == bool(rows)
    for element, row in zip(root, rows, strict=True):
        check_element(element, row, wanted, agents)
        assert element.tail == "\n"


@patiently
@given(memories(), keys, st.booleans())
def test_every_message_is_one_memory_in_its_element(rows, wanted, agents):
    context = build_context(rows, format="messages", metadata_keys=wanted, show_agents=agents)
    assert {message["role"] for message in context.messages} <= {"user"}
    assert len(context.messages) == (len(rows) + 1 if rows else 0)
    for message, row in zip(context.messages[1:], rows, strict=True):
        check_element(ET.fromstring(message["content"]), row, wanted, agents)
    assert context.text == "".join(f"{message['content']}\n" for message in context.messages)


@pytest.mark.parametrize("form", ["markdown", "xml"])
def test_a_text_is_one_message_too(form):
    context = build_context([memory()], format=form)
    assert context.messages == [{"role": "user", "content": context.text}]


# ---- what is written


def test_a_time_is_written_in_utc_and_whole_seconds():
    row = memory(time="2026-03-02T11:00:00.999+02:00")
    assert "time=2026-03-02T09:00:00Z " in build_context([row]).text


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
