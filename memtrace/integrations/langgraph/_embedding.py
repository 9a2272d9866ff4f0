"""How a store embeds its items: LangGraph's `IndexConfig`, and vectors as they are stored and compared."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from operator import mul
from typing import TYPE_CHECKING, Any, NoReturn

from langgraph.store.base import ensure_embeddings, get_text_at_path, tokenize_path

from memtrace._support.numbers import is_int
from memtrace.integrations._errors import invalid_type
from memtrace.operations._validation import invalid

if TYPE_CHECKING:
    from langgraph.store.base import Embeddings

Vector = Sequence[float]
"""At length 1, or without a direction: then all of its numbers are 0."""

_FIELDS = ("dims", "embed", "fields")
_WHOLE_VALUE = "$"


class Embedding:
    """What a store embeds, and with which model.

    Raises `InvalidRequestError` for a configuration that LangGraph does not know, and what LangGraph raises for its model.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        _check_config(config)
        self.embeddings: Embeddings = ensure_embeddings(config["embed"])
        self._dims: int | None = config.get("dims")
        self._paths: list[str] = config.get("fields") or [_WHOLE_VALUE]

    def texts(self, value: Mapping[str, Any], paths: Sequence[str] | None) -> list[str]:
        """The texts of a value that are embedded: those at `paths`, or at the paths of the store."""
        chosen = self._paths if paths is None else paths
        # LangGraph's function splits a path that is a string at each call, and takes "$" only as a string
        tokens: list[str | list[str]] = [path if path == _WHOLE_VALUE else tokenize_path(path) for path in chosen]
        return [text for token in tokens for text in get_text_at_path(value, token)]

    def vectors(self, texts: Sequence[str], made: Sequence[Sequence[float]]) -> dict[str, Vector]:
        """The vectors that the model made of these texts, by text. Raises `InvalidRequestError` for what is none of them."""
        if len(made) != len(texts):
            _refuse_model(f"it gave {len(made)} vectors for {len(texts)} texts")
        vectors = [[*map(float, vector)] for vector in made]
        dims = self._dims if self._dims is not None or not vectors else len(vectors[0])
        if any(len(vector) != dims for vector in vectors):
            _refuse_model(f"it gave a vector that has not {dims} numbers")
        if not all(isfinite(number) for vector in vectors for number in vector):
            _refuse_model("it gave a number that is not finite (NaN or infinity)")
        return {text: _at_length_1(vector) for text, vector in zip(texts, vectors, strict=True)}


def _check_config(config: object) -> None:
    rule = f"a dict with {', '.join(_FIELDS)}"
    if not isinstance(config, Mapping):
        raise invalid_type("index", rule, f"{type(config).__name__} was given")
    unknown = next((name for name in config if name not in _FIELDS), None)
    if unknown is not None:
        raise invalid(f"index[{unknown!r}]", "left out", f"MemtraceStore knows {', '.join(_FIELDS)}")
    if config.get("embed") is None:
        raise invalid("index['embed']", "an embedding model", "without one, leave index out: words are searched then")
    dims, fields = config.get("dims"), config.get("fields")
    if dims is not None and not (is_int(dims) and dims > 0):
        raise invalid("index['dims']", "a whole number of 1 or more", "it is the length of a vector")
    if fields is not None:
        check_paths(fields, "index['fields']")


def check_paths(paths: object, field: str) -> None:
    """Refuse what is no list of paths into a value."""
    if not isinstance(paths, (list, tuple)) or not all(isinstance(path, str) and path for path in paths):
        raise invalid_type(field, "a list of paths such as 'text' or 'messages[*].content'", "they say what to embed")


def _refuse_model(what: str) -> NoReturn:
    raise invalid("index['embed']", "a model that gives each text a vector of one length", what)


# ---- vectors --------------------------------------------------------------------------------------------------------


def _at_length_1(vector: Sequence[float]) -> Vector:
    largest = max(map(abs, vector), default=0.0)
    if largest == 0.0:
        return vector
    scaled = [number / largest for number in vector]  # squares of large numbers are infinite
    length = sqrt(sum(map(mul, scaled, scaled)))
    return [number / length for number in scaled]


def written(vector: Vector) -> str:
    """A vector as it is stored: half-precision floats, in hexadecimal digits, which no search takes for words."""
    return struct.pack(f"<{len(vector)}e", *vector).hex()


def read_vector(text: str) -> Vector:
    """A vector that was stored. Raises ValueError for what is none."""
    packed = bytes.fromhex(text)
    if len(packed) % 2:
        raise ValueError("half a number")
    # stored numbers are rounded, and the length with them
    return array("f", _at_length_1(struct.unpack(f"<{len(packed) // 2}e", packed)))


def signs(vector: Vector) -> int:
    """The signs of a vector's numbers, one bit each: near vectors have most of them in common."""
    return int("1" + "".join(["1" if number > 0 else "0" for number in vector]), 2)


def cosine(one: Vector, other: Vector) -> float:
    """How alike two vectors of the same length are, from -1 to 1."""
    return float(sum(map(mul, one, other)))
