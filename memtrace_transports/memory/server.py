"""A fake server on a port of its own, on uvicorn, in a thread."""

from __future__ import annotations

from collections.abc import Iterable

from memtrace_transports._serving.port import AppServer
from memtrace_transports.memory._control_access import host_name
from memtrace_transports.memory._fake import FakeMemtrace
from memtrace_transports.memory.asgi import FakeApp

__all__ = ["LiveServer"]


class LiveServer(AppServer):
    """Serves `fake` over HTTP/1.1 while its ``with`` block lasts, or from `start` to `stop`.

    It listens on the loopback address unless `host` says otherwise, on a free port unless `port` does. The control routes answer
    under the names of this machine, under `host`, the address that it is reached at, and `hosts`, and no web page. Needs uvicorn,
    which the extra ``server`` installs.

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
