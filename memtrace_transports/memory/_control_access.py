"""Who may use the control routes: programs, and no page of another site in a browser."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from memtrace.transport import Headers

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine. No page of another site has one of them as its own."""

_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^\s:\[\]@/]+))(?::[0-9]{1,5})?")
_OWN_PAGE = ("same-origin", "none")


def why_refused(headers: Headers, hosts: Collection[str]) -> str | None:
    """Why a request is rejected: its Host is none of `hosts`, or a page of another origin sent it. None for all others.

    A page can send a simple request to any address without asking. One whose name resolves to this machine could read the
    response too. A request without a Host comes from no browser. The port of a Host does not count: it may be mapped.
    """
    found = {name: _values(headers, name) for name in ("host", "origin", "sec-fetch-site")}
    if any(host_name(host) not in hosts for host in found["host"]):
        return "control routes are not offered under this Host: list it by --allow-host, or by hosts= in Python"
    if any(origin.partition("://")[2] not in found["host"] for origin in found["origin"]):
        return "control routes are not for web pages: the Origin of this request is another"
    if any(site not in _OWN_PAGE for site in found["sec-fetch-site"]):
        return "control routes are not for web pages: this request comes from another site"
    return None


def listed_hosts(hosts: Iterable[str]) -> set[str]:
    """The names that a user lists. Raises ValueError for what is no host, a URL for instance.

    >>> sorted(listed_hosts(["Fake.test", "[fd00::1]:9100"]))
    ['fake.test', 'fd00::1']
    """
    names = {host: host_name(host) for host in hosts}
    wrong = [host for host, name in names.items() if name is None]
    if wrong:
        raise ValueError(f"a host is a name or an address, as in fake.test or [::1], not {wrong[0]!r}")
    return {name for name in names.values() if name is not None}


def host_name(authority: str) -> str | None:
    """The host of a Host header, in lower case and without brackets and port; None where it is none."""
    match = _AUTHORITY.fullmatch(authority.strip().lower())
    return (match["v6"] or match["name"]) if match else None


def _values(headers: Headers, wanted: str) -> list[str]:
    return [value.strip().lower() for name, value in headers.multi_items if name.lower() == wanted]
