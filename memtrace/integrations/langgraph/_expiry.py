"""When items expire: LangGraph's `TTLConfig`, and the age of an item."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite

from memtrace.integrations._errors import invalid_type
from memtrace.operations._validation import invalid

_FIELDS = ("default_ttl", "refresh_on_read", "omit_expired")
_RENEWED_AFTER = 1 / 20
"""Part of its time that has passed when a read renews an item: reads that come sooner need not write."""
_LONGEST = 1e9  # minutes: a date can hold it


def check_ttl_config(config: object) -> None:
    """Refuse a configuration that is none, and what the store cannot do."""
    if not isinstance(config, Mapping):
        raise invalid_type("ttl", f"a dict with {', '.join(_FIELDS)}", f"{type(config).__name__} was given")
    for name, value in config.items():
        field = f"ttl[{name!r}]"
        if name == "sweep_interval_minutes":
            raise NotImplementedError(f"{field} must be left out: MemtraceStore omits expired items without a sweep")
        if name not in _FIELDS:
            raise invalid(field, "left out", f"MemtraceStore knows {', '.join(_FIELDS)}")
        if name == "default_ttl":
            check_ttl(value, field)
        elif not isinstance(value, bool):
            raise invalid_type(field, "True or False", f"{type(value).__name__} was given")
    if config.get("omit_expired") is False:
        raise NotImplementedError("ttl['omit_expired'] must be True or left out: MemtraceStore omits expired items")


def check_ttl(value: object, field: str) -> None:
    """Refuse a time to live that is no number of minutes."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise invalid_type(field, "a number of minutes, or None", f"{type(value).__name__} was given")
    if not (isfinite(value) and 0 < value <= _LONGEST):
        raise invalid(field, "a number of minutes above 0, or None", "it says when the item expires")


def has_expired(ttl: float | None, renewed_at: datetime, now: datetime) -> bool:
    """Whether an item's minutes have passed since it was put, or renewed."""
    return ttl is not None and now >= renewed_at + timedelta(minutes=ttl)


def needs_renewal(ttl: float | None, renewed_at: datetime, now: datetime) -> bool:
    """Whether a read has to write that an item lives on."""
    return ttl is not None and now >= renewed_at + timedelta(minutes=ttl * _RENEWED_AFTER)
