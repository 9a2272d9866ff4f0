"""JSON bodies read as Go's `encoding/json` reads them: what it accepts, and its words for what it does not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias, cast

_MAX_DEPTH = 10_000
_SPACES = re.compile(rb"[ \t\r\n]*")
_PLAIN_TEXT = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX = b"0123456789abcdefABCDEF"
_DIGITS = re.compile(rb"[0-9]*")
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonSyntaxError(ValueError):
    """The body is no JSON; the message is Go's."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was sent, since it depends on the target what Go accepts."""

    text: str


@dataclass(slots=True)
class JsonObject:
    """An object's members in the order in which they were sent, repeated names included."""

    pairs: list[tuple[str, Parsed]] = field(default_factory=list)


Parsed: TypeAlias = "Number | str | bool | list[Parsed] | JsonObject | None"


def parse(body: bytes) -> Parsed:
    """Read a whole JSON text.

    Invalid UTF-8 becomes U+FFFD, one a byte, and so does half a surrogate pair. Raises JsonSyntaxError with Go's text.

    >>> parse(b'{"a": 1.0, "a": null}')
    JsonObject(pairs=[('a', Number(text='1.0')), ('a', None)])
    >>> parse(b'{"a": 1,}')
    Traceback (most recent call last):
    memtrace_transports._engine.go_json.reader.JsonSyntaxError: invalid character '}' looking for beginning of object key string
    """
    text = decode_utf8(body).strip(" \t\r\n")
    decoder = _PLAIN_DECODER if text.isascii() and "\\u" not in text else _DECODER
    try:
        parsed, end = decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return _Scanner(body).read()
    return cast("Parsed", parsed) if end == len(text) else _Scanner(body).read()


def decode_utf8(data: bytes) -> str:
    """Text of `data`, with one U+FFFD for each byte that is no UTF-8 (Python's own "replace" gives fewer)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _ESCAPED_BYTE.sub("\ufffd", data.decode(errors="surrogateescape"))


def _object(pairs: list[tuple[str, Parsed]]) -> JsonObject:
    return JsonObject([(whole_characters(name), value) for name, value in pairs])


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant)
_PLAIN_DECODER = json.JSONDecoder(  # for names that need no second look
    object_pairs_hook=JsonObject, parse_int=Number, parse_float=Number, parse_constant=_constant
)


def whole_characters(text: str) -> str:
    """`text` with U+FFFD for each unpaired surrogate."""
    if not text.isascii():
        try:
            text.encode()  # a tenth of the time of a look by a pattern
        except UnicodeEncodeError:
            return _SURROGATE.sub("\ufffd", text)
    return text


def _quoted(byte: int) -> str:
    """A byte as Go quotes it in a message: the character of that number."""
    char = chr(byte)
    if char in _ESCAPES or char.isprintable():
        return f"'{_ESCAPES.get(char, char)}'"
    return f"'\\x{byte:02x}'" if byte < 0x80 else f"'\\u{byte:04x}'"


_ESCAPES = {
    "'": r"\'",
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
}


class _Scanner:
    """The exact reader, without recursion: for what the fast one refuses, or finds too deep.

    Go asks at the end whether one more space would complete the text, hence the space that is appended: a number or
    a literal that stops half-way is an invalid character ' ', anything else an unexpected end.
    """

    def __init__(self, body: bytes) -> None:
        self._data = body + b" "
        self._at = 0
        self._open: list[JsonObject | list[Parsed]] = []
        self._names: list[str] = []

    def read(self) -> Parsed:
        value = self._next_value()
        while self._open:
            value = self._close_or_continue(value)
        self._at = self._end_of(_SPACES)
        if self._at < len(self._data):
            raise self._syntax_error("after top-level value")
        return value

    def _next_value(self) -> Parsed:
        """Open containers until there is a value that is complete."""
        while True:
            char = self._peek()
            if char == ord("["):
                self._push([])
                if self._peek() == ord("]"):
                    return self._pop()
            elif char == ord("{"):
                self._push(JsonObject())
                if self._peek() == ord("}"):
                    return self._pop()
                self._name()
            else:
                return self._scalar(char)

    def _close_or_continue(self, value: Parsed) -> Parsed:
        """Put `value` into the innermost container; the container itself when that ends it, else the next value."""
        holder = self._open[-1]
        if isinstance(holder, JsonObject):
            holder.pairs.append((self._names.pop(), value))
            end, context = ord("}"), "after object key:value pair"
        else:
            holder.append(value)
            end, context = ord("]"), "after array element"
        char = self._peek()
        if char == end:
            return self._pop()
        if char != ord(","):
            raise self._syntax_error(context)
        self._at += 1
        if isinstance(holder, JsonObject):
            self._name()
        return self._next_value()

    def _push(self, holder: JsonObject | list[Parsed]) -> None:
        self._open.append(holder)
        if len(self._open) > _MAX_DEPTH:
            raise self._syntax_error("exceeded max depth")
        self._at += 1

    def _pop(self) -> Parsed:
        self._at += 1
        return self._open.pop()

    def _name(self) -> None:
        if self._peek() != ord('"'):
            raise self._syntax_error("looking for beginning of object key string")
        self._names.append(self._string())
        if self._peek() != ord(":"):
            raise self._syntax_error("after object key")
        self._at += 1

    def _scalar(self, char: int) -> Parsed:
        if char == ord('"'):
            return self._string()
        if char == ord("-") or chr(char) in "0123456789":
            return self._number()
        for literal in _LITERALS:
            if char == literal[0]:
                return self._literal(literal)
        raise self._syntax_error("looking for beginning of value")

    def _literal(self, literal: bytes) -> bool | None:
        for expected in literal:
            if self._here() != expected:
                raise self._syntax_error(f"in literal {literal.decode()} (expecting '{chr(expected)}')")
            self._at += 1
        return _LITERALS[literal]

    def _number(self) -> Number:
        start = self._at
        if self._here() == ord("-"):
            self._at += 1
        if self._here() == ord("0"):
            self._at += 1
        else:
            self._digits("in numeric literal")
        if self._here() == ord("."):
            self._at += 1
            self._digits("after decimal point in numeric literal")
        if self._here() in b"eE":
            self._at += 1
            if self._here() in b"+-":
                self._at += 1
            self._digits("in exponent of numeric literal")
        return Number(self._data[start : self._at].decode())

    def _digits(self, context: str) -> None:
        end = self._end_of(_DIGITS)
        if end == self._at:
            raise self._syntax_error(context)
        self._at = end

    def _string(self) -> str:
        start = self._at
        self._at += 1
        while True:
            self._at = self._end_of(_PLAIN_TEXT)
            char = self._here()
            if char == ord('"'):
                self._at += 1
                return whole_characters(str(json.loads(decode_utf8(self._data[start : self._at]))))
            if char != ord("\\"):
                raise self._syntax_error("in string literal")
            self._at += 1
            self._escape()

    def _escape(self) -> None:
        char = self._here()
        if char not in b'bfnrt\\/"u':
            raise self._syntax_error("in string escape code")
        self._at += 1
        for _ in range(4 if char == ord("u") else 0):
            if self._here() not in _HEX:
                raise self._syntax_error("in \\u hexadecimal character escape")
            self._at += 1

    def _end_of(self, pattern: re.Pattern[bytes]) -> int:
        found = pattern.match(self._data, self._at)
        return found.end() if found else self._at

    def _here(self) -> int:
        """The byte at this place. Raises when there is none."""
        if self._at >= len(self._data):
            raise JsonSyntaxError("unexpected end of JSON input")
        return self._data[self._at]

    def _peek(self) -> int:
        """The next byte that is no space. Raises when there is none."""
        self._at = self._end_of(_SPACES)
        return self._here()

    def _syntax_error(self, context: str) -> JsonSyntaxError:
        return JsonSyntaxError(f"invalid character {_quoted(self._here())} {context}")


_LITERALS: dict[bytes, bool | None] = {b"true": True, b"false": False, b"null": None}
