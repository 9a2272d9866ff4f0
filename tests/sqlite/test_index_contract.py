"""The index in the store's file keeps the public contract of indexes."""

import pytest

from memtrace import AsyncMemtrace, Memtrace
from memtrace.testing import IndexedTransportContract
from memtrace_transports.sqlite.maintenance import StoreFile


class InAFile(IndexedTransportContract):
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "contract.db"

    @pytest.fixture
    def connect(self, path):
        return lambda organisation, **settings: self.kind(path, f"key_of_{organisation}", **settings)

    @pytest.fixture
    def forget(self, path, connect):
        def forget(organisation, agent_id):
            with Memtrace(path, f"key_of_{organisation}") as client:
                org_id = client.memories.list(limit=1).memories[0].org_id
            with StoreFile(str(path)) as store:
                store.forget(agent_id, organisation=org_id)

        return forget


class TestSqlite(InAFile):
    kind = Memtrace


@pytest.mark.slow
class TestAsyncSqlite(InAFile):
    kind = AsyncMemtrace
