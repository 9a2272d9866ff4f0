"""The OpenAI Agents SDK keeps its conversations in Memtrace: a `Session` of that SDK. Needs the extra ``openai-agents``."""

from __future__ import annotations

from typing import Any

try:
    from agents.items import TResponseInputItem
    from agents.memory import SessionSettings
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.openai_agents needs the package openai-agents; "
        'run: pip install "memtrace-sdk[openai-agents]"'
    ) from _missing

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._history import History, HistoryItem
from memtrace.integrations._records import event_type_of, json_text
from memtrace.operations._validation import invalid

__all__ = ["MemtraceSession"]

_FORMAT = "openai-agents"


class MemtraceSession:
    """The history of one conversation, as a `Session` for ``Runner.run``.

    Each item is stored as a memory of `agent_id` and `session_id`. Neither has to be registered.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the items are.
        session_id: The conversation.
        session_settings: Limits how many items are read when `get_items` gets no `limit`.
        wait_timeout: Seconds that a write waits until its items can be read. None does not wait, so
            that a read right after may miss them.

    Raises:
        InvalidRequestError: The server does not accept an ID, or `wait_timeout` is negative.
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
    #: How many items to read if no limit is given.
    session_settings: SessionSettings | None

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str,
        session_id: str,
        session_settings: SessionSettings | None = None,
        wait_timeout: float | None = 5.0,
    ) -> None:
        self._dispatcher = async_dispatcher(client, "MemtraceSession")
        self._clock = self._dispatcher.settings.clock
        self._history = History(_FORMAT, agent_id, session_id, wait_timeout)
        self.session_id = session_id
        self.session_settings = session_settings or SessionSettings()

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
            InvalidRequestError: The server would not accept an item. Nothing was sent.
            PayloadTooLargeError: An item is over 4 MiB. Nothing was sent.
            BatchError: Only some items were stored.
            DeadlineExceededError: The items are stored, but could not be read within
                `wait_timeout`.
        """
        await self._dispatcher.run(self._history.add([_entry(i, item) for i, item in enumerate(items)], self._clock))

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the last item and return it.

        The server keeps it, but no read returns it. Two simultaneous calls may both get the same
        item, so let one caller at a time remove items of a session.

        Returns:
            The item, or None if there is none.

        Raises:
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


def _entry(index: int, item: object) -> HistoryItem:
    if not isinstance(item, dict):
        raise invalid(f"items[{index}]", "a dict", f"{type(item).__name__} was given")
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
