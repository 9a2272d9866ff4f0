"""The store that the capability `Memory` calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from pydantic_ai_harness.memory import MemoryFile, MemoryMutation, MemoryOperation, MemorySearchResult

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations._records import RecordCodec
from memtrace.integrations._versions import VersionedFiles
from memtrace.integrations.pydantic_ai_harness._arguments import (
    check_path,
    check_positive,
    check_prefix,
    checked_metadata,
)
from memtrace.integrations.pydantic_ai_harness._changes import Changes
from memtrace.integrations.pydantic_ai_harness._search import search_files
from memtrace.operations._validation import check_non_negative_seconds, require_id

_FORMAT = "pydantic-ai-harness"
_HAS_METADATA = "metadata" in {field.name for field in fields(MemoryFile)}


class MemtraceMemoryStore:
    """The files of the capability `Memory`, as memories of one agent, which need not be registered.

    It is a `MemoryStore`, a `MetadataMemoryStore` and a `SearchableMemoryStore`. A write or a
    deletion is another memory, so the server keeps all versions. A search ranks by relevance.

    Args:
        client: The client, an `AsyncMemtrace`.
        agent_id: The agent whose memories the files are. Namespaces of `Memory` separate users.
        wait_timeout: Seconds that a write waits until it can be read.

    Raises:
        InvalidRequestError: The server does not accept the ID, or `wait_timeout` is negative.
        ConfigurationError: The client is not an `AsyncMemtrace`.

    Example:
        >>> import asyncio
        >>> from memtrace import AsyncMemtrace
        >>> async def main() -> None:
        ...     async with AsyncMemtrace("memory://", "any key") as client:
        ...         store = MemtraceMemoryStore(client, agent_id="assistant")
        ...         await store.write("ines/main/MEMORY.md", "Ines drinks tea.", expected_version=None)
        ...         print((await store.read("ines/main/MEMORY.md", max_chars=1000)).content)
        >>> asyncio.run(main())
        Ines drinks tea.
    """

    def __init__(self, client: AsyncMemtrace, *, agent_id: str, wait_timeout: float = 5.0) -> None:
        self._dispatcher = async_dispatcher(client, "MemtraceMemoryStore")
        self._clock = self._dispatcher.settings.clock
        require_id(agent_id, "agent_id")
        check_non_negative_seconds(wait_timeout, "wait_timeout")
        self._files = VersionedFiles(RecordCodec(_FORMAT, agent_id, memory_type="entity"), wait_timeout)
        self._changes = Changes(self._files, self._clock)

    async def read(self, path: str, *, max_chars: int) -> MemoryFile | None:
        """Read a file.

        Args:
            path: Segments of letters, digits, ``_``, ``-`` and ``.``, with slashes between them.
            max_chars: The longest content to return, from 1.

        Returns:
            The file, or None if there is none.

        Raises:
            ValueError: An argument is invalid.
            MemtraceError: The file could not be read.
        """
        check_path(path)
        check_positive(max_chars, "max_chars")
        version = await self._dispatcher.run(self._files.current(path, self._clock))
        if version is None or version.value is None:
            return None
        content, metadata = version.value["content"], version.value["metadata"]
        return MemoryFile(
            content=content[:max_chars],
            version=version.key,
            operation_id=None if version.operation is None else version.operation[0],
            truncated=len(content) > max_chars,
            **({"metadata": metadata} if _HAS_METADATA else {}),
        )

    async def get_operation(self, operation: MemoryOperation) -> MemoryMutation | None:
        """Look for the result of an operation that was done before.

        Args:
            operation: The operation.

        Returns:
            Its result, or None if it was not done.

        Raises:
            MemoryOperationConflictError: Another operation has this ID.
            MemtraceError: The operations could not be read.
        """
        return await self._dispatcher.run(self._changes.receipt(operation))

    async def write(
        self, path: str, content: str, *, expected_version: str | None, operation: MemoryOperation | None = None
    ) -> MemoryMutation:
        """Create or replace a file, if its version is the expected one.

        Args:
            path: The file's path.
            content: The new content.
            expected_version: The version that was read; None for a file that does not exist.
            operation: What identifies this write, so that a retry of it changes nothing.

        Returns:
            The result.

        Raises:
            ValueError: The path is invalid.
            MemoryConflictError: The file has another version. Nothing changed.
            MemoryOperationConflictError: Another operation has this ID.
            PayloadTooLargeError: The content is over 4 MiB. Nothing was sent.
            MemtraceError: The file could not be written.
        """
        return await self.write_with_metadata(
            path, content, expected_version=expected_version, metadata=None, operation=operation
        )

    async def write_with_metadata(
        self,
        path: str,
        content: str,
        *,
        expected_version: str | None,
        metadata: Mapping[str, str] | None,
        operation: MemoryOperation | None = None,
    ) -> MemoryMutation:
        """Create or replace a file like `write` does, with what the application says about the write.

        Args:
            path: The file's path.
            content: The new content.
            expected_version: The version that was read; None for a file that does not exist.
            metadata: Strings by name, 4,096 characters as JSON at most.
            operation: What identifies this write, so that a retry of it changes nothing.

        Returns:
            The result.

        Raises:
            TypeError: The metadata is something else than strings by name.
            ValueError: The path is invalid, or the metadata is too long or has a NUL.
            MemoryConflictError: The file has another version. Nothing changed.
            MemoryOperationConflictError: Another operation has this ID.
            PayloadTooLargeError: The content is over 4 MiB. Nothing was sent.
            MemtraceError: The file could not be written.
        """
        check_path(path)
        value = {"content": content, "metadata": checked_metadata(metadata)}
        return await self._dispatcher.run(self._changes.change(path, value, expected_version, operation))

    async def delete(
        self, path: str, *, expected_version: str | None, operation: MemoryOperation | None = None
    ) -> MemoryMutation:
        """Delete a file, if its version is the expected one. The server keeps its versions.

        Args:
            path: The file's path.
            expected_version: The version that was read; None for a file that does not exist.
            operation: What identifies this deletion, so that a retry of it changes nothing.

        Returns:
            The result.

        Raises:
            ValueError: The path is invalid.
            MemoryConflictError: The file has another version. Nothing changed.
            MemoryOperationConflictError: Another operation has this ID.
            MemtraceError: The deletion could not be stored.
        """
        check_path(path)
        return await self._dispatcher.run(self._changes.change(path, None, expected_version, operation))

    async def list_paths(self, prefix: str = "", *, limit: int) -> list[str]:
        """List the paths of the files.

        Args:
            prefix: What the paths begin with.
            limit: How many at most, from 1.

        Returns:
            The paths, sorted.

        Raises:
            ValueError: An argument is invalid.
            MemtraceError: The files could not be read.
        """
        check_positive(limit, "limit")
        return sorted(await self._contents(prefix))[:limit]

    async def search(
        self, prefix: str, query: str, *, limit: int, max_files: int, max_chars: int, max_file_chars: int
    ) -> MemorySearchResult:
        """Find the files directly below a folder that are relevant to a query, most relevant first.

        Args:
            prefix: The folder, with a slash at its end; empty for the top.
            query: What to look for, in plain words.
            limit: How many matches at most.
            max_files: How many files to look into, in order of their paths.
            max_chars: The longest paths and snippets together.
            max_file_chars: How much of each file to look into.

        Returns:
            The matches.

        Raises:
            ValueError: The prefix is invalid.
            MemtraceError: The files could not be read.
        """
        if not query.split() or min(limit, max_files, max_chars, max_file_chars) <= 0:
            check_prefix(prefix)
            return MemorySearchResult(matches=[], scanned=0, truncated=False)
        contents = await self._contents(prefix)
        return await search_files(
            {path: content for path, content in contents.items() if "/" not in path[len(prefix) :]},
            prefix,
            query,
            limit=limit,
            max_files=max_files,
            max_chars=max_chars,
            max_file_chars=max_file_chars,
        )

    async def _contents(self, prefix: str) -> dict[str, str]:
        check_prefix(prefix)
        live = await self._dispatcher.run(self._files.live(prefix[: prefix.rfind("/") + 1], self._clock))
        return {path: value["content"] for path, value in live.items() if path.startswith(prefix)}
