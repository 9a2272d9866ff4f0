"""Filters of a read, as texts of a query string or fields of a search, and how they become a selection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from memtrace_transports._engine.go_json.structs import Fields, GoStruct
from memtrace_transports._engine.rules.identifier_rules import (
    first_problem,
    identifier_problem,
    tag_problem,
    trim,
    type_problem,
)
from memtrace_transports._engine.store.rows import RowSelection
from memtrace_transports._engine.timestamps import read_bound

SEARCH = GoStruct(
    "memory.SearchQuery",
    {
        "agent_id": "string",
        "session_id": "string",
        "memory_types": "[]string",
        "event_types": "[]string",
        "tags": "[]string",
        "content_contains": "string",
        "min_importance": "float64",
        "since": "string",
        "until": "string",
        "limit": "int",
        "order": "string",
    },
)

_LARGEST_LIMIT = 1000
_LIST_LIMIT = 100
_SEARCH_LIMIT = 50
_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class Filters:
    """A read's filters, not yet validated: those of rows, and the time window. Empty means "no filter"."""

    rows: RowSelection
    since: str = ""
    until: str = ""

    def problem(self) -> str | None:
        """The first filter, in the server's order, that is of the wrong form. A type need not be a known one."""
        rows = self.rows
        checks = (
            ("agent_id", identifier_problem(rows.agent_id)),
            ("session_id", identifier_problem(rows.session_id)),
            *(("memory_type", type_problem(name)) for name in rows.memory_types),
            *(("event_type", type_problem(name)) for name in rows.event_types),
            *(("tag", tag_problem(tag)) for tag in rows.tags),
        )
        return first_problem(checks)

    def selection(self, now: int) -> RowSelection:
        """The rows that this means at `now` (microseconds). Raises UnreadableTimeError for a bad since or until.

        ``until=now`` is no limit.
        """
        return replace(
            self.rows,
            memory_types=frozenset(self.rows.memory_types),
            event_types=frozenset(self.rows.event_types),
            contains=self.rows.contains.replace("\0", ""),
            after=read_bound(self.since, now),
            before=None if self.until == "now" else read_bound(self.until, now),
        )


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How many rows a list gives, and how many of them count as "there may be more"."""

    limit: int
    full_at: int


def read_page(text: str) -> PageLimits:
    """The page of a `limit`: anything except a whole number from 1 to 1000 becomes 100.

    A limit over 1000 still counts as asked in `has_more`.

    >>> read_page("20"), read_page("1001"), read_page("-1")
    (PageLimits(limit=20, full_at=20), PageLimits(limit=100, full_at=1001), PageLimits(limit=100, full_at=100))
    """
    asked = read_integer(text)
    if asked is None or asked <= 0:
        return PageLimits(_LIST_LIMIT, _LIST_LIMIT)
    return PageLimits(asked if asked <= _LARGEST_LIMIT else _LIST_LIMIT, asked)


def read_list_filters(query: Mapping[str, str]) -> Filters:
    """The filters of ``GET /memories``."""
    rows = RowSelection(
        agent_id=query.get("agent_id", ""),
        session_id=query.get("session_id", ""),
        memory_types=_given([query.get("memory_type", "")]),
        event_types=_given([query.get("event_type", "")]),
        tags=_given(trim(tag) for tag in query.get("tags", "").split(",")),
        limit=read_page(query.get("limit", "")).limit,
        offset=max(read_integer(query.get("offset", "")) or 0, 0),
        oldest_first=query.get("order") == "asc",
    )
    return Filters(rows, query.get("since", ""), query.get("until", ""))


def read_search_filters(fields: Fields) -> Filters:
    """The filters of ``POST /search``; a limit that is not from 1 to 1000 is 50.

    An importance is compared with 6 decimals, and only when it is above 0.
    """
    limit, least = fields.whole("limit"), fields.number("min_importance")
    rows = RowSelection(
        agent_id=fields.text("agent_id"),
        session_id=fields.text("session_id"),
        memory_types=fields.strings("memory_types"),
        event_types=fields.strings("event_types"),
        tags=_given(fields.strings("tags")),
        contains=fields.text("content_contains"),
        min_importance=float(f"{least:.6f}") if least > 0 else None,
        limit=limit if 1 <= limit <= _LARGEST_LIMIT else _SEARCH_LIMIT,
        oldest_first=fields.text("order") == "asc",
    )
    return Filters(rows, fields.text("since"), fields.text("until"))


def _given(names: Iterable[str]) -> Sequence[str]:
    return tuple(filter(None, names))


def read_integer(text: str) -> int | None:
    """A 64-bit integer as Go reads one, None for anything else."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    number = int(found[1] + found[2])
    return number if -(1 << 63) <= number < 1 << 63 else None
