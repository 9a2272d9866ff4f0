"""Identifiers and keys of the server's form."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from random import Random
from typing import Protocol


def is_id(text: str, kind: str) -> bool:
    """Whether `text` has the form of an identifier of this kind.

    >>> is_id(RandomIdentifiers(Random(1)).new("org"), "org"), is_id("org_of_the_test", "org")
    (True, False)
    """
    return re.fullmatch(rf"{kind}_[0-9a-f]{{24}}", text) is not None


class Identifiers(Protocol):
    """Where the engine's new identifiers and keys come from."""

    def new(self, kind: str) -> str:
        """An identifier that nothing has: `kind`, an underscore and 24 hexadecimal digits."""
        ...

    def new_key(self) -> str:
        """An API key that nobody has: ``mtk_`` and 44 characters."""
        ...


class RandomIdentifiers:
    """Identifiers and keys out of `random`: a seeded one gives the same ones again, `random.SystemRandom` never does.

    >>> RandomIdentifiers(Random(1)).new("agent") == RandomIdentifiers(Random(1)).new("agent")
    True
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    def new(self, kind: str) -> str:
        """`kind`, an underscore and 24 hexadecimal digits."""
        return f"{kind}_{self._random.getrandbits(96):024x}"

    def new_key(self) -> str:
        """An API key: ``mtk_`` and 44 characters."""
        return f"mtk_{urlsafe_b64encode(self._random.randbytes(32)).decode()}"
