"""What HTTP lets stand in a header, and which headers a user may set."""

from __future__ import annotations

import re
from collections.abc import Mapping

from memtrace._support.secrets import hidden
from memtrace.exceptions import ConfigurationError

HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A pattern of what HTTP allows as a header's name; use its `fullmatch`."""

HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")
"""A pattern of what HTTP allows as a header's value: printable ASCII, without white space at its ends; use its `fullmatch`."""

SECRET_HEADERS = frozenset({"x-api-key", "authorization", "proxy-authorization", "cookie"})
"""The names of headers whose values are secrets, in lower case."""

_OWN_HEADERS = {
    "x-api-key": "pass api_key= instead",
    "content-type": "the SDK sets it",
    "content-length": "the transport sets it",
    "host": "the transport sets it",
    "transfer-encoding": "the transport sets it",
}


def is_header(name: str, value: str) -> bool:
    r"""Whether they can stand in a header line.

    >>> is_header("x-api-key", "a key"), is_header("x-api-key", "a key\n")
    (True, False)
    """
    return HEADER_NAME.fullmatch(name) is not None and HEADER_VALUE.fullmatch(value) is not None


def check_headers(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Headers for each request; no `repr` shows their values. A header that the SDK or the transport sets raises."""
    if headers is None:
        return ()
    if not isinstance(headers, Mapping):
        raise ConfigurationError("headers must be a mapping of names to values", argument="headers")
    for name, value in headers.items():
        problem = header_problem(name, value)
        if problem is not None:
            raise ConfigurationError(f"headers[{name!r}] {problem}", argument=f"headers[{name!r}]")
    return tuple((name, hidden(value)) for name, value in headers.items())


def header_problem(name: str, value: str, allowed: frozenset[str] = frozenset()) -> str | None:
    """What keeps a user from setting this header, said without its value; `allowed` are lower-case names that may be set here."""
    if not _are_texts(name, value):
        return "must be a string, name and value"
    if not is_header(name, value):
        return "cannot be sent: name and value must be printable ASCII without line breaks"
    if name.lower() in _OWN_HEADERS.keys() - allowed:
        return f"cannot be set: {_OWN_HEADERS[name.lower()]}"
    return None


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)
