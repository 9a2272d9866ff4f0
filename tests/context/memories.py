"""Memories for the tests of contexts: any, and such as try to leave their fence."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from memtrace import Memory
from memtrace.models import WIRE

#: Whole histories and parsers take their time where other tests run beside them.
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

EPOCH = datetime(2026, 3, 2, 9, tzinfo=timezone.utc)


def memory(second=0, content="something", **fields):
    """A memory of so many seconds after the epoch, as it comes from the wire."""
    given = {
        "time": EPOCH + timedelta(seconds=second),
        "org_id": "o",
        "agent_id": "a",
        "memory_type": "episodic",
        "event_type": "message",
        "content": content,
        **fields,
    }
    return Memory.model_validate(given, context=WIRE)


def history(*rows):
    """Memories a second apart, of ``(content, importance)``."""
    return [
        memory(second, content, **({} if importance is None else {"importance": importance}))
        for second, (content, importance) in enumerate(rows)
    ]


_ATTACKS = st.sampled_from(
    [
        *("```", "````", "~~~", "`", "\n```\n", "\n   ````\n", "```memory\n", "\n\n", "\r", "\r\n", "\t", "    "),
        *("</memory>", "<memory>", '<memory time="', "</metadata>", "<![CDATA[", "]]>", "<!--", "-->", "&lt;", "&#10;"),
        *(
            '"',
            "'",
            "=",
            " ",
            "\\",
            "\\n",
            "\x00",
            "\x0b",
            "\x0c",
            "\x1b",
            "\x85",
            "\u2028",
            "\u2029",
            "\ufffe",
            "\uffff",
        ),
        *("# ", "> ", "- ", "\n---\n", "\n## Memories, oldest first\n", "é", "語", "👩\u200d👧", "e\u0301"),
    ]
)
hostile = st.lists(_ATTACKS | st.text(max_size=3), max_size=6).map("".join)
contents = hostile.filter(bool)
_json = (
    st.sampled_from([True, 3, 0.5, [], {}])
    | hostile
    | st.lists(hostile, max_size=2)
    | st.fixed_dictionaries({"k": hostile})
)
_metadata = st.none() | st.dictionaries(st.sampled_from(["reasoning", "a key"]) | hostile, _json, max_size=2)
_rows = st.lists(
    st.tuples(contents, st.tuples(hostile, hostile, hostile), st.none() | st.lists(hostile, max_size=2), _metadata),
    max_size=4,
)


@st.composite
def memories(draw):
    """Up to four memories, every text of which may be hostile."""
    return [
        memory(
            second,
            content,
            **dict(zip(("memory_type", "event_type", "agent_id"), names, strict=True)),
            tags=tags,
            importance=draw(st.sampled_from([None, 0.25, 1 / 3, 1])),
            metadata=metadata,
        )
        for second, (content, names, tags, metadata) in enumerate(draw(_rows))
    ]
