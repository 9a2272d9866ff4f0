"""The four tools for one agent, as MCP offers them: `memtrace.integrations.tools` with titles and output schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from mcp import types

from memtrace.integrations.mcp._output_schemas import OPTIONAL_TEXTS, array_of, object_of
from memtrace.integrations.tools import AsyncMemoryTools, ToolName, ToolResult

_TIME: Final = {"type": "string", "description": "When the memory was stored. With dedup_key it identifies the memory."}
_IDENTITY: Final[dict[str, Any]] = {
    "time": _TIME,
    "occurred_at": {"type": "string", "description": "When it happened, if that is another time."},
    "dedup_key": {"type": "string", "description": "The duplicate key."},
}
_MEMORY: Final = object_of(
    {
        **_IDENTITY,
        "type": {"type": "string", "description": "episodic, decision, entity or session."},
        "event": {"type": "string", "description": "The kind of event, unless it is general."},
        "content": {"type": "string"},
        "reasoning": {"type": "string", "description": "Why, of a decision."},
        "tags": OPTIONAL_TEXTS,
        "importance": {"type": "number"},
        "content_cut": {"type": "boolean", "description": "True if the content is longer than this result can be."},
    },
    required=["time", "type", "content"],
)
_STORED: Final = object_of(
    {"stored": {"type": "boolean", "description": "False if it was stored before."}, **_IDENTITY}, required=["stored"]
)
_FOUND: Final = object_of(
    {"memories": array_of(_MEMORY), "more": {"type": "boolean", "description": "Whether there are more."}},
    required=["memories", "more"],
)
_OFFERED: Final[dict[ToolName, tuple[str, dict[str, Any]]]] = {
    "remember": ("Remember", _STORED),
    "recall": ("Recall memories", _FOUND),
    "search": ("Search memories", _FOUND),
    "decide": ("Record a decision", _STORED),
}


class MemoryToolset:
    """The tools of one agent."""

    def __init__(self, tools: AsyncMemoryTools) -> None:
        self._tools = tools

    def listed(self) -> list[types.Tool]:
        """The tools, as a client lists them."""
        scope = self._tools._scope  # noqa: SLF001  # of this package; an application has no use for it
        schemas = {schema["name"]: schema for schema in self._tools.schemas("anthropic")}
        return [_tool(each.tool, schemas[each.name]) for each in scope.definitions]

    async def call(self, name: str, arguments: Mapping[str, Any] | None) -> ToolResult:
        """Run a call. Its text is its JSON object, for clients that show text only."""
        result = await self._tools.call(name, arguments)
        if result.structured_content is not None:
            return replace(result, text=json.dumps(result.structured_content, ensure_ascii=False))
        return result if result.is_error else replace(result, structured_content={"stored": False})  # a duplicate


def _tool(tool: ToolName, schema: Mapping[str, Any]) -> types.Tool:
    title, output_schema = _OFFERED[tool]
    return types.Tool(
        name=schema["name"],
        title=title,
        description=schema["description"],
        input_schema=schema["input_schema"],
        output_schema=output_schema,
        annotations=types.ToolAnnotations(
            read_only_hint=output_schema is _FOUND,
            destructive_hint=False,
            idempotent_hint=False,
            open_world_hint=False,
        ),
    )
