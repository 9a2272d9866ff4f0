"""The memories of one agent, as a block of a LlamaIndex memory."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.memory import BaseMemoryBlock

from memtrace._support.characters import whole_characters
from memtrace.async_client import AsyncMemtrace
from memtrace.context import build_context
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._records import check_wait_timeout, event_type_of, is_record, write
from memtrace.integrations._relevant import relevant
from memtrace.integrations.identifiers import id_for
from memtrace.integrations.llama_index._messages import readable
from memtrace.models import AddMemoryRequest
from memtrace.operations._validation import require_id
from memtrace.ranking import SearchHits
from memtrace.ranking._search import check_hits

_BLOCK = "llama-index-memory"


class MemtraceMemoryBlock(BaseMemoryBlock[str]):
    """The memories of one agent that are relevant to the last message of the user, for a LlamaIndex `Memory`.

    It finds whatever was stored for the agent, in any session: by this block, by `client.remember` or by the
    function tools. It leaves out chat messages of `MemtraceChatStore` and of other integrations. Messages that
    leave the short-term memory are stored, each once per chat, as ``user: I like tea``.

    Args:
        client: The client, an `AsyncMemtrace`. Its embedder and ranker count.
        agent_id: The agent whose memories these are.
        limit: How many memories at most, from 1.
        wait_timeout: Seconds that a write waits until its memories can be read. None does not wait.
        name: The name of the block, unique in a `Memory`.
        description: What the block is for.
        priority: When a `Memory` over its token limit leaves the block out: 0 never, higher numbers
            first.
        accept_short_term_memory: Whether to store messages that leave the short-term memory.

    Raises:
        InvalidRequestError: The server does not accept the ID, `limit` is below 1, or `wait_timeout`
            is negative.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from llama_index.core.base.llms.types import ChatMessage
        >>> from memtrace import AsyncMemtrace
        >>> async def recall():
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         await client.remember("assistant", "User prefers tea without sugar")
        ...         block = MemtraceMemoryBlock(client, agent_id="assistant")
        ...         return await block.aget([ChatMessage(role="user", content="Tea or coffee?")])
        >>> "User prefers tea without sugar" in asyncio.run(recall())
        True
    """

    _client: AsyncMemtrace = PrivateAttr()
    _agent_id: str = PrivateAttr()
    _limit: int = PrivateAttr()
    _wait_timeout: float | None = PrivateAttr()

    def __init__(
        self,
        client: AsyncMemtrace,
        *,
        agent_id: str,
        limit: int = 5,
        wait_timeout: float | None = 5.0,
        name: str = "Memtrace",
        description: str | None = None,
        priority: int = 0,
        accept_short_term_memory: bool = True,
    ) -> None:
        super().__init__(
            name=name,
            description=description,
            priority=priority,
            accept_short_term_memory=accept_short_term_memory,
        )
        async_dispatcher(client, "MemtraceMemoryBlock")
        require_id(agent_id, "agent_id")
        check_hits(limit)
        check_wait_timeout(wait_timeout)
        self._client, self._agent_id, self._limit, self._wait_timeout = client, agent_id, limit, wait_timeout

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        """The relevant memories as one text, marked as data; empty where there are none."""
        said = [message for message in messages or [] if message.role == MessageRole.USER and message.content]
        if not said:
            return ""
        of = async_dispatcher(self._client, "MemtraceMemoryBlock")
        hits = await of.run(
            relevant(
                said[-1].content or "",
                agent_id=self._agent_id,
                limit=self._limit,
                is_wanted=lambda memory: not is_record(memory),
                searching=of.searching,
            )
        )
        return build_context(SearchHits(hits), format="xml").text if hits else ""

    async def _aput(self, messages: list[ChatMessage]) -> None:
        """Store what messages say, each once; what has no text is left out."""
        requests = {request.dedup_key: request for message in messages for request in self._requests(message)}
        of = async_dispatcher(self._client, "MemtraceMemoryBlock")
        await of.run(write([*requests.values()], self._wait_timeout, of.settings.clock))

    def _requests(self, message: ChatMessage) -> list[AddMemoryRequest]:
        text, session = readable(message), message.additional_kwargs.get("session_id")
        if not text:
            return []
        content = whole_characters(f"{message.role.value}: {text}")
        about = json.dumps([self._agent_id, session, content]).encode()
        return [
            AddMemoryRequest(
                agent_id=self._agent_id,
                session_id=id_for(session) if isinstance(session, str) and session else None,
                event_type=event_type_of(f"{message.role.value}_message"),
                content=content,
                tags=[_BLOCK],
                dedup_key=f"{_BLOCK}-{hashlib.sha256(about).hexdigest()}",
            )
        ]
