"""`since` and `until`: from a caller's value to the string that the server reads.

The server reads ``N`` + ``h``, ``d`` or ``m`` with 1 <= N <= 8760 (days up to 365, a leading plus is allowed), or a
timestamp. Anything else is a 500 there. Where only the first form works (a session's context) anything else silently
becomes 24 hours.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from memtrace._support.timestamps import rfc3339
from memtrace.clock import Clock
from memtrace.exceptions import ResponseDecodeError
from memtrace.models import TimeBound
from memtrace.operations._validation import broken_rule, invalid

LOOKBACK_RULE = "a whole number from 1 to 8760 and h, d or m (days up to 365), as in '24h', '7d', '30m'"
PYTHON_LOOKBACK_RULE = f"{LOOKBACK_RULE}, or a timedelta or an aware datetime"
WRITTEN_TIME_RULE = f"{LOOKBACK_RULE}, or a timestamp as in '2026-01-31' or '2026-01-31T12:00:00Z'"
TIME_RULE = f"{WRITTEN_TIME_RULE}, or a timedelta or an aware datetime"
WRITTEN_RULES = {TIME_RULE: WRITTEN_TIME_RULE, PYTHON_LOOKBACK_RULE: LOOKBACK_RULE}
"""What can be written where there is no Python, by the rule of the argument."""

_INSTEAD = (
    "the server reads nothing else; for yesterday write '1d' or timedelta(days=1), for 90 seconds timedelta(seconds=90)"
)

_LOOKBACK = re.compile(r"\+?0*([1-9][0-9]{0,3})([hdm])")
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}(?::?\d{2})?)?)?", re.ASCII
)
_LARGEST = {"m": 8760, "h": 8760, "d": 365}
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


def to_query(value: TimeBound | None, field: str, clock: Clock) -> str | None:
    """The string that the server reads as this bound. None and the empty string are no limit.

    A `timedelta` becomes a look-back if one is exactly equal, else a timestamp. Raises `InvalidRequestError` for a
    string that the server cannot read, a naive `datetime` and a negative `timedelta`.

    >>> from memtrace.clock import SystemClock
    >>> to_query(timedelta(hours=36), "since", SystemClock())
    '36h'
    """
    if isinstance(value, timedelta):
        _check_not_negative(value, field)
        for unit, length in _UNITS:
            count, rest = divmod(value, length)
            if not rest and 1 <= count <= _LARGEST[unit]:
                return f"{count}{unit}"
        value = _before_now(value, field, clock)
    if isinstance(value, datetime):
        return _timestamp(value, field)
    _check_text(value, field, TIME_RULE)
    if value and not is_lookback(value) and not _is_timestamp(value):
        raise invalid(field, TIME_RULE, _INSTEAD)
    return value or None


def to_absolute(value: TimeBound | None, field: str, clock: Clock) -> str | None:
    """The same bound as `to_query`, as a point in time that does not move on: a look-back ends at the clock's now.

    >>> from memtrace.clock import SystemClock
    >>> to_absolute("2026-01-31", "since", SystemClock()), to_absolute("24h", "since", SystemClock())  # doctest: +ELLIPSIS
    ('2026-01-31', '20...Z')
    """
    text = to_query(value, field, clock)
    match = _LOOKBACK.fullmatch(text) if text else None
    if match is None:
        return text
    return _timestamp(_before_now(int(match[1]) * dict(_UNITS)[match[2]], field, clock), field)


def to_moment(value: TimeBound | None, field: str, clock: Clock) -> datetime | None:
    """The same bound as `to_query`, as a point in time; what is shorter than a microsecond is cut.

    >>> from memtrace.clock import SystemClock
    >>> to_moment("2026-1-31 12:00:00.5+02", "since", SystemClock())
    datetime.datetime(2026, 1, 31, 10, 0, 0, 500000, tzinfo=datetime.timezone.utc)
    """
    text = to_absolute(value, field, clock)
    match = _TIMESTAMP.fullmatch(text) if text else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    microseconds = int((match[7] or "").ljust(6, "0")[:6])
    at = datetime(year, month, day, hour, minute, second, microseconds, tzinfo=timezone.utc)
    try:
        return at - _offset(match[8])
    except OverflowError:
        raise invalid(field, _IN_CALENDAR, "its zone leads out of it") from None


def _offset(zone: str | None) -> timedelta:
    """What a time with this zone is before UTC."""
    if zone in (None, "Z"):
        return timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def to_lookback(value: TimeBound | None, field: str, clock: Clock) -> str | None:
    """The look-back that the server reads as this bound; None and the empty text are no limit.

    A `timedelta` or `datetime` is rounded up to whole minutes, else hours, else days. Raises `InvalidRequestError` for any
    other text, a naive or future `datetime`, a negative `timedelta` and a look-back of more than 365 days.

    >>> from memtrace.clock import SystemClock
    >>> to_lookback(timedelta(seconds=90), "since", SystemClock())
    '2m'
    """
    if isinstance(value, datetime):
        _timestamp(value, field)
        value = _now(clock) - value
    if isinstance(value, timedelta):
        _check_not_negative(value, field)
        return _rounded_up(value, field)
    _check_text(value, field, PYTHON_LOOKBACK_RULE)
    if value and not is_lookback(value):
        raise invalid(field, PYTHON_LOOKBACK_RULE, "the server would silently take 24 hours instead")
    return value or None


def _rounded_up(value: timedelta, field: str) -> str:
    for unit, length in reversed(_UNITS):
        count = max(value // length + bool(value % length), 1)
        if count <= _LARGEST[unit]:
            return f"{count}{unit}"
    raise invalid(field, "at most 365 days ago", "the server looks back no further here")


def _check_text(value: object, field: str, rule: str) -> None:
    if value is not None and not isinstance(value, str):
        raise invalid(field, rule, "nothing else is a time")


def _check_not_negative(value: timedelta, field: str) -> None:
    if value < timedelta(0):
        raise invalid(field, "a time before now", "it lies in the future")


def _before_now(value: timedelta, field: str, clock: Clock) -> datetime:
    try:
        return _now(clock) - value
    except OverflowError:
        raise invalid(field, _IN_CALENDAR, "it lies before") from None


_IN_CALENDAR = "a time from the year 1 to the year 9999, in UTC"


def _now(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.wall(), timezone.utc)


def _timestamp(value: datetime, field: str) -> str:
    if value.utcoffset() is None:
        problem = "is a naive datetime, which names no point in time: give it a zone, as in datetime.now(timezone.utc)"
        raise broken_rule(field, "an aware datetime", problem)
    try:
        return rfc3339(value)
    except OverflowError:
        raise invalid(field, _IN_CALENDAR, "its zone leads out of it") from None


def beside(time: datetime, by: timedelta) -> datetime:
    """A moment next to one that the server wrote. Raises `ResponseDecodeError` where the calendar ends there."""
    try:
        return time + by
    except OverflowError:
        raise ResponseDecodeError("a time of the server lies at the end of the calendar") from None


def is_lookback(text: str) -> bool:
    """Whether the server reads this text as a time before now."""
    match = _LOOKBACK.fullmatch(text)
    return match is not None and int(match[1]) <= _LARGEST[match[2]]


def _is_timestamp(text: str) -> bool:
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return False
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:  # no such day or hour
        return False
    return True
