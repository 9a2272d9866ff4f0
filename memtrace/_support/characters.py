"""Halves of characters: surrogates that stand alone, which a Python text can hold and UTF-8 cannot."""

from __future__ import annotations

import re

_HALF = re.compile("[\ud800-\udfff]")


def has_half_character(text: str) -> bool:
    r"""Whether `text` cannot be encoded.

    >>> has_half_character("\ud83d"), has_half_character("\N{SLIGHTLY SMILING FACE}")
    (True, False)
    """
    return _HALF.search(text) is not None


def whole_characters(text: str) -> str:
    r"""`text` with the replacement character for each half of a character.

    >>> whole_characters("a\ud800b")
    'a�b'
    """
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)
