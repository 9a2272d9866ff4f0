"""What a model gets back: memories as JSON within a bound, and errors that say what it can do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from memtrace._support.error_text import closed
from memtrace.exceptions import ConflictError, InvalidRequestError, MemtraceError, PayloadTooLargeError
from memtrace.integrations.tools._definitions import SchemaFormat, check_schema_format
from memtrace.integrations.tools._scope import Action
from memtrace.models import Memory
from memtrace.operations._time_bounds import WRITTEN_RULES


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of one tool call, for the model: text, and whether it is a failure. `error` is for the application.

    Example:
        >>> ToolResult("Stored.").message("anthropic", "toolu_1")
        {'type': 'tool_result', 'tool_use_id': 'toolu_1', 'content': 'Stored.', 'is_error': False}
    """

    text: str = field(repr=False)
    is_error: bool = False
    #: The exception, if any. A duplicate is not a failure for the model, but its exception is here too.
    error: MemtraceError | None = None
    #: The same as a JSON object, for protocols that have one. Each memory has its exact `time` and its `dedup_key`,
    #: which identify it. None for a failure.
    structured_content: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    #: The memory that this call stored, if any.
    stored: Memory | None = field(default=None, repr=False, compare=False)

    def message(self, format: SchemaFormat, call_id: str) -> dict[str, Any]:
        """Create the provider's message for this result.

        Args:
            format: The provider's format. ``openai``: a message of the role ``tool``.
                ``openai-responses``: an input item. ``anthropic``: a content block of a user
                message.
            call_id: The ID of the model's tool call.

        Returns:
            The message.

        Raises:
            ConfigurationError: The format is unknown.
        """
        check_schema_format(format)
        if format == "openai":
            return {"role": "tool", "tool_call_id": call_id, "content": self.text}
        if format == "openai-responses":
            return {"type": "function_call_output", "call_id": call_id, "output": self.text}
        return {"type": "tool_result", "tool_use_id": call_id, "content": self.text, "is_error": self.is_error}


_Fields = dict[str, object]


# ---- answers --------------------------------------------------------------------------------------------------------


def success(action: Action, answer: Memory | Sequence[Memory], max_chars: int) -> ToolResult:
    """The result of a call that the server answered."""
    if isinstance(answer, Memory):
        content = {"stored": True, **_identity(answer)}
        return ToolResult("Stored.", structured_content=content, stored=answer)
    shown, more = _shown(answer[: action.rows], max_chars, more=len(answer) > action.rows)
    text = _json({"memories": [described for described, _ in shown], "more": more})
    found = [{**described, **identity} for described, identity in shown]
    return ToolResult(text, structured_content={"memories": found, "more": more})


def _shown(memories: Sequence[Memory], max_chars: int, *, more: bool) -> tuple[list[tuple[_Fields, _Fields]], bool]:
    """As many memories as the bound lets in with what identifies them, and whether there are more.

    The first of them is cut if it alone is too long.
    """
    room = max_chars - len(_json({"memories": [], "more": False}))
    shown: list[tuple[_Fields, _Fields]] = []
    for memory in memories:
        described, identity = _describe(memory), _identity(memory)
        if not shown and len(_json({**described, **identity})) > room:
            described = _cut(memory, identity, room)
        size = len(_json({**described, **identity}))
        if size > room:
            return shown, True
        room -= size + len(", ")
        shown.append((described, identity))
    return shown, more


def _identity(memory: Memory) -> _Fields:
    """What identifies a memory, since the server gives it no ID."""
    fields = {
        "time": _exact(memory.time),
        "occurred_at": _exact(memory.occurred_at) if memory.occurred_at != memory.time else None,
        "dedup_key": memory.dedup_key,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _exact(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _describe(memory: Memory) -> _Fields:
    reasoning = (memory.metadata or {}).get("reasoning")
    fields = {
        "time": memory.occurred_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "type": memory.memory_type,
        "event": memory.event_type if memory.event_type not in ("general", memory.memory_type) else None,
        "content": memory.content,
        "reasoning": reasoning if memory.memory_type == "decision" and isinstance(reasoning, str) else None,
        "tags": memory.tags,
        "importance": memory.importance,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _cut(memory: Memory, identity: _Fields, room: int) -> _Fields:
    """A memory that is too long for the bound, with as much of its content as there is room for."""
    fields = {name: value for name, value in _describe(memory).items() if name not in ("tags", "reasoning")}
    low, high = 0, len(memory.content)
    while low < high:
        middle = (low + high + 1) // 2
        fits = len(_json({**fields, "content": memory.content[:middle], "content_cut": True, **identity})) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return {**fields, "content": memory.content[:low], "content_cut": True}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# ---- failures -------------------------------------------------------------------------------------------------------

_DUPLICATE_HINT: Final = (
    "Not stored: the same was stored within the last 24 hours, or something that begins alike. "
    "If this says something new, write that first and store it again."
)
_TOO_LONG_HINT: Final = "Not done: this is too long. Shorten it and call again."
_UNKNOWN_OUTCOME_HINT: Final = (
    "It is not known whether this was stored. Look for it with another tool before you store it again."
)
_RETRY_HINT: Final = "The memory did not answer. You can try again later; until then go on without it."
_UNAVAILABLE_HINT: Final = "The memory cannot be used now. Go on without it, and do not try again."

_THEIR_NAMES: Final = {"decide": {"content": "decision"}}


def is_correctable(error: MemtraceError | None) -> bool:
    """Whether the model can correct its call: the SDK refused an argument, or something is too long."""
    return isinstance(error, PayloadTooLargeError) or (isinstance(error, InvalidRequestError) and not error.status_code)


def failure(action: Action | None, error: MemtraceError) -> ToolResult:
    """The result of a call that failed: what the model can do, and nothing of addresses, keys and servers."""
    if isinstance(error, InvalidRequestError) and is_correctable(error):
        return ToolResult(_corrected(action, error), is_error=True, error=error)
    if isinstance(error, ConflictError) and error.code == "duplicate_memory":
        return ToolResult(_DUPLICATE_HINT, error=error)
    if isinstance(error, PayloadTooLargeError):
        return ToolResult(_TOO_LONG_HINT, is_error=True, error=error)
    text = _UNKNOWN_OUTCOME_HINT if error.maybe_applied else _RETRY_HINT if error.retryable else _UNAVAILABLE_HINT
    return ToolResult(text, is_error=True, error=error)


def _corrected(action: Action | None, error: InvalidRequestError) -> str:
    """The error message, in the tool's own argument names."""
    names = _THEIR_NAMES.get(action.definition.tool, {}) if action is not None else {}
    name = names.get(error.field or "")
    written = WRITTEN_RULES.get(error.rule or "")
    problem = f"{name} {error.problem}" if name and error.problem else error.message
    problem = f"{error.field} must be {written}" if written else problem
    return f"Not done: {closed(problem)} Correct it and call again."
