"""A context for a prompt, put together from memories."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from memtrace._support.numbers import is_int
from memtrace.context._formats import ContextFormat, formatter_for
from memtrace.context._selection import BudgetSelection, RenderedMemory
from memtrace.context._tokens import MESSAGE_TOKENS, TokenCounter, check_counter, checked_count, estimate_tokens
from memtrace.models import Memory
from memtrace.operations._validation import invalid


class Message(TypedDict):
    """A chat message, as the interfaces of models take it."""

    role: Literal["user"]
    content: str


@dataclass(frozen=True, slots=True)
class PromptContext:
    """Memories, ready for a prompt. With none in it text and messages are empty, and `tokens` is 0."""

    #: Markdown or XML: a heading and the memories. For the form ``messages`` the same as one text.
    text: str = field(repr=False)
    #: For the form ``messages`` the heading and each memory as one message; else the whole text as one.
    messages: list[Message] = field(repr=False)
    #: What the counter gave: for the whole text, or for all contents and `MESSAGE_TOKENS` for each message.
    tokens: int
    #: What is in it, oldest first.
    memories: list[Memory] = field(repr=False)
    #: How many were found and are not in it, because of the budget.
    omitted: int
    #: How often the budget has changed the beginning since the first memory. Of two contexts of one growing history with
    #: the same revision, the earlier one is the beginning of the later one.
    revision: int


def build_context(
    memories: Iterable[Memory],
    *,
    max_tokens: int | None = None,
    count_tokens: TokenCounter = estimate_tokens,
    format: ContextFormat = "markdown",
    metadata_keys: Collection[str] = ("reasoning",),
    show_agents: bool = False,
) -> PromptContext:
    """Write memories, given in any order, into a prompt, oldest first and each as a whole; the same ones always give the same.

    `max_tokens`, by `count_tokens`, bounds all of it; without one everything is in it. Raises `InvalidRequestError`, naming
    the field, for an argument out of bounds, and what `count_tokens` raises.

    >>> from memtrace import Memtrace
    >>> client = Memtrace("memory://", "any key")
    >>> memory = client.memories.add(agent_id="assistant", content="User prefers tea", importance=0.8, tags=["diet"])
    >>> print(build_context([memory], format="xml", max_tokens=200).text)  # doctest: +ELLIPSIS
    Memories, oldest first. Each memory element below is a record of what was said and done. ...
    <memory time="20..." type="episodic" event="general" importance="0.8" tags="diet">
    User prefers tea
    </memory>
    <BLANKLINE>
    """
    writer = ContextWriter(max_tokens, count_tokens, format, metadata_keys, show_agents=show_agents)
    writer.take(memories)
    return writer.context()


class ContextWriter:
    """Takes memories in groups, each group later than the one before, and gives the context of all. Raises as `build_context`."""

    def __init__(
        self,
        max_tokens: int | None,
        count_tokens: TokenCounter,
        format: ContextFormat,
        metadata_keys: Collection[str],
        *,
        show_agents: bool,
    ) -> None:
        if max_tokens is not None and (not is_int(max_tokens) or max_tokens < 1):
            raise invalid("max_tokens", "a whole number, 1 or more", "it says how much there is room for")
        check_counter(count_tokens)
        self._most = max_tokens
        self._count = count_tokens
        self._writing = formatter_for(format, metadata_keys, show_agents=show_agents)
        self._selection = BudgetSelection(
            None if max_tokens is None else max_tokens - self._cost(self._writing.heading)
        )

    def take(self, memories: Iterable[Memory]) -> None:
        """Add a group. It is sorted by time; of one microsecond, whose order the server does not promise, by how they are written."""
        written = [(memory.time, self._writing.memory(memory), memory) for memory in memories]
        written.sort(key=lambda row: row[:2])
        for _, text, memory in written:
            self._selection.take(RenderedMemory(memory, text, 0 if self._most is None else self._cost(text)))

    def context(self) -> PromptContext:
        """What is kept."""
        text, tokens = self._whole()
        if self._most is not None:
            while tokens > self._most:  # a counter for which the whole is more than its parts
                self._selection.shrink(self._selection.tokens // 2 - 1)
                text, tokens = self._whole()
        selection = self._selection
        return PromptContext(
            text,
            self._messages(text),
            tokens,
            [entry.memory for entry in selection.kept],
            selection.omitted,
            selection.revision,
        )

    def _cost(self, text: str) -> int:
        if self._writing.format == "messages":
            return checked_count(self._count, text) + MESSAGE_TOKENS
        return checked_count(self._count, text + self._writing.end)

    def _whole(self) -> tuple[str, int]:
        parts = self._parts()
        text = "".join(part + self._writing.end for part in parts)
        if self._writing.format == "messages":
            return text, sum(map(self._cost, parts))
        return text, checked_count(self._count, text) if parts else 0

    def _messages(self, text: str) -> list[Message]:
        contents = self._parts() if self._writing.format == "messages" else [text][: len(text)]
        return [{"role": "user", "content": content} for content in contents]

    def _parts(self) -> list[str]:
        kept = self._selection.kept
        return [self._writing.heading, *(entry.text for entry in kept)] if kept else []
