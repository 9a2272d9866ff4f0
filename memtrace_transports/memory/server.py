"""A fake server on its own port, on uvicorn, in a thread."""

from __future__ import annotations

from collections.abc import Iterable

from memtrace_transports._serving.port import AppServer
from memtrace_transports.memory._control_access import host_name
from memtrace_transports.memory._fake import FakeMemtrace
from memtrace_transports.memory.asgi import FakeApp

__all__ = ["LiveServer"]


class LiveServer(AppServer):
    """Serve a fake over HTTP/1.1, during its ``with`` block or from `start` to `stop`.

    It needs uvicorn, which the extra ``server`` installs. The control routes respond to programs
    under the names of this machine, under `host`, the bound address and `hosts`. They never respond
    to a web page.

    Args:
        fake: The server to serve.
        host: The address to listen on. Default: the loopback address.
        port: The port to listen on. Default: a free one.
        control: Whether the control routes are served, under ``/_fake``.
        hosts: Further host names under which the control routes respond.

    Example:
        >>> with LiveServer(FakeMemtrace(any_key=True)) as server:
        ...     server.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(
        self,
        fake: FakeMemtrace,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        control: bool = True,
        hosts: Iterable[str] = (),
    ) -> None:
        self.fake = fake
        bound = [host] if host_name(host) else []  # an IPv6 address is taken from each connection
        super().__init__(FakeApp(fake, control=control, hosts=[*bound, *hosts]), host, port)
