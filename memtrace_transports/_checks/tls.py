"""TLS settings out of transport options: one context for equal options, since each takes 25 ms to make.

Files are checked when a client is created. A client gets a new context if its certificates were renewed since the last
one.
"""

from __future__ import annotations

import functools
import os
import ssl
import threading
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from memtrace._support.forks import PerProcess
from memtrace.exceptions import ConfigurationError
from memtrace.transport import TransportOptions

TLS_OPTIONS = frozenset({"ca_bundle", "client_cert", "client_key", "client_key_password", "verify"})
"""The options that are honoured by whoever takes a context from here."""


def lazy_ssl_context(options: TransportOptions, *, bundles: tuple[str, ...] = ()) -> Callable[[], ssl.SSLContext]:
    """What gives `ssl_context(options)` at the first request; files of the options are read now, and `verify` is warned of.

    Raises `ConfigurationError` as `ssl_context` does. Nothing is read where the options say nothing of TLS, and for a
    client of an ``http`` address nothing even then, until a handshake needs it, as with a proxy over TLS.
    """
    if options.ca_bundle is None and options.client_cert is None and options.verify:
        read = not options.url.startswith("http:")
        return functools.lru_cache(maxsize=1)(functools.partial(ssl_context, options, bundles=bundles, read=read))
    context = ssl_context(options, bundles=bundles)
    return lambda: context


def ssl_context(options: TransportOptions, *, bundles: tuple[str, ...] = (), read: bool = True) -> ssl.SSLContext:
    """The context for these options: their own CA, else (with `trust_env`) the environment's, else certifi's.

    The environment's are SSL_CERT_FILE and SSL_CERT_DIR; before them comes the first of the variables `bundles` that is
    set, to a file or a folder. Without `read` it reads certificates to trust when a handshake needs them. Raises
    `ConfigurationError` for files that hold no certificates or keys. Warns where `verify` is False.
    """
    if not options.verify:
        warnings.warn(
            "verify=False: anyone on the way can read and change what is sent, the key included", stacklevel=3
        )
    paths = (options.client_cert, options.client_key)
    certificate, key = (None if path is None else os.fspath(path) for path in paths)
    trusted = _trust_source(options, bundles)
    named = (certificate, key) if trusted is None else (certificate, key, trusted.file, trusted.folder)
    context = _context(trusted, certificate, key, options.client_key_password, tuple(map(_fingerprint, named)))
    if read:
        context.read()
    return context


def _fingerprint(path: str | None) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or written anew; None where there is none."""
    if path is None:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


class _TrustSource(NamedTuple):
    """The trusted authorities, and the setting they are from. Without a file and a folder they are the defaults."""

    file: str | None = None
    folder: str | None = None
    named_by: str = ""


def _trust_source(options: TransportOptions, bundles: tuple[str, ...]) -> _TrustSource | None:
    """None where any certificate will do."""
    if not options.verify:
        return None
    if options.ca_bundle is not None:
        return _file_or_folder(os.fspath(options.ca_bundle), "transport_options.ca_bundle")
    if not options.trust_env:
        return _TrustSource()
    for name in bundles:
        path = os.environ.get(name)
        if path:
            return _file_or_folder(path, name)
    file, folder = (os.environ.get(name) or None for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return _TrustSource(file, folder, "SSL_CERT_FILE or SSL_CERT_DIR")


def _file_or_folder(path: str, named_by: str) -> _TrustSource:
    return _TrustSource(None, path, named_by) if Path(path).is_dir() else _TrustSource(path, None, named_by)


class _Context(ssl.SSLContext):
    """Reads whom it trusts before its first handshake, if not sooner: it takes a fifth of the time to a first answer."""

    def __init__(self, protocol: int, trusted: _TrustSource | None) -> None:
        self._unread = trusted
        self._reading: PerProcess[threading.Lock] = PerProcess(lambda _: threading.Lock())

    def read(self) -> None:
        """Read the certificates, once."""
        with self._reading.get():
            if self._unread is not None:
                _trust(self, self._unread)
                self._unread = None

    def wrap_socket(self, *args: Any, **settings: Any) -> ssl.SSLSocket:
        self._read_within_a_handshake()
        return super().wrap_socket(*args, **settings)

    def wrap_bio(self, *args: Any, **settings: Any) -> ssl.SSLObject:
        self._read_within_a_handshake()
        return super().wrap_bio(*args, **settings)

    def _read_within_a_handshake(self) -> None:
        try:
            self.read()
        except ConfigurationError as error:
            raise ssl.SSLError(error.message) from error  # after which the libraries close their socket


@functools.lru_cache(maxsize=32)
def _context(
    trusted: _TrustSource | None,
    certificate: str | None,
    key: str | None,
    password: str | None,
    states: tuple[object, ...],  # another state of the files is another context
) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT, trusted)
    if trusted is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _identify(context, certificate, key, password)
    return context


def _trust(context: ssl.SSLContext, trusted: _TrustSource) -> None:
    try:
        if trusted.file or trusted.folder:
            context.load_verify_locations(cafile=trusted.file, capath=trusted.folder)
        elif find_spec("certifi") is not None:
            import certifi

            context.load_verify_locations(cafile=certifi.where())
        else:
            context.load_default_certs()
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"{trusted.named_by} holds no certificates that can be read: {type(error).__name__}"
        ) from error


def _identify(context: ssl.SSLContext, certificate: str, key: str | None, password: str | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"transport_options.client_cert, client_key and client_key_password do not fit together: {type(error).__name__}"
        ) from error
