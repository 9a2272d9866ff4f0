"""Addresses of a store in a file, ``sqlite:///agent.db``: from a string or a path, and back."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from urllib.parse import parse_qsl, quote, unquote

from memtrace._support.urls import AddressError

Durability = Literal["normal", "full"]

DEFAULT_KEY = "default"
"""The key of a store without a server where none is given, and the name of its organisation."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class StoreLocation(NamedTuple):
    """Where a store is: the absolute path of its file, and what a commit waits for."""

    path: str
    durability: Durability = "normal"

    def url(self) -> str:
        """The address of it, percent-encoded.

        >>> StoreLocation("/data/my agent.db", "full").url()
        'sqlite:////data/my%20agent.db?durability=full'
        """
        path = self.path.replace(os.sep, "/")
        query = "?durability=full" if self.durability == "full" else ""
        return f"sqlite:///{quote(path, safe='/:@!$,;=()*+~')}{query}"


def location_of_path(path: str) -> StoreLocation:
    """The store in the file `path`, in which every character is literal. Raises `AddressError`."""
    return StoreLocation(_absolute(path))


def location_of_plain_path(path: str) -> StoreLocation:
    """Like `location_of_path`, for a string that may mistakenly be another kind of address.

    >>> location_of_plain_path("https://example.com/agent.db")
    Traceback (most recent call last):
    memtrace._support.urls.AddressError: it is an address of https, and no path of a file
    """
    scheme = _SCHEME.match(path)
    if scheme is not None:
        raise AddressError(f"it is an address of {scheme[1]}, and no path of a file")
    return location_of_path(path)


def location_of_url(url: str) -> StoreLocation:
    """The store that an address names. Raises `AddressError`.

    A relative path counts from the working directory at the time of this call.

    >>> location_of_url("sqlite:////data/my%20agent.db?durability=full")
    StoreLocation(path='/data/my agent.db', durability='full')
    """
    _, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    if "#" in rest:
        raise AddressError("it holds a fragment; write %23 for a # in the path")
    if not place.startswith("/"):
        raise AddressError(
            "the path begins after three slashes, as in sqlite:///agent.db, or four where it is absolute"
        )
    if _STRAY_PERCENT.search(place):
        raise AddressError("it holds a stray %; write %25 for one in the path")
    try:
        path = unquote(place[1:], errors="strict")
    except UnicodeDecodeError:
        raise AddressError("what it percent-encodes is not UTF-8") from None
    return StoreLocation(_absolute(path), _durability(query))


def absolute_url(url: str) -> str:
    """An address with the absolute path of its file; what is absolute already, or names no file, stays as it is.

    A relative path counts from the working directory at the time of this call. Raises `AddressError`.

    >>> absolute_url("sqlite:////data/agent.db"), absolute_url("https://memtrace.example")
    ('sqlite:////data/agent.db', 'https://memtrace.example')
    """
    scheme, _, rest = url.partition("://")
    path = unquote(rest.partition("?")[0][1:])
    if scheme.lower().rpartition("+")[2] != "sqlite" or Path(path).is_absolute():
        return url
    return f"{scheme}://{location_of_url(url).url().partition('://')[2]}"


def _durability(query: str) -> Durability:
    given = parse_qsl(query, keep_blank_values=True)
    for name, value in given:
        if name != "durability":
            raise AddressError(f"it has no option {name!r}, but durability; write %3F for a ? in the path")
        if value not in get_args(Durability):
            raise AddressError("durability is normal or full")
    if len(given) > 1:
        raise AddressError("durability is given twice")
    return "full" if given and given[0][1] == "full" else "normal"


def _absolute(path: str) -> str:
    if not path or path.endswith(("/", os.sep)):
        raise AddressError("it names no file")
    if "\0" in path:
        raise AddressError("its path holds a NUL character")
    if Path(path).name == ":memory:":
        raise AddressError("it names no file; memory:// is the store that ends with its client")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise AddressError("its path holds half of a Unicode character") from None
    return str(Path(path).absolute())
