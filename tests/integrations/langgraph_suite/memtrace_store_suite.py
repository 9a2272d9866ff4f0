"""A pytest plugin: LangGraph's own tests of its stores, run on `MemtraceStore`. `nox -s langgraph-suite` uses it.

The tests stay in LangGraph's repository. Once they are collected, their modules get our store under the names of theirs.
`NOT_APPLICABLE` names each test that is skipped, and why.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import pytest

from memtrace import AsyncMemtrace, Memtrace
from memtrace.integrations.langgraph import MemtraceStore
from memtrace.testing import FakeMemtrace

TABLES = "it reads or writes the tables of a database"
INTERNAL = "it tests a private function of the package"
DISTANCE = "a score is a cosine, not a distance"
NOT_APPLICABLE = {
    "test_nonnull_migrations": "it tests the statements that create tables",
    "test_escape_glob_literal": INTERNAL,
    "test_escape_like_literal": INTERNAL,
    "test_namespace_match_pattern": INTERNAL,
    "test_list_namespaces_prefix_uses_indexable_condition": INTERNAL,
    "test_abatch_uses_single_pool_checkout": "it tests the pool of connections to PostgreSQL",
    "test_no_running_loop": "blocking methods use a blocking client, which a running event loop does not prevent",
    "test_omit_expired_": TABLES,
    "checkpoint-sqlite/tests/test_store.py::test_vector_store_initialization": TABLES,
    "test_sql_injection_vulnerability": "a filter does not become SQL: any key is a key",
    "test_filter_keys_with_hyphens_and_digits": "only SqliteStore splits the key of a filter at dots",
    "checkpoint-sqlite/tests/test_ttl.py::test_ttl_refresh": "it counts what a sweep removes, and there is no sweep",
    "checkpoint-sqlite/tests/test_ttl.py::test_ttl_override_default": (
        "only SqliteStore renews nothing by default; LangGraph's TTLConfig says that reads do"
    ),
    **{f"test_scores[{query}-halfvec-l2]": DISTANCE for query in ("aaa", "bbb", "ccc", "abcd", "poisson")},
    "checkpoint-postgres/tests/test_async_store.py::test_large_batches_async": (
        "60,000 calls, of which 10,000 list the namespaces of all versions: hours"
    ),
}


class _Clients:
    """A blocking and an async client of the same new store: in memory, or in a file with ``MEMTRACE_SUITE=sqlite``."""

    def __init__(self):
        if os.environ.get("MEMTRACE_SUITE") == "sqlite":
            path = Path(tempfile.mkdtemp()) / "store.db"
            self.blocking, self.awaited = Memtrace(path), AsyncMemtrace(path)
        else:
            fake = FakeMemtrace()
            self.blocking, self.awaited = fake.client(), fake.async_client()


def _store(cls, index, ttl):
    """A store with what databases need taken out of its settings."""
    if index is not None:
        fields = index.get("fields") or index.get("text_fields")
        index = {"dims": index["dims"], "embed": index["embed"], "fields": fields}
    if ttl is not None:
        ttl = {name: ttl[name] for name in ("default_ttl", "refresh_on_read") if name in ttl}
    clients = _Clients()
    return cls(clients.blocking, clients.awaited, agent_id="suite", index=index, ttl=ttl)


class _InMemoryStore(MemtraceStore):
    """Under the name of theirs."""

    def __init__(self, *, index=None):
        super().__init__(_Clients().blocking, agent_id="suite", index=index)


class _BlockingStore(MemtraceStore):
    """Under the names of theirs on SQLite and PostgreSQL, with the methods that only databases need."""

    MIGRATIONS: tuple[str, ...] = ()

    @classmethod
    @contextlib.contextmanager
    def from_conn_string(cls, _, *, index=None, ttl=None, **__):
        yield _store(cls, index, ttl)

    def setup(self):
        return 0

    sweep_ttl = start_ttl_sweeper = stop_ttl_sweeper = setup

    def _cursor(self):
        return contextlib.nullcontext(_NoDatabase())


class _AwaitedStore(MemtraceStore):
    """Under the names of theirs that are async."""

    MIGRATIONS: tuple[str, ...] = ()

    @classmethod
    @contextlib.asynccontextmanager
    async def from_conn_string(cls, _, *, index=None, ttl=None, **__):
        yield _store(cls, index, ttl)

    async def setup(self):
        return 0

    sweep_ttl = start_ttl_sweeper = stop_ttl_sweeper = setup

    def _cursor(self):
        return contextlib.nullcontext(_NoAsyncDatabase())


class _NoDatabase:
    """In place of the connection on which fixtures create and drop databases."""

    @staticmethod
    def connect(*_, **__):
        return contextlib.nullcontext(_NoDatabase())

    def execute(self, *_):
        pass


class _NoAsyncDatabase:
    @staticmethod
    async def connect(*_, **__):
        return contextlib.nullcontext(_NoAsyncDatabase())

    async def execute(self, *_):
        pass


OURS = {
    "InMemoryStore": _InMemoryStore,
    "SqliteStore": _BlockingStore,
    "PostgresStore": _BlockingStore,
    "AsyncSqliteStore": _AwaitedStore,
    "AsyncPostgresStore": _AwaitedStore,
    "Connection": _NoDatabase,
    "AsyncConnection": _NoAsyncDatabase,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put our store in the place of theirs, and skip what is not applicable."""
    modules = {item.module for item in items if isinstance(item, pytest.Function)}
    modules |= {module for name, module in sys.modules.items() if name == "tests.conftest"}
    for module in modules:
        for name, ours in OURS.items():
            if hasattr(module, name):
                setattr(module, name, ours)
    for item in items:
        place = f"{item.path.parents[1].name}/tests/{item.path.name}::{item.name}"
        for part, reason in NOT_APPLICABLE.items():
            if part in place:
                item.add_marker(pytest.mark.skip(reason=f"not applicable: {reason}"))
