"""Tools on the async client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import MemtraceError
from memtrace.integrations.tools._arguments import MemoryRequest, RelevanceQuery
from memtrace.integrations.tools._definitions import TOOLS, Definition, SchemaFormat, ToolName, schemas_of
from memtrace.integrations.tools._functions import AsyncToolFunction, by_name, described
from memtrace.integrations.tools._results import ToolResult, failure, success
from memtrace.integrations.tools._scope import Action, MemoryScope, Scope
from memtrace.models import AddMemoryRequest, Memory


class AsyncMemoryTools:
    """The memory of one agent as tools for a model, with any provider.

    The application chooses the agent and the session. A model can neither see nor change them.

    Args:
        client: The client.
        agent_id: The agent that everything is stored under.
        session_id: The session that everything is stored under. Default: none.
        scope: The memories to read: all of the ``agent``, or only those of the ``session``. Use
            ``session`` if several users share an agent.
        tools: The tools for the model.
        prefix: What the tools' names begin with, such as ``memory_``.
        max_chars: The longest result in characters, 1,000 or more.

    Raises:
        InvalidRequestError: The server does not accept an ID.
        ConfigurationError: Another argument is invalid.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> async def main() -> None:
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         tools = AsyncMemoryTools(client, agent_id="assistant")
        ...         stored = await tools.call("remember", '{"content": "User prefers dark mode"}')
        ...         found = await tools.call("search", {"query": "which mode?"})
        ...         print(stored.text, "dark mode" in found.text)
        >>> asyncio.run(main())
        Stored. True
    """

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str,
        session_id: str | None = None,
        scope: MemoryScope = "agent",
        tools: Sequence[ToolName] = TOOLS,
        prefix: str = "",
        max_chars: int = 20_000,
    ) -> None:
        self._client = client
        self._scope = Scope(
            agent_id=agent_id,
            clock=client._dispatcher.settings.clock,  # noqa: SLF001  # of this package; users have no need of it
            session_id=session_id,
            scope=scope,
            tools=tools,
            prefix=prefix,
            max_chars=max_chars,
        )

    def schemas(self, format: SchemaFormat) -> list[dict[str, Any]]:
        """Create the schemas of the tools, for the provider's ``tools=``. Those for OpenAI are strict.

        Args:
            format: The provider's format.

        Returns:
            One schema for each tool.

        Raises:
            ConfigurationError: The format is unknown.
        """
        return schemas_of(self._scope.definitions, format)

    def functions(self) -> list[AsyncToolFunction]:
        """Create plain Python functions of the tools, for frameworks that take functions.

        Each has a signature, annotations and a docstring, from which a framework makes the schema.
        It returns the result as a string, like `call`, and raises no `MemtraceError`.

        Returns:
            One function for each tool, with the tool's name.

        Example:
            >>> import asyncio
            >>> from memtrace import AsyncMemtrace
            >>> async def main() -> str:
            ...     async with AsyncMemtrace("memory://", "any key") as client:
            ...         remember, *_ = AsyncMemoryTools(client, agent_id="assistant").functions()
            ...         return await remember(content="User prefers dark mode", tags=["ui"])
            >>> asyncio.run(main())
            'Stored.'
        """
        return [self._function(definition) for definition in self._scope.definitions]

    async def call(self, name: str, arguments: str | Mapping[str, Any] | None) -> ToolResult:
        """Run a tool call of a model.

        It raises no `MemtraceError`. The result describes a failure in words that a model can act
        on.

        Args:
            name: The tool's name, with the prefix.
            arguments: The arguments as the model wrote them: a JSON string or an object.

        Returns:
            The result, for the model.
        """
        action: Action | None = None
        try:
            action = self._scope.action(name, arguments)
            return success(action, await self._sent(action.request), self._scope.max_chars)
        except MemtraceError as error:
            return failure(action, error)

    def _function(self, definition: Definition) -> AsyncToolFunction:
        async def function(*positional: Any, **named: Any) -> str:
            return (await self.call(definition.name, by_name(definition, positional, named))).text

        return described(function, definition)

    async def _sent(self, request: MemoryRequest) -> Memory | Sequence[Memory]:
        if isinstance(request, AddMemoryRequest):
            return await self._client.add_memory(request)  # a model repeats itself: the server's rule for duplicates
        if isinstance(request, RelevanceQuery):
            return (await self._client.memories.search(**asdict(request))).memories
        return (await self._client.memories.filter(request)).results
