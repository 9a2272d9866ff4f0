"""The prompt for a question, with verdicts and with the prefix that stays for prompt caching."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from memtrace.async_client import AsyncMemtrace
from memtrace.context import ContextFormat, MemoryVerdict, PromptContext, estimate_tokens
from memtrace.integrations._viewer._cards import Card, card, key_of
from memtrace.integrations._viewer._page_query import PageQuery
from memtrace.models import Memory
from memtrace.operations._validation import invalid

BUDGET: Final = 2000
MOST_TOKENS: Final = 32_000
_MOST_RECENT: Final = 1000
ROWS: Final = 500
"""Verdicts that the page shows, and memories of the prompt."""


@dataclass(frozen=True, slots=True)
class Row:
    """A verdict, and what became of the memory since the question before."""

    card: Card
    #: None for a memory that the question before had and this one does not consider.
    verdict: MemoryVerdict | None
    moved: Literal["in", "out"] | None


@dataclass(frozen=True, slots=True)
class PromptPage:
    """A prompt and its verdicts."""

    context: PromptContext
    budget: int
    rows: list[Row]
    #: Verdicts without a row.
    hidden: int
    #: What the prompt of the question before had and this question does not consider, in that prompt's order.
    gone: list[Memory]
    #: The first memories of the prompt, and how many follow.
    cards: list[Card]
    cards_hidden: int
    #: The question to which this prompt is compared, if any.
    before: str | None
    #: The characters at the beginning that stay, and their tokens.
    stable: str
    stable_tokens: int

    @property
    def rest(self) -> str:
        """The part of the text that changes."""
        return self.context.text[len(self.stable) :]

    @property
    def stable_share(self) -> int:
        """The part of the tokens that stays, in percent."""
        return min(round(100 * self.stable_tokens / self.context.tokens), 100) if self.context.tokens else 0


async def build_prompt(client: AsyncMemtrace, query: PageQuery) -> PromptPage | None:
    """The prompt that the query asks for; None without a question and a session, since all memories would be read."""
    question, before = query.one("q"), query.one("before")
    if question is None and query.one("session") is None:
        return None
    context = await _context(client, query, question)
    earlier = None if before is None else await _context(client, query, before)
    stable = _stable(context, earlier, is_ranked=question is not None or query.one("recent") is not None)
    before_keys = None if earlier is None else {*map(key_of, earlier.memories)}
    gone = [] if earlier is None else _gone(context, earlier)
    rows = [Row(card(memory), None, "out") for memory in gone[:ROWS]]
    rows += [_row(verdict, before_keys) for verdict in context.verdicts[: ROWS - len(rows)]]
    return PromptPage(
        context,
        _budget(query),
        rows,
        len(gone) + len(context.verdicts) - len(rows),
        gone,
        [*map(card, context.memories[:ROWS])],
        max(len(context.memories) - ROWS, 0),
        before,
        stable,
        estimate_tokens(stable),
    )


async def _context(client: AsyncMemtrace, query: PageQuery, question: str | None) -> PromptContext:
    return await client.memories.prompt_context(
        question,
        **query.search_filters(),
        max_tokens=_budget(query),
        format=_format(query),
        recent=query.number("recent", 0, least=0, most=_MOST_RECENT),
        explain=True,
    )


def _budget(query: PageQuery) -> int:
    return query.number("budget", BUDGET, least=1, most=MOST_TOKENS)


def _format(query: PageQuery) -> ContextFormat:
    text = query.one("format") or "markdown"
    if text not in get_args(ContextFormat):
        raise invalid("format", " or ".join(get_args(ContextFormat)), "it is in the page's URL")
    return cast("ContextFormat", text)


def _stable(context: PromptContext, earlier: PromptContext | None, *, is_ranked: bool) -> str:
    """The beginning that a prompt cache can reuse.

    Compared with another question's prompt it is what both begin with. Alone it is the heading of a ranked prompt, and all of
    another, to which memories are only appended.
    """
    if earlier is not None:
        return _common_beginning(context.text, earlier.text)
    if not is_ranked:
        return context.text
    if len(context.messages) > 1:  # the heading is a message
        return context.messages[0]["content"]
    return context.text[: _heading_length(context)]


def _common_beginning(one: str, other: str) -> str:
    differing = (place for place, (mine, yours) in enumerate(zip(one, other, strict=False)) if mine != yours)
    return one[: next(differing, min(len(one), len(other)))]


def _heading_length(context: PromptContext) -> int:
    """Up to the first group of memories: no heading contains a fence or an element at the beginning of a line."""
    begins = [place + 1 for mark in ("\n```", "\n<") if (place := context.text.find(mark)) >= 0]
    return min(begins, default=0)


def _gone(context: PromptContext, earlier: PromptContext) -> list[Memory]:
    considered = {key_of(verdict.memory) for verdict in context.verdicts}
    return [memory for memory in earlier.memories if key_of(memory) not in considered]


def _row(verdict: MemoryVerdict, before: Collection[str] | None) -> Row:
    moved = None if before is None else _moved(was_in=key_of(verdict.memory) in before, is_in=verdict.included)
    return Row(card(verdict.memory, verdict.score), verdict, moved)


def _moved(*, was_in: bool, is_in: bool) -> Literal["in", "out"] | None:
    if was_in == is_in:
        return None
    return "in" if is_in else "out"
