"""JSON values for property tests, and programs that run on a fake."""

from __future__ import annotations

import asyncio

from hypothesis import strategies

from memtrace_transports import FakeMemtrace, ManualClock

VISIBILITIES = strategies.sampled_from(["immediate", "server"])

TEXTS = strategies.text(strategies.characters(exclude_categories=()), max_size=20)
SCALARS = (
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
JSON = strategies.recursive(
    SCALARS,
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def fake_of(visibility):
    """A fake for one example of a property."""
    return FakeMemtrace(clock=ManualClock(), visibility=visibility)


def run(program, *args):
    """Run an async function to its end."""
    return asyncio.run(program(*args))
