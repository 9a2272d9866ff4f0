"""The text of a session's context, as the server writes it."""

from __future__ import annotations

from collections.abc import Sequence

from memtrace_transports._engine.go_json.reader import decode_utf8
from memtrace_transports._engine.go_json.structs import GoStruct
from memtrace_transports._engine.store.rows import Row
from memtrace_transports._engine.timestamps import rfc3339

CONTEXT = GoStruct("session.ContextRequest", {"since": "string", "include_types": "[]string", "max_tokens": "int"})

_CONTENT_BYTES = 80
_GROUPS = ("Recent Actions", "Decisions Made", "Errors", "Other")


def context_text(session_id: str, rows: Sequence[Row]) -> str:
    """Markdown of `rows`, newest first: a heading, then the groups that are not empty.

    A blank line follows every group but the last kind. Content is cut at 80 bytes, which can split a character.
    """
    groups: dict[str, list[str]] = {name: [] for name in _GROUPS}
    for row in rows:
        groups[_group(row)].append(f"- [{rfc3339(row.time)}] {row.event_type}: {_cut(row.content)}\n")
    text = f"## Session Context ({session_id})\n\n"
    for name, lines in groups.items():
        if lines:
            text += f"### {name} ({len(lines)})\n{''.join(lines)}" + ("" if name == "Other" else "\n")
    return text


def _group(row: Row) -> str:
    if row.memory_type == "episodic":
        return "Recent Actions"
    if row.memory_type == "decision":
        return "Decisions Made"
    return "Errors" if row.memory_type == "session" and row.event_type == "error" else "Other"


def _cut(content: str) -> str:
    data = content.encode()
    return content if len(data) <= _CONTENT_BYTES else decode_utf8(data[:_CONTENT_BYTES]) + "..."
