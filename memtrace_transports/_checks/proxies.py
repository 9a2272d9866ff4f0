"""The proxies that the environment names, checked before a library fails over them, or tells their passwords."""

from __future__ import annotations

import os
from importlib.util import find_spec
from urllib.parse import urlsplit

from memtrace._support.urls import is_proxy
from memtrace.exceptions import ConfigurationError

_HTTP = ("http", "https")
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_HINT = "write it like http://user:password@proxy.example:3128, unset it, or give TransportOptions(trust_env=False)"


def proxy_from_env(origin: str) -> tuple[str, str] | None:
    """The variable that names a proxy for `origin`, and what it says; None where there is none."""
    from urllib.request import getproxies, proxy_bypass

    parts, proxies = urlsplit(origin), getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    address = proxies.get(scheme)
    if not address or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return env_variable_for(scheme), address


def check_env_proxies(library: str, socks: str) -> None:
    """Refuse what `validate_proxy` refuses, whichever origin it is for."""
    from urllib.request import getproxies

    proxies = getproxies()
    if "*" in (host.strip() for host in proxies.get("no", "").split(",")):
        return
    for scheme in (*_HTTP, "all"):
        if proxies.get(scheme):
            validate_proxy(proxies[scheme], env_variable_for(scheme), library, socks)


def validate_proxy(address: str, named_by: str, library: str, socks: str | None) -> str:
    """`address` with its scheme. Raises `ConfigurationError` where `library` cannot use it, which tells nothing of it.

    `socks` is the package that it needs for SOCKS; None where it does not speak that.
    """
    address = address if "://" in address else f"http://{address}"
    schemes = _HTTP if socks is None else (*_HTTP, *_SOCKS)
    if not is_proxy(address, schemes):
        kinds = "HTTP or HTTPS" if socks is None else "HTTP, HTTPS or SOCKS"
        raise invalid_proxy(named_by, f"{library} needs the address of a proxy of {kinds}, with a host")
    if socks is not None and address.lower().startswith("socks") and find_spec(socks) is None:
        raise invalid_proxy(named_by, f"{library} needs the package {socks} for SOCKS: pip install {library}[socks]")
    return address


def invalid_proxy(named_by: str, problem: str) -> ConfigurationError:
    """The error of a proxy; it repeats nothing of its address."""
    return ConfigurationError(f"the proxy in {named_by} cannot be used: {problem}", hint=_HINT)


def env_variable_for(scheme: str) -> str:
    """The variable that says which proxy is for `scheme`, in the spelling that was used."""
    wanted = f"{scheme}_proxy"
    spellings = (name for name in (wanted, wanted.upper(), *os.environ) if name.lower() == wanted)
    return next((name for name in spellings if os.environ.get(name)), f"the system's settings for {scheme}")
