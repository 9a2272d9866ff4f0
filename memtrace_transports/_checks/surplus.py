"""Surplus bytes after a response: a connection that has some must not serve another request.

The libraries check only the bytes still in the system's socket buffer, not those they have already read.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from operator import attrgetter, methodcaller
from typing import Any, Final

# The places in httpcore, anyio, trio, urllib3 and ssl where bytes wait: https://github.com/encode/httpx/issues/1474
# Looked at for each response, so that they are read without a function call of the SDK.
_BUFFERS: Final[dict[str, Callable[[Any], object]]] = {
    "_read_bio": attrgetter("pending"),
    "_incoming": attrgetter("pending"),
    "incoming": attrgetter("pending"),
    "_ssl_object": methodcaller("pending"),
    "ssl_obj": methodcaller("pending"),
    "sslobj": methodcaller("pending"),
    "_sslobj": methodcaller("pending"),
}
_BELOW: Final = ("_network_stream", "_stream", "transport_stream", "_sock", "socket")


def holds_surplus(connection: object) -> bool:
    """Whether `connection`, or a stream or a socket below it, has received bytes that were not read."""
    layer = connection
    while layer is not None:
        state: dict[str, Any] = getattr(layer, "__dict__", {})
        for name in _BUFFERS.keys() & state.keys():
            if state[name] is not None and _BUFFERS[name](state[name]):
                return True
        if "_h11_state" in state and state["_h11_state"].trailing_data[0]:
            return True
        if getattr(state.get("_protocol"), "read_queue", None):  # of anyio on asyncio
            return True
        layer = None
        for name in _BELOW:
            layer = layer or state.get(name)
    return False


def is_readable(file: int) -> bool:
    """Whether the system's socket buffer has surplus bytes, or the end of the stream."""
    if sys.platform == "win32" or not hasattr(select, "poll"):
        return bool(select.select([file], [], [], 0)[0])
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))
