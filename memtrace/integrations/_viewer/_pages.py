"""What each page shows, and its JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._viewer._cards import card, facets, grouped, json_of
from memtrace.integrations._viewer._directory import AgentCounts, AgentEntry, Directory
from memtrace.integrations._viewer._page_query import PageQuery
from memtrace.integrations._viewer._prompt import BUDGET, build_prompt
from memtrace.integrations._viewer._rendering import timestamp
from memtrace.integrations._viewer._selection import select
from memtrace.integrations._viewer._statistics import HEIGHT, count_by_day
from memtrace.integrations._viewer._timeline import Position, TimelinePage, read_page
from memtrace.models import Session

_HITS: Final = 50
_LISTED: Final = 100
#: Seconds that a page waits for the counts of agents: on a page about them, or beside another.
_PATIENCE: Final[float | None] = 2.0
_PATIENCE_BESIDE: Final[float | None] = 0.3
_JSON: Final = ".json"


class Page(NamedTuple):
    """One page: the values of its template, and the same for programs."""

    shown: dict[str, Any]
    data: dict[str, Any]


class Source(NamedTuple):
    """Where pages get what they show."""

    client: AsyncMemtrace
    directory: Directory


Read = Callable[[Source, PageQuery], Awaitable[Page]]
"""Reads what a page shows."""


# ---- in order of time


async def timeline(source: Source, query: PageQuery) -> Page:
    """Memories in order of time."""
    return await _in_order(source, query, "timeline")


async def decisions(source: Source, query: PageQuery) -> Page:
    """Decisions with their reasoning."""
    return await _in_order(source, query.of_type("decision"), "decisions")


async def _in_order(source: Source, query: PageQuery, path: str) -> Page:
    found = await read_page(source.client, query)
    shown = {
        "groups": grouped(found.memories),
        "facets": facets(found.memories),
        "is_first": found.start is None,
        **_links(found, query, path),
    }
    data = {"memories": [*map(json_of, found.memories)], **_links(found, query, f"{path}{_JSON}")}
    return Page(shown, data)


def _links(found: TimelinePage, query: PageQuery, path: str) -> dict[str, str | None]:
    def link(name: str, position: Position | None) -> str | None:
        other = "to" if name == "from_" else "from_"
        return None if position is None else query.link(path, **{name: str(position), other: None})

    return {"next": link("from_", found.next), "previous": link("to", found.start)}


# ---- by relevance


async def search(source: Source, query: PageQuery) -> Page:
    """Memories by relevance, with scores."""
    text = query.one("q")
    if text is None:
        return Page({"hits": None}, {"hits": [], "count": 0})
    hits = await source.client.memories.search(text, **query.search_filters(), limit=_HITS)
    best = max((hit.score for hit in hits), default=1.0)
    shown = {
        "hits": [(card(hit.memory, hit.score), hit.count) for hit in hits],
        "best": best,
        "facets": facets(hits.memories),
        "is_cut": len(hits) == _HITS,
    }
    rows = [{"score": hit.score, "count": hit.count, "memory": json_of(hit.memory)} for hit in hits]
    return Page(shown, {"hits": rows, "count": len(rows)})


# ---- the prompt


async def prompt(source: Source, query: PageQuery) -> Page:
    """The prompt for a question, with verdicts."""
    made = await build_prompt(source.client, query)
    if made is None:
        return Page({"prompt": None, "budget": BUDGET}, {"text": "", "tokens": 0, "verdicts": []})
    context = made.context
    data = {
        "text": context.text,
        "messages": context.messages,
        "tokens": context.tokens,
        "omitted": context.omitted,
        "revision": context.revision,
        "stable_tokens": made.stable_tokens,
        "verdicts": [verdict.to_json() for verdict in context.verdicts],
        "no_longer_considered": [*map(json_of, made.gone)],
    }
    return Page({"prompt": made, "budget": made.budget}, data)


# ---- counts, names


async def statistics(source: Source, query: PageQuery) -> Page:
    """Memories a day, and the counts of the agent."""
    counted = await count_by_day(source.client, query)
    agent_id = query.one("agent")
    counts = None
    if agent_id is not None:
        counts = (await source.directory.counts([agent_id], _PATIENCE, first=agent_id)).get(agent_id)
    data = {
        "counted": counted.counted,
        "is_cut": counted.is_cut,
        "earlier": counted.earlier,
        "days": {day.isoformat(): dict(counts) for day, counts in sorted(counted.days.items())},
        "agent": _counts(counts),
    }
    is_missing = agent_id is not None and counts is None
    return Page({"counted": counted, "counts": counts, "is_missing": is_missing, "height": HEIGHT}, data)


async def agents(source: Source, query: PageQuery) -> Page:
    """The agents, with counts."""
    every = await source.directory.agents()
    page, shown = _listed(every, query, lambda each: (each.id, each.name or ""))
    counts = await source.directory.counts([each.id for each in page], _PATIENCE, first=query.one("agent"))
    rows = [{**_agent(each), **_counts(counts.get(each.id))} for each in page]
    missing = len(page) - len(counts)
    return Page(
        {**shown, "agents": page, "counts": counts, "missing": missing},
        {"agents": rows, "count": shown["count"]},
    )


async def sessions(source: Source, query: PageQuery) -> Page:
    """The sessions of an agent, or all of them."""
    every = await source.directory.sessions(query.one("agent"))
    page, shown = _listed(every, query, lambda each: (each.id, each.status, each.agent_id))
    rows = [each.model_dump(mode="json", exclude_unset=True) for each in page]
    return Page({**shown, "sessions": page}, {"sessions": rows, "count": shown["count"]})


def _agent(agent: AgentEntry) -> dict[str, Any]:
    return {"id": agent.id, "name": agent.name, "is_registered": agent.is_registered}


def _counts(counts: AgentCounts | None) -> dict[str, Any]:
    if counts is None:
        return {"stats": None, "last_activity": None}
    at = counts.last_activity
    return {
        "stats": counts.stats.model_dump(mode="json", exclude_unset=True),
        "last_activity": None if at is None else timestamp(at),
    }


def _listed(
    every: list[Any], query: PageQuery, texts: Callable[[Any], tuple[str, ...]]
) -> tuple[list[Any], dict[str, Any]]:
    """One page of a list that is narrowed by a part of its texts."""
    wanted = (query.one("find") or "").casefold()
    found = [each for each in every if wanted in "\n".join(texts(each)).casefold()]
    number = query.number("page", 1, least=1, most=1_000_000)
    first = (number - 1) * _LISTED
    shown = {"count": len(found), "number": number, "has_more": len(found) > first + _LISTED}
    return found[first : first + _LISTED], shown


async def memory(source: Source, query: PageQuery) -> Page:
    """One memory with its neighbours."""
    selection = await select(source.client, query.one("memory") or "")
    data = {
        "memory": json_of(selection.card.memory),
        "before": [json_of(each.memory) for each in selection.before],
        "after": [json_of(each.memory) for each in selection.after],
    }
    return Page({"selection": selection}, data)


# ---- the list at the side


class Side(NamedTuple):
    """Agents, and the sessions of the chosen one."""

    agents: list[AgentEntry]
    agents_hidden: int
    counts: dict[str, AgentCounts]
    sessions: list[Session]
    sessions_hidden: int


_AGENTS_BESIDE: Final = 30
_SESSIONS_BESIDE: Final = 30


async def side(source: Source, query: PageQuery) -> Side:
    """The first agents and sessions; those that the query has come first."""
    chosen, session = query.one("agent"), query.one("session")
    every = await source.directory.agents()
    first = [each for each in every if each.id == chosen]
    if chosen is not None and not first:
        first = [AgentEntry(chosen, None, is_registered=False)]
    ordered = [*first, *(each for each in every if each.id != chosen)]
    listed = ordered[:_AGENTS_BESIDE]
    counts = await source.directory.counts([each.id for each in listed], _PATIENCE_BESIDE, first=chosen)
    of_agent = await source.directory.sessions(chosen) if chosen is not None else []
    opened = [*(each for each in of_agent if each.id == session), *(each for each in of_agent if each.id != session)]
    beside = opened[:_SESSIONS_BESIDE]
    return Side(listed, len(ordered) - len(listed), counts, beside, len(opened) - len(beside))
