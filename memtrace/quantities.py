"""Counts and seconds, as clients, policies and transports are given them; True and False are neither."""

from __future__ import annotations

import threading
from typing import TypeGuard

__all__ = ["is_duration", "is_seconds", "is_whole"]


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool)


def is_seconds(value: object) -> TypeGuard[float]:
    """Whether it is a number above 0, and small enough for the system to wait so long.

    >>> is_seconds(0.5), is_seconds(0), is_seconds(True), is_seconds(float("inf"))
    (True, False, False, False)
    """
    return is_duration(value) and value > 0


def is_duration(value: object) -> TypeGuard[float]:
    """Whether it is a number of 0 or more, and small enough for the system to wait so long.

    >>> is_duration(0), is_duration(-1), is_duration(float("nan"))
    (True, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= threading.TIMEOUT_MAX
