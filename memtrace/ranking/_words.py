"""Split memories and queries into the words of an index."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from memtrace.models import Memory

VERSION = 2
"""The version of the tables and of the rules that split memories into words. An index of another version is rebuilt."""

#: Longer words are cut. They are keys and encoded files, whose prefix is enough.
LONGEST_WORD = 64

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(r"[^\W_]+")
#: Scripts without spaces between words, or with particles at their end: Thai to Khmer, kana, Han, Hangul.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+)"
)
_ACCENTS = re.compile("[\u0300-\u036f]+")

STOP_WORDS: frozenset[str] = frozenset(
    [
        "a",
        "about",
        "after",
        "again",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "aren",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "between",
        "both",
        "but",
        "by",
        "can",
        "could",
        "couldn",
        "d",
        "did",
        "didn",
        "do",
        "does",
        "doesn",
        "doing",
        "don",
        "done",
        "for",
        "from",
        "further",
        "get",
        "got",
        "had",
        "hadn",
        "has",
        "hasn",
        "have",
        "haven",
        "having",
        "he",
        "her",
        "here",
        "hers",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "isn",
        "it",
        "its",
        "itself",
        "just",
        "ll",
        "m",
        "me",
        "more",
        "most",
        "my",
        "no",
        "nor",
        "not",
        "now",
        "of",
        "off",
        "on",
        "once",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "own",
        "re",
        "s",
        "same",
        "she",
        "should",
        "shouldn",
        "so",
        "some",
        "such",
        "t",
        "than",
        "that",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "through",
        "to",
        "too",
        "under",
        "until",
        "up",
        "ve",
        "very",
        "was",
        "wasn",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "won",
        "would",
        "wouldn",
        "you",
        "your",
        "describe",
        "discuss",
        "discussed",
        "discussing",
        "discussion",
        "explain",
        "mention",
        "mentioned",
        "said",
        "say",
        "saying",
        "summarise",
        "summarize",
        "summary",
        "talk",
        "talked",
        "talking",
        "tell",
        "told",
        "topic",
    ]
)
"""English stop words, which say nothing about the subject of a question."""


def words(text: str) -> list[str]:
    """Every word in order, in small letters and without accents.

    Of scripts without spaces it gives each character with the one behind it, so that every character begins a word.

    >>> words("Café, naïve: 東京都")
    ['cafe', 'naive', '東京', '京都', '都']
    """
    if text.isascii():
        return _cut(_ASCII_WORD.findall(text.lower()))
    return _cut([word for piece in _pieces(text) for word in (_pairs(piece) if _is_unspaced(piece) else (piece,))])


def query_words(query: str) -> list[str]:
    """The words of a query, each once, without stop words unless it has no others.

    >>> query_words("What did she say about 東京都?")
    ['東京', '京都']
    """
    asked = [word for piece in _pieces(query) for word in (_whole_pairs(piece) if _is_unspaced(piece) else (piece,))]
    asked = list(dict.fromkeys(_cut(asked)))
    return [word for word in asked if word not in STOP_WORDS] or asked


def memory_text(memory: Memory) -> str:
    """The searchable text of a memory: event type, tags, date in words, content and strings of its metadata."""
    at = memory.occurred_at
    event = "" if memory.event_type == "general" else memory.event_type
    date = f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}"
    return "\n".join([event, *(memory.tags or ()), date, memory.content, *_texts((memory.metadata or {}).values())])


def vector_text(memory: Memory) -> str:
    """The string for an embedder: the content, names in its metadata before it ("Ines: ..."), longer strings after it."""
    texts = [*_texts((memory.metadata or {}).values())]
    names = ", ".join(text for text in texts if text.count(" ") < _NAME_WORDS)
    others = "".join(f" [{text}]" for text in texts if text.count(" ") >= _NAME_WORDS)
    return (f"{names}: " if names else "") + memory.content + others


def _texts(values: Iterable[object]) -> Iterator[str]:
    """Strings at any depth that have a word of letters. Others are identifiers and times."""
    for value in values:
        if isinstance(value, str):
            if _LETTERS.search(value) and not _TIME.match(value):
                yield value
        elif isinstance(value, list):
            yield from _texts(value)
        elif isinstance(value, dict):
            yield from _texts(value.values())


#: A string of at most this many words counts as a name.
_NAME_WORDS = 3
_LETTERS = re.compile(r"(?<![^\W_])[^\W\d_]{2,}(?![^\W_])|[^\W\d_a-zA-Z]")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def _folded(text: str) -> str:
    """Normalize spellings of a word. Accents are removed; marks that make another letter, as in kana, are kept."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed)).translate(_WITHOUT_MARKS)


class _WithoutMarks(dict[int, int | None]):
    """A translation table that removes marks such as vowel signs, which end a word for `re`; filled as characters occur."""

    def __missing__(self, character: int) -> int | None:
        mark = unicodedata.category(chr(character)).startswith("M")
        self[character] = kept = None if mark else character
        return kept


_WITHOUT_MARKS = _WithoutMarks()


def _pieces(text: str) -> Iterator[str]:
    """Words, and runs of scripts without spaces between them."""
    for word in _WORD.findall(_folded(text)):
        yield from filter(None, _UNSPACED.split(word))


def _is_unspaced(piece: str) -> bool:
    return not piece.isascii() and _UNSPACED.match(piece) is not None


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run))]


def _whole_pairs(run: str) -> list[str]:
    return _pairs(run)[:-1] or [run]


def _cut(found: list[str]) -> list[str]:
    return [word[:LONGEST_WORD] for word in found] if found and len(max(found, key=len)) > LONGEST_WORD else found
