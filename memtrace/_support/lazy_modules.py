"""Modules that annotations name and an import should not load."""

from __future__ import annotations

import importlib


class LazyModule:
    """A module that is imported when a name of it is first needed: when `typing.get_type_hints` resolves an annotation.

    >>> decimal = LazyModule("decimal")
    >>> decimal.Decimal("0.5")
    Decimal('0.5')
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what inspect and doctest ask of everything in a module
            raise AttributeError(name)
        return getattr(importlib.import_module(self._name), name)
