"""What an agent remembers over sessions: memories before each prompt, and tools."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from agent_framework import AgentSession, ContextProvider, FunctionTool, Message, SessionContext, SupportsAgentRun
from agent_framework.exceptions import IntegrationException

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import MemtraceError
from memtrace.integrations._prompt_memories import OnMemoryError, RelevantMemories
from memtrace.integrations.tools import TOOLS, AsyncMemoryTools, ToolName
from memtrace.operations._validation import require_id

_logger = logging.getLogger("memtrace")


class MemtraceContextProvider(ContextProvider):
    """The memories that are relevant to what the user says, and tools by which the model remembers.

    The memories become a message before the user's, marked as data. It is part of no history.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the model reads and writes, or a function that returns it
            for a session.
        source_id: The provider's ID, unique in an agent.
        max_tokens: The token budget of the memories, from 1.
        tools: The tools for the model; an empty list for none.
        on_error: ``raise`` ends the run if the memories cannot be read. ``ignore`` logs a warning
            to the logger ``memtrace``, and the model answers without memories.

    Raises:
        InvalidRequestError: The server does not accept the ID, or `max_tokens` is below 1.
        ConfigurationError: Another argument is invalid.

    Example:
        >>> from memtrace import AsyncMemtrace
        >>> memories = MemtraceContextProvider(AsyncMemtrace("memory://", "any key"), agent_id="assistant")
        >>> memories.source_id
        'memtrace_memories'
    """

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str | Callable[[AgentSession], str],
        source_id: str = "memtrace_memories",
        max_tokens: int = 2000,
        tools: Sequence[ToolName] = TOOLS,
        on_error: OnMemoryError = "raise",
    ) -> None:
        super().__init__(source_id)
        self._memories = RelevantMemories(client, "MemtraceContextProvider", max_tokens, on_error)
        self._client = client
        self._agent_id = agent_id
        self._names = list(tools)
        if not callable(agent_id):
            require_id(agent_id, "agent_id")
        self._tools("agent")  # refuses unknown tools

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Add the memories and the tools to a run.

        Args:
            agent: The agent.
            session: The session.
            context: The run's context, to which they are added.
            state: Not used.

        Raises:
            IntegrationException: The memories could not be read.
        """
        try:
            agent_id = self._agent_id(session) if callable(self._agent_id) else self._agent_id
            tools = self._tools(agent_id)
            query = "\n".join(message.text for message in context.input_messages)
            text = await self._memories.text(query, agent_id, None) if query.strip() else ""
        except MemtraceError as error:
            raise IntegrationException(str(error), error) from error
        if text:
            context.extend_messages(self, [Message("user", [text])])
        if tools:
            context.extend_tools(self.source_id, tools)

    def _tools(self, agent_id: str) -> list[FunctionTool]:
        if not self._names:
            return []
        tools = AsyncMemoryTools(self._client, agent_id=agent_id, tools=self._names)
        return [_tool(tools, schema) for schema in tools.schemas("anthropic")]


def _tool(tools: AsyncMemoryTools, schema: dict[str, Any]) -> FunctionTool:
    name = schema["name"]

    async def call(**arguments: Any) -> str:
        result = await tools.call(name, arguments)
        if result.is_error:
            _logger.warning("the tool %s failed: %s", name, result.error)
        return result.text

    return FunctionTool(name=name, description=schema["description"], func=call, input_model=schema["input_schema"])
