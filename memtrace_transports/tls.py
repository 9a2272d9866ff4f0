"""TLS settings out of transport options: one context for equal options, since each takes 25 ms to make."""

from __future__ import annotations

import functools
import os
import ssl
import warnings
from importlib.util import find_spec
from pathlib import Path

from memtrace.exceptions import ConfigurationError
from memtrace.transport import TransportOptions

__all__ = ["context_of"]


def context_of(options: TransportOptions) -> ssl.SSLContext:
    """The context for these options: their own CA, else SSL_CERT_FILE and SSL_CERT_DIR (with `trust_env`), else certifi's.

    Raises `ConfigurationError` for files that hold no certificates or keys. Warns once where `verify` is False.
    """
    environment = (
        (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")) if options.trust_env else (None, None)
    )
    paths = (options.ca, options.client_certificate, options.client_key)
    ca, certificate, key = (None if path is None else os.fspath(path) for path in paths)
    if not options.verify:
        warnings.warn(
            "verify=False: anyone on the way can read and change what is sent, the key included", stacklevel=2
        )
    return _context(ca, certificate, key, options.client_key_password, options.verify, *environment)


@functools.lru_cache(maxsize=32)
def _context(  # noqa: PLR0917  # positional, as parts of the cache's key
    ca: str | None,
    certificate: str | None,
    key: str | None,
    password: str | None,
    verify: bool,  # noqa: FBT001  # as above
    env_file: str | None,
    env_folder: str | None,
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify:
        _trust(context, ca, env_file, env_folder)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        _identify(context, certificate, key, password)
    return context


def _trust(context: ssl.SSLContext, ca: str | None, env_file: str | None, env_folder: str | None) -> None:
    try:
        if ca is not None:
            folder = Path(ca).is_dir()
            context.load_verify_locations(cafile=None if folder else ca, capath=ca if folder else None)
        elif env_file or env_folder:
            context.load_verify_locations(cafile=env_file or None, capath=env_folder or None)
        elif find_spec("certifi") is not None:
            import certifi

            context.load_verify_locations(cafile=certifi.where())
        else:
            context.load_default_certs()
    except (ssl.SSLError, OSError) as error:
        name = "options.ca" if ca is not None else "SSL_CERT_FILE or SSL_CERT_DIR"
        raise ConfigurationError(f"{name} holds no certificates that can be read: {type(error).__name__}") from error


def _identify(context: ssl.SSLContext, certificate: str, key: str | None, password: str | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"options.client_certificate, client_key and client_key_password do not fit together: {type(error).__name__}"
        ) from error
