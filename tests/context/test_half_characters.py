"""A memory made by hand may hold half of a character; a context has the replacement character in its place."""

from __future__ import annotations

import pytest

from memtrace import Memory
from memtrace.context import build_context, estimate_tokens
from tests.context.memories import EPOCH

HALF = "a\ud800b"
WHOLE = "a\ufffdb"
FIELDS = {
    "content": HALF,
    "agent_id": HALF,
    "event_type": HALF,
    "memory_type": HALF,
    "tags": ["ui", HALF],
    "metadata": {"reasoning": HALF},
    "a key of metadata": {HALF: 1},
    "a value inside": {"reasoning": [HALF]},
    "a key inside": {"reasoning": {HALF: 1}},
}


def by_hand(name, value):
    field = "metadata" if name.startswith("a ") else name
    given = {
        "time": EPOCH,
        "org_id": "o",
        "agent_id": "a",
        "memory_type": "episodic",
        "event_type": "e",
        "content": "c",
    }
    return Memory.model_construct(**{**given, field: value})


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("format", ["markdown", "xml", "messages"])
@pytest.mark.parametrize("max_tokens", [None, 1000])
def test_every_field_of_a_memory_is_written_in_whole_characters(name, format, max_tokens):
    counted = []
    context = build_context(
        [by_hand(name, FIELDS[name])],
        format=format,
        max_tokens=max_tokens,
        count_tokens=lambda text: counted.append(text) or estimate_tokens(text),
        metadata_keys=["reasoning", HALF],
        show_agents=True,
    )
    for text in (context.text, *(message["content"] for message in context.messages), *counted):
        text.encode()
    assert WHOLE in context.text
    assert len(context.memories) == 1


def test_a_heading_alone_needs_no_memory():
    assert build_context([by_hand("content", HALF)], max_tokens=1).text == ""


def test_half_a_character_is_estimated_as_the_replacement_character():
    assert estimate_tokens(HALF * 10) == estimate_tokens(WHOLE * 10)
