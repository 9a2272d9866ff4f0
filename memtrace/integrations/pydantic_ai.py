"""Pydantic AI agents use Memtrace: tools that remember, and a history processor. Needs the extra ``pydantic-ai``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

from pydantic_core import SchemaValidator, core_schema

try:
    from pydantic_ai import ModelRetry, RunContext
    from pydantic_ai.exceptions import AgentRunError, ToolFailed
    from pydantic_ai.messages import ModelMessage, ModelRequest, ModelRequestPart, TextContent, UserPromptPart
    from pydantic_ai.tools import AgentDepsT, ToolDefinition
    from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.pydantic_ai needs the package pydantic-ai-slim, 2.28 or newer; "
        'run: pip install "memtrace-sdk[pydantic-ai]"'
    ) from _missing

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import MemtraceError
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._prompt_memories import OnMemoryError, RelevantMemories
from memtrace.integrations.tools import TOOLS, AsyncMemoryTools, MemoryScope, ToolName
from memtrace.integrations.tools._results import is_correctable
from memtrace.operations._validation import require_id

__all__ = ["MemtraceHistoryProcessor", "MemtraceToolset"]

IdT = TypeVar("IdT", str, "str | None")

_ARGUMENTS = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))
_ORIGIN = {"origin": "memtrace"}
_logger = logging.getLogger("memtrace")


class MemtraceToolset(AbstractToolset[AgentDepsT]):
    """The tools remember, recall, search and decide, as a toolset of an agent.

    The application chooses the agent ID and the session ID. A model can neither see nor change them.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the model reads and writes, or a function that returns it
            for a run, for example from `ctx.deps`.
        session_id: The session of the written memories, or such a function. Default: none.
        scope: The memories to read: all of the ``agent``, or only those of the ``session``.
        tools: The tools for the model.
        prefix: What the tools' names begin with, such as ``memory_``.
        max_chars: The longest result in characters, 1,000 or more.
        id: The toolset's ID, unique among the toolsets of an agent.

    Raises:
        InvalidRequestError: The server does not accept an ID.
        ConfigurationError: Another argument is invalid.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> from pydantic_ai import Agent
        >>> from pydantic_ai.models.test import TestModel
        >>> client = AsyncMemtrace("memory://", "any key")
        >>> toolset = MemtraceToolset(client, agent_id="assistant", tools=["remember"])
        >>> asyncio.run(Agent(TestModel(), toolsets=[toolset]).run("I drink tea.")).output
        '{"remember":"Stored."}'
    """

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str | Callable[[RunContext[AgentDepsT]], str],
        session_id: str | Callable[[RunContext[AgentDepsT]], str | None] | None = None,
        scope: MemoryScope = "agent",
        tools: Sequence[ToolName] = TOOLS,
        prefix: str = "",
        max_chars: int = 20_000,
        id: str | None = "memtrace",  # noqa: A002  # the framework's name
    ) -> None:
        async_dispatcher(client, "MemtraceToolset")
        self._agent_id = agent_id
        self._session_id = session_id
        self._bind = partial(AsyncMemoryTools, client, scope=scope, tools=tools, prefix=prefix, max_chars=max_chars)
        self._bind(  # refuses invalid arguments now; what a function will return, in the run
            agent_id="agent" if callable(agent_id) else agent_id,
            session_id="session" if callable(session_id) else session_id,
        )
        self._id = id

    @property
    def id(self) -> str | None:
        """The toolset's ID."""
        return self._id

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """Describe the tools for a model.

        Args:
            ctx: The run.

        Returns:
            The tools by name.

        Raises:
            InvalidRequestError: The server does not accept an ID that a function returned.
        """
        return {
            schema["name"]: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(
                    name=schema["name"],
                    description=schema["description"],
                    parameters_json_schema=schema["input_schema"],
                ),
                max_retries=ctx.max_retries,
                args_validator=_ARGUMENTS,
            )
            for schema in self._tools(ctx).schemas("anthropic")
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> str:
        """Run a tool call of a model.

        Args:
            name: The tool's name, with the prefix.
            tool_args: The arguments as the model wrote them.
            ctx: The run.
            tool: The tool.

        Returns:
            The result, for the model.

        Raises:
            ModelRetry: The model has to correct an argument. Nothing was sent.
            ToolFailed: The memory failed. Its text says whether the write may have been stored.
        """
        result = await self._tools(ctx).call(name, tool_args)
        if not result.is_error:
            return result.text
        if is_correctable(result.error):
            raise ModelRetry(result.text) from result.error
        _logger.warning("the tool %s failed: %s", name, result.error)
        raise ToolFailed(result.text) from result.error

    def _tools(self, ctx: RunContext[AgentDepsT]) -> AsyncMemoryTools:
        return self._bind(agent_id=_resolved(self._agent_id, ctx), session_id=_resolved(self._session_id, ctx))


class MemtraceHistoryProcessor(Generic[AgentDepsT]):
    """Adds the memories that are relevant to the user's prompt, as a history processor.

    Pass it to the capability `ProcessHistory`. The memories become a part of the user's message,
    marked as data, before the prompt. Only the newest prompt of a history has them.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories to add, or a function that returns it for a run.
        session_id: Only memories of this session, or such a function. Default: all sessions.
        max_tokens: The token budget of the memories, from 1.
        on_error: ``raise`` ends the run if the memories cannot be read. ``ignore`` logs a warning
            to the logger ``memtrace``, and the model answers without memories.

    Raises:
        InvalidRequestError: The server does not accept an ID, or `max_tokens` is below 1.
        ConfigurationError: The client is not an `AsyncMemtrace`, or `on_error` is unknown.

    Example:
        >>> from memtrace import AsyncMemtrace
        >>> from pydantic_ai import Agent
        >>> from pydantic_ai.capabilities import ProcessHistory
        >>> client = AsyncMemtrace("memory://", "any key")
        >>> memories = MemtraceHistoryProcessor(client, agent_id="assistant")
        >>> agent = Agent(capabilities=[ProcessHistory(memories)])
    """

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str | Callable[[RunContext[AgentDepsT]], str],
        session_id: str | Callable[[RunContext[AgentDepsT]], str | None] | None = None,
        max_tokens: int = 2000,
        on_error: OnMemoryError = "raise",
    ) -> None:
        self._memories = RelevantMemories(client, "MemtraceHistoryProcessor", max_tokens, on_error)
        if not callable(agent_id):
            require_id(agent_id, "agent_id")
        if session_id is not None and not callable(session_id):
            require_id(session_id, "session_id")
        self._agent_id = agent_id
        self._session_id = session_id

    async def __call__(self, ctx: RunContext[AgentDepsT], messages: list[ModelMessage]) -> list[ModelMessage]:
        """Add the memories to the last message, if it is a user's prompt without them.

        Args:
            ctx: The run.
            messages: The history.

        Returns:
            The history to send.

        Raises:
            AgentRunError: The memories could not be read. Its cause is the `MemtraceError`.
        """
        last = messages[-1] if messages else None
        if not isinstance(last, ModelRequest) or any(map(_is_ours, last.parts)):
            return messages
        query = "\n".join(text for part in last.parts if isinstance(part, UserPromptPart) for text in _texts(part))
        if not query.strip():
            return messages
        try:
            text = await self._memories.text(query, _resolved(self._agent_id, ctx), _resolved(self._session_id, ctx))
        except MemtraceError as error:
            raise AgentRunError(f"the memories for the prompt could not be read: {error}") from error
        ours = [UserPromptPart([TextContent(text, metadata=dict(_ORIGIN))])] if text else []
        return [*map(_without_memories, messages[:-1]), replace(last, parts=[*ours, *last.parts])]


def _resolved(value: IdT | Callable[[RunContext[AgentDepsT]], IdT], ctx: RunContext[AgentDepsT]) -> IdT:
    return value(ctx) if callable(value) else value


def _texts(part: UserPromptPart) -> list[str]:
    """What the user wrote, without pictures and files."""
    if isinstance(part.content, str):
        return [part.content]
    return [
        each if isinstance(each, str) else each.content for each in part.content if isinstance(each, (str, TextContent))
    ]


def _is_ours(part: ModelRequestPart) -> bool:
    """Whether a history processor of Memtrace added it. Its metadata says so, and never its text."""
    if not isinstance(part, UserPromptPart) or isinstance(part.content, str):
        return False
    return any(isinstance(each, TextContent) and each.metadata == _ORIGIN for each in part.content)


def _without_memories(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest) or not any(map(_is_ours, message.parts)):
        return message
    return replace(message, parts=[part for part in message.parts if not _is_ours(part)])
