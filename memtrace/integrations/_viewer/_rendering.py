"""Templates: every value is escaped, and what no page can show is the replacement character."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import cache
from importlib import resources
from typing import Final

import jinja2

from memtrace._support.timestamps import rfc3339

_PACKAGE: Final = "memtrace.integrations._viewer"
_UNSHOWABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@cache
def environment() -> jinja2.Environment:
    """The templates of the pages."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(moment=_moment, day=_day, rfc3339=timestamp, thousands=lambda number: f"{number:,}")
    return made


def asset(name: str) -> str:
    """A file that the pages load."""
    return (resources.files(_PACKAGE) / "static" / name).read_text(encoding="utf-8")


def _template(name: str) -> str:
    return (resources.files(_PACKAGE) / "templates" / name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    """The value with the replacement character for what a page cannot show; markup of the templates stays."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return value


def timestamp(at: datetime) -> str:
    """A time as RFC 3339 in UTC, or with its own zone where UTC leads out of the calendar."""
    try:
        return rfc3339(at)
    except OverflowError:
        return at.isoformat()


def _moment(at: datetime) -> str:
    in_utc = _in_utc(at)
    return at.isoformat(" ") if in_utc is None else f"{in_utc:%Y-%m-%d %H:%M:%S}"


def _day(at: datetime) -> str:
    return f"{_in_utc(at) or at:%A, %d %B %Y}"


def _in_utc(at: datetime) -> datetime | None:
    try:
        return at.astimezone(timezone.utc)
    except OverflowError:
        return None
