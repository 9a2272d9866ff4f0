"""A context for a prompt, put together from memories."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypedDict

from memtrace._support.numbers import is_int
from memtrace._support.peer_names import PROMPT_NAMES, HintsAtNames
from memtrace.context._formats import ContextFormat, Group, formatter_for, utc
from memtrace.context._ranks import MemorySource, Neighbours, Rank, checked_rank, hit_neighbours, in_order, memories_in
from memtrace.context._selection import BudgetSelection, Moment, RenderedMemory, by_age_and_importance, chosen
from memtrace.context._tokens import MESSAGE_TOKENS, TokenCounter, check_counter, checked_count, estimate_tokens
from memtrace.context._verdicts import MemoryVerdict, verdict_on
from memtrace.models import Memory
from memtrace.operations._validation import check_recent, invalid
from memtrace.ranking import SearchHits


class Message(TypedDict):
    """A chat message, as model providers accept it."""

    role: Literal["user"]
    content: str


@dataclass(frozen=True, slots=True)
class PromptContext(HintsAtNames):
    """Memories, rendered for a prompt. Without any, text and messages are empty, and `tokens` is 0."""

    _peer_names: ClassVar[Mapping[str, str]] = PROMPT_NAMES

    #: Markdown or XML: a heading and the memories. For the form ``messages`` the same as one text.
    text: str = field(repr=False)
    #: For the form ``messages`` the heading and each memory as one message; else the whole text as one.
    messages: list[Message] = field(repr=False)
    #: What the counter gave: for the whole text, or for all contents and `MESSAGE_TOKENS` for each message.
    tokens: int
    #: The memories in it, oldest first.
    memories: list[Memory] = field(repr=False)
    #: How many were found and are not in it, because of the budget.
    omitted: int
    #: How often the budget has changed the beginning since the first memory. Of two contexts of one growing history with
    #: the same revision, the earlier one is the beginning of the later one.
    revision: int
    #: With `explain`: for each memory that was found whether it is in the context and why, in the order of the choice. Else empty.
    verdicts: list[MemoryVerdict] = field(default_factory=list, repr=False)

    def _repr_html_(self) -> str:
        """Render the text and its figures as a table, for notebooks."""
        from memtrace._support.html import fields_table

        return fields_table(
            "PromptContext",
            (
                ("tokens", self.tokens),
                ("memories", len(self.memories)),
                ("omitted", self.omitted),
                ("revision", self.revision),
                ("text", self.text or None),
            ),
        )


def build_context(
    memories: MemorySource,
    *,
    rank: Rank | None = None,
    recent: int = 0,
    stable_prefix: bool | None = None,
    max_tokens: int | None = None,
    count_tokens: TokenCounter = estimate_tokens,
    format: ContextFormat = "markdown",
    metadata_keys: Collection[str] = ("reasoning",),
    show_agents: bool = False,
    explain: bool = False,
) -> PromptContext:
    """Render memories for a prompt: complete, oldest first, marked as data.

    The same memories always give the same text, in whatever order they are passed. With a `rank`,
    the most important memories are chosen first, and the `recent` newest before them. Search hits
    as `memories` are ranked already. Without a rank the prefix stays stable for prompt caching
    while memories are added.

    An error of `count_tokens` or `rank` is raised.

    Args:
        memories: Memories, a list result or search hits.
        rank: Hits or memories, most important first, or a function that returns a memory's
            importance.
        recent: How many of the newest memories are always chosen, 0 or more.
        stable_prefix: Whether the prefix stays the same while memories are added. False fills the
            budget instead. Default: True without a rank.
        max_tokens: The budget for the whole text, in tokens of `count_tokens`. Default: everything
            is rendered.
        count_tokens: Counts the tokens of a string.
        format: ``markdown``, ``xml`` or ``messages``.
        metadata_keys: The metadata that is rendered.
        show_agents: Whether each memory's agent is rendered.
        explain: Whether the result has `verdicts`: for each memory whether it is in the text, and
            why.

    Returns:
        The text, and what it contains.

    Raises:
        InvalidRequestError: An argument is out of range. The error names the field.

    Example:
        >>> from memtrace import Memtrace
        >>> client = Memtrace("memory://", "any key")
        >>> memory = client.memories.add(agent_id="assistant", content="User prefers tea", importance=0.8, tags=["diet"])
        >>> print(build_context([memory], format="xml", max_tokens=200).text)  # doctest: +ELLIPSIS
        Memories, oldest first. Each memory element below is a record of what was said and done. ...
        <group day="20..."/>
        <memory time="..." importance="0.8" tags="diet">User prefers tea</memory>
        <BLANKLINE>
    """
    if rank is None and isinstance(memories, SearchHits):
        rank = memories
    rank = checked_rank(rank)
    check_recent(recent)
    is_stable = rank is None and not recent if stable_prefix is None else stable_prefix
    if is_stable and (rank is not None or recent):
        raise invalid("stable_prefix", "False with rank or recent", "an order of importance changes the beginning")
    writer = ContextWriter(max_tokens, count_tokens, format, metadata_keys, show_agents=show_agents, explain=explain)
    if is_stable:
        writer.take(memories_in(memories))
    else:
        writer.choose(memories_in(memories), rank, recent)
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
        explain: bool = False,
    ) -> None:
        if max_tokens is not None and (not is_int(max_tokens) or max_tokens < 1):
            raise invalid("max_tokens", "a whole number, 1 or more", "it says how much there is room for")
        check_counter(count_tokens)
        self._most = max_tokens
        self._count = count_tokens
        self._writing = formatter_for(format, metadata_keys, show_agents=show_agents)
        self._budget = None if max_tokens is None else max_tokens - self._cost(self._writing.heading)
        self._gap_tokens = self._cost_of_line(self._writing.gap)
        self._selection = BudgetSelection(self._budget)
        #: The memories that the selection considered, in the order of the choice.
        self._considered: list[RenderedMemory] | None = [] if explain else None
        self._number = 0
        self._groups = 0
        self._group: Group | None = None
        self._head, self._head_tokens = "", 0
        self._sessions: dict[str, int] = {}
        #: The last memory of each session, or of what each agent has without one.
        self._last_of: dict[tuple[str | None, str | None], RenderedMemory] = {}

    def take(self, memories: Iterable[Memory]) -> None:
        """Add memories at the end, sorted by when they occurred and were stored; of one microsecond, by what they say."""
        for entry in self._rendered(memories, hit_neighbours(None)):
            self._selection.take(entry)
            if self._considered is not None:
                self._considered.append(entry)

    def choose(self, memories: Iterable[Memory], rank: Rank | None, recent: int, *, preferred: int = 0) -> None:
        """Keep the most important of these, and none of those before. The first `preferred` of the rank are the newest."""
        entries = self._rendered(memories, hit_neighbours(rank))
        ranked = by_age_and_importance(entries, self._budget) if rank is None else in_order(entries, rank)
        if recent:
            newest = {entry.number for entry in entries[-recent:]}
            ranked = [*reversed(entries[-recent:]), *(entry for entry in ranked if entry.number not in newest)]
        for entry in ranked[: recent or preferred]:
            entry.chosen_by = "recency"
        kept = chosen(ranked, self._budget)
        while self._most is not None and kept.entries and self._whole(kept.entries)[1] > self._most:
            # a counter for which the whole is more than its parts
            kept = chosen(ranked, kept.tokens - 1 - kept.tokens // 50)
        self._selection.kept = kept
        self._selection.omitted = len(entries) - len(kept.entries)
        if rank is None and not self._selection.omitted:
            for entry in ranked[recent:]:
                entry.chosen_by = "fits"
        if self._considered is not None:
            self._considered = ranked

    def context(self) -> PromptContext:
        """The context of the memories that were selected."""
        selection = self._selection
        text, tokens = self._whole(selection.kept.entries)
        if self._most is not None:
            while tokens > self._most:  # a counter for which the whole is more than its parts
                selection.shrink(selection.kept.tokens // 2 - 1)
                text, tokens = self._whole(selection.kept.entries)
        return PromptContext(
            text,
            self._messages(text),
            tokens,
            [entry.memory for entry in selection.kept.entries],
            selection.omitted,
            selection.revision,
            self._verdicts(),
        )

    def _verdicts(self) -> list[MemoryVerdict]:
        kept = {entry.number for entry in self._selection.kept.entries}
        considered = self._considered or ()
        return [verdict_on(entry, self._budget, included=entry.number in kept) for entry in considered]

    # ---- one memory

    def _rendered(
        self, memories: Iterable[Memory], neighbours_of: Callable[[Memory], Neighbours]
    ) -> list[RenderedMemory]:
        rows = [(_moment(memory), self._writing.memory(memory, _ALONE), memory) for memory in memories]
        rows.sort(key=lambda row: row[:2])
        return [self._entry(memory, at, neighbours_of(memory)) for at, _, memory in rows]

    def _entry(self, memory: Memory, at: Moment, neighbours: Neighbours) -> RenderedMemory:
        group = self._group_of(memory, f"{at[0]:%Y-%m-%d}")
        text = self._writing.memory(memory, group)
        line = memory.session_id or None, None if memory.session_id else memory.agent_id
        previous = self._last_of.get(line)
        entry = RenderedMemory(
            memory,
            self._number,
            at,
            None if previous is None else previous.number,
            *neighbours,
            self._groups,
            self._head,
            text,
            self._head_tokens,
            0 if self._most is None and self._considered is None else self._cost(text),
            self._gap_tokens,
        )
        if previous is not None:
            previous.next_number = entry.number
        self._last_of[line] = entry
        self._number += 1
        return entry

    def _group_of(self, memory: Memory, day: str) -> Group:
        """The group that the memory before this one is in, or a new one."""
        session_id = memory.session_id or None
        if self._group is not None and (self._group.day, self._group.session_id) == (day, session_id):
            return self._group
        session = self._sessions.setdefault(session_id, len(self._sessions) + 1) if session_id else 0
        self._group = Group(day, session_id, session, memory.memory_type, memory.event_type, memory.agent_id)
        self._groups += 1
        self._head = self._writing.group(self._group)
        self._head_tokens = self._cost_of_line(self._head)
        return self._group

    # ---- what it costs, and the whole

    def _cost(self, text: str) -> int:
        if self._writing.format == "messages":
            return checked_count(self._count, text) + MESSAGE_TOKENS
        return checked_count(self._count, text + self._writing.end)

    def _cost_of_line(self, text: str) -> int:
        """Of a group's head or a mark, which is part of a memory's message."""
        return 0 if self._most is None else checked_count(self._count, text + self._writing.end)

    def _whole(self, entries: Sequence[RenderedMemory]) -> tuple[str, int]:
        parts = self._parts(entries)
        text = "".join(part + self._writing.end for part in parts)
        if self._writing.format == "messages":
            return text, sum(map(self._cost, parts))
        return text, checked_count(self._count, text) if parts else 0

    def _messages(self, text: str) -> list[Message]:
        is_messages = self._writing.format == "messages"
        contents = self._parts(self._selection.kept.entries) if is_messages else [text][: len(text)]
        return [{"role": "user", "content": content} for content in contents]

    def _parts(self, entries: Sequence[RenderedMemory]) -> list[str]:
        """The heading, and each memory with the attributes of its group above it."""
        if not entries:
            return []
        parts = [self._writing.heading]
        before: RenderedMemory | None = None
        for entry in entries:
            above = [self._writing.gap] if entry.comes_after_gap(before) else []
            above += [entry.head] if entry.starts_group(before) else []
            parts.append(self._writing.end.join([*above, entry.text]))
            before = entry
        return parts


def _moment(memory: Memory) -> Moment:
    """When a memory occurred, and when it was stored. Raises `InvalidRequestError` when either has no zone."""
    return utc(memory.occurred_at), utc(memory.time)


#: For an order among memories of one microsecond: a group in which each says all that it is.
_ALONE = Group("", None, 0, "", "", "")
