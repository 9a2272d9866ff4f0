"""A memory for the OpenAI Agents SDK: its `Session`, and tools for its agents. Needs the extra ``openai-agents``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

try:
    from agents import FunctionTool
    from agents.items import TResponseInputItem
    from agents.memory import SessionSettings
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.openai_agents needs the package openai-agents; "
        'run: pip install "memtrace-sdk[openai-agents]"'
    ) from _missing

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._errors import invalid_type
from memtrace.integrations._history import History, HistoryItem
from memtrace.integrations._records import event_type_of, json_text
from memtrace.integrations.tools import TOOLS, AsyncMemoryTools, MemoryScope, ToolName

if TYPE_CHECKING:
    from agents.tool_context import ToolContext

__all__ = ["MemtraceSession", "memory_tools"]

_FORMAT = "openai-agents"


class MemtraceSession:
    """The history of one conversation, as a `Session` for ``Runner.run``.

    Each item is stored as a memory of `agent_id` and `session_id`. Neither has to be registered.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the items are.
        session_id: The conversation.
        session_settings: Limits how many items are read when `get_items` gets no `limit`. A
            `SessionSettings`, or a dict such as ``{"limit": 50}``.
        wait_timeout: Seconds that a write waits until its items can be read. None does not wait, so
            that a read right after may miss them.

    Raises:
        InvalidRequestError: The server does not accept an ID, `wait_timeout` is negative, or
            `session_settings` is invalid.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> async def talk():
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         session = MemtraceSession(client, agent_id="assistant", session_id="thread_42")
        ...         await session.add_items([{"role": "user", "content": "Hello"}])
        ...         return await session.get_items()
        >>> asyncio.run(talk())
        [{'role': 'user', 'content': 'Hello'}]
    """

    #: The session's id, on the server too.
    session_id: str

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str,
        session_id: str,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        wait_timeout: float | None = 5.0,
    ) -> None:
        self._dispatcher = async_dispatcher(client, "MemtraceSession")
        self._clock = self._dispatcher.settings.clock
        self._history = History(_FORMAT, agent_id, session_id, wait_timeout)
        self.session_id = session_id
        self.session_settings = SessionSettings() if session_settings is None else session_settings

    @property
    def session_settings(self) -> SessionSettings | None:
        """How many items to read if no limit is given."""
        return self._session_settings

    @session_settings.setter
    def session_settings(self, value: SessionSettings | dict[str, Any] | None) -> None:
        self._session_settings = None if value is None else _settings_from(value)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Read the items, oldest first.

        Args:
            limit: Only the newest so many. Default: the limit of the session's settings, or all.

        Returns:
            The items.

        Raises:
            InvalidRequestError: `limit` is below 0.
            MemtraceError: The items could not be read.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        return await self._dispatcher.run(self._history.items(limit, self._clock))

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append items, in requests of 100.

        Args:
            items: The items, in order.

        Raises:
            InvalidRequestError: An item is not a dict that JSON can represent. Also a `TypeError`.
                Nothing was sent.
            PayloadTooLargeError: An item is over 4 MiB. Nothing was sent.
            BatchError: Only some items were stored.
            DeadlineExceededError: The items are stored, but could not be read within
                `wait_timeout`.
        """
        await self._dispatcher.run(self._history.add([_entry(i, item) for i, item in enumerate(items)], self._clock))

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the last item and return it.

        The server keeps it, but no read returns it. Simultaneous calls get different items, in any
        number of processes that use one server process. With ``wait_timeout=None`` this holds only
        within one session object.

        Returns:
            The item, or None if there is none.

        Raises:
            DeadlineExceededError: The removal is stored, but could not be read within
                `wait_timeout`.
            MemtraceError: The item could not be read, or its removal could not be stored.
        """
        item: TResponseInputItem | None = await self._dispatcher.run(self._history.pop(self._clock))
        return item

    async def clear_session(self) -> None:
        """Remove all items. The server keeps them, but no read returns them.

        Raises:
            MemtraceError: The removal could not be stored.
        """
        await self._dispatcher.run(self._history.clear(self._clock))


def memory_tools(
    client: AsyncMemtrace,
    *,
    agent_id: str,
    session_id: str | None = None,
    scope: MemoryScope = "agent",
    tools: Sequence[ToolName] = TOOLS,
    prefix: str = "",
    max_chars: int = 20_000,
) -> list[FunctionTool]:
    """Create the memory tools for ``Agent(tools=...)``, so that the model reads and writes memories.

    The application chooses the agent and the session. A model can neither see nor change them. A
    call that fails raises nothing: its result describes the error to the model.

    Args:
        client: The client.
        agent_id: The agent that everything is stored under.
        session_id: The session that everything is stored under. Default: none.
        scope: The memories to read: all of the ``agent``, or only those of the ``session``. Use
            ``session`` if several users share an agent.
        tools: The tools for the model.
        prefix: What the tools' names begin with, such as ``memory_``.
        max_chars: The longest result in characters, 1,000 or more.

    Returns:
        One tool for each name in `tools`.

    Raises:
        InvalidRequestError: The server does not accept an ID.
        ConfigurationError: Another argument is invalid.

    Example:
        >>> from memtrace import AsyncMemtrace
        >>> client = AsyncMemtrace("memory://", "any key")
        >>> [tool.name for tool in memory_tools(client, agent_id="assistant")]
        ['remember', 'recall', 'search', 'decide']
    """
    async_dispatcher(client, "memory_tools")
    memory = AsyncMemoryTools(
        client,
        agent_id=agent_id,
        session_id=session_id,
        scope=scope,
        tools=tools,
        prefix=prefix,
        max_chars=max_chars,
    )
    return [_function_tool(memory, schema) for schema in memory.schemas("openai-responses")]


def _function_tool(memory: AsyncMemoryTools, schema: dict[str, Any]) -> FunctionTool:
    name = schema["name"]

    async def invoke(_: ToolContext[Any], arguments: str) -> str:
        return (await memory.call(name, arguments)).text

    return FunctionTool(
        name=name,
        description=schema["description"],
        params_json_schema=schema["parameters"],
        on_invoke_tool=invoke,
        strict_json_schema=schema["strict"],
    )


def _settings_from(value: object) -> SessionSettings:
    if isinstance(value, SessionSettings):
        return value
    fields = SessionSettings.__dataclass_fields__
    rule = f"a SessionSettings, or a dict of its fields: {', '.join(fields)}"
    if not isinstance(value, dict) or not value.keys() <= fields.keys():
        raise invalid_type("session_settings", rule, "the OpenAI Agents SDK knows no other settings")
    try:
        return SessionSettings(**value)
    except ValueError:  # pydantic's names the value
        raise invalid_type("session_settings", rule, "a field has an invalid value") from None


def _entry(index: int, item: object) -> HistoryItem:
    if not isinstance(item, dict):
        raise invalid_type(f"items[{index}]", "a dict", f"{type(item).__name__} was given")
    text = json_text(item, f"items[{index}]")
    role = item.get("role")
    event = f"{role}_message" if isinstance(role, str) else item.get("type")
    return HistoryItem(text, _readable(item) or text, event_type_of(event))


def _readable(item: dict[str, Any]) -> str:
    """What a person would read of an item; empty where there is no text in it."""
    if item.get("type") == "function_call":
        return f"{item.get('name')}({item.get('arguments')})"
    return "\n".join(filter(None, (_text(item.get(field)) for field in ("content", "output", "summary"))))


def _text(content: object) -> str:
    """A string, or the text of each part of a list; for parts without text, their type."""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return ""
    parts = [part for part in content if isinstance(part, dict)]
    return "\n".join(str(part.get("text") or part.get("refusal") or f"[{part.get('type')}]") for part in parts)
