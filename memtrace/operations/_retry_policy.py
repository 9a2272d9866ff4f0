"""How often, and after which delays, a failed call is retried."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from memtrace._support.numbers import is_int, is_non_negative_seconds
from memtrace.exceptions import ConfigurationError

VerifyBeforeRetry = Literal["wait", "read"]
"""How a write that may have been stored is verified before it is retried.

``wait``: 1.25 s, a read that must succeed, 0.25 s. ``read``: without the first wait, for a server of one process.
"""

Dedup = Literal["server", "per_call"]
"""Which duplicate key a memory gets when you give it none.

``server``: the server's own, so that the same agent, event and first 200 bytes of content are a duplicate within 24 hours.
``per_call``: one made for each call, so that equal memories are all kept, and only a repeat of the call is recognised.
"""

VERIFY_DELAY_BEFORE_READ: Final = 1.25
"""Seconds after which every process of the server has handed its writes on: its tick comes each second."""

VERIFY_DELAY_AFTER_READ: Final = 0.25
"""Seconds after a read until what it flushed is seen by the check for duplicates: 0.1 s was measured."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Configure which failures are retried. Pass it as ``Memtrace(..., retry=RetryPolicy(...))``.

    Every call is retried if the request surely did not reach the server's storage: no connection,
    429 or 503. If it may have (a timeout, a broken connection, 502, 504 or an unreadable response),
    it is retried only if that cannot store a memory twice. No wait exceeds the client's `deadline`.

    Raises:
        ConfigurationError: A value is out of its range.

    Example:
        >>> RetryPolicy(max_attempts=5).verify_before_retry
        'wait'
        >>> RetryPolicy(max_attempts=0)
        Traceback (most recent call last):
        memtrace.exceptions.ConfigurationError: retry.max_attempts must be a whole number of 1 or more; 1 turns retries off (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/configuration.md)
    """

    #: How often a call is tried in all; 1 turns retries off.
    max_attempts: int = 3
    #: The longest wait before the second attempt, in seconds; it doubles for each further one.
    initial_backoff: float = 0.25
    #: The longest wait before any attempt, in seconds.
    max_backoff: float = 8.0
    #: The longest ``Retry-After`` that is waited for, in seconds; a longer one ends the call.
    max_retry_after: float = 30.0
    #: How a write that may have been stored is verified before it is retried.
    verify_before_retry: VerifyBeforeRetry = "wait"
    #: Gives a number from 0 to 1, the part of the longest wait that is waited: full jitter.
    jitter: Callable[[], float] = field(default=random.random, repr=False)

    def __post_init__(self) -> None:
        if not is_int(self.max_attempts) or self.max_attempts < 1:
            raise ConfigurationError(
                "retry.max_attempts must be a whole number of 1 or more; 1 turns retries off",
                argument="retry.max_attempts",
            )
        for name in ("initial_backoff", "max_backoff", "max_retry_after"):
            value = getattr(self, name)
            if not is_non_negative_seconds(value) or value > _LONGEST:
                raise ConfigurationError(
                    f"retry.{name} must be a number of seconds from 0 to {_LONGEST}", argument=f"retry.{name}"
                )
        if self.verify_before_retry not in get_args(VerifyBeforeRetry):
            raise ConfigurationError(
                f"retry.verify_before_retry must be one of {', '.join(get_args(VerifyBeforeRetry))}",
                argument="retry.verify_before_retry",
            )
        if not callable(self.jitter):
            raise ConfigurationError(
                "retry.jitter must be a function that gives a number from 0 to 1", argument="retry.jitter"
            )

    def backoff(self, attempt: int) -> float:
        """Compute the wait after an attempt.

        Args:
            attempt: The number of the attempt, from 1.

        Returns:
            Seconds to wait.

        Example:
            >>> RetryPolicy(initial_backoff=0.5, jitter=lambda: 1.0).backoff(3)
            2.0
        """
        longest = min(self.max_backoff, self.initial_backoff * 2.0 ** min(attempt - 1, 64))
        return longest * min(max(self.jitter(), 0.0), 1.0)


_LONGEST = 86_400
