"""Writes and deletions that succeed only if the file has the version that was read, and a retry of which changes nothing."""

from __future__ import annotations

from typing import Any

from pydantic_ai_harness.memory import (
    MemoryConflictError,
    MemoryMutation,
    MemoryOperation,
    MemoryOperationConflictError,
)

from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._versions import Version, VersionedFiles


class Changes:
    """Changes of the files of a store."""

    def __init__(self, files: VersionedFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock

    def change(
        self, path: str, value: dict[str, Any] | None, expected: str | None, operation: MemoryOperation | None
    ) -> Workflow[MemoryMutation]:
        """Store a value, None to delete. Raises `MemoryConflictError` if the file has another version than expected."""
        if operation is not None and (receipt := (yield from self.receipt(operation))) is not None:
            return receipt
        current = yield from self._files.current(path, self._clock)
        existing = None if current is None or current.value is None else current
        if (None if existing is None else existing.key) != expected:
            raise _conflict(path)
        if value is None and existing is None and operation is None:
            return MemoryMutation(version=None, replayed=False, existed=False)
        written = yield from self._files.replace(
            path,
            current,
            value,
            self._clock,
            content=f"{path}: {'deleted' if value is None else value['content']}",
            operation=None if operation is None else (operation.id, operation.fingerprint),
        )
        if (yield from self._files.counts(written, self._clock)):
            return _mutation(written, replayed=False)
        if operation is not None and (receipt := (yield from self.receipt(operation))) is not None:
            return receipt  # the same operation, done at the same moment by somebody else
        raise _conflict(path)

    def receipt(self, operation: MemoryOperation) -> Workflow[MemoryMutation | None]:
        """What an operation did before. Raises `MemoryOperationConflictError` for another operation of the same ID."""
        done = yield from self._files.done(operation.id, self._clock)
        if done is None:
            return None
        if done.operation != (operation.id, operation.fingerprint):
            raise MemoryOperationConflictError(f"operation id {operation.id!r} was used before with other arguments")
        return _mutation(done, replayed=True)


def _mutation(version: Version, *, replayed: bool) -> MemoryMutation:
    return MemoryMutation(
        version=None if version.value is None else version.key, replayed=replayed, existed=version.existed
    )


def _conflict(path: str) -> MemoryConflictError:
    return MemoryConflictError(f"memory path {path!r} has another version than expected; read it again")
