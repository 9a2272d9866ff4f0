"""The messages of sessions, which an agent of the framework loads before a run and stores after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from agent_framework import HistoryProvider, Message
from agent_framework.exceptions import IntegrationException, IntegrationInvalidRequestException

from memtrace._runtime.workflows.steps import Workflow
from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import InvalidRequestError, MemtraceError, PayloadTooLargeError
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._history import History, HistoryItem
from memtrace.integrations._records import event_type_of, json_text
from memtrace.integrations.identifiers import id_for
from memtrace.operations._validation import invalid

T = TypeVar("T")

_FORMAT = "agent-framework"
_NO_SESSION = "default"


class MemtraceHistoryProvider(HistoryProvider):
    """The messages of each session, which go on in another process.

    Each message is a memory of `agent_id`, which need not be registered. Session IDs may be any
    strings. Runs without a session share the history ``default``. Failures are an
    `IntegrationException`, whose cause is the `MemtraceError`.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the messages are.
        source_id: The provider's ID, unique in an agent.
        max_messages: How many of the newest messages a run gets. Default: all.
        load_messages: Whether a run gets the messages of earlier runs.
        store_inputs: Whether to store the user's messages.
        store_outputs: Whether to store the model's messages.
        store_context_messages: Whether to store what other providers add.
        wait_timeout: Seconds that a write waits until its messages can be read. None does not wait.

    Raises:
        InvalidRequestError: The server does not accept the ID, or a number is negative.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from agent_framework import Message
        >>> from memtrace import AsyncMemtrace
        >>> history = MemtraceHistoryProvider(AsyncMemtrace("memory://", "any key"), agent_id="assistant")
        >>> asyncio.run(history.save_messages("user/42", [Message("user", ["Hello"])]))
        >>> [message.text for message in asyncio.run(history.get_messages("user/42"))]
        ['Hello']
    """

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str,
        source_id: str = "memtrace_history",
        max_messages: int | None = None,
        load_messages: bool = True,
        store_inputs: bool = True,
        store_outputs: bool = True,
        store_context_messages: bool = False,
        wait_timeout: float | None = 5.0,
    ) -> None:
        super().__init__(
            source_id,
            load_messages=load_messages,
            store_inputs=store_inputs,
            store_outputs=store_outputs,
            store_context_messages=store_context_messages,
        )
        self._dispatcher = async_dispatcher(client, "MemtraceHistoryProvider")
        self._clock = self._dispatcher.settings.clock
        if max_messages is not None and max_messages < 0:
            raise invalid("max_messages", "0 or more", "it says how many messages to give")
        self._max_messages = max_messages
        History(_FORMAT, agent_id, _NO_SESSION, wait_timeout)  # refuses invalid settings
        self._agent_id = agent_id
        self._wait_timeout = wait_timeout

    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Message]:
        """Read the messages of a session, oldest first.

        Args:
            session_id: The session's ID.
            state: Not used.
            **kwargs: Not used.

        Returns:
            The newest `max_messages` of them, or all.

        Raises:
            IntegrationException: They could not be read.
        """
        items = await self._run(session_id, lambda history: history.items(self._max_messages, self._clock))
        return [Message.from_dict(item) for item in items]

    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append messages to a session, in requests of 100.

        Args:
            session_id: The session's ID.
            messages: The messages, in order.
            state: Not used.
            **kwargs: Not used.

        Raises:
            IntegrationInvalidRequestException: A message cannot be restored as it is, or is over
                4 MiB. Nothing was sent.
            IntegrationException: They could not be stored.
        """
        await self._run(session_id, lambda history: history.add(_entries(messages), self._clock))

    async def clear(self, session_id: str | None) -> None:
        """Remove all messages of a session. The server keeps them, but no read returns them.

        Args:
            session_id: The session's ID.

        Raises:
            IntegrationException: The removal could not be stored.
        """
        await self._run(session_id, lambda history: history.clear(self._clock))

    async def _run(self, session_id: str | None, workflow: Callable[[History], Workflow[T]]) -> T:
        try:
            history = History(_FORMAT, self._agent_id, id_for(session_id or _NO_SESSION), self._wait_timeout)
            return await self._dispatcher.run(workflow(history))
        except (InvalidRequestError, PayloadTooLargeError) as error:
            raise IntegrationInvalidRequestException(str(error), error) from error
        except MemtraceError as error:
            raise IntegrationException(str(error), error) from error


def _entries(messages: Sequence[Message]) -> list[HistoryItem]:
    return [_entry(f"messages[{i}]", message) for i, message in enumerate(messages)]


def _entry(field: str, message: Message) -> HistoryItem:
    for properties in (message.additional_properties, *(each.additional_properties for each in message.contents)):
        json_text(dict(properties), field)  # to_dict leaves out what JSON cannot hold
    text = json_text(message.to_dict(), field)
    if not _comes_back(text):
        raise invalid(field, "a message that JSON can hold", "it would come back as another")
    return HistoryItem(text, _readable(message) or text, event_type_of(f"{message.role}_message"))


def _comes_back(text: str) -> bool:
    """Whether reading `text` gives a message of the same values."""
    try:
        return json_text(Message.from_dict(json.loads(text)).to_dict(), "message") == text
    except (TypeError, ValueError):  # a class of the user's own
        return False


def _readable(message: Message) -> str:
    """The text of a message, its calls of tools and their results; empty where it has none."""
    parts = [message.text]
    for content in message.contents:
        if content.type == "function_call":
            parts.append(f"{content.name}({content.arguments if content.arguments is not None else ''})")
        elif content.type == "function_result":
            parts.append(str(content.result or content.exception or ""))
    return "\n".join(filter(None, parts))
