"""The storage that CrewAI's memory calls."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from crewai.memory.storage.backend import EmbeddingDimensionMismatchError
from crewai.memory.types import MemoryRecord, ScopeInfo
from numpy.typing import NDArray

from memtrace.client import Memtrace
from memtrace.integrations._dual_client import dispatcher
from memtrace.integrations._records import check_wait_timeout
from memtrace.integrations.crewai._record_log import RecordLog, StoredRecord
from memtrace.operations._validation import require_id


class MemtraceStorage:
    """The storage of a CrewAI `Memory`, in the memories of one agent.

    Each record is a memory. A change or a deletion is another memory, since memories are immutable.
    The storage keeps the records in this process, and reads newer ones before each call. It
    compares vectors by their cosine. Several processes may use one agent.

    Args:
        client: The client.
        agent_id: The agent whose memories the records are. It need not be registered.
        wait_timeout: Seconds that a write waits until its records can be read. None does not wait,
            so that a read right after may miss them.

    Raises:
        InvalidRequestError: The server does not accept the ID, or `wait_timeout` is negative.
        ConfigurationError: `client` is not a `Memtrace`.
    """

    def __init__(self, client: Memtrace, *, agent_id: str, wait_timeout: float | None = 5.0) -> None:
        require_id(agent_id, "agent_id")
        check_wait_timeout(wait_timeout)
        self._log = RecordLog(dispatcher(client, "MemtraceStorage"), agent_id, wait_timeout)

    def __deepcopy__(self, _: object) -> MemtraceStorage:
        """The same storage: CrewAI copies a memory with its storage, and a client cannot be copied."""
        return self

    # ---- writing

    def save(self, records: list[MemoryRecord]) -> None:
        """Store records. A record with the ID of a stored one replaces it.

        Args:
            records: The records.

        Raises:
            InvalidRequestError: A record is not JSON, or its content is empty. Nothing was sent.
            EmbeddingDimensionMismatchError: A vector has another length than those stored.
            BatchError: Only some records were stored.
            MemtraceError: Reading or writing failed.
        """
        length = _dimensions(self._log.records())
        for record in records:
            _check_dimensions(record.embedding, length)
            length = length or len(record.embedding or ())
        self._log.put(records)

    def update(self, record: MemoryRecord) -> None:
        """Replace a record by the one with the same ID.

        Args:
            record: The new record.

        Raises:
            InvalidRequestError: It is not JSON, or its content is empty. Nothing was sent.
            EmbeddingDimensionMismatchError: Its vector has another length than those stored.
            MemtraceError: Reading or writing failed.
        """
        self.save([record])

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the records that match all filters. Their memories stay on the server.

        Args:
            scope_prefix: Only this scope and those below.
            categories: Only records with one of these categories.
            record_ids: Only these records.
            older_than: Only records that were created before.
            metadata_filter: Only records with these entries in their metadata.

        Returns:
            How many were deleted.

        Raises:
            MemtraceError: Reading or writing failed.
        """
        chosen = [
            record.id
            for record, _ in self._chosen(scope_prefix, categories, metadata_filter)
            if (record_ids is None or record.id in record_ids)
            and (older_than is None or _moment(record.created_at) < _moment(older_than))
        ]
        self._log.delete(chosen)
        return len(chosen)

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete all records of a scope and those below.

        Args:
            scope_prefix: The scope. Default: all.

        Raises:
            MemtraceError: Reading or writing failed.
        """
        self.delete(scope_prefix)

    # ---- reading

    def search(  # noqa: PLR0917  # CrewAI's signature
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """Find the records whose vectors are nearest to a query's.

        Args:
            query_embedding: The vector of the query.
            scope_prefix: Only this scope and those below.
            categories: Only records with one of these categories.
            metadata_filter: Only records with these entries in their metadata.
            limit: How many at most.
            min_score: The lowest cosine, from 0 to 1.

        Returns:
            Records with their scores, best first; of equal scores the newest first.

        Raises:
            EmbeddingDimensionMismatchError: The stored vectors have another length.
            MemtraceError: Reading failed.
        """
        found = [each for each in self._chosen(scope_prefix, categories, metadata_filter) if each.vector is not None]
        _check_dimensions(query_embedding, _dimensions(found))
        if not found or limit <= 0:
            return []
        scores = _cosines(np.array([each.vector for each in found]), np.array(query_embedding))
        best = np.argsort(-scores, kind="stable")[:limit]
        return [(found[place].whole(), float(scores[place])) for place in best if scores[place] >= min_score]

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """Get a record.

        Args:
            record_id: Its ID.

        Returns:
            The record, or None if there is none.

        Raises:
            MemtraceError: Reading failed.
        """
        return next((each.whole() for each in self._log.records() if each.record.id == record_id), None)

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """List the records of a scope and those below, newest first.

        Args:
            scope_prefix: The scope. Default: all.
            limit: How many at most.
            offset: How many to skip.

        Returns:
            The records.

        Raises:
            MemtraceError: Reading failed.
        """
        return [each.whole() for each in self._chosen(scope_prefix)[max(0, offset) :][: max(0, limit)]]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """Describe a scope with those below.

        Args:
            scope: Its path.

        Returns:
            Its records' number, categories and times, and the scopes below.

        Raises:
            MemtraceError: Reading failed.
        """
        records = [each.record for each in self._chosen(scope)]
        return ScopeInfo(
            path=_path(scope) or "/",
            record_count=len(records),
            categories=sorted({category for record in records for category in record.categories}),
            oldest_record=records[-1].created_at if records else None,
            newest_record=records[0].created_at if records else None,
            child_scopes=_children(records, scope),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """List the scopes directly below one.

        Args:
            parent: Its path.

        Returns:
            Their paths.

        Raises:
            MemtraceError: Reading failed.
        """
        return _children((each.record for each in self._log.records()), parent)

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """Count the records of each category.

        Args:
            scope_prefix: Only this scope and those below. Default: all.

        Returns:
            The number of records by category.

        Raises:
            MemtraceError: Reading failed.
        """
        return dict(Counter(category for each in self._chosen(scope_prefix) for category in each.record.categories))

    def count(self, scope_prefix: str | None = None) -> int:
        """Count the records.

        Args:
            scope_prefix: Only this scope and those below. Default: all.

        Returns:
            Their number.

        Raises:
            MemtraceError: Reading failed.
        """
        return len(self._chosen(scope_prefix))

    # ---- the async methods, in a thread

    async def asave(self, records: list[MemoryRecord]) -> None:
        """Store records, like `save`.

        Args:
            records: The records.

        Raises:
            InvalidRequestError: A record is not JSON, or its content is empty. Nothing was sent.
            EmbeddingDimensionMismatchError: A vector has another length than those stored.
            BatchError: Only some records were stored.
            MemtraceError: Reading or writing failed.
        """
        await asyncio.to_thread(self.save, records)

    async def asearch(  # noqa: PLR0917  # as above
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """Find the records whose vectors are nearest to a query's, like `search`.

        Args:
            query_embedding: The vector of the query.
            scope_prefix: Only this scope and those below.
            categories: Only records with one of these categories.
            metadata_filter: Only records with these entries in their metadata.
            limit: How many at most.
            min_score: The lowest cosine, from 0 to 1.

        Returns:
            Records with their scores, best first; of equal scores the newest first.

        Raises:
            EmbeddingDimensionMismatchError: The stored vectors have another length.
            MemtraceError: Reading failed.
        """
        filters = scope_prefix, categories, metadata_filter
        return await asyncio.to_thread(self.search, query_embedding, *filters, limit, min_score)

    async def adelete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the records that match all filters, like `delete`.

        Args:
            scope_prefix: Only this scope and those below.
            categories: Only records with one of these categories.
            record_ids: Only these records.
            older_than: Only records that were created before.
            metadata_filter: Only records with these entries in their metadata.

        Returns:
            How many were deleted.

        Raises:
            MemtraceError: Reading or writing failed.
        """
        return await asyncio.to_thread(self.delete, scope_prefix, categories, record_ids, older_than, metadata_filter)

    def _chosen(
        self,
        scope_prefix: str | None,
        categories: Sequence[str] | None = None,
        metadata_filter: Mapping[str, Any] | None = None,
    ) -> list[StoredRecord]:
        """The records that match the filters, newest first."""
        path = _path(scope_prefix or "")
        chosen = [
            each
            for each in self._log.records()
            if _is_below(each.record.scope, path)
            and (not categories or not set(categories).isdisjoint(each.record.categories))
            and all(each.record.metadata.get(key) == value for key, value in (metadata_filter or {}).items())
        ]
        return sorted(chosen, key=lambda each: (_moment(each.record.created_at), each.record.id), reverse=True)


def _path(scope: str) -> str:
    """A scope with a slash before it and none after it; "" for the root."""
    stripped = scope.strip("/")
    return f"/{stripped}" if stripped else ""


def _is_below(scope: str, path: str) -> bool:
    own = _path(scope)
    return own == path or own.startswith(f"{path}/") or not path


def _children(records: Iterable[MemoryRecord], parent: str) -> list[str]:
    """The scopes directly below one."""
    prefix = f"{_path(parent)}/"
    below = (_path(record.scope) for record in records)
    return sorted({prefix + scope[len(prefix) :].split("/")[0] for scope in below if scope.startswith(prefix)})


def _dimensions(records: Iterable[StoredRecord]) -> int:
    """The length of the vectors; 0 if there are none."""
    return next((len(each.vector) for each in records if each.vector is not None), 0)


def _cosines(vectors: NDArray[np.float32], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cosine of each vector and the query's; 0 for one that points away, or nowhere."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    products: NDArray[np.float64] = vectors @ query
    cosines: NDArray[np.float64] = np.divide(products, lengths, out=np.zeros(len(vectors)), where=lengths > 0)
    cosines[cosines < 0] = 0
    return cosines


def _check_dimensions(vector: Sequence[float] | None, expected: int) -> None:
    if vector and expected and len(vector) != expected:
        raise EmbeddingDimensionMismatchError(expected, len(vector))


def _moment(time: datetime) -> datetime:
    """CrewAI's times are UTC, with or without saying so."""
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
