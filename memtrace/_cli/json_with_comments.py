"""Changes to a file of JSON with comments, as editors have them: all that is not changed stays as it is written."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from memtrace._support.characters import has_half_character

_COMMENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n\r]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA: Final = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)
_INDENT: Final = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_DECODER: Final = json.JSONDecoder()


class NotJsonError(Exception):
    """A file that cannot be changed safely: it is not JSON, also with comments, or has no object where one has to be."""


def parse(text: str) -> Any:
    """The value. Raises `NotJsonError`."""
    try:
        return json.loads(_without_trailing_commas(_without_comments(text)), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        place = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise NotJsonError(f"it is not JSON{place}") from None


def _refuse(name: str) -> None:
    """Python reads NaN and infinities, which are not JSON."""
    raise ValueError(name)


def set_member(text: str, path: Sequence[str], value: object) -> str:
    """The text with `value` at the end of `path`, through objects. Missing objects are added. Raises `NotJsonError`."""
    if not text.strip():
        text = "{\n}\n"
    expected = _with_member(parse(text), path, value)
    changed = _edited(text, path, value)
    _check(changed, expected)
    return changed


def append_item(text: str, name: str, item: object) -> str:
    """The text with `item` at the end of the list of this name. Raises `NotJsonError`."""
    items = parse(text).get(name)
    if items is None:
        return set_member(text, [name], [item])
    if not isinstance(items, list):
        raise NotJsonError(f"{name} is not a list")
    document = _Document(text)
    member = document.member(document.root(), name)
    changed = text if member is None else document.inserted(member.start, 2, document.formatted(item, 2))
    _check(changed, {**parse(text), name: [*items, item]})
    return changed


def _with_member(document: object, path: Sequence[str], value: object) -> object:
    if not path:
        return value
    if not isinstance(document, dict):
        raise NotJsonError(f"there is no object that could have {path[0]}")
    return {**document, path[0]: _with_member(document.get(path[0], {}), path[1:], value)}


def _edited(text: str, path: Sequence[str], value: object) -> str:
    document = _Document(text)
    start, (name, *rest) = document.root(), path
    depth = 1
    while (member := document.member(start, name)) is not None and rest:
        start, (name, *rest) = member.start, rest
        depth += 1
    if member is not None:
        return text[: member.start] + document.formatted(value, depth) + text[member.end :]
    for each in reversed(rest):
        value = {each: value}
    return document.inserted(start, depth, f"{_written(name)}: {document.formatted(value, depth)}")


def _check(changed: str, expected: object) -> None:
    """Refuse a change that alters anything else: it is another program's file."""
    if parse(changed) != expected:
        raise NotJsonError("its form is not known")


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an object or list: its name, if it has one, and where its value is."""

    name: str | None
    start: int
    end: int


class _Document:
    """A file's text, and the places in it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._commas = _without_comments(text)
        #: JSON that has every value where the text has it.
        self._plain = _without_trailing_commas(self._commas)
        #: None where all is on one line, which stays so.
        self._unit = self._indent() if "\n" in self._plain.strip() else None
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def _indent(self) -> str:
        """The indentation of the first member on its own line; without one that of the first comment in the object."""
        start = self.root() + 1
        lines = _INDENT.finditer(self._commas, start)  # with spaces for comments, also for one before a member
        members = (match[1] for match in lines if self._text.startswith(match[1] + match[0][-1], match.start()))
        comments = (match[1] for match in _INDENT.finditer(self._text, start))
        return next(itertools.chain(members, comments), "  ")

    def root(self) -> int:
        """Where the outermost object begins."""
        return self._skip_space(0)

    def member(self, start: int, name: str) -> _Member | None:
        """The member of this name, of the object that begins at `start`; the last one, which counts in JSON."""
        return next((each for each in reversed(list(self._members(start))) if each.name == name), None)

    def formatted(self, value: object, depth: int) -> str:
        """A value as it is written at this depth."""
        return _written(value, self._unit).replace("\n", self._line(depth))

    def inserted(self, start: int, depth: int, entry: str) -> str:
        """The text with `entry` as the last member of the object or list that begins at `start`."""
        members = list(self._members(start))
        last = members[-1].end if members else start + 1
        close = self._skip_space(last)
        has_comma = self._commas[last:close].strip() == ","
        comma = "," if members and not has_comma else ""
        kept = self._text[last:close].rstrip()  # comments, and a comma
        line = self._line(depth) + entry + ("," if has_comma else "")
        return self._text[:last] + comma + kept + line + self._line(depth - 1) + self._text[close:]

    def _line(self, depth: int) -> str:
        """What begins a line at this depth."""
        return "" if self._unit is None else self._newline + self._unit * depth

    def _members(self, start: int) -> Iterator[_Member]:
        is_object = self._plain[start] == "{"
        place = self._skip_space(start + 1)
        while self._plain[place] not in "}]":
            name = None
            if is_object:
                name, place = _DECODER.raw_decode(self._plain, place)
                place = self._skip_space(self._skip_space(place) + 1)  # the colon
            _, end = _DECODER.raw_decode(self._plain, place)
            yield _Member(name, place, end)
            place = self._skip_space(end)
            if self._plain[place] == ",":
                place = self._skip_space(place + 1)

    def _skip_space(self, place: int) -> int:
        while place < len(self._plain) and self._plain[place] in " \t\r\n":
            place += 1
        return place


def _written(value: object, indent: str | None = None) -> str:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return json.dumps(value, indent=indent) if has_half_character(text) else text


def _without_comments(content: str) -> str:
    """The text with spaces in the place of comments."""
    return _COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else re.sub(r"[^\n\r]", " ", match[0]), content)


def _without_trailing_commas(content: str) -> str:
    return _TRAILING_COMMA.sub(lambda match: match[0] if match[0][0] == '"' else " ", content)
