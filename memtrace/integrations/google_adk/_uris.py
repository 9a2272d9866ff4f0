"""The services by URI, as the kit's commands and its registry make them."""

from __future__ import annotations

from google.adk.cli.service_registry import get_service_registry

from memtrace.async_client import AsyncMemtrace
from memtrace.exceptions import ConfigurationError
from memtrace.integrations.google_adk._memory_service import MemtraceMemoryService
from memtrace.integrations.google_adk._session_service import MemtraceSessionService

_SCHEME = "memtrace"
_BASE_URLS = ("http", "https", "sqlite", "memory")


def register_services() -> None:
    """Register the schemes of Memtrace with the kit's registry, for sessions and for memory.

    Call it in `services.py` beside your agents, which the kit's commands load. ``memtrace://`` uses the server of
    ``MEMTRACE_BASE_URL`` and ``MEMTRACE_API_KEY``. ``memtrace+https://host`` and ``memtrace+http://host:9100`` use
    that server. ``memtrace+sqlite:///agent.db`` uses that file.

    Example:
        >>> register_services()
    """
    registry = get_service_registry()
    for scheme in (_SCHEME, *(f"{_SCHEME}+{each}" for each in _BASE_URLS)):
        registry.register_session_service(scheme, session_service_from_uri)
        registry.register_memory_service(scheme, memory_service_from_uri)


def session_service_from_uri(uri: str, **kwargs: object) -> MemtraceSessionService:
    """Create a session service with its own client. A ``class`` of the kit's `services.yaml` can name this function.

    Args:
        uri: See `register_services`.
        kwargs: ``agents_dir``, which the kit passes to every factory and Memtrace does not use.

    Returns:
        The service. `close` closes its client.

    Raises:
        ConfigurationError: The URI is none of those, there is no base URL, or an option is unknown.

    Example:
        >>> service = session_service_from_uri("memtrace+sqlite:///agent.db")
    """
    return MemtraceSessionService(_client(uri, kwargs))


def memory_service_from_uri(uri: str, **kwargs: object) -> MemtraceMemoryService:
    """Create a memory service with its own client. A ``class`` of the kit's `services.yaml` can name this function.

    Args:
        uri: See `register_services`.
        kwargs: ``agents_dir``, which the kit passes to every factory and Memtrace does not use.

    Returns:
        The service. `close` closes its client.

    Raises:
        ConfigurationError: The URI is none of those, there is no base URL, or an option is unknown.

    Example:
        >>> service = memory_service_from_uri("memtrace+sqlite:///agent.db")
    """
    return MemtraceMemoryService(_client(uri, kwargs))


def _client(uri: str, options: dict[str, object]) -> AsyncMemtrace:
    unknown = sorted(options.keys() - {"agents_dir"})
    if unknown:
        raise ConfigurationError(f"the services of Memtrace have no option {', '.join(unknown)}")
    scheme, _, rest = uri.partition("://")
    if scheme == _SCHEME and not rest:
        return AsyncMemtrace()
    if scheme.removeprefix(f"{_SCHEME}+") not in _BASE_URLS or "+" not in scheme:
        schemes = ", ".join(f"{_SCHEME}+{each}://" for each in _BASE_URLS)
        raise ConfigurationError(f"a URI of Memtrace is {_SCHEME}:// without a host, or begins with one of {schemes}")
    return AsyncMemtrace(uri.removeprefix(f"{_SCHEME}+"))
