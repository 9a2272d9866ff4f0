"""A second import of the fake, with one text of its source replaced by another."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import memtrace_transports

PACKAGE = "memtrace_transports"
_PARTS = ("_engine", "memory")  # of which every module is imported anew


class StaleQuirkError(AssertionError):
    """The text to be replaced does not stand in the module exactly once."""


@dataclass(frozen=True)
class Fake:
    """What a flipped package offers to tests."""

    fake: Any
    clock: Any


class _Flipped(MetaPathFinder, InspectLoader):
    """Finds and loads the one module whose source differs."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def get_source(self, fullname: str) -> str:
        return self.source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, f"<flipped {fullname}>", "exec", dont_inherit=True)


def broken_source(module: str, old: str, new: str) -> str:
    """The source of a module when `old`, which stands in it once, is `new`. Raises `StaleQuirkError`."""
    spec = importlib.util.find_spec(f"{PACKAGE}.{module}")
    source = Path(str(spec and spec.origin)).read_text(encoding="utf-8")
    if source.count(old) != 1:
        raise StaleQuirkError(f"{old!r} stands {source.count(old)} times in {module}.py")
    return source.replace(old, new)


def flipped(module: str, old: str, new: str) -> Fake:
    """The fake as it is when `old`, which stands in `module` once, is `new`."""
    finder = _Flipped(f"{PACKAGE}.{module}", broken_source(module, old, new))
    with _without_the_package():
        sys.meta_path.insert(0, finder)
        try:
            package = importlib.import_module(f"{PACKAGE}.memory")
        finally:
            sys.meta_path.remove(finder)
        return Fake(package.FakeMemtrace, package.ManualClock)


@contextmanager
def _without_the_package() -> Iterator[None]:
    """Forget the package for as long as it takes to import another one of its name."""
    kept = {name: module for name, module in sys.modules.items() if _is_of_the_fake(name)}
    for name in kept:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in filter(_is_of_the_fake, list(sys.modules)):
            del sys.modules[name]
        sys.modules.update(kept)
        for part in _PARTS:
            setattr(memtrace_transports, part, kept[f"{PACKAGE}.{part}"])


def _is_of_the_fake(name: str) -> bool:
    return any(f"{name}.".startswith(f"{PACKAGE}.{part}.") for part in _PARTS)
