"""The fields of a request body, decoded as Go decodes into a struct, with its words for a wrong type."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from memtrace_transports._engine.go_json.reader import JsonObject, Number, Parsed, whole_characters

if TYPE_CHECKING:
    from typing_extensions import Never

T = TypeVar("T")

GoType: TypeAlias = Literal["string", "float64", "int", "[]string", "map[string]interface {}"]

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_INT_LIMIT = 1 << 63


class JsonTypeError(ValueError):
    """A value of the wrong type; the message is Go's."""


@dataclass(frozen=True, slots=True)
class GoStruct:
    """A Go struct: its name in messages about the whole body, and the Go types of its fields."""

    name: str
    fields: Mapping[str, GoType]

    def decode(self, body: Parsed) -> Fields:
        """The known fields of `body`; null is an object without members.

        Names match case-insensitively. Unknown ones are ignored. The last value of a repeated name counts, and a
        repeated object is merged. A null string or number counts as absent. Raises JsonTypeError for the first value of
        a wrong type.

        >>> from memtrace_transports._engine.go_json.reader import parse
        >>> GoStruct("search.Query", {"limit": "int"}).decode(parse(b'{"LIMIT": 1.5}'))
        Traceback (most recent call last):
        memtrace_transports._engine.go_json.structs.JsonTypeError: json: cannot unmarshal number 1.5 into Go struct field Query.limit of type int
        """
        found = Fields()
        if body is None:
            return found
        if not isinstance(body, JsonObject):
            raise JsonTypeError(f"json: cannot unmarshal {_kind(body)} into Go value of type {self.name}")
        texts, fields = found.texts, self.fields
        for name, value in body.pairs:
            go_type = fields.get(name)
            if go_type is None:
                name = fold_name(name)  # noqa: PLW2901
                go_type = fields.get(name)
            if go_type == "string" and isinstance(value, str):
                texts[name] = value if value.isascii() else whole_characters(value)
            elif go_type is not None:
                self._put(found, name, go_type, value)
        return found

    def _put(self, found: Fields, name: str, go_type: GoType, value: Parsed) -> None:
        if value is None:
            found.lists = _without(found.lists, name)
            found.objects = _without(found.objects, name)
        elif go_type == "[]string" and isinstance(value, list):
            found.lists = {**found.lists, name: [self._element(name, item) for item in value]}
        elif go_type == "map[string]interface {}" and isinstance(value, JsonObject):
            number = _first_out_of_range(value)
            if number is not None:
                raise self._mismatch(name, f"number {number}", "float64")
            found.objects = {**found.objects, name: {**found.objects.get(name, {}), **dict(value.pairs)}}
        elif go_type in ("int", "float64") and isinstance(value, Number):
            self._put_number(found, name, go_type, value)
        else:
            raise self._mismatch(name, _kind(value), go_type)

    def _element(self, name: str, item: Parsed) -> str:
        if isinstance(item, str):
            return whole_characters(item)
        if item is not None:
            raise self._mismatch(name, _kind(item), "string")
        return ""

    def _put_number(self, found: Fields, name: str, go_type: GoType, value: Number) -> None:
        if go_type == "int":
            fits = _WHOLE.fullmatch(value.text) is not None and -_INT_LIMIT <= int(value.text) < _INT_LIMIT
        else:
            fits = not math.isinf(float(value.text))
        if not fits:
            raise self._mismatch(name, f"number {value.text}", go_type)
        number = int(value.text) if go_type == "int" else float(value.text)
        found.numbers = {**found.numbers, name: number}

    def _mismatch(self, name: str, kind: str, go_type: str) -> JsonTypeError:
        struct = self.name.rpartition(".")[2]
        return JsonTypeError(f"json: cannot unmarshal {kind} into Go struct field {struct}.{name} of type {go_type}")


_NONE: Mapping[str, Never] = MappingProxyType({})


class Fields:
    """Decoded fields by their Go type. An absent field is Go's zero value, or None for a list or an object."""

    __slots__ = ("lists", "numbers", "objects", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        # these stay empty for most bodies; three fewer dicts save a tenth of reading a batch
        self.numbers: Mapping[str, float] = _NONE
        self.lists: Mapping[str, list[str]] = _NONE
        self.objects: Mapping[str, dict[str, Parsed]] = _NONE

    def text(self, name: str) -> str:
        """A string field, "" when absent."""
        return self.texts.get(name, "")

    def number(self, name: str) -> float:
        """A float64 field, 0.0 when absent."""
        return float(self.numbers.get(name, 0.0))

    def whole(self, name: str) -> int:
        """An int field, 0 when absent."""
        return int(self.numbers.get(name, 0))

    def strings(self, name: str) -> list[str]:
        """A list of strings, [] when absent."""
        return self.lists.get(name, [])

    def members(self, name: str) -> dict[str, Parsed] | None:
        """A free-form object, None when absent or null."""
        return self.objects.get(name)


def _without(values: Mapping[str, T], name: str) -> Mapping[str, T]:
    return {key: value for key, value in values.items() if key != name} if name in values else values


def fold_name(name: str) -> str:
    """`name` case-folded as in Go: of the non-ASCII letters only these two fold to an ASCII one."""
    return name.lower() if name.isascii() else name.replace("\u017f", "s").replace("\u212a", "k").lower()


def _kind(value: Parsed) -> str:
    return _KINDS[type(value)]


_KINDS = {Number: "number", str: "string", bool: "bool", JsonObject: "object", list: "array"}


def _first_out_of_range(members: JsonObject) -> str | None:
    """The first number, in the order sent, that a float64 cannot hold."""
    todo: list[Parsed] = [members]
    while todo:
        item = todo.pop()
        if isinstance(item, JsonObject):
            todo.extend(value for _, value in reversed(item.pairs))
        elif isinstance(item, list):
            todo.extend(reversed(item))
        elif isinstance(item, Number) and math.isinf(float(item.text)):
            return item.text
    return None
