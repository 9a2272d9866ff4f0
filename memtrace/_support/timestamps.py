"""Points in time as files and wires have them: whole microseconds since 1970, and RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time; less than a microsecond does not exist.

    >>> to_microseconds(EPOCH + timedelta(seconds=1.5))
    1500000
    """
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The time so many microseconds after the beginning of 1970, in UTC.

    >>> from_microseconds(1_500_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + timedelta(microseconds=microseconds)


def rfc3339(moment: datetime) -> str:
    """An aware time as text, in UTC with a ``Z``. Raises OverflowError where its zone leads out of the calendar.

    >>> rfc3339(EPOCH)
    '1970-01-01T00:00:00Z'
    """
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
