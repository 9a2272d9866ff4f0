"""Test your application: the in-memory fake, its faults and its clock; and contracts for transports, their indexes, middleware and rankers."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memtrace.testing._index_contract import IndexedTransportContract
    from memtrace.testing._middleware_contract import MiddlewareContract
    from memtrace.testing._ranker_contract import RankerContract
    from memtrace.testing._transport_contract import AsyncTransportContract, TransportContract
    from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock

__all__ = [
    "AsyncTransportContract",
    "FakeMemtrace",
    "Fault",
    "IndexedTransportContract",
    "ManualClock",
    "MiddlewareContract",
    "RankerContract",
    "TransportContract",
]

_PLACES = {
    **dict.fromkeys(("FakeMemtrace", "Fault", "ManualClock"), "memtrace_transports.memory"),
    "AsyncTransportContract": "memtrace.testing._transport_contract",
    "IndexedTransportContract": "memtrace.testing._index_contract",
    "MiddlewareContract": "memtrace.testing._middleware_contract",
    "RankerContract": "memtrace.testing._ranker_contract",
    "TransportContract": "memtrace.testing._transport_contract",
}
_RULES = "memtrace.testing._rules"  # and all modules in it


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _PLACES[name].startswith("memtrace.testing.") and _PLACES[name] not in sys.modules:
        import pytest

        late = {_PLACES[name], _RULES} - set(sys.modules)
        pytest.register_assert_rewrite(*late)  # before their import: only then do their assertions show values
    value = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
