"""Addresses of http and https, of servers and of proxies: taken apart, or refused without being repeated."""

from __future__ import annotations

import base64
import re
from ipaddress import IPv6Address
from urllib.parse import SplitResult, unquote, urlsplit

from memtrace._support.characters import has_half_character
from memtrace._support.secrets import Secret


class AddressError(ValueError):
    """An address that cannot be used; its text says why."""


_HOST = re.compile(r"[A-Za-z0-9._~-]+")


def split_url(url: str) -> tuple[str, str, str | None]:
    """Origin, path, and the ``Authorization`` header for its credentials. Raises `AddressError`.

    >>> split_url("https://Memtrace.example:443/v2/")
    ('https://memtrace.example', '/v2', None)
    """
    if re.search(r"[\s\x00-\x1f\x7f\\]", url):
        raise AddressError("it holds white space, a control character or a backslash")
    if has_half_character(url):  # as a variable has it whose bytes are no UTF-8
        raise AddressError("it holds half of a Unicode character")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = _ascii_host(parts.hostname or "", bracketed=parts.netloc.rpartition("@")[2].startswith("["))
    except ValueError:
        raise AddressError("its host or port is not valid") from None
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise AddressError("it holds a query or a fragment")
    if not parts.path.isascii():
        raise AddressError("its path holds a character that is not ASCII; percent-encode it")
    if not host:
        raise AddressError("it has no host")
    default = 443 if parts.scheme == "https" else 80
    suffix = "" if port is None or port == default else f":{port}"
    return f"{parts.scheme}://{host}{suffix}", parts.path.rstrip("/"), basic_credentials(parts)


def _ascii_host(host: str, *, bracketed: bool) -> str:
    if bracketed and "%" not in host:
        return f"[{IPv6Address(host)}]"
    name = host.encode("idna").decode("ascii")  # also refuses what no resolver takes: empty and too long labels
    if name and _HOST.fullmatch(name) is None:
        raise ValueError(name)
    return name


def basic_credentials(parts: SplitResult) -> str | None:
    """The value of the header that carries user name and password of an address; None where it has none.

    >>> print(basic_credentials(urlsplit("http://user:pass%20word@proxy.example:3128")))
    Basic dXNlcjpwYXNzIHdvcmQ=
    """
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Secret(f"Basic {base64.b64encode(pair.encode()).decode()}")


def is_proxy(address: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Whether it is the address of a proxy: of a scheme that is among these, with a host and perhaps a port that can be."""
    scheme, _, place = address.partition("://")
    if scheme.lower() not in schemes:
        return False
    try:
        split_url(f"http://{place}")
    except AddressError:
        return False
    return True


_TEXT_OF_A_MEMORY = re.compile(r"(/api/v1/memories/)[^\s?]+", re.IGNORECASE)


def redact_memory_text(text: str) -> str:
    """Redact the memory content of ``GET /memories/{text}`` from a path, or from a string that contains one.

    >>> redact_memory_text("/api/v1/memories/what%20was%20said"), redact_memory_text("/api/v1/memories")
    ('/api/v1/memories/REDACTED', '/api/v1/memories')
    """
    return _TEXT_OF_A_MEMORY.sub(r"\1REDACTED", text)
