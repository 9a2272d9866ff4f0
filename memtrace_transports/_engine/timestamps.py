"""Times as the server writes them, and the time bounds that it reads. Inside the engine, times are whole microseconds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

MILLISECOND = 1_000
SECOND = 1_000 * MILLISECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DIGITS = len("1970-01-01T00:00:00")
_UNITS = {"h": HOUR, "d": DAY, "m": 60 * SECOND}
_LARGEST = {"h": 8760, "d": 365, "m": 8760}
_RELATIVE = re.compile(r"\+?([0-9]+)([hdm])")
_ABSOLUTE = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:[ T](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"
    r"(?:Z|(?P<sign>[+-])(?P<ahead_hours>[0-9]{2})(?::?(?P<ahead_minutes>[0-9]{2}))?)?)?"
)


class UnreadableTimeError(ValueError):
    """A time bound that the storage engine refuses; the text of it is the only argument."""


def rfc3339(microseconds: int, nanoseconds: int = 0) -> str:
    """A time since 1970 in UTC with Z, the trailing zeros of its fraction cut.

    >>> rfc3339(1_767_225_600_250_000), rfc3339(1_767_225_600_250_000, 7)
    ('2026-01-01T00:00:00.25Z', '2026-01-01T00:00:00.250000007Z')
    """
    seconds, rest = divmod(microseconds, SECOND)
    if nanoseconds:
        return f"{_whole_seconds(seconds)}.{f'{rest:06d}{nanoseconds:03d}'.rstrip('0')}Z"
    if rest % 10:
        return f"{_whole_seconds(seconds)}.{rest:06d}Z"
    return f"{_whole_seconds(seconds)}{f'.{rest:06d}'.rstrip('0').rstrip('.')}Z"


@lru_cache(maxsize=1024)
def _whole_seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:_DIGITS]


def read_relative(text: str) -> int | None:
    """How far back `1h`, `7d` or `30m` reaches, in microseconds; None for anything else.

    The server takes 1 to 8760, for days 1 to 365; leading zeros and a plus are fine.
    """
    found = _RELATIVE.fullmatch(text)
    if found is None:
        return None
    digits, unit = found[1].lstrip("0"), found[2]
    count = int(digits) if 1 <= len(digits) <= 4 else 0
    return count * _UNITS[unit] if 1 <= count <= _LARGEST[unit] else None


def read_bound(text: str, now: int) -> int | None:
    """A `since` or `until` as microseconds since 1970; None when `text` is empty.

    A date, or a date and time with an optional offset (UTC without one), is a fixed time. Raises
    UnreadableTimeError for what the server's storage engine refuses.
    """
    if not text:
        return None
    reach = read_relative(text)
    if reach is not None:
        return now - reach
    found = _ABSOLUTE.fullmatch(text)
    if found is None:
        raise UnreadableTimeError(text)
    return _absolute(found, text)


def _absolute(found: re.Match[str], text: str) -> int:
    parts = ("year", "month", "day", "hour", "minute", "second")
    year, month, day, hour, minute, second = (int(found[part] or 0) for part in parts)
    ahead = timedelta(hours=int(found["ahead_hours"] or 0), minutes=int(found["ahead_minutes"] or 0))
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise UnreadableTimeError(text) from None
    since_epoch = moment - _EPOCH + (ahead if found["sign"] == "-" else -ahead)
    fraction = int((found["fraction"] or "").ljust(6, "0")[:6])
    return since_epoch // timedelta(microseconds=1) + fraction


def duration_text(microseconds: int) -> str:
    """A duration as Go prints it.

    >>> duration_text(3_723_000_000), duration_text(1_500_000), duration_text(0)
    ('1h2m3s', '1.5s', '0s')
    """
    minutes, rest = divmod(microseconds, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // SECOND}.{rest % SECOND:06d}".rstrip("0").rstrip(".")
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
