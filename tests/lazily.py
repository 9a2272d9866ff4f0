"""Modules that take long to import: a test imports them where it first uses them, and the collection of tests does not.

agents = Lazily("agents")  # and then agents.Runner
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazily:
    """Stands for a module, which it imports when a public attribute is asked for.

    The others it has not: pytest asks whatever a test module holds for some of them.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)
