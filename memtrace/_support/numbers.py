"""Counts and seconds, as clients, policies and transports are given them (True and False are neither), and a count in words."""

from __future__ import annotations

import threading
from typing import TypeGuard


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is a whole number.

    >>> is_int(3), is_int(3.0), is_int(True)
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool)


def is_positive_seconds(value: object) -> TypeGuard[float]:
    """Whether it is a number above 0, and small enough for the system to wait so long.

    >>> is_positive_seconds(0.5), is_positive_seconds(0), is_positive_seconds(True), is_positive_seconds(float("inf"))
    (True, False, False, False)
    """
    return is_non_negative_seconds(value) and value > 0


def is_non_negative_seconds(value: object) -> TypeGuard[float]:
    """Whether it is a number of 0 or more, and small enough for the system to wait so long.

    >>> is_non_negative_seconds(0), is_non_negative_seconds(-1), is_non_negative_seconds(float("nan"))
    (True, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= threading.TIMEOUT_MAX


def counted(count: int, one: str, many: str) -> str:
    """So many of something, in words.

    >>> counted(1, "memory", "memories"), counted(1200, "memory", "memories")
    ('1 memory', '1,200 memories')
    """
    return f"{count:,} {one if count == 1 else many}"
