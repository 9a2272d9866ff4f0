"""A memory as a request asks for it, before it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from memtrace_transports.memory.json_fields import Fields, JsonTypeError, Struct, fold_name
from memtrace_transports.memory.json_reader import Members, Parsed
from memtrace_transports.memory.json_writer import compact_object
from memtrace_transports.memory.patterns import identifier_fault, tag_fault, type_fault
from memtrace_transports.memory.store import Row

__all__ = ["CREATE_MEMORY", "Draft", "read_batch"]

CREATE_MEMORY = Struct(
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


@dataclass(frozen=True, slots=True)
class Draft:
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
    def from_fields(cls, fields: Fields) -> Draft:
        """The draft that a decoded body describes, with the server's defaults and the duplicate key filled in."""
        agent_id, content = fields.text("agent_id"), fields.text("content")
        event_type = fields.text("event_type") or "general"
        return cls(
            agent_id=agent_id,
            session_id=fields.text("session_id"),
            memory_type=fields.text("memory_type") or "episodic",
            event_type=event_type,
            content=content,
            metadata=compact_object(fields.members("metadata") or {}),
            tags=fields.strings("tags"),
            dedup_key=fields.text("dedup_key") or generated_key(agent_id, event_type, content),
            importance=fields.number("importance"),
            parent_id=fields.text("parent_id"),
        )

    def fault(self) -> str | None:
        """The first reason, in the server's order and words, why this cannot be stored."""
        if not self.agent_id:
            return "agent_id is required"
        if not self.content:
            return "content is required"
        if self.memory_type not in _MEMORY_TYPES:
            return f"invalid memory_type: {self.memory_type}"
        return self._pattern_fault()

    def _pattern_fault(self) -> str | None:
        checks = (
            ("agent_id", identifier_fault(self.agent_id)),
            ("session_id", identifier_fault(self.session_id)),
            ("event_type", type_fault(self.event_type)),
            *((f"tag '{tag}'", tag_fault(tag)) for tag in self.tags),
        )
        return next((f"invalid {name}: {fault}" for name, fault in checks if fault), None)

    def row(self, time: int) -> Row:
        """What storage keeps of it; `time` in microseconds. A single empty tag is lost in the joining."""
        return Row(
            time=time,
            agent_id=self.agent_id,
            session_id=self.session_id,
            memory_type=self.memory_type,
            event_type=self.event_type,
            content=self.content,
            metadata=self.metadata,
            tags=",".join(self.tags),
            dedup_key=self.dedup_key,
            importance=self.importance,
            parent_id=self.parent_id,
        )


def generated_key(agent_id: str, event_type: str, content: str) -> str:
    """The duplicate key of a memory without one of its own: the content counts up to its first 200 bytes."""
    hashed = f"{agent_id}|{event_type}|".encode() + content.encode()[:_KEY_BYTES]
    return hashlib.sha256(hashed).hexdigest()[:32]


def read_batch(body: Parsed) -> list[Draft]:
    """The items of a body's `memories`; none when it does not decode, as the server then reads a single memory."""
    items: list[Parsed] = []
    if isinstance(body, Members):
        for name, value in body.pairs:
            if fold_name(name) == "memories":
                found = _items(value)
                if found is None:
                    return []
                items = found
    try:
        return [Draft.from_fields(CREATE_MEMORY.decode(item)) for item in items]
    except JsonTypeError:
        return []


def _items(value: Parsed) -> list[Parsed] | None:
    if value is None:
        return []
    return value if isinstance(value, list) else None
