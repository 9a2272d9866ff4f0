"""Bytes that came behind an answer and belong to none: a connection that holds some must not serve another request.

The libraries look only at what the system still holds of a connection, not at what they have read of it by then.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Any, Final

# The places in httpcore, anyio, trio, urllib3 and ssl where bytes wait: https://github.com/encode/httpx/issues/1474
_BUFFERS: Final[dict[str, Callable[[Any], object]]] = {
    "_h11_state": lambda parser: parser.trailing_data[0],
    "_protocol": lambda protocol: getattr(protocol, "read_queue", None),
    "_read_bio": lambda bio: bio.pending,
    "_incoming": lambda bio: bio.pending,
    "incoming": lambda bio: bio.pending,
    "_ssl_object": lambda tls: tls.pending(),
    "ssl_obj": lambda tls: tls.pending(),
    "sslobj": lambda tls: tls.pending(),
    "_sslobj": lambda tls: tls is not None and tls.pending(),
}
_BELOW: Final = ("_network_stream", "_stream", "transport_stream", "_sock", "socket")


def holds_surplus(connection: object) -> bool:
    """Whether bytes wait in `connection`, or in a stream or a socket below it, that were received and not read."""
    while connection is not None:
        state = getattr(connection, "__dict__", {})
        if any(name in state and held(state[name]) for name, held in _BUFFERS.items()):
            return True
        connection = next((state[name] for name in _BELOW if name in state), None)
    return False


def is_readable(file: int) -> bool:
    """Whether the system holds something of this socket: bytes that nobody asked for, or its end."""
    if sys.platform == "win32" or not hasattr(select, "poll"):
        return bool(select.select([file], [], [], 0)[0])
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))
