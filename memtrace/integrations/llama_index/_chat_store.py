"""The chats of one agent, as LlamaIndex keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from memtrace._runtime.workflows.steps import Workflow
from memtrace.async_client import AsyncMemtrace
from memtrace.clock import Clock
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._queue import MessageQueue, session_names
from memtrace.integrations.llama_index._messages import FORMAT, entries, messages_from
from memtrace.operations._validation import invalid

if TYPE_CHECKING:
    from memtrace._runtime.dispatch import AsyncDispatcher

T = TypeVar("T")


class MemtraceChatStore(AsyncDBChatStore):
    """The chats of one agent, as the store of a LlamaIndex `Memory`.

    Each message is stored as a memory of `agent_id`. Its session is `id_for(key)`. Neither has to be
    registered. `MemtraceError` is raised if the server cannot be reached or rejects a call.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the messages are.
        wait_timeout: Seconds that a write waits until its messages can be read. None does not wait,
            so that a read right after may miss them.

    Raises:
        InvalidRequestError: The server does not accept the ID, or `wait_timeout` is negative.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from llama_index.core.base.llms.types import ChatMessage
        >>> from memtrace import AsyncMemtrace
        >>> async def chat():
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         store = MemtraceChatStore(client, agent_id="assistant")
        ...         await store.add_message("thread_42", ChatMessage(role="user", content="Hello"))
        ...         return [message.content for message in await store.get_messages("thread_42")]
        >>> asyncio.run(chat())
        ['Hello']
    """

    _client: AsyncMemtrace = PrivateAttr()
    _agent_id: str = PrivateAttr()
    _wait_timeout: float | None = PrivateAttr()

    def __init__(self, client: AsyncMemtrace, *, agent_id: str, wait_timeout: float | None = 5.0) -> None:
        super().__init__()
        async_dispatcher(client, "MemtraceChatStore")
        MessageQueue(FORMAT, agent_id, "any", wait_timeout)  # checks the arguments
        self._client, self._agent_id, self._wait_timeout = client, agent_id, wait_timeout

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Read the messages of a chat, oldest first.

        Args:
            key: The chat, any string.
            status: Only active or archived messages. None reads both.
            limit: How many messages at most, counted from the oldest.
            offset: How many of the oldest messages to skip.

        Returns:
            The messages.

        Raises:
            InvalidRequestError: `limit` or `offset` is below 0.
        """
        for field, value in (("limit", limit), ("offset", offset)):
            if value is not None and value < 0:
                raise invalid(field, "0 or more", "it is a number of messages")
        messages = messages_from(
            await self._run(self._queue(key).items(status.value if status else None, self._clock))
        )[offset or 0 :]
        return messages if limit is None else messages[:limit]

    async def count_messages(self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE) -> int:
        """Count the messages of a chat.

        Args:
            key: The chat, any string.
            status: Only active or archived messages. None counts both.

        Returns:
            The number of messages.

        Raises:
            MemtraceError: The messages could not be read.
        """
        return len(await self._run(self._queue(key).items(status.value if status else None, self._clock)))

    async def add_message(self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE) -> None:
        """Append a message to a chat.

        Args:
            key: The chat, any string.
            message: The message.
            status: Whether it is active or archived.

        Raises:
            MemtraceError: See `add_messages`.
        """
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append messages to a chat: all of them, or none if the call fails.

        Args:
            key: The chat, any string.
            messages: The messages, in order.
            status: Whether they are active or archived.

        Raises:
            InvalidRequestError: JSON cannot hold a message. Nothing was sent.
            PayloadTooLargeError: A message is over 4 MiB. Nothing was sent.
            DeadlineExceededError: The messages are stored, but could not be read within
                `wait_timeout`.
        """
        await self._run(self._queue(key).add(entries(messages), status.value, self._clock))

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Replace all messages of a chat, active and archived. If the call fails, they stay.

        Args:
            key: The chat, any string.
            messages: The new messages, in order.
            status: Whether the new messages are active or archived.

        Raises:
            InvalidRequestError: JSON cannot hold a message. Nothing was sent.
            PayloadTooLargeError: A message is over 4 MiB. Nothing was sent.
            DeadlineExceededError: The messages are stored, but could not be read within
                `wait_timeout`.
        """
        await self._run(self._queue(key).replace(entries(messages), status.value, self._clock))

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Remove one active message and return it. The server keeps it, but no read returns it.

        Args:
            key: The chat, any string.
            idx: The position among the active messages, counted from 0, the oldest.

        Returns:
            The message, or None if there is none at that position.

        Raises:
            MemtraceError: The message could not be read, or its removal could not be stored.
        """
        item = await self._run(self._queue(key).take_at(idx, self._clock))
        return None if item is None else messages_from([item])[0]

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Remove the messages of a chat. The server keeps them, but no read returns them.

        Args:
            key: The chat, any string.
            status: Only active or archived messages. None removes both.

        Raises:
            MemtraceError: The removal could not be stored.
        """
        await self._run(self._queue(key).clear(status.value if status else None, self._clock))

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Remove the oldest active messages and return them.

        Two simultaneous callers never get the same message, unless `wait_timeout` is None.

        Args:
            key: The chat, any string.
            n: How many messages at most.

        Returns:
            The removed messages, oldest first.

        Raises:
            MemtraceError: The messages could not be read, or their removal could not be stored.
        """
        return messages_from(await self._run(self._queue(key).take_oldest(n, "removed", self._clock)))

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the oldest active messages and return them.

        Two simultaneous callers never get the same message, unless `wait_timeout` is None.

        Args:
            key: The chat, any string.
            n: How many messages at most.

        Returns:
            The archived messages, oldest first.

        Raises:
            MemtraceError: The messages could not be read, or the change could not be stored.
        """
        return messages_from(await self._run(self._queue(key).take_oldest(n, "archived", self._clock)))

    async def get_keys(self) -> list[str]:
        """Read the keys of all chats that have messages, from all records of the agent.

        Returns:
            The keys, the chat with the newest message last.
        """
        return await self._run(session_names(FORMAT, self._agent_id, self._clock))

    @classmethod
    def class_name(cls) -> str:
        """Return the class name, as LlamaIndex requires.

        Returns:
            ``MemtraceChatStore``.
        """
        return "MemtraceChatStore"

    def _queue(self, key: str) -> MessageQueue:
        return MessageQueue(FORMAT, self._agent_id, key, self._wait_timeout)

    @property
    def _dispatcher(self) -> AsyncDispatcher:
        return async_dispatcher(self._client, "MemtraceChatStore")

    @property
    def _clock(self) -> Clock:
        return self._dispatcher.settings.clock

    async def _run(self, workflow: Workflow[T]) -> T:
        return await self._dispatcher.run(workflow)
