"""Of the contracts that our own transports and middleware keep, a default run draws some items; `--whole` runs all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from random import Random

import pytest

from memtrace.plugins import transport_registry
from memtrace.testing import AsyncTransportContract
from tests import sampling

__all__ = ["draw", "each_rule", "each_situation"]

Covers = Callable[[pytest.Item], Iterable[Hashable]]


def draw(config: pytest.Config, items: list[pytest.Item], module: Path, covers: Covers) -> None:
    """Leave out as many items of the module as can be, so that those left cover all that is covered by any.

    What an item covers is said by `covers`. Items that were asked for one by one, or by a word, are all kept.
    """
    if config.option.whole or config.option.keyword or any("::" in str(argument) for argument in config.args):
        return
    mine = [item for item in items if item.path == module]
    Random(f"{sampling.seed()} {module.parent.name}/{module.name}").shuffle(mine)
    covered: set[Hashable] = set()
    omitted: list[pytest.Item] = []
    for item in mine:
        adds = set(covers(item)) - covered
        covered |= adds
        if not adds:
            omitted.append(item)
    config.hook.pytest_deselected(items=omitted)
    gone = set(omitted)
    items[:] = [item for item in items if item not in gone]


def each_rule(item: pytest.Item) -> Iterable[Hashable]:
    """Each rule once with a blocking transport and once with an awaiting one, of those that do not skip it.

    The classes say in `library` which they are of.
    """
    option = item.originalname.removeprefix("test_option_")
    spec = transport_registry.get(item.cls.library)
    if not spec.missing() and (option == item.originalname or option in spec.capabilities):
        case = tuple(name for name in _parameters(item) if name not in ("asyncio", "trio"))
        yield issubclass(item.cls, AsyncTransportContract), item.cls.network, item.originalname, case


def each_situation(item: pytest.Item) -> Iterable[Hashable]:
    """Each test with each middleware, and with each value of its parameters; each middleware with each value."""
    yield item.cls, item.originalname
    for name in _parameters(item):
        yield item.originalname, name
        yield item.cls, name


def _parameters(item: pytest.Item) -> list[str]:
    """The values that it was given, as its id names them."""
    return item.callspec.id.split("-") if hasattr(item, "callspec") else []
