"""How a transport moves bytes: timeouts by phase, pools, TLS, proxies, and limits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import cast

from memtrace._support.numbers import is_positive_seconds
from memtrace._support.secrets import hidden
from memtrace._support.urls import is_proxy
from memtrace.clock import Clock, SystemClock
from memtrace.exceptions import ConfigurationError
from memtrace.transport._header_rules import check_headers

DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Bytes of a decompressed answer; a list of 1,000 memories takes about 0.5 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Configure a transport: timeouts by phase, connection pool, TLS, proxy and limits.

    Pass it as ``Memtrace(..., transport_options=TransportOptions(...))``. The client raises
    `ConfigurationError` for an option that the chosen transport cannot honour, and for an invalid
    value.

    Example:
        >>> TransportOptions(connect_timeout=2, max_connections=50).given()
        ['connect_timeout', 'max_connections']
    """

    #: Seconds to make a connection, name look-up and TLS included; the attempt's own bound holds beside it.
    connect_timeout: float | None = None
    #: Seconds to wait for the next bytes of a response.
    read_timeout: float | None = None
    #: Seconds to wait for the next bytes of a request to go out.
    write_timeout: float | None = None
    #: Seconds to wait for a free connection.
    pool_timeout: float | None = None
    #: The most connections at once; 100 by default.
    max_connections: int | None = None
    #: Idle connections that are kept.
    max_keepalive_connections: int | None = None
    #: Seconds that an idle connection is kept.
    keepalive_expiry: float | None = None
    #: A file or folder of certificates to trust, in place of the usual ones.
    ca_bundle: str | os.PathLike[str] | None = None
    #: A file with the client's certificate, and its key unless `client_key` has it.
    client_cert: str | os.PathLike[str] | None = None
    client_key: str | os.PathLike[str] | None = None
    client_key_password: str | None = field(default=None, repr=False)
    #: False trusts any certificate: for trying things out; it warns.
    verify: bool = True
    #: ``http://user:password@proxy:3128`` for all requests, in place of the environment's.
    proxy: str | None = field(default=None, repr=False)
    #: False reads neither proxies nor certificates from the environment.
    trust_env: bool = True
    #: True uses HTTP/2 if the server supports it.
    http2: bool = False
    #: Bytes of a decompressed answer; a longer one is a `TransportError`.
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    #: Headers for every request, under those of the client.
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    #: The client's base URL without the transport's name; the client fills it in.
    url: str = ""
    #: The client's clock; the client fills it in.
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        for name in ("proxy", "client_key_password"):
            object.__setattr__(self, name, hidden(getattr(self, name)))
        for name in ("connect_timeout", "read_timeout", "write_timeout", "pool_timeout", "keepalive_expiry"):
            _check_positive_seconds(name, getattr(self, name))
        for name in ("max_connections", "max_keepalive_connections", "max_response_bytes"):
            _check_count(name, getattr(self, name), least=0 if name == "max_keepalive_connections" else 1)
        for name in ("ca_bundle", "client_cert", "client_key"):
            _check_path(name, getattr(self, name), folder=name == "ca_bundle")
        for name in ("verify", "trust_env", "http2"):
            _check_flag(name, getattr(self, name))
        _check_tls(self)
        _check_proxy(self.proxy)
        object.__setattr__(self, "headers", _check_headers(self.headers))

    def given(self) -> list[str]:
        """List the options that a transport has to honour.

        Returns:
            The names of the options that differ from their defaults.
        """
        return [
            option.name
            for option in fields(self)
            if option.name not in ("url", "clock") and getattr(self, option.name) != option.default
        ]

    def for_client(self, url: str, clock: Clock) -> TransportOptions:
        """Copy the options for one client.

        Args:
            url: The client's base URL, without the transport's name.
            clock: The client's clock.

        Returns:
            The copy.
        """
        return replace(self, url=url, clock=clock)


def _check_positive_seconds(name: str, value: object) -> None:
    if value is not None and not is_positive_seconds(value):
        raise _invalid_option(name, "a number of seconds above 0")


def _check_count(name: str, value: object, *, least: int) -> None:
    if value is None and name != "max_response_bytes":
        return
    if type(value) is not int or value < least:
        raise _invalid_option(name, f"a whole number from {least}")


def _check_flag(name: str, value: object) -> None:
    if name == "verify" and isinstance(value, (str, os.PathLike)):
        raise _invalid_option(name, "True or False", hint="a file of certificates is ca_bundle=")
    if not isinstance(value, bool):
        raise _invalid_option(name, "True or False")


def _check_path(name: str, value: object, *, folder: bool) -> None:
    if value is None:
        return
    rule = "a file or folder that exists" if folder else "a file that exists"
    if not value or not isinstance(value, (str, os.PathLike)):  # an empty one would be the folder that we are in
        raise _invalid_option(name, rule)
    try:
        path = Path(value)
        exists = path.is_file() or (folder and path.is_dir())
    except (TypeError, ValueError, OSError) as error:
        # A path of bytes, one too long, or in a folder that is closed to us.
        raise _invalid_option(name, rule) from error
    if not exists:
        raise _invalid_option(name, rule)


def _check_tls(options: TransportOptions) -> None:
    if not isinstance(options.client_key_password or "", str):
        raise _invalid_option("client_key_password", "a string")
    if options.client_cert is None and (options.client_key or options.client_key_password):
        raise _invalid_option("client_cert", "given with client_key or client_key_password")
    if not options.verify and options.ca_bundle is not None:
        raise _invalid_option("ca_bundle", "omitted if verify is False: one trusts a certificate, the other any")


def _check_proxy(proxy: object) -> None:
    if proxy is not None and not (isinstance(proxy, str) and is_proxy(proxy)):
        raise _invalid_option("proxy", "an address such as http://user:password@proxy.example:3128")


def _check_headers(headers: object) -> dict[str, str] | None:
    """A copy, which nobody changes behind our back."""
    try:
        return None if headers is None else dict(check_headers(cast("Mapping[str, str]", headers)))
    except ConfigurationError as error:
        raise ConfigurationError(
            f"transport_options.{error.message}", argument=f"transport_options.{error.argument}", hint=error.hint
        ) from None


def _invalid_option(name: str, rule: str, *, hint: str | None = None) -> ConfigurationError:
    return ConfigurationError(
        f"transport_options.{name} must be {rule}", argument=f"transport_options.{name}", hint=hint
    )
