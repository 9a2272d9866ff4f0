"""What a page's URL asks for, and the URLs of other pages: filters, position and selection stay in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Final, TypedDict
from urllib.parse import urlencode

from memtrace.clock import Clock
from memtrace.models import Order, TimeBound
from memtrace.operations._time_bounds import to_query
from memtrace.operations._validation import check_id, check_importance, check_tags, check_type, invalid

FILTERS: Final = ("agent", "session", "type", "event", "tag", "since", "until", "order", "min_importance", "q")
"""Which memories; a change of one of them leaves the position and the selection behind."""
PROMPT: Final = ("budget", "format", "recent", "before")
"""How a prompt is made, and the question before this one."""
PLACES: Final = ("from", "to", "memory", "find", "page")
"""Where a page begins or ends, the memory that was chosen, and what lists of names are narrowed by."""
_NAMES: Final = (*FILTERS, *PROMPT, *PLACES)
_LONGEST: Final = 4000

_LISTED: Final = ("agent", "session", "type", "event", "since", "until", "tag")
_RANKED: Final = ("agent", "session", "type", "event", "since", "until", "min_importance", "tag")
_APPLIED: Final[Mapping[str, Sequence[str]]] = {
    "timeline": _LISTED,
    "search": _RANKED,
    "prompt": _RANKED,
    "decisions": [name for name in _LISTED if name != "type"],
    "statistics": _LISTED,
    "sessions": ["agent"],
}
"""The filters that each page applies, in the order in which it shows them."""
_BESIDE: Final = ("agent", "session")
"""Filters that the list beside every page applies."""

_ADDRESS: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?)Z~([0-9a-f]{1,16})", re.ASCII)
_ENDS: Final = ("0001", "9999")


def split_address(text: str, field: str) -> tuple[datetime, str]:
    """The time in UTC and the rest of a position or of a memory's address. Raises `InvalidRequestError` for any other text."""
    match = _ADDRESS.fullmatch(text)
    with suppress(ValueError):
        if match is not None and not match[1].startswith(_ENDS):  # the times beside it are asked for
            return datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc), match[2]
    raise invalid(field, "a time and a key as a page's links have them", "nothing else is found again")


class ListFilters(TypedDict):
    """The filters of `memories.iter`."""

    agent_id: str | None
    session_id: str | None
    memory_type: str | None
    event_type: str | None
    tags: list[str] | None
    since: TimeBound | None
    until: TimeBound | None


class SearchFilters(TypedDict):
    """The filters of `memories.search` and `memories.prompt_context`."""

    agent_id: str | None
    session_id: str | None
    memory_types: list[str] | None
    event_types: list[str] | None
    tags: list[str] | None
    since: str | None
    until: str | None
    min_importance: float | None


class PageQuery:
    """The parameters of one page. Unknown and empty ones are dropped."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name in _NAMES and value.strip():
                self._values.setdefault(name, []).append(value.strip()[:_LONGEST])

    def one(self, name: str) -> str | None:
        """The first value of a parameter."""
        return next(iter(self._values.get(name, ())), None)

    @property
    def tags(self) -> list[str]:
        """The tags, all of which have to match."""
        return self._values.get("tag", [])

    @property
    def order(self) -> Order:
        """Newest first, unless the URL says otherwise."""
        return "asc" if self.one("order") == "asc" else "desc"

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number within its limits. Raises `InvalidRequestError` for any other text."""
        text = self.one(name) or str(default)
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
            raise invalid(name, f"a whole number from {least} to {most}", "it is in the page's URL")
        return int(text)

    @property
    def min_importance(self) -> float | None:
        """The lowest importance. Raises `InvalidRequestError` for any other text."""
        text = self.one("min_importance")
        try:
            least = None if text is None else float(text)
        except ValueError:
            raise invalid("min_importance", "a number from 0 to 1", "it is in the page's URL") from None
        check_importance(least)
        return least

    def check(self, clock: Clock) -> None:
        """Refuse an invalid filter, even one that the page does not apply. Raises `InvalidRequestError`."""
        check_id(self.one("agent"), "agent_id")
        check_id(self.one("session"), "session_id")
        check_type(self.one("type"), "memory_type")
        check_type(self.one("event"), "event_type")
        check_tags(self.tags)
        to_query(self.one("since"), "since", clock)
        to_query(self.one("until"), "until", clock)
        if self.one("order") not in (None, "asc", "desc"):
            raise invalid("order", "asc or desc", "it is in the page's URL")
        _ = self.min_importance

    def list_filters(self) -> ListFilters:
        """The filters as `memories.iter` accepts them."""
        return {
            "agent_id": self.one("agent"),
            "session_id": self.one("session"),
            "memory_type": self.one("type"),
            "event_type": self.one("event"),
            "tags": self.tags or None,
            "since": self.one("since"),
            "until": self.one("until"),
        }

    def search_filters(self) -> SearchFilters:
        """The filters as `memories.search` accepts them."""
        kind, event = self.one("type"), self.one("event")
        return {
            "agent_id": self.one("agent"),
            "session_id": self.one("session"),
            "memory_types": None if kind is None else [kind],
            "event_types": None if event is None else [event],
            "tags": self.tags or None,
            "since": self.one("since"),
            "until": self.one("until"),
            "min_importance": self.min_importance,
        }

    def of_type(self, memory_type: str) -> PageQuery:
        """The same query, for memories of one type."""
        return PageQuery([*(pair for pair in self.pairs(*_NAMES) if pair[0] != "type"), ("type", memory_type)])

    def pairs(self, *names: str) -> list[tuple[str, str]]:
        """The parameters with these names."""
        return [(name, value) for name in names for value in self._values.get(name, ())]

    def applied(self, path: str) -> list[tuple[str, str]]:
        """The filters of this query that a page applies, in the order in which it shows them."""
        return self.pairs(*_APPLIED.get(_page(path), ()))

    def carried(self, path: str) -> list[tuple[str, str]]:
        """What a page's form passes on: the filters that the page applies, the question and the prompt's settings."""
        return [pair for pair in self.pairs(*FILTERS, *PROMPT) if not _is_foreign(pair[0], path)]

    @staticmethod
    def filtering(path: str, name: str) -> str:
        """The page that a filter's link leads to: this one if it applies the filter, else the timeline."""
        return path if name in _APPLIED.get(_page(path), ()) else "/timeline"

    def link(self, path: str, /, **changes: str | Sequence[str] | None) -> str:
        """The URL of a page with these parameters changed; None removes one. Filters that it does not apply are dropped.

        A changed filter removes the position and the selection; a changed position keeps the selection.
        """
        changes = {name.rstrip("_"): value for name, value in changes.items()}
        values = dict(self._values)
        if any(name in FILTERS or name in PROMPT for name in changes):
            for name in PLACES:
                values.pop(name, None)
        for name, value in changes.items():
            values[name] = [value] if isinstance(value, str) else list(value or ())
        kept = [name for name in _NAMES if not _is_foreign(name, path)]
        query = urlencode([(name, value) for name in kept for value in values.get(name, ())], errors="replace")
        return f"{path}?{query}" if query else path

    def tab(self, path: str) -> str:
        """The URL of another tab: the filters that it applies stay, the place does not."""
        query = urlencode(self.carried(path), errors="replace")
        return f"{path}?{query}" if query else path

    def with_tag(self, tag: str) -> list[str]:
        """The tags with one more, or without it where it is one of them."""
        return [each for each in self.tags if each != tag] if tag in self.tags else [*self.tags, tag]


def _page(path: str) -> str:
    return path.removeprefix("/").removesuffix(".json")


def _is_foreign(name: str, path: str) -> bool:
    """Whether a parameter is a filter that a page does not apply."""
    return name in _RANKED and name not in _BESIDE and name not in _APPLIED.get(_page(path), ())
