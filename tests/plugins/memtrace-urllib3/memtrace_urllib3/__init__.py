"""A blocking transport on urllib3: ``Memtrace(..., transport="urllib3")``.

`memtrace_urllib3.transport.Urllib3Transport` makes one by hand. urllib3 is imported with that module and not with this one,
so that the SDK can say which package is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memtrace.plugins import TransportSpec, hookimpl
from memtrace.transport import TransportOptions

if TYPE_CHECKING:
    from memtrace_urllib3.transport import Urllib3Transport

__all__ = ["memtrace_transport"]

_CAPABILITIES = frozenset(
    {"ca_bundle", "connect_timeout", "headers", "max_connections", "max_response_bytes", "pool_timeout", "read_timeout"}
)


@hookimpl
def memtrace_transport() -> TransportSpec:
    """The blocking form; there is no async one."""
    return TransportSpec(create=_create, requires=("urllib3",), capabilities=_CAPABILITIES)


def _create(options: TransportOptions) -> Urllib3Transport:
    from memtrace_urllib3.transport import Urllib3Transport

    return Urllib3Transport(options)
