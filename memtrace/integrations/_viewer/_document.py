"""Memories as one HTML file that opens without a server: capped, and it says what it leaves out."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from memtrace.async_client import AsyncMemtrace
from memtrace.clock import Clock
from memtrace.integrations._viewer._cards import card, grouped
from memtrace.integrations._viewer._directory import AgentCounts, AgentEntry, Directory
from memtrace.integrations._viewer._page_query import PageQuery
from memtrace.integrations._viewer._rendering import asset, environment
from memtrace.integrations._viewer._statistics import HEIGHT, Statistics, count_by_day
from memtrace.models import Memory, Session

MEMORIES: Final = 1000
"""Memories in a file at most, newest first."""
_DECISIONS: Final = 200
_NAMES: Final = 200


@dataclass(frozen=True, slots=True)
class Capped:
    """The first of several, and whether there are more."""

    memories: list[Memory]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Document:
    """What the file contains."""

    agents: list[AgentEntry]
    agents_hidden: int
    counts: dict[str, AgentCounts]
    sessions: list[Session]
    sessions_hidden: int
    timeline: Capped
    decisions: Capped
    counted: Statistics


async def read_document(client: AsyncMemtrace, clock: Clock, agent_id: str | None) -> Document:
    """Read an agent's memories for a file, or those of all agents. Raises `MemtraceError` if a read fails."""
    directory = Directory(client, clock)
    agents = [each for each in await directory.agents() if agent_id in (None, each.id)]
    shown = agents[:_NAMES]
    sessions = await directory.sessions(agent_id)
    query = PageQuery([("agent", agent_id)] if agent_id is not None else [])
    return Document(
        shown,
        len(agents) - len(shown),
        await directory.counts([each.id for each in shown]),
        sessions[:_NAMES],
        max(len(sessions) - _NAMES, 0),
        await _newest(client, query, MEMORIES),
        await _newest(client, query.of_type("decision"), _DECISIONS),
        await count_by_day(client, query),
    )


async def _newest(client: AsyncMemtrace, query: PageQuery, most: int) -> Capped:
    found = [each async for each in client.memories.iter(**query.list_filters(), limit=most + 1)]
    return Capped(found[:most], len(found) > most)


def render_document(document: Document, *, title: str, at: datetime) -> str:
    """The file's text. Its policy allows its own style and nothing else."""
    return _rendered(
        "document.html",
        document=document,
        groups=grouped(document.timeline.memories),
        decisions=[card(each) for each in document.decisions.memories],
        height=HEIGHT,
        title=title,
        at=at,
    )


def render_timeline(memories: list[Memory], *, title: str, has_more: bool) -> str:
    """A document with a timeline alone, for a frame in a notebook."""
    return _rendered("notebook.html", groups=grouped(memories), title=title, count=len(memories), has_more=has_more)


def _rendered(template: str, **shown: object) -> str:
    style = asset("viewer.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = "; ".join(("default-src 'none'", f"style-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'"))
    # the style is ours, and its hash is in the policy
    return environment().get_template(template).render(shown, policy=policy, style=Markup(style))  # noqa: S704
