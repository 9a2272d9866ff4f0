"""Agents: who remembers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, overload

from memtrace import operations
from memtrace._runtime.workflows import listing
from memtrace._runtime.workflows.agents import get_or_register
from memtrace.models import Agent, AgentList, AgentStats, ListOptions, Memory, MemoryList, RegisterAgentRequest
from memtrace.operations._coercion import coerce_request, with_tags_match
from memtrace.operations._peer_names import AGENTS_NAMES, HintsAtNames
from memtrace.operations._validation import MAX_LIMIT
from memtrace.resources._defaults import RESOURCES, Defaults
from memtrace.resources._keyword_hints import hinting_keywords
from memtrace.resources._signatures import keywords

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from memtrace._runtime.dispatch import AsyncDispatcher
    from memtrace.models import TagsMatch
    from memtrace.resources.request_params import AgentMemoriesParams, NamedAgentParams, RegisterAgentParams


class AsyncAgents(HintsAtNames):
    """The agents of the key's organisation; ``client.agents``."""

    _peer_names = AGENTS_NAMES

    def __init__(self, dispatcher: AsyncDispatcher, defaults: Defaults = RESOURCES) -> None:
        self._dispatcher = dispatcher
        self._tags_match: TagsMatch = defaults.tags_match

    @overload
    async def register(self, request: RegisterAgentRequest) -> Agent: ...
    @overload
    async def register(self, name: str, /, **fields: Unpack[NamedAgentParams]) -> Agent: ...
    @overload
    async def register(self, **fields: Unpack[RegisterAgentParams]) -> Agent: ...
    @keywords("RegisterAgentParams")
    async def register(self, request: RegisterAgentRequest | str | None = None, **fields: object) -> Agent:
        """Register an agent, given by its name, as `RegisterAgentRequest` or as its fields.

        Raises `ConflictError` when the name is taken in this organisation; it is free again once the agent is deleted.
        """
        return await self._dispatcher.send(
            operations.register_agent(coerce_request(RegisterAgentRequest, request, fields, first="name"))
        )

    @overload
    async def get_or_register(self, request: RegisterAgentRequest) -> Agent: ...
    @overload
    async def get_or_register(self, name: str, /, **fields: Unpack[NamedAgentParams]) -> Agent: ...
    @overload
    async def get_or_register(self, **fields: Unpack[RegisterAgentParams]) -> Agent: ...
    @keywords("RegisterAgentParams")
    async def get_or_register(self, request: RegisterAgentRequest | str | None = None, **fields: object) -> Agent:
        """The agent of this name, registered now if there is none. One that exists keeps its description and config."""
        chosen = coerce_request(RegisterAgentRequest, request, fields, first="name")
        return await self._dispatcher.run(get_or_register(chosen))

    @hinting_keywords
    async def list(self) -> AgentList:
        """All agents, newest first; those of one second in no promised order. The server has no pages here."""
        return await self._dispatcher.send(operations.list_agents())

    @hinting_keywords
    async def get(self, agent_id: str) -> Agent:
        """Fetch an agent by id or name.

        The server does not decode paths: a name with a space, a slash or a letter outside ASCII is never found.
        Raises `NotFoundError`.
        """
        return await self._dispatcher.send(operations.get_agent(agent_id))

    @hinting_keywords
    async def stats(self, agent_id: str) -> AgentStats:
        """Count what is stored under an agent's id; it need not be registered, and names are not resolved.

        Raises `NoArcInstanceError` where the organisation has no storage.
        """
        return await self._dispatcher.send(operations.agent_stats(agent_id))

    @overload
    async def memories(self, agent_id: str, options: ListOptions | None = None) -> MemoryList: ...
    @overload
    async def memories(self, agent_id: str, **fields: Unpack[AgentMemoriesParams]) -> MemoryList: ...
    @keywords("AgentMemoriesParams")
    async def memories(self, agent_id: str, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read the memories of an agent's id, of the last 24 hours unless `since` says otherwise, newest first.

        Every option works: those that the agent's own route ignores go to the general one. An unknown id gives an empty list.
        """
        chosen = with_tags_match(coerce_request(ListOptions, options, fields), self._tags_match)
        return await self._dispatcher.run(listing.agent_memories(agent_id, chosen, self._dispatcher.settings.clock))

    @overload
    def memories_iter(
        self, agent_id: str, options: ListOptions | None = None, *, page_size: int = ...
    ) -> AsyncGenerator[Memory, None]: ...
    @overload
    def memories_iter(
        self, agent_id: str, *, page_size: int = ..., **fields: Unpack[AgentMemoriesParams]
    ) -> AsyncGenerator[Memory, None]: ...
    @keywords("AgentMemoriesParams")
    def memories_iter(
        self,
        agent_id: str,
        options: ListOptions | None = None,
        *,
        page_size: int = MAX_LIMIT,
        **fields: object,
    ) -> AsyncGenerator[Memory, None]:
        """Every memory of an agent's id, of the last 24 hours unless `since` says otherwise; as `memories.iter`."""
        chosen = with_tags_match(coerce_request(ListOptions, options, fields, ("page_size",)), self._tags_match)
        clock = self._dispatcher.settings.clock
        return self._dispatcher.stream(listing.iter_agent_memories(agent_id, chosen, clock, page_size=page_size))

    @hinting_keywords
    async def delete(self, agent_id: str) -> None:
        """Delete an agent by id, not by name; its memories stay.

        Raises `NotFoundError` for an unknown id, `ConflictError` for an agent that ever had a session.
        """
        await self._dispatcher.send(operations.delete_agent(agent_id))
