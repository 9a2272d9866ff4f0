"""Stems of English words by Porter's rules of 1980, as SQLite's tokenizer ``porter`` has them.

They are made here and not within SQLite because a query asks which stems hold a part: SQLite gives them to nobody, and a search
that went by words as they are written would depend on other words that the index has by chance.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_SHORTEST, _LONGEST = 3, 64
_REMEMBERED = 1 << 14

_STEP_2 = {
    "ational": "ate",
    "ization": "ize",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "tional": "tion",
    "biliti": "ble",
    "entli": "ent",
    "ousli": "ous",
    "ation": "ate",
    "alism": "al",
    "aliti": "al",
    "iviti": "ive",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "alli": "al",
    "ator": "ate",
    "logi": "log",
    "bli": "ble",
    "eli": "e",
}
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ness": "", "ful": ""}
_STEP_4 = (
    *("ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ion", "ism", "ate", "iti", "ous", "ive", "ize"),
    *("al", "er", "ic", "ou"),
)


@lru_cache(_REMEMBERED)
def stem(word: str) -> str:
    """The stem of an English word. A word of other letters is its own stem.

    >>> [stem(word) for word in ("guitars", "relational", "hopping", "happy", "strasse", "tea")]
    ['guitar', 'relat', 'hop', 'happi', 'strass', 'tea']
    """
    if not (_SHORTEST <= len(word) <= _LONGEST and word.isascii()):
        return word
    word = _without_participle(_without_plural(word))
    if word.endswith("y") and "v" in _shape(word[:-1]):
        word = word[:-1] + "i"
    word = _replaced(_replaced(word, _STEP_2), _STEP_3)
    return _without_last_letters(_without_suffix(word))


def _shape(word: str) -> str:
    """Vowels and consonants of a word, as ``v`` and ``c``; a y after a consonant is a vowel."""
    shape = ""
    for letter in word:
        shape += "v" if letter in "aeiou" or (letter == "y" and shape.endswith("c")) else "c"
    return shape


def _measure(word: str) -> int:
    """The number of runs of consonants after a run of vowels."""
    return _shape(word).count("vc")


def _is_short(word: str) -> bool:
    """Whether it ends like hop: consonant, vowel, consonant."""
    return _shape(word).endswith("cvc") and word[-1] not in "wxy"


def _ending(word: str, endings: Iterable[str]) -> str:
    """The first ending that a word has beyond its stem; "" for none."""
    return next((ending for ending in endings if word.endswith(ending) and len(word) > len(ending)), "")


def _without_plural(word: str) -> str:
    if _ending(word, ("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_participle(word: str) -> str:
    if _ending(word, ("eed",)):
        return word[:-1] if _measure(word[:-3]) else word
    ending = _ending(word, ("ed", "ing"))
    start = word[: len(word) - len(ending)]
    if not ending or "v" not in _shape(start):
        return word
    if start.endswith(("at", "bl", "iz")):
        return start + "e"
    if start[-2:-1] == start[-1:] and start[-1] not in "aeioulsz":
        return start[:-1]
    return start + "e" if _measure(start) == 1 and _is_short(start) else start


def _replaced(word: str, endings: dict[str, str]) -> str:
    ending = _ending(word, endings)
    start = word[: len(word) - len(ending)]
    return start + endings[ending] if ending and _measure(start) else word


def _without_suffix(word: str) -> str:
    ending = _ending(word, _STEP_4)
    start = word[: len(word) - len(ending)]
    is_suffix = ending and _measure(start) > 1 and (ending != "ion" or start[-1] in "st")
    return start if is_suffix else word


def _without_last_letters(word: str) -> str:
    start = word[:-1]
    if word.endswith("e") and (_measure(start) > 1 or (_measure(start) == 1 and not _is_short(start))):
        word = start
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
