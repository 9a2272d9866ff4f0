"""Memories as resources: what a host can attach to a conversation without a call by the model."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Final

from mcp import types

from memtrace.async_client import AsyncMemtrace
from memtrace.models import Memory, ResponseModel
from memtrace.operations._validation import check_id

AGENTS: Final = "memtrace://agents"
"""The resource of all agents."""

_JSON: Final = "application/json"
_MARKDOWN: Final = "text/markdown"
_ROWS: Final = 50
_ALL_TIMES: Final = "365d"  # the longest look-back that the server knows; without one it takes 24h
_MOST_COMPLETIONS: Final = 100

_MEMORIES_OF: Final = re.compile(r"memtrace://agents/(?P<id>[^/]+)/memories")
_CONTEXT_OF: Final = re.compile(r"memtrace://sessions/(?P<id>[^/]+)/context")


def memories_uri(agent_id: str) -> str:
    """The resource of an agent's memories."""
    return f"memtrace://agents/{agent_id}/memories"


def context_uri(session_id: str) -> str:
    """The resource of a session's context."""
    return f"memtrace://sessions/{session_id}/context"


MEMORIES_TEMPLATE: Final = memories_uri("{id}")
CONTEXT_TEMPLATE: Final = context_uri("{id}")


def changed_by(memory: Memory) -> list[str]:
    """The resources that a stored memory changes."""
    uris = [memories_uri(memory.agent_id)]
    return uris if memory.session_id is None else [*uris, context_uri(memory.session_id)]


class Resources(ABC):
    """The resources of a server."""

    def __init__(self, client: AsyncMemtrace) -> None:
        self._client = client

    @abstractmethod
    def listed(self) -> list[types.Resource]:
        """The resources with a fixed URI."""

    @abstractmethod
    def templates(self) -> list[types.ResourceTemplate]:
        """The templates of the others."""

    @abstractmethod
    def has(self, uri: str) -> bool:
        """Whether this URI can be read."""

    @abstractmethod
    async def read(self, uri: str) -> types.TextResourceContents | None:
        """Read one; None for an unknown URI. Raises `MemtraceError`."""

    async def completions(self, template: str, value: str) -> list[str]:
        """The IDs that begin with `value`, for a template. Raises `MemtraceError`."""
        return []

    async def _memories(self, agent_id: str, session_id: str | None = None) -> types.TextResourceContents:
        found = await self._client.memories.list(agent_id=agent_id, session_id=session_id, limit=_ROWS, order="desc")
        return _json_contents(memories_uri(agent_id), found)

    async def _context(self, session_id: str) -> types.TextResourceContents:
        check_id(session_id, "session_id")
        found = await self._client.sessions.context(session_id, since=_ALL_TIMES)
        return types.TextResourceContents(uri=context_uri(session_id), mime_type=_MARKDOWN, text=found.context)


class AllResources(Resources):
    """The agents, and the memories and contexts of all of them."""

    def listed(self) -> list[types.Resource]:
        """The agents."""
        return [
            types.Resource(
                uri=AGENTS,
                name="agents",
                title="Agents",
                description="The registered agents, newest first, as JSON.",
                mime_type=_JSON,
            )
        ]

    def templates(self) -> list[types.ResourceTemplate]:
        """Memories of an agent, and the context of a session."""
        return [
            types.ResourceTemplate(
                uri_template=MEMORIES_TEMPLATE,
                name="agent_memories",
                title="Memories of an agent",
                description=f"The newest {_ROWS} memories that are stored under an agent ID, as JSON.",
                mime_type=_JSON,
            ),
            types.ResourceTemplate(
                uri_template=CONTEXT_TEMPLATE,
                name="session_context",
                title="Context of a session",
                description="The memories of a session as Markdown, grouped by kind.",
                mime_type=_MARKDOWN,
            ),
        ]

    def has(self, uri: str) -> bool:
        """Whether this URI is that of the agents, or fits a template."""
        return uri == AGENTS or any(pattern.fullmatch(uri) for pattern in (_MEMORIES_OF, _CONTEXT_OF))

    async def read(self, uri: str) -> types.TextResourceContents | None:
        """Read one; None for an unknown URI. Raises `MemtraceError`."""
        if uri == AGENTS:
            return _json_contents(AGENTS, await self._client.agents.list())
        if match := _MEMORIES_OF.fullmatch(uri):
            return await self._memories(match["id"])
        if match := _CONTEXT_OF.fullmatch(uri):
            return await self._context(match["id"])
        return None

    async def completions(self, template: str, value: str) -> list[str]:
        """The IDs that begin with `value`, newest first, for a template. Raises `MemtraceError`."""
        rows: list[ResponseModel] = []
        if template == MEMORIES_TEMPLATE:
            rows = [*await self._client.agents.list()]
        elif template == CONTEXT_TEMPLATE:
            rows = [*await self._client.sessions.list()]
        ids = (str(getattr(row, "id")) for row in rows)  # noqa: B009  # both models have one
        return [each for each in ids if each.startswith(value)][:_MOST_COMPLETIONS]


class AgentResources(Resources):
    """The memories of one agent, and the context of its session. Others are unknown."""

    def __init__(
        self, client: AsyncMemtrace, *, agent_id: str, session_id: str | None, read_session_id: str | None
    ) -> None:
        super().__init__(client)
        self._agent_id = agent_id
        self._session_id = session_id
        self._read_session_id = read_session_id

    def listed(self) -> list[types.Resource]:
        """The memories, and the context if there is a session."""
        memories = types.Resource(
            uri=memories_uri(self._agent_id),
            name="memories",
            title="Memories",
            description=f"Your newest {_ROWS} memories, as JSON.",
            mime_type=_JSON,
        )
        if self._session_id is None:
            return [memories]
        context = types.Resource(
            uri=context_uri(self._session_id),
            name="session_context",
            title="Context of the session",
            description="The memories of this session as Markdown, grouped by kind.",
            mime_type=_MARKDOWN,
        )
        return [memories, context]

    def templates(self) -> list[types.ResourceTemplate]:
        """None, since a client cannot choose the agent or the session."""
        return []

    def has(self, uri: str) -> bool:
        """Whether it is one of those that are listed."""
        return uri in {each.uri for each in self.listed()}

    async def read(self, uri: str) -> types.TextResourceContents | None:
        """Read one; None for an unknown URI. Raises `MemtraceError`."""
        if uri == memories_uri(self._agent_id):
            return await self._memories(self._agent_id, self._read_session_id)
        if self._session_id is not None and uri == context_uri(self._session_id):
            return await self._context(self._session_id)
        return None


def _json_contents(uri: str, answer: ResponseModel) -> types.TextResourceContents:
    text = json.dumps(answer.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=2)
    return types.TextResourceContents(uri=uri, mime_type=_JSON, text=text)
