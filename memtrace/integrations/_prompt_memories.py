"""The memories that matter to what a user says, as text for a prompt: what several frameworks add to a model's input."""

from __future__ import annotations

import logging
from typing import Literal, get_args

from memtrace._support.numbers import is_int
from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import ConfigurationError, MemtraceError
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.operations._validation import invalid

OnMemoryError = Literal["raise", "ignore"]
"""What happens if the memories cannot be read: the error is raised, or logged and the model answers without memories."""

_logger = logging.getLogger("memtrace")


class RelevantMemories:
    """Reads memories for prompts. `owner` is whom errors name.

    Raises `ConfigurationError` for a client that is not async and an unknown `on_error`, and `InvalidRequestError` for a
    budget below 1.
    """

    def __init__(self, client: AsyncMemtrace, owner: str, max_tokens: int, on_error: OnMemoryError) -> None:
        async_dispatcher(client, owner)
        if not is_int(max_tokens) or max_tokens < 1:
            raise invalid("max_tokens", "a whole number, 1 or more", "it says how much there is room for")
        if on_error not in get_args(OnMemoryError):
            raise ConfigurationError(
                f"on_error must be one of {', '.join(get_args(OnMemoryError))}", argument="on_error"
            )
        self._client = client
        self._owner = owner
        self._max_tokens = max_tokens
        self._on_error = on_error

    async def text(self, query: str, agent_id: str, session_id: str | None) -> str:
        """The memories as a block of text, marked as data; empty if none is relevant. The query is not blank."""
        try:
            found = await self._client.memories.prompt_context(
                query, agent_id=agent_id, session_id=session_id, max_tokens=self._max_tokens
            )
        except MemtraceError as error:
            if self._on_error == "raise":
                raise
            _logger.warning("%s goes on without memories: %s", self._owner, error)
            return ""
        return found.text
