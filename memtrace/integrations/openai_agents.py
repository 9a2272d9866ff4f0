"""The OpenAI Agents SDK keeps its conversations in Memtrace: a `Session` of that SDK. Needs the extra ``openai-agents``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from agents.memory import SessionSettings
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.openai_agents needs the package openai-agents; "
        'run: pip install "memtrace-sdk[openai-agents]"'
    ) from _missing

from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._history import History, HistoryItem
from memtrace.integrations._records import event_type_of, json_text
from memtrace.operations._validation import invalid

if TYPE_CHECKING:
    from agents.items import TResponseInputItem

    from memtrace.async_client import AsyncMemtrace

__all__ = ["MemtraceSession"]

_FORMAT = "openai-agents"


class MemtraceSession:
    """The history of one conversation, as the `Session` that ``Runner.run`` takes.

    Each item is a memory of `agent_id` and `session_id`; neither has to be registered. A write returns once it can be read, and
    waits `wait_timeout` seconds for that; None does not wait, so that a read at once may miss it. `session_settings` bounds
    how many items are read where no `limit` is given.
    Raises `InvalidRequestError` for ids that the server does not take, `ConfigurationError` for another client.

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
    #: How many items to read where no limit is given.
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
        """The items, oldest first: the newest `limit`, else as many as the session's settings say, else all.

        Raises what reading raises, and `InvalidRequestError` for a limit below 0.
        """
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        return await self._dispatcher.run(self._history.items(limit, self._clock))

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items at the end, in requests of 100.

        Raises `InvalidRequestError` and `PayloadTooLargeError` for an item that the server would not take, before any is sent;
        `BatchError` where only some were stored, and `DeadlineExceededError` where they are stored but cannot be read in time.
        """
        await self._dispatcher.run(self._history.add([_entry(i, item) for i, item in enumerate(items)], self._clock))

    async def pop_item(self) -> TResponseInputItem | None:
        """Take the last item back and return it; None when there is none. It stays on the server, and is read no more.

        Two calls at the same moment may both get the same item: let one at a time take back from a session.
        """
        item: TResponseInputItem | None = await self._dispatcher.run(self._history.pop(self._clock))
        return item

    async def clear_session(self) -> None:
        """Take all items back. They stay on the server, and are read no more."""
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
    """A text, or the texts of a list of parts; of other parts the type."""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        return ""
    parts = [part for part in content if isinstance(part, dict)]
    return "\n".join(str(part.get("text") or part.get("refusal") or f"[{part.get('type')}]") for part in parts)
