"""The fixture by which a contract is given what it tests: its decorator, and what its function makes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isfunction

import pytest


def check_is_fixture(contract: type, name: str) -> None:
    """Refuse a class whose `name` is a plain function: pytest would never call it."""
    if isfunction(contract.__dict__.get(name)):
        raise TypeError(f"{contract.__name__}.{name} needs the decorator @pytest.fixture")


def made_by(create: Callable[[], object]) -> object:
    """What `create` makes; a failure of the test where it takes arguments, or cannot be called."""
    try:
        return create()
    except TypeError as error:
        pytest.fail(f"the fixture create gives a function without arguments, as lambda: Mine(); it failed: {error}")
