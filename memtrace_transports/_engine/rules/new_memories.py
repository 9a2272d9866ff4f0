"""A memory as a request asks for it, before it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from sys import intern
from typing import NamedTuple

from memtrace_transports._engine.go_json.reader import JsonObject, Parsed
from memtrace_transports._engine.go_json.structs import Fields, GoStruct, JsonTypeError, fold_name
from memtrace_transports._engine.go_json.writer import compact_object
from memtrace_transports._engine.rules.identifier_rules import (
    first_problem,
    identifier_problem,
    tag_problem,
    type_problem,
)
from memtrace_transports._engine.store.rows import Row

CREATE_MEMORY = GoStruct(
    "memory.CreateRequest",
    {
        "agent_id": "string",
        "session_id": "string",
        "memory_type": "string",
        "event_type": "string",
        "content": "string",
        "metadata": "map[string]interface {}",
        "tags": "[]string",
        "dedup_key": "string",
        "importance": "float64",
        "parent_id": "string",
    },
)

_MEMORY_TYPES = frozenset({"episodic", "session", "decision", "entity"})
_KEY_BYTES = 200


class NewMemory(NamedTuple):
    """The fields of a memory to be written; empty ones are absent."""

    agent_id: str
    session_id: str
    memory_type: str
    event_type: str
    content: str
    metadata: str
    tags: Sequence[str]
    dedup_key: str
    importance: float
    parent_id: str

    @classmethod
    def from_fields(cls, fields: Fields) -> NewMemory:
        """The memory that a decoded body describes, with the server's defaults and the duplicate key filled in.

        Of each text that many rows share there is one object.
        """
        text, metadata = fields.texts.get, fields.objects.get("metadata")
        agent_id, content, event_type = text("agent_id", ""), text("content", ""), text("event_type") or "general"
        return cls(
            intern(agent_id),
            intern(text("session_id", "")),
            intern(text("memory_type") or "episodic"),
            intern(event_type),
            content,
            compact_object(metadata) if metadata else "",
            fields.lists.get("tags", ()),
            text("dedup_key") or generated_key(agent_id, event_type, content),
            fields.numbers.get("importance", 0.0),
            text("parent_id", ""),
        )

    def problem(self) -> str | None:
        """The first reason, in the server's order and words, why this cannot be stored."""
        if not self.agent_id:
            return "agent_id is required"
        if not self.content:
            return "content is required"
        if self.memory_type not in _MEMORY_TYPES:
            return f"invalid memory_type: {self.memory_type}"
        if not (  # most have none: names are put to the checks only for one that has
            identifier_problem(self.agent_id)
            or identifier_problem(self.session_id)
            or type_problem(self.event_type)
            or any(map(tag_problem, self.tags))
        ):
            return None
        checks = (
            ("agent_id", identifier_problem(self.agent_id)),
            ("session_id", identifier_problem(self.session_id)),
            ("event_type", type_problem(self.event_type)),
            *((f"tag '{tag}'", tag_problem(tag)) for tag in self.tags),
        )
        return first_problem(checks)

    def row(self, time: int) -> Row:
        """What storage keeps of it; `time` in microseconds. A single empty tag is lost in the joining."""
        tags = intern(",".join(self.tags)) if self.tags else ""
        return Row(time, *self[:6], tags, *self[7:])  # the same fields in the same order


def generated_key(agent_id: str, event_type: str, content: str) -> str:
    """The duplicate key of a memory that was given none: the content counts up to its first 200 bytes."""
    hashed = f"{agent_id}|{event_type}|".encode() + content.encode()[:_KEY_BYTES]
    return hashlib.sha256(hashed).hexdigest()[:32]


def read_batch(body: Parsed) -> list[NewMemory]:
    """The items of a body's `memories`; none when it does not decode, as the server then reads a single memory."""
    items: list[Parsed] = []
    if isinstance(body, JsonObject):
        for name, value in body.pairs:
            if len(name) == len("memories") and fold_name(name) == "memories":
                if not (value is None or isinstance(value, list)):
                    return []
                items = value or []
    try:
        return [NewMemory.from_fields(CREATE_MEMORY.decode(item)) for item in items]
    except JsonTypeError:
        return []
