"""The proxy of an origin: one rule for every library. A proxy's password is never logged or shown."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from memtrace._support.error_text import excerpt
from memtrace._support.urls import is_proxy
from memtrace.exceptions import ConfigurationError
from memtrace.transport import TransportCause, TransportError, TransportOptions

_HTTP = ("http", "https")
#: The forms of SOCKS that each library speaks, and the package that it needs for them.
_SOCKS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "aiohttp": ((), ""),
    "httpx": (("socks5", "socks5h"), "socksio"),
    "httpx2": (("socks5", "socks5h"), "socksio"),
    "requests": (("socks5", "socks5h", "socks4", "socks4a"), "socks"),
}
_OPTION = "transport_options.proxy"


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """A proxy, with its credentials, and what names it: the option, or a variable of the environment."""

    address: str
    named_by: str

    @property
    def place(self) -> str:
        """Its address without credentials."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class Proxies:
    """Which proxy a transport sends by: that of the options, else that of the environment as it was at the first request."""

    # to read it for every request took a third of a call by requests

    def __init__(self, options: TransportOptions, library: str) -> None:
        self._environment = functools.lru_cache(maxsize=1)(functools.partial(_read_environment, options))
        find = functools.partial(_find, options.proxy, self._environment, library)
        #: The proxy for an origin, or None; raises `ConfigurationError` for one that `library` cannot use.
        self.of: Callable[[str], Proxy | None] = functools.lru_cache(maxsize=256)(find)
        self._given = options.proxy is not None

    def any(self) -> bool:
        """Whether any origin may have one."""
        return self._given or bool(self._environment().addresses)


def _find(given: str | None, environment: Callable[[], Environment], library: str, origin: str) -> Proxy | None:
    if given is not None:
        return Proxy(given, _OPTION)
    found = environment().proxy(origin)
    return None if found is None else usable(found, library)


# ---- the environment ------------------------------------------------------------------------------------------------


def proxy_from_env(origin: str) -> Proxy | None:
    """The proxy that the environment names for `origin` now, as it is written there; None where there is none."""
    return _read_environment(TransportOptions()).proxy(origin)


@dataclass(frozen=True, slots=True, repr=False)
class Environment:
    """The proxies that the environment names: by scheme, or for all of them."""

    addresses: Mapping[str, str]
    named_by: Mapping[str, str]
    #: None: the rules of the operating system count, whose proxies these are.
    no_proxy: str | None

    def proxy(self, origin: str) -> Proxy | None:
        """The one for `origin`; None where there is none."""
        from urllib.request import proxy_bypass

        scheme, _, place = origin.partition("://")
        named = scheme if scheme in self.addresses else "all"
        if named not in self.addresses:
            return None
        passed = proxy_bypass(place) if self.no_proxy is None else matches_no_proxy(origin, self.no_proxy)
        return None if passed else Proxy(self.addresses[named], self.named_by[named])


def _read_environment(options: TransportOptions) -> Environment:
    from urllib.request import getproxies, getproxies_environment

    if not options.trust_env:
        return Environment({}, {}, "")
    variables = getproxies_environment()
    found = variables or getproxies()  # of the system, on macOS and Windows
    addresses = {scheme: found[scheme] for scheme in (*_HTTP, "all") if found.get(scheme)}
    return Environment(
        addresses,
        {scheme: _variable_of(scheme) for scheme in addresses},
        variables.get("no", "") if variables else None,
    )


def matches_no_proxy(origin: str, no_proxy: str) -> bool:
    """Whether an entry of NO_PROXY covers `origin`. Entries that cannot be read are skipped.

    An entry is a host, which covers its subdomains, or an IP address or network; each perhaps with a port, or a scheme.

    >>> matches_no_proxy("http://api.example.com", "localhost, .example.com")
    True
    >>> matches_no_proxy("http://[::1]:9100", "127.0.0.0/8,::1/128")
    True
    """
    return any(_covers(entry.lower(), origin) for entry in re.split(r"[\s,]+", no_proxy) if entry)


def _covers(entry: str, origin: str) -> bool:
    scheme, _, netloc = origin.partition("://")
    host, port = _host_and_port(netloc)
    only_scheme, _, place = entry.rpartition("://")
    name, only_port = _host_and_port(place)
    if only_scheme not in ("", "all", scheme):
        return False
    if only_port and only_port != (port or ("443" if scheme == "https" else "80")):
        return False
    return name == "*" or _network_covers(name, host) or _domain_covers(name, host)


_BRACKETED = re.compile(r"\[([^\]]*)\](/[0-9]+)?(?::([0-9]+))?")


def _host_and_port(place: str) -> tuple[str, str]:
    """Host or network without brackets, and port; no port where there is none.

    >>> _host_and_port("example.com:8080"), _host_and_port("[::1]:80"), _host_and_port("fe80::/10")
    (('example.com', '8080'), ('::1', '80'), ('fe80::/10', ''))
    """
    bracketed = _BRACKETED.fullmatch(place)
    if bracketed:
        return bracketed[1] + (bracketed[2] or ""), bracketed[3] or ""
    host, colon, port = place.partition(":")
    return (host, port) if colon and port.isdigit() else (place, "")


def _network_covers(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:  # one of them is a name, or nothing
        return False


def _domain_covers(domain: str, host: str) -> bool:
    domain, host = domain.removeprefix("*").strip("."), host.rstrip(".")
    return domain != "" and f".{host}".endswith(f".{domain}")


def _variable_of(scheme: str) -> str:
    """The variable that says which proxy is for `scheme`, in the spelling that was used."""
    wanted = f"{scheme}_proxy"
    spellings = (name for name in (wanted, wanted.upper(), *os.environ) if name.lower() == wanted)
    return next((name for name in spellings if os.environ.get(name)), f"the system's settings for {scheme}")


# ---- what a library can use -----------------------------------------------------------------------------------------


def usable(proxy: Proxy, library: str) -> Proxy:
    """`proxy` with its scheme. Raises `ConfigurationError`, without the address, if `library` cannot use it."""
    completed = proxy if "://" in proxy.address else Proxy(f"http://{proxy.address}", proxy.named_by)
    problem = _problem_of(completed, library)
    if problem is not None:
        raise invalid_proxy(proxy.named_by, problem)
    return completed


def _problem_of(proxy: Proxy, library: str) -> str | None:
    schemes, package = _SOCKS[library]
    if not is_proxy(proxy.address, (*_HTTP, *schemes)):
        kinds = f"HTTP, HTTPS or SOCKS ({', '.join(schemes)})" if schemes else "HTTP or HTTPS"
        return f"{library} needs the address of a proxy of {kinds}, with a host"
    if proxy.address.lower().startswith("socks") and find_spec(package) is None:
        return f"{library} needs the package {package} for SOCKS: pip install {library}[socks]"
    return None


_HINT = "write it like http://user:password@proxy.example:3128, unset it, or give TransportOptions(trust_env=False)"


def invalid_proxy(named_by: str, problem: str) -> ConfigurationError:
    """The error of a proxy; it repeats nothing of its address."""
    return ConfigurationError(f"the proxy in {named_by} cannot be used: {problem}", hint=_HINT)


# ---- errors ---------------------------------------------------------------------------------------------------------

NO_CONNECTION = "no connection to {}"
NO_CONNECTION_IN_TIME = "no connection to {} in time"
CONNECTION_BROKE = "the connection to {} broke"

_OF_TLS = re.compile(r"\[SSL\b|\b_ssl\.c\b|certificate", re.IGNORECASE)


def failed_exchange(
    what: str,
    reason: object,
    origin: str,
    proxy: Proxy | None,
    *,
    cause: TransportCause,
    maybe_sent: bool,
    permanent: bool,
) -> TransportError:
    """The error of an exchange with `origin`; where `proxy` was to lead there, it names that and what to do about it."""
    place = origin if proxy is None else f"{origin} through the proxy {proxy.place} of {proxy.named_by}"
    text = f"{what.format(place)}: {excerpt(str(reason))}"
    failure = TransportError(text, cause=cause, maybe_sent=maybe_sent, permanent=permanent)
    if proxy is not None and what in (NO_CONNECTION, NO_CONNECTION_IN_TIME, CONNECTION_BROKE):
        failure.hint = _advice(proxy, over_tls=_OF_TLS.search(str(reason)) is not None)
        failure.argument = _OPTION if proxy.named_by == _OPTION else None
    return failure


def _advice(proxy: Proxy, *, over_tls: bool) -> str:
    if over_tls:
        return (
            "if the proxy has its own certificate, name its authority by SSL_CERT_FILE or "
            f"transport_options.ca_bundle; if it does not speak TLS itself, write http:// in {proxy.named_by}"
        )
    without = "leave it out" if proxy.named_by == _OPTION else "list the server's host in NO_PROXY"
    return f"is the proxy running, and does it let you through? Correct {proxy.named_by}, or {without} to go without it"
