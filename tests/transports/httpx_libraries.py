"""The libraries that the httpx transports serve: httpx, and httpx2 where it is installed (it needs Python 3.11)."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest

from tests.sampling import crossed

LIBRARIES = [import_module(name) for name in ("httpx", "httpx2") if find_spec(name) is not None]

on_both_loops_and_libraries = pytest.mark.parametrize(
    ("library", "httpx"),
    crossed(["asyncio", "trio"], LIBRARIES),
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
on_httpx_and_httpx2 = pytest.mark.parametrize("httpx", LIBRARIES, ids=lambda library: library.__name__)
