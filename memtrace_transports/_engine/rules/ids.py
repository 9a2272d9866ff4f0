"""Identifiers and keys of the server's form, the same ones for the same seed."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from random import Random


def is_id(text: str, kind: str) -> bool:
    """Whether `text` has the form of an identifier of this kind.

    >>> is_id(Identifiers(1).new("org"), "org"), is_id("org_of_the_test", "org")
    (True, False)
    """
    return re.fullmatch(rf"{kind}_[0-9a-f]{{24}}", text) is not None


class Identifiers:
    """Makes identifiers from a seed.

    >>> Identifiers(1).new("agent") == Identifiers(1).new("agent")
    True
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - made to be the same again

    def new(self, kind: str) -> str:
        """`kind`, an underscore and 24 hexadecimal digits."""
        return f"{kind}_{self._random.getrandbits(96):024x}"

    def new_key(self) -> str:
        """An API key: ``mtk_`` and 44 characters."""
        return f"mtk_{urlsafe_b64encode(self._random.randbytes(32)).decode()}"
