"""LangChain keeps a chat's messages in Memtrace: a `BaseChatMessageHistory`. Needs the extra ``langchain``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

try:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
except ImportError as _missing:
    raise ImportError(
        'memtrace.integrations.langchain needs the package langchain-core; run: pip install "memtrace-sdk[langchain]"'
    ) from _missing

from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.integrations._dual_client import DualClient
from memtrace.integrations._history import History, HistoryItem
from memtrace.integrations._records import event_type_of, json_text
from memtrace.operations._validation import invalid

__all__ = ["MemtraceChatMessageHistory"]

_FORMAT = "langchain"
_RULE = "a message of langchain-core whose values JSON can hold"


class MemtraceChatMessageHistory(BaseChatMessageHistory):
    """The messages of one chat, as a LangChain message history.

    Each message is stored as a memory of `agent_id` and `session_id`. Neither has to be registered.
    Blocking methods need `client`. The async ones use `async_client`, or `client` in a thread.

    Args:
        client: The client of the blocking methods.
        async_client: The client of the async methods. Default: `client`, in a thread.
        agent_id: The agent whose memories the messages are.
        session_id: The conversation.
        wait_timeout: Seconds that a write waits until its messages can be read. None does not wait,
            so that a read right after may miss them.

    Raises:
        InvalidRequestError: The server does not accept an ID, or `wait_timeout` is negative.
        ConfigurationError: There is no client, or one of the wrong kind.

    Example:
        >>> from memtrace import Memtrace
        >>> with Memtrace("memory://", "any key") as client:
        ...     history = MemtraceChatMessageHistory(client, agent_id="assistant", session_id="thread_42")
        ...     history.add_user_message("Hello")
        ...     [(message.type, message.content) for message in history.messages]
        [('human', 'Hello')]
    """

    def __init__(
        self,
        client: Memtrace | None = None,
        async_client: AsyncMemtrace | None = None,
        *,
        agent_id: str,
        session_id: str,
        wait_timeout: float | None = 5.0,
    ) -> None:
        super().__init__()
        self._dual_client = DualClient(client, async_client, "MemtraceChatMessageHistory")
        self._history = History(_FORMAT, agent_id, session_id, wait_timeout)

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # as in the histories of LangChain itself
        """The messages, oldest first, read from the server each time."""
        return messages_from_dict(self._dual_client.run(lambda of: self._history.items(None, of.settings.clock)))

    async def aget_messages(self) -> list[BaseMessage]:
        """Read all messages, oldest first, like `messages` does.

        Returns:
            The messages.

        Raises:
            MemtraceError: The messages could not be read.
        """
        return messages_from_dict(
            await self._dual_client.run_async(lambda of: self._history.items(None, of.settings.clock))
        )

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, in requests of 100.

        Args:
            messages: The messages, in order.

        Raises:
            InvalidRequestError: A message could not be restored as it is, or the server would not
                accept it. Nothing was sent.
            PayloadTooLargeError: A message is over 4 MiB. Nothing was sent.
            BatchError: Only some messages were stored.
            DeadlineExceededError: The messages are stored, but could not be read within
                `wait_timeout`.
        """
        entries = _entries(messages)
        self._dual_client.run(lambda of: self._history.add(entries, of.settings.clock))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, in requests of 100, like `add_messages` does.

        Args:
            messages: The messages, in order.

        Raises:
            InvalidRequestError: A message could not be restored as it is, or the server would not
                accept it. Nothing was sent.
            PayloadTooLargeError: A message is over 4 MiB. Nothing was sent.
            BatchError: Only some messages were stored.
            DeadlineExceededError: The messages are stored, but could not be read within
                `wait_timeout`.
        """
        entries = _entries(messages)
        await self._dual_client.run_async(lambda of: self._history.add(entries, of.settings.clock))

    def clear(self) -> None:
        """Remove all messages. The server keeps them, but no read returns them."""
        self._dual_client.run(lambda of: self._history.clear(of.settings.clock))

    async def aclear(self) -> None:
        """Remove all messages, like `clear` does. The server keeps them, but no read returns them."""
        await self._dual_client.run_async(lambda of: self._history.clear(of.settings.clock))


def _entries(messages: Sequence[BaseMessage]) -> list[HistoryItem]:
    return [_entry(f"messages[{i}]", message) for i, message in enumerate(messages)]


def _entry(field: str, message: BaseMessage) -> HistoryItem:
    if not isinstance(message, BaseMessage):
        raise invalid(field, _RULE, f"{type(message).__name__} was given")
    text = json_text(message_to_dict(message), field)
    if not _comes_back(message, text):
        raise invalid(field, _RULE, "it would come back as another")
    return HistoryItem(text, _readable(message) or text, event_type_of(f"{message.type}_message"))


def _comes_back(message: BaseMessage, text: str) -> bool:
    """Whether reading `text` gives a message of the same class and the same values."""
    try:
        (read,) = messages_from_dict([json.loads(text)])
    except (TypeError, ValueError):  # a class of the user's own
        return False
    return type(read) is type(message) and json_text(message_to_dict(read), "message") == text


def _readable(message: BaseMessage) -> str:
    """The text of a message and its calls of tools; empty where it has neither."""
    calls: list[dict[str, Any]] = getattr(message, "tool_calls", [])
    return "\n".join(filter(None, [str(message.text), *(f"{call['name']}({_arguments(call)})" for call in calls)]))


def _arguments(call: dict[str, Any]) -> str:
    return json.dumps(call["args"], ensure_ascii=False)
