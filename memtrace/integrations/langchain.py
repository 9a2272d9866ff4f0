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
    """The messages of one chat.

    Each message is a memory of `agent_id` and `session_id`; neither has to be registered. A write returns once it can be read,
    and waits `wait_timeout` seconds for that; None does not wait, so that a read at once may miss it. Blocking methods need
    `client`; the async ones use `async_client`, or `client` in a thread.
    Raises `InvalidRequestError` for ids that the server does not take, `ConfigurationError` without a client.

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
        """The messages, oldest first; read anew each time. Raises what reading raises."""
        return messages_from_dict(self._dual_client.run(lambda of: self._history.items(None, of.settings.clock)))

    async def aget_messages(self) -> list[BaseMessage]:
        """As `messages`, awaiting."""
        return messages_from_dict(
            await self._dual_client.run_async(lambda of: self._history.items(None, of.settings.clock))
        )

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Add messages at the end, in requests of 100.

        Raises `InvalidRequestError` and `PayloadTooLargeError` for a message that would not come back as it is, or that the
        server would not take, before any is sent; `BatchError` where only some were stored, and `DeadlineExceededError` where
        they are stored but cannot be read in time.
        """
        entries = _entries(messages)
        self._dual_client.run(lambda of: self._history.add(entries, of.settings.clock))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """As `add_messages`, awaiting."""
        entries = _entries(messages)
        await self._dual_client.run_async(lambda of: self._history.add(entries, of.settings.clock))

    def clear(self) -> None:
        """Take all messages back. They stay on the server, and are read no more."""
        self._dual_client.run(lambda of: self._history.clear(of.settings.clock))

    async def aclear(self) -> None:
        """As `clear`, awaiting."""
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
