"""JSON as Go reads and writes it: byte by byte, with Go's texts for what is wrong."""

from __future__ import annotations

import json
import math
import re
from typing import Any

SPACE = b" \t\r\n"
DIGITS = b"0123456789"
HEX = b"0123456789abcdefABCDEF"
ESCAPES = {98: "\b", 102: "\f", 110: "\n", 114: "\r", 116: "\t", 92: "\\", 47: "/", 34: '"'}
STRING_ENDS = re.compile(rb'["\\\x00-\x1f]')
KELVIN_AND_LONG_S = str.maketrans("\u212a\u017f", "ks")
T_MAP = "map[string]interface {}"


class JsonError(Exception):
    """The text that Go gives for a body it cannot take."""


class Number(str):
    """A number as it was spelt."""

    __slots__ = ()


class Members(list):
    """An object: its members in their order, repeated names too."""


def text_of(data: bytes) -> str:
    """UTF-8, with U+FFFD for each byte that belongs to no character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    characters, at = [], 0
    while at < len(data):
        for length in (1, 2, 3, 4):
            try:
                characters.append(data[at : at + length].decode())
            except UnicodeDecodeError:
                continue
            at += length
            break
        else:
            characters.append("\ufffd")
            at += 1
    return "".join(characters)


class Parser:
    """Reads one text; `value` leaves `at` behind what it read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def whole(self) -> Any:
        value = self.value("looking for beginning of value")
        self.space()
        if self.at < len(self.data):
            self.refuse("after top-level value")
        return value

    def peek(self) -> int:
        if self.at >= len(self.data):
            raise JsonError("unexpected end of JSON input")
        return self.data[self.at]

    def inside(self) -> int:
        """As `peek`, where Go sees a space behind the end: in literals, numbers and escapes."""
        return self.data[self.at] if self.at < len(self.data) else ord(" ")

    def refuse(self, where: str) -> None:
        raise JsonError(f"invalid character {self.named(self.inside())} {where}")

    @staticmethod
    def named(byte: int) -> str:
        if chr(byte) in "'\\":
            return f"'\\{chr(byte)}'"
        special = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
        if byte in special:
            return f"'{special[byte]}'"
        if byte == 0xAD or (not chr(byte).isprintable() and byte != 0x20):
            return f"'\\x{byte:02x}'" if byte < 0x80 else f"'\\u{byte:04x}'"
        return f"'{chr(byte)}'"

    def space(self) -> None:
        while self.at < len(self.data) and self.data[self.at] in SPACE:
            self.at += 1

    def value(self, where: str) -> Any:
        self.space()
        first = self.peek()
        if first == ord("{"):
            return self.members()
        if first == ord("["):
            return self.elements()
        if first == ord('"'):
            return self.string()
        if first == ord("-") or first in DIGITS:
            return self.number()
        for word, meaning in (("true", True), ("false", False), ("null", None)):
            if first == ord(word[0]):
                self.literal(word)
                return meaning
        return self.refuse(where)

    def literal(self, word: str) -> None:
        for letter in word:
            if self.inside() != ord(letter):
                self.refuse(f"in literal {word} (expecting '{letter}')")
            self.at += 1

    def members(self) -> Members:
        found = Members()
        self.at += 1
        self.space()
        if self.peek() == ord("}"):
            self.at += 1
            return found
        while True:
            self.space()
            if self.peek() != ord('"'):
                self.refuse("looking for beginning of object key string")
            name = self.string()
            self.space()
            if self.peek() != ord(":"):
                self.refuse("after object key")
            self.at += 1
            found.append((name, self.value("looking for beginning of value")))
            self.space()
            if self.peek() not in b",}":
                self.refuse("after object key:value pair")
            self.at += 1
            if self.data[self.at - 1] == ord("}"):
                return found

    def elements(self) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        self.space()
        if self.peek() == ord("]"):
            self.at += 1
            return found
        while True:
            found.append(self.value("looking for beginning of value"))
            self.space()
            if self.peek() not in b",]":
                self.refuse("after array element")
            self.at += 1
            if self.data[self.at - 1] == ord("]"):
                return found

    def number(self) -> Number:
        start = self.at
        if self.peek() == ord("-"):
            self.at += 1
            if self.inside() not in DIGITS:
                self.refuse("in numeric literal")
        if self.peek() == ord("0"):
            self.at += 1
        else:
            self.digits()
        if self.data[self.at : self.at + 1] == b".":
            self.at += 1
            self.at_least_one_digit("after decimal point in numeric literal")
        if self.data[self.at : self.at + 1] in {b"e", b"E"}:
            self.at += 1
            if self.inside() in b"+-":
                self.at += 1
            self.at_least_one_digit("in exponent of numeric literal")
        return Number(self.data[start : self.at].decode())

    def at_least_one_digit(self, where: str) -> None:
        if self.inside() not in DIGITS:
            self.refuse(where)
        self.digits()

    def digits(self) -> None:
        while self.at < len(self.data) and self.data[self.at] in DIGITS:
            self.at += 1

    def string(self) -> str:
        parts: list[str] = []
        self.at += 1
        while True:
            end = STRING_ENDS.search(self.data, self.at)
            stop = end.start() if end else len(self.data)
            parts.append(text_of(self.data[self.at : stop]))
            self.at = stop
            byte = self.peek()
            if byte == ord('"'):
                self.at += 1
                return "".join(parts)
            if byte != ord("\\"):
                self.refuse("in string literal")
            self.at += 1
            parts.append(self.escape())

    def escape(self) -> str:
        byte = self.inside()
        if byte in ESCAPES:
            self.at += 1
            return ESCAPES[byte]
        if byte != ord("u"):
            self.refuse("in string escape code")
        self.at += 1
        unit = self.unit()
        if 0xD800 <= unit < 0xDC00 and self.data[self.at : self.at + 2] == b"\\u":
            before = self.at
            self.at += 2
            second = self.unit()
            if 0xDC00 <= second < 0xE000:
                return chr(0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00))
            self.at = before
        return "\ufffd" if 0xD800 <= unit < 0xE000 else chr(unit)

    def unit(self) -> int:
        for _ in range(4):
            if self.inside() not in HEX:
                self.refuse("in \\u hexadecimal character escape")
            self.at += 1
        return int(self.data[self.at - 4 : self.at], 16)


def kind(value: Any) -> str:
    """What Go calls a value in its errors."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Number):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Members) else "array"


def plain(value: Any) -> Any:
    """A value as metadata keeps it: floats, and the last of a repeated name."""
    if isinstance(value, Number):
        return float(value)
    if isinstance(value, Members):
        return {name: plain(item) for name, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def folded(name: str) -> str:
    """A field's name as it is matched: without case."""
    return name.translate(KELVIN_AND_LONG_S).lower()


def decode(value: Any, whole: str, struct: str, fields: dict[str, str]) -> dict[str, Any]:
    """The fields of an object; `whole` and `struct` are its type's names in errors. Raises the first error."""
    if value is None:
        return {}
    if not isinstance(value, Members):
        raise JsonError(f"json: cannot unmarshal {kind(value)} into Go value of type {whole}")
    found: dict[str, Any] = {}
    errors: list[str] = []
    for name, item in value:
        field = folded(name)
        if field not in fields:
            continue
        if item is None:
            if fields[field] in {"[]string", T_MAP}:
                found.pop(field, None)
            continue
        try:
            kept = field_value(item, fields[field])
        except JsonError as error:
            wrong, _, due = str(error).partition("|")
            errors.append(f"json: cannot unmarshal {wrong} into Go struct field {struct}.{field} of type {due}")
            continue
        if fields[field] == T_MAP:
            kept = {**found.get(field, {}), **kept}
        found[field] = kept
    if errors:
        raise JsonError(errors[0])
    return found


def field_value(item: Any, due: str) -> Any:
    """A field's value; raises "what it is|what it ought to be"."""
    if due == "string" and kind(item) == "string":
        return str(item)
    if due == "float64" and kind(item) == "number":
        if math.isinf(float(item)):
            raise JsonError(f"number {item}|float64")
        return float(item)
    if due == "int" and kind(item) == "number":
        if not re.fullmatch("-?[0-9]+", item) or not -(2**63) <= int(item) < 2**63:
            raise JsonError(f"number {item}|int")
        return int(item)
    if due == T_MAP and kind(item) == "object":
        return plain(item)
    if due == "[]string" and kind(item) == "array":
        for element in item:
            if element is not None and kind(element) != "string":
                raise JsonError(f"{kind(element)}|string")
        return ["" if element is None else str(element) for element in item]
    raise JsonError(f"{kind(item)}|{due}")


def written(value: Any) -> str:
    """Compact JSON with the members of an object in the order given, and numbers in their shortest form."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return number_text(value) if isinstance(value, float) else json.dumps(value)


def number_text(value: float) -> str:
    """Positional from 1e-6 up to 1e21, else with an exponent of as few digits as it takes."""
    if value == 0:
        return "0"
    digits, _, exponent = f"{value!r}".lstrip("-").partition("e")
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).rstrip("0")
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.lstrip("0")
    sign = "-" if value < 0 else ""
    if not 1e-6 <= abs(value) < 1e21:
        tail = f".{digits[1:]}" if digits[1:] else ""
        power = f"+{point - 1}" if point > 0 else f"{point - 1}"
        return f"{sign}{digits[0]}{tail}e{power}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if len(digits) <= point:
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def name_sorted(value: Any) -> Any:
    """Maps in the order of their names, as Go writes them."""
    if isinstance(value, dict):
        return {name: name_sorted(value[name]) for name in sorted(value)}
    return [name_sorted(item) for item in value] if isinstance(value, list) else value
