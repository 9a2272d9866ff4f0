"""JSON texts written as Go writes them: number forms, and the keys of a map in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from json.encoder import encode_basestring as quoted
from typing import TypeAlias

from memtrace_transports._engine.go_json.reader import JsonObject, Number, Parsed, whole_characters


class RawJson(str):
    """Text that is JSON already."""

    __slots__ = ()


_Scalar: TypeAlias = "Number | RawJson | str | bool | None"
Writable: TypeAlias = "RawJson | str | bool | int | float | list[Writable] | dict[str, Writable]"


def write(value: Writable) -> str:
    """`value` as JSON, members in the order of the dict.

    >>> write({"count": 2, "f": 1.0, "rows": [RawJson('{"b":1}'), "x"]})
    '{"count":2,"f":1,"rows":[{"b":1},"x"]}'
    """
    if isinstance(value, str):
        return value if isinstance(value, RawJson) else quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join([write(item) for item in value])}]"
    return "{" + ",".join([f"{quoted(name)}:{write(item)}" for name, item in value.items()]) + "}"


def float_text(number: float) -> str:
    """A float64 as Go prints it: the shortest digits, an exponent only below 1e-6 and from 1e21 on; -0 as 0.

    >>> [float_text(x) for x in (1.0, 0.1, 2.0**53 + 2, 12345678901234567890.0, 1e21, 1e-7, -0.0)]
    ['1', '0.1', '9007199254740994', '12345678901234567000', '1e+21', '1e-7', '0']
    """
    if number == 0:
        return "0"
    digits = repr(number)
    if "e" not in digits:  # most of them
        return digits.removesuffix(".0")
    if 1e-6 <= abs(number) < 1e21:
        return f"{Decimal(digits):f}"
    return digits.replace("e-0", "e-")


def compact_object(members: Mapping[str, Parsed]) -> str:
    """The members of a free-form object (metadata, config) as Go's map of interfaces prints them; "" when empty.

    Keys are sorted, the last of a repeated one counts, numbers go through float64. Without recursion: Go takes
    10,000 levels.
    """
    if not members:
        return ""
    pieces: list[str] = []
    todo: list[Parsed | RawJson] = list(_object_parts(members.items()))
    while todo:
        item = todo.pop()
        if isinstance(item, JsonObject):
            todo.extend(_object_parts(item.pairs))
        elif isinstance(item, list):
            todo.extend(_parts("[", [("", value) for value in item], "]"))
        else:
            pieces.append(_scalar(item))
    return "".join(pieces)


def _scalar(item: _Scalar) -> str:
    if isinstance(item, Number):
        return float_text(float(item.text))
    if isinstance(item, str) and not isinstance(item, RawJson):
        return quoted(whole_characters(item))
    return "null" if item is None else write(item)


def _object_parts(members: Iterable[tuple[str, Parsed]]) -> list[Parsed | RawJson]:
    """The parts of an object, last first, in the order of a stack."""
    ordered = sorted(dict(members).items(), key=lambda member: member[0])
    return _parts("{", [(f"{quoted(name)}:", value) for name, value in ordered], "}")


def _parts(opening: str, members: Iterable[tuple[str, Parsed]], closing: str) -> list[Parsed | RawJson]:
    parts: list[Parsed | RawJson] = []
    for before, value in members:
        parts += [RawJson("," + before), value] if parts else [RawJson(before), value]
    return [RawJson(closing), *reversed(parts), RawJson(opening)]
