"""The server of the public contracts, as these tests like to read it."""

from __future__ import annotations

import gzip

from memtrace.testing import _scripted_server as scripted_server
from memtrace.testing._scripted_server import (
    Answer,
    CloseAfterReading,
    Drip,
    Echo,
    Garbage,
    ResetAfterReading,
    Stall,
    Truncate,
    deaf_address,
    refusing_address,
)

__all__ = [
    "Answer",
    "CloseAfterReading",
    "Drip",
    "Echo",
    "Garbage",
    "Refuse",
    "ResetAfterReading",
    "ScriptedServer",
    "Stall",
    "Truncate",
    "Zipped",
    "deaf_address",
]


def Zipped(status=200, body=b"{}", *, broken=False):  # noqa: N802 - stands beside the classes of steps
    """An answer whose body is compressed for everybody, or only says that it is."""
    return Answer(status, b"no gzip at all" if broken else gzip.compress(body), [("Content-Encoding", "gzip")])


class ScriptedServer(scripted_server.ScriptedServer):
    @property
    def received(self) -> list[bytes]:
        """Every request as it came: its first line, its headers, an empty line, its body."""
        return [received.raw for received in super().received]

    @property
    def ports(self) -> list[int]:
        """The client's port of every request: one number for one connection."""
        return [received.port for received in super().received]


class Refuse:
    """An address at which nobody listens while its ``with`` block lasts."""

    def __enter__(self):
        self._address = refusing_address()
        self.url = self._address.__enter__()
        return self

    def __exit__(self, *raised):
        self._address.__exit__(*raised)
