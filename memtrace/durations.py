"""Seconds, as clients and transports are given them."""

from __future__ import annotations

import threading
from typing import TypeGuard

__all__ = ["is_seconds"]


def is_seconds(value: object) -> TypeGuard[float]:
    """Whether it is a number above 0, and small enough for the system to wait so long.

    >>> is_seconds(0.5), is_seconds(0), is_seconds(True), is_seconds(float("inf"))
    (True, False, False, False)
    """
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= threading.TIMEOUT_MAX
