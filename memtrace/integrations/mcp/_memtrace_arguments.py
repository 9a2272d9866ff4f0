"""The arguments of the tools of Memtrace's own MCP server, and what each call sends.

Names and defaults are that server's. An empty string and a 0 count as left out, as they do there.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import InvalidRequestError
from memtrace.integrations.tools._arguments import Strings
from memtrace.models import (
    AddMemoryRequest,
    CreateSessionRequest,
    ListOptions,
    Memory,
    MemoryType,
    ResponseModel,
    SearchQuery,
)
from memtrace.operations._validation import check_id

MOST_ROWS: Final = 1000
"""The most memories that one call reads."""

_AGENT_ID: Final = re.compile(r"agent_[0-9a-f]{24}")
_ROWS: Final = 50
_ALL_TIMES: Final = "365d"  # the longest look-back that the server knows; without one it takes 24h
_BUDGET: Final = 2000

_AGENT: Final = "Agent ID."
_SINCE: Final = "How far back, as in 2h, 24h or 7d."
_LIMIT: Final = "The most memories to read. Default: 50."
_TYPES: Final = "Kinds of memory, any of them: episodic, decision, entity, session."


@dataclass(frozen=True, slots=True)
class Response:
    """What a call returns: text for the model, the same as a JSON object, and the memory that it stored."""

    text: str = field(repr=False)
    content: dict[str, Any] = field(repr=False)
    stored: Memory | None = field(default=None, repr=False)


class Call(BaseModel, ABC):
    """The arguments of one call."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @abstractmethod
    async def send(self, client: AsyncMemtrace) -> Response:
        """Send it. Raises `MemtraceError`."""


class Remember(Call):
    """Arguments of ``memtrace_remember``."""

    agent_id: str = Field(description=_AGENT)
    content: str = Field(description="What to remember, in whole sentences.")
    memory_type: MemoryType | None = Field(default=None, description="The kind of memory. Default: episodic.")
    event_type: str | None = Field(
        default=None, description="The kind of event, such as error or api_call. Default: general."
    )
    session_id: str | None = Field(default=None, description="The session that it belongs to.")
    tags: Strings = Field(default=None, description="Labels to find it by.")
    importance: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="From 0 to 1. Default: 0."
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Any other values, by name.")

    async def send(self, client: AsyncMemtrace) -> Response:
        """Store a memory."""
        request = AddMemoryRequest(
            agent_id=self.agent_id,
            content=self.content,
            memory_type=self.memory_type or "episodic",
            event_type=self.event_type or "general",
            session_id=self.session_id or None,
            tags=self.tags,
            importance=self.importance or None,
            metadata=self.metadata,
        )
        return _stored(await client.add_memory(request))  # a model repeats itself: the server's rule for duplicates


class Recall(Call):
    """Arguments of ``memtrace_recall``."""

    agent_id: str = Field(description=_AGENT)
    since: str | None = Field(default=None, description=f"{_SINCE} Default: 24h.")
    session_id: str | None = Field(default=None, description="Only memories of this session.")
    memory_type: str | None = Field(default=None, description="Only memories of this kind.")
    limit: int | None = Field(default=None, ge=0, le=MOST_ROWS, description=_LIMIT)

    async def send(self, client: AsyncMemtrace) -> Response:
        """Read the newest memories of an agent."""
        options = ListOptions(
            agent_id=self.agent_id,
            since=self.since or "24h",
            session_id=self.session_id or None,
            memory_type=self.memory_type or None,
            limit=self.limit or _ROWS,
            order="desc",
        )
        return _response(await client.memories.list(options))


class Search(Call):
    """Arguments of ``memtrace_search``. `query` is ours."""

    agent_id: str | None = Field(default=None, description="Only memories of this agent.")
    content_contains: str | None = Field(
        default=None, description="Only memories with exactly these characters in their content."
    )
    memory_types: Strings = Field(default=None, description=_TYPES)
    tags: Strings = Field(default=None, description="Labels that it must all have.")
    since: str | None = Field(default=None, description=_SINCE)
    min_importance: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="The lowest importance, from 0 to 1."
    )
    limit: int | None = Field(default=None, ge=0, le=MOST_ROWS, description=_LIMIT)
    query: str | None = Field(
        default=None,
        description="What to look for, in plain words. The most relevant memories come first. Without it the newest do.",
    )

    async def send(self, client: AsyncMemtrace) -> Response:
        """Find the memories that are relevant, or without a query the newest that match."""
        if self.query and self.content_contains:
            problem = "query ranks all memories that match the other filters: leave out content_contains"
            raise InvalidRequestError(problem, field="content_contains", rule="left out with a query")
        if self.query:
            hits = await client.memories.search(
                self.query,
                agent_id=self.agent_id or None,
                memory_types=self.memory_types,
                tags=self.tags,
                since=self.since or None,
                min_importance=self.min_importance or None,
                limit=self.limit or _ROWS,
            )
            return _of_content({"results": [_dumped(memory) for memory in hits.memories], "count": hits.count})
        query = SearchQuery(
            agent_id=self.agent_id or None,
            content_contains=self.content_contains or None,
            memory_types=self.memory_types,
            tags=self.tags,
            since=self.since or None,
            min_importance=self.min_importance or None,
            limit=self.limit or _ROWS,
            order="desc",
        )
        return _response(await client.memories.filter(query))


class Decide(Call):
    """Arguments of ``memtrace_decide``."""

    agent_id: str = Field(description=_AGENT)
    decision: str = Field(description="The decision, in one sentence.")
    reasoning: str = Field(description="Why.")

    async def send(self, client: AsyncMemtrace) -> Response:
        """Store a decision."""
        return _stored(await client.decide(self.agent_id, self.decision, self.reasoning))


class SessionCreate(Call):
    """Arguments of ``memtrace_session_create``."""

    agent_id: str = Field(description="The agent that the session belongs to: its ID, or the name that it registered.")
    metadata: dict[str, Any] | None = Field(default=None, description="Any values, such as the goal.")

    async def send(self, client: AsyncMemtrace) -> Response:
        """Create a session of a registered agent. The server knows its ID only, so a name is looked up."""
        agent_id = self.agent_id if _AGENT_ID.fullmatch(self.agent_id) else await self._id_by_name(client)
        try:
            request = CreateSessionRequest(agent_id=agent_id, metadata=self.metadata)
            return _response(await client.create_session(request))
        except InvalidRequestError as error:
            if error.code == "unknown_agent":
                raise _unregistered() from None
            raise

    async def _id_by_name(self, client: AsyncMemtrace) -> str:
        for agent in await client.agents.list():
            if self.agent_id in (agent.name, agent.id):
                return agent.id
        raise _unregistered()


def _unregistered() -> InvalidRequestError:
    problem = "no agent is registered with this ID or name: call memtrace_agent_register first"
    return InvalidRequestError(f"agent_id: {problem}", field="agent_id", rule="a registered agent")


class SessionContext(Call):
    """Arguments of ``memtrace_session_context``. `query` is ours."""

    session_id: str = Field(description="Session ID.")
    since: str | None = Field(default=None, description=f"{_SINCE} Default: all of the session.")
    include_types: Strings = Field(default=None, description=_TYPES)
    max_tokens: int | None = Field(
        default=None, ge=0, description="The token budget. With it, memories are whole and oldest first."
    )
    query: str | None = Field(
        default=None, description="What the context is about, in plain words: then it has the relevant memories."
    )

    async def send(self, client: AsyncMemtrace) -> Response:
        """The server's Markdown, or within a budget one that the client renders, since the server ignores budgets."""
        check_id(self.session_id, "session_id")
        if not self.query and not self.max_tokens:
            answer = await client.sessions.context(
                self.session_id, since=self.since or _ALL_TIMES, include_types=self.include_types
            )
            return Response(answer.context, _dumped(answer))
        found = await client.memories.prompt_context(
            self.query or None,
            session_id=self.session_id,
            since=self.since or None,
            memory_types=self.include_types,
            max_tokens=self.max_tokens or _BUDGET,
        )
        count = len(found.memories)
        return Response(found.text, {"session_id": self.session_id, "context": found.text, "memory_count": count})


class AgentRegister(Call):
    """Arguments of ``memtrace_agent_register``."""

    name: str = Field(description="The agent's name.")
    description: str | None = Field(default=None, description="What this agent does.")

    async def send(self, client: AsyncMemtrace) -> Response:
        """Register the agent, or return the one of this name."""
        return _response(await client.agents.get_or_register(name=self.name, description=self.description or None))


def _stored(memory: Memory) -> Response:
    response = _response(memory)
    return Response(response.text, response.content, memory)


def _response(answer: ResponseModel) -> Response:
    return _of_content(_dumped(answer))


def _dumped(answer: ResponseModel) -> dict[str, Any]:
    return answer.model_dump(mode="json", exclude_none=True)


def _of_content(content: Mapping[str, Any]) -> Response:
    return Response(json.dumps(content, ensure_ascii=False, indent=2), dict(content))
