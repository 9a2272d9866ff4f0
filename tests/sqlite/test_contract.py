"""The store in a file keeps the public contract of transports."""

import pytest

from memtrace.plugins import TransportSpec
from memtrace.testing import AsyncTransportContract, TransportContract
from memtrace_transports import AsyncSqliteTransport, SqliteTransport


class InAFile:
    network = False

    @pytest.fixture
    def spec(self, tmp_path):
        store = str(tmp_path / "contract.db")
        return TransportSpec(
            create=lambda options: SqliteTransport(store, clock=options.clock),
            create_async=lambda options: AsyncSqliteTransport(store, clock=options.clock),
        )


class TestSqlite(InAFile, TransportContract):
    pass


class TestAsyncSqlite(InAFile, AsyncTransportContract):
    backends = ("asyncio", "trio")
