# Generated from _async_agents.py by scripts/unasync.py: change that file and run the script.
"""Agents: who remembers."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, overload

from memtrace import operations
from memtrace._runtime.workflows import listing
from memtrace._runtime.workflows.agents import get_or_register
from memtrace._support.peer_names import AGENTS_NAMES, HintsAtNames
from memtrace.models import Agent, AgentList, AgentStats, ListOptions, Memory, MemoryList, RegisterAgentRequest
from memtrace.operations._coercion import coerce_request, with_tags_match
from memtrace.operations._validation import MAX_LIMIT
from memtrace.resources._defaults import RESOURCES, Defaults
from memtrace.resources._keyword_hints import hinting_keywords
from memtrace.resources._signatures import keywords

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from memtrace._runtime.dispatch import Dispatcher
    from memtrace.models import TagsMatch
    from memtrace.resources.request_params import AgentMemoriesParams, NamedAgentParams, RegisterAgentParams


class Agents(HintsAtNames):
    """The agents of the key's organisation; ``client.agents``."""

    _peer_names = AGENTS_NAMES

    def __init__(self, dispatcher: Dispatcher, defaults: Defaults = RESOURCES) -> None:
        self._dispatcher = dispatcher
        self._tags_match: TagsMatch = defaults.tags_match

    @overload
    def register(self, request: RegisterAgentRequest) -> Agent: ...
    @overload
    def register(self, name: str, /, **fields: Unpack[NamedAgentParams]) -> Agent: ...
    @overload
    def register(self, **fields: Unpack[RegisterAgentParams]) -> Agent: ...
    @keywords("RegisterAgentParams")
    def register(self, request: RegisterAgentRequest | str | None = None, **fields: object) -> Agent:
        """Register an agent, given by its name, as `RegisterAgentRequest` or as its fields.

        A name is free again once its agent is deleted.

        Args:
            request: The agent's name, or the whole request; or pass its fields as keyword
                arguments.
            **fields: The fields of `RegisterAgentRequest`.

        Returns:
            The registered agent, with its ID.

        Raises:
            ConflictError: The name is taken in this organisation.
            InvalidRequestError: A field breaks a rule of the server.
        """
        return self._dispatcher.send(
            operations.register_agent(coerce_request(RegisterAgentRequest, request, fields, first="name"))
        )

    @overload
    def get_or_register(self, request: RegisterAgentRequest) -> Agent: ...
    @overload
    def get_or_register(self, name: str, /, **fields: Unpack[NamedAgentParams]) -> Agent: ...
    @overload
    def get_or_register(self, **fields: Unpack[RegisterAgentParams]) -> Agent: ...
    @keywords("RegisterAgentParams")
    def get_or_register(self, request: RegisterAgentRequest | str | None = None, **fields: object) -> Agent:
        """Get the agent of this name, registered now if it does not exist.

        An existing agent keeps its description and config.

        Args:
            request: The agent's name, or the whole request; or pass its fields as keyword
                arguments.
            **fields: The fields of `RegisterAgentRequest`.

        Returns:
            The agent, with its ID.

        Raises:
            InvalidRequestError: A field breaks a rule of the server.
        """
        chosen = coerce_request(RegisterAgentRequest, request, fields, first="name")
        return self._dispatcher.run(get_or_register(chosen))

    @hinting_keywords
    def list(self) -> AgentList:
        """List all agents, newest first.

        The order of agents that were registered within one second is undefined. The server has no
        pagination here.

        Returns:
            All agents of the organisation. It is a sequence of them.

        Raises:
            MemtraceError: The call failed.
        """
        return self._dispatcher.send(operations.list_agents())

    @hinting_keywords
    def get(self, agent_id: str) -> Agent:
        """Fetch an agent by ID or name.

        The server does not decode paths: a name with a space, a slash or a non-ASCII letter is
        never found.

        Args:
            agent_id: The agent's ID or name.

        Returns:
            The agent.

        Raises:
            NotFoundError: No agent has this ID or name.
        """
        return self._dispatcher.send(operations.get_agent(agent_id))

    @hinting_keywords
    def stats(self, agent_id: str) -> AgentStats:
        """Count what is stored under an agent's ID.

        Args:
            agent_id: The agent's ID, which need not be registered. Names are not resolved.

        Returns:
            The counts; zeros for an unknown ID.

        Raises:
            NoArcInstanceError: The organisation has no storage.
        """
        return self._dispatcher.send(operations.agent_stats(agent_id))

    @overload
    def memories(self, agent_id: str, options: ListOptions | None = None) -> MemoryList: ...
    @overload
    def memories(self, agent_id: str, **fields: Unpack[AgentMemoriesParams]) -> MemoryList: ...
    @keywords("AgentMemoriesParams")
    def memories(self, agent_id: str, options: ListOptions | None = None, **fields: object) -> MemoryList:
        """Read the memories of an agent's ID, newest first, of the last 24 hours by default.

        Every filter works: the SDK uses the general route for those that the agent's own route
        ignores. A tag matches as a whole, unless `tags_match` is ``substring``.

        Args:
            agent_id: The agent's ID.
            options: The filters; or pass their fields as keyword arguments.
            **fields: The fields of `ListOptions`.

        Returns:
            The memories; none for an unknown ID. It is a sequence of them.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        chosen = with_tags_match(coerce_request(ListOptions, options, fields), self._tags_match)
        return self._dispatcher.run(listing.agent_memories(agent_id, chosen, self._dispatcher.settings.clock))

    @overload
    def memories_iter(
        self, agent_id: str, options: ListOptions | None = None, *, page_size: int = ...
    ) -> Generator[Memory, None, None]: ...
    @overload
    def memories_iter(
        self, agent_id: str, *, page_size: int = ..., **fields: Unpack[AgentMemoriesParams]
    ) -> Generator[Memory, None, None]: ...
    @keywords("AgentMemoriesParams")
    def memories_iter(
        self,
        agent_id: str,
        options: ListOptions | None = None,
        *,
        page_size: int = MAX_LIMIT,
        **fields: object,
    ) -> Generator[Memory, None, None]:
        """Iterate over the memories of an agent's ID, of the last 24 hours by default, page by page.

        Args:
            agent_id: The agent's ID.
            options: The filters; or pass their fields as keyword arguments.
            page_size: How many memories one request reads, from 1 to 1000.
            **fields: The fields of `ListOptions`. `limit` is how many memories to return at most.
                Default: all.

        Returns:
            An iterator. It sends the first request when you ask for the first memory.

        Raises:
            InvalidRequestError: A filter breaks a rule of the server.
        """
        chosen = with_tags_match(coerce_request(ListOptions, options, fields, ("page_size",)), self._tags_match)
        clock = self._dispatcher.settings.clock
        return self._dispatcher.stream(listing.iter_agent_memories(agent_id, chosen, clock, page_size=page_size))

    @hinting_keywords
    def delete(self, agent_id: str) -> None:
        """Delete an agent. Its memories stay.

        Args:
            agent_id: The agent's ID, not its name.

        Raises:
            NotFoundError: No agent has this ID.
            ConflictError: The agent had a session at any time.
        """
        self._dispatcher.send(operations.delete_agent(agent_id))
