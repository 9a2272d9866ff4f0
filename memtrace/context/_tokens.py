"""How many tokens a text has."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from math import ceil

from memtrace._support.callables import is_async_callable
from memtrace._support.numbers import is_int
from memtrace.operations._validation import invalid

TokenCounter = Callable[[str], int]
"""Gives the number of tokens of a text, 0 or more. Blocking; called once for each memory, and once for the whole."""

MESSAGE_TOKENS: int = 4
"""What is counted for each message beside its content: chat formats put about so many tokens around one."""

_RULE = "a function that takes a text and gives a whole number, 0 or more"


def estimate_tokens(text: str) -> int:
    """About as many tokens as OpenAI's tokenizers give, or a few more, as a budget wants it.

    For a prompt in English or German, of code, JSON, Chinese, Japanese, emoji or identifiers it is between 1.00 and 1.25 times
    what cl100k_base or o200k_base give, whichever is more.

    >>> estimate_tokens("User prefers dark mode")
    5
    """
    pieces = Counter(_PIECE.findall(text))
    return ceil(
        sum([count * (_of_short(piece) if len(piece) <= _SHORT else _of(piece)) for piece, count in pieces.items()])
    )


def check_counter(count_tokens: object) -> None:
    """Refuse what is no blocking function."""
    if not callable(count_tokens) or is_async_callable(count_tokens):
        raise invalid("count_tokens", _RULE, "no other can be called here")


def checked_count(count_tokens: TokenCounter, text: str) -> int:
    """What `count_tokens` gives. Raises `InvalidRequestError` for what is no number of tokens."""
    tokens = count_tokens(text)
    if not is_int(tokens) or tokens < 0:
        raise invalid("count_tokens", _RULE, f"it gave {'a negative one' if is_int(tokens) else type(tokens).__name__}")
    return tokens


# ---- the estimate: the kinds of pieces that tokenizers split a text into, and what each costs on average

#: A space before a word is part of its token, and a line end is part of the signs before it.
_PIECE = re.compile(
    r"""'[a-z]{1,2}\b
    | [A-ZÀ-ÖØ-Þ]?[a-zß-öø-ɏ]+ | [A-ZÀ-ÖØ-Þ]+
    | \d{1,3} | [ ](?=\d)
    | [!-/:-@\[-`{-~]+[\r\n]*
    | \s*[\r\n]+ | [ \t]{2,}
    | [\u0250-\U0010ffff]+ | [\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xbf\xd7\xf7]""",
    re.VERBOSE,
)
_SHORT = 24

#: By the number of letters. English words of any length are mostly one token, those of other languages are not; which of them
#: a word is shows in its ending.
_LETTERS = (0.0, 1.0, 1.0, 1.02, 1.06, 1.18, 1.34, 1.76, 2.0, 2.28, 2.6, 2.9, 3.2, 3.45, 3.75, 4.05, 4.4)
_ENGLISH = re.compile(
    r".{3,}(?:ing|ed|ions?|ly|ness|ments?|able|ful|est|ies|ous|ers|ity|ence|ance|ive|als?)", re.IGNORECASE
)
#: Characters of other scripts up to a code point, and what each costs.
_SCRIPTS = (
    (0x36F, 2.0),
    (0x3FF, 1.08),  # Greek
    (0x52F, 0.57),  # Cyrillic
    (0x5FF, 1.22),  # Armenian, Hebrew
    (0x77F, 0.88),  # Arabic
    (0x8FF, 2.0),
    (0xDFF, 1.3),  # India
    (0xE7F, 1.0),  # Thai
    (0x1DFF, 2.0),
    (0x1FFF, 1.5),  # Latin and Greek with several marks
    (0x206F, 1.0),  # punctuation
    (0x2FFF, 2.0),
    (0x303F, 1.0),  # punctuation of Chinese and Japanese
    (0x31FF, 1.08),  # kana
    (0x33FF, 2.0),
    (0x9FFF, 1.28),  # Han
    (0xABFF, 2.0),
    (0xD7FF, 1.33),  # Hangul
    (0xDFFF, 1.0),  # half a character, which is written as the replacement character
    (0xFDFF, 2.0),
    (0xFFFF, 1.0),  # full width, and what follows an emoji
    (0x10FFFF, 3.02),  # emoji
)
_LAST_OF_SCRIPTS = [last for last, _ in _SCRIPTS]


def _of(piece: str) -> float:
    first = piece[0]
    if first >= "\u0250":
        return sum([_SCRIPTS[bisect_left(_LAST_OF_SCRIPTS, ord(character))][1] for character in piece])
    if first.isalpha():
        return _of_word(piece)
    if first > "~":
        return 1.2
    if first.isspace() or first.isdigit() or piece[1:2].isalpha():
        return 1.0
    return _of_signs(piece)


def _of_word(word: str) -> float:
    letters = len(word)
    if not word.isascii():
        return max(1.0, 0.47 * letters + 0.3)
    if letters > 1 and word.isupper():
        return max(1.0, 0.42 * letters)
    if letters > 5 and _ENGLISH.fullmatch(word):
        cost = 1.05 if letters < 12 else 1.4
    else:
        cost = _LETTERS[letters] if letters < len(_LETTERS) else letters / 3.6
    return cost + 0.12 if letters > 3 and word[0] < "a" else cost


def _of_signs(signs: str) -> float:
    row = signs.rstrip("\r\n")
    if len(row) > 3 and row == row[0] * len(row):  # a rule
        return 1 + len(row) / 24
    line_end = 0.1 if len(row) < len(signs) else 0.0
    if len(row) > 2:
        return line_end + len(row) * 0.5
    if row in _BEFORE_WORDS:
        return 0.7
    return line_end + (1.0 if len(row) == 1 else 1.1)


#: Signs that are often one token with the word behind them.
_BEFORE_WORDS = frozenset("._(")
_of_short = lru_cache(maxsize=8192)(_of)
