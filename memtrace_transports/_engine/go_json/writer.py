"""JSON texts written as Go writes them: number forms, and the keys of a map in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring as quoted
from typing import TypeAlias

from memtrace_transports._engine.go_json.reader import JsonObject, Number, Parsed, whole_characters

__all__ = ["RawJson", "Writable", "compact_object", "float_text", "quoted", "write"]


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
    sign, digits, point = _digits(number)
    if 1e-6 <= abs(number) < 1e21:
        return sign + _positional(digits, point)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _digits(number: float) -> tuple[str, str, int]:
    """Sign, shortest digits without zeros at either end, and how many of them stand before the point."""
    mantissa, _, exponent = f"{number!r}e0".partition("e")
    shift = int(exponent.partition("e")[0])
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    point = len(whole) + shift - (len(digits) - len(digits.lstrip("0")))
    return sign, digits.strip("0"), point


def _positional(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


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
            todo.extend(_array_parts(item))
        else:
            pieces.append(_scalar(item))
    return "".join(pieces)


def _scalar(item: _Scalar) -> str:
    if isinstance(item, RawJson):
        return item
    if isinstance(item, Number):
        return float_text(float(item.text))
    if isinstance(item, str):
        return quoted(whole_characters(item))
    if item is None:
        return "null"
    return "true" if item else "false"


def _object_parts(members: Iterable[tuple[str, Parsed]]) -> list[Parsed | RawJson]:
    """What makes up an object, last first, as a stack wants it."""
    parts: list[Parsed | RawJson] = [RawJson("{")]
    for position, (name, value) in enumerate(sorted(dict(members).items(), key=lambda member: member[0])):
        parts.append(RawJson(f"{',' if position else ''}{quoted(name)}:"))
        parts.append(value)
    parts.append(RawJson("}"))
    return parts[::-1]


def _array_parts(items: list[Parsed]) -> list[Parsed | RawJson]:
    parts: list[Parsed | RawJson] = [RawJson("[")]
    for position, item in enumerate(items):
        if position:
            parts.append(RawJson(","))
        parts.append(item)
    parts.append(RawJson("]"))
    return parts[::-1]
