"""The memory tool for both of Anthropic's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anthropic.lib.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool, ToolError
from anthropic.types.beta import (
    BetaCacheControlEphemeralParam,
    BetaMemoryTool20250818CreateCommand,
    BetaMemoryTool20250818DeleteCommand,
    BetaMemoryTool20250818InsertCommand,
    BetaMemoryTool20250818RenameCommand,
    BetaMemoryTool20250818StrReplaceCommand,
    BetaMemoryTool20250818ViewCommand,
)

from memtrace.integrations._dual_client import async_dispatcher, dispatcher
from memtrace.integrations.anthropic_memory_tool._change_log import ChangeLog
from memtrace.integrations.anthropic_memory_tool._commands import (
    Clear,
    Command,
    Create,
    Delete,
    Insert,
    Rename,
    StrReplace,
    View,
)
from memtrace.operations._validation import check_id, check_non_negative_seconds, invalid, require_non_empty

if TYPE_CHECKING:
    from memtrace._runtime.workflows.steps import Workflow
    from memtrace.async_client import AsyncMemtrace
    from memtrace.client import Memtrace
    from memtrace.clock import Clock

__all__ = ["AsyncMemtraceMemoryTool", "MemtraceMemoryTool"]

_KIB = 1024
_LARGEST = 512 * _KIB  # its JSON text has at most six times as many bytes, and the server takes 4 MiB
_TRIES = 5


class _Files:
    """Runs commands on the files of one agent."""

    def __init__(self, agent_id: str, max_file_size: int, wait_timeout: float) -> None:
        require_non_empty(agent_id, "agent_id")
        check_id(agent_id, "agent_id")
        check_non_negative_seconds(wait_timeout, "wait_timeout")
        if not 1 <= max_file_size <= _LARGEST:
            raise invalid("max_file_size", f"from 1 to {_LARGEST}", "a file is one memory, and the server takes 4 MiB")
        self.max_file_size = max_file_size
        self._log = ChangeLog(agent_id, wait_timeout)

    def execute(self, command: Command, clock: Clock) -> Workflow[str]:
        """Run a command, again where another writer was faster with the same path."""
        for _ in range(_TRIES):
            tree = yield from self._log.read(clock)
            result = command(tree)
            if result.change is None or (yield from self._log.write(result.change, tree, clock)):
                return result.text
        raise ToolError("Nothing was changed: others change the same path at the same time. View it and try again")


class MemtraceMemoryTool(BetaAbstractMemoryTool):
    """Anthropic's memory tool, its files kept as memories of `agent_id`; for ``client.beta.messages.tool_runner``.

    Each command reads the changes of the files from the server, and each change is one memory. A command returns once its change can
    be read, for `wait_timeout` seconds at most. `max_file_size` is in bytes of UTF-8, at most 512 KiB. What a command refuses
    is a `ToolError`, which the model reads; what the server refuses is a `MemtraceError`. One tool may serve several threads.

    Raises `InvalidRequestError` for an `agent_id` that the server would not take, and for the other two out of their range.

    >>> from memtrace import Memtrace
    >>> tool = MemtraceMemoryTool(Memtrace("memory://", "any key"), "assistant")
    >>> tool.call({"command": "create", "path": "/memories/user.md", "file_text": "Likes tea"})
    'File created successfully at: /memories/user.md'
    """

    def __init__(
        self,
        client: Memtrace,
        agent_id: str,
        *,
        max_file_size: int = 256 * _KIB,
        wait_timeout: float = 5.0,
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._dispatcher = dispatcher(client, "MemtraceMemoryTool")
        self._files = _Files(agent_id, max_file_size, wait_timeout)

    def _run(self, command: Command) -> str:
        return self._dispatcher.run(self._files.execute(command, self._dispatcher.settings.clock))

    def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """List a directory, two levels deep, or show a file with line numbers."""
        return self._run(View(command))

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Make a new file."""
        return self._run(Create(command, self._files.max_file_size))

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that stands in the file exactly once."""
        return self._run(StrReplace(command, self._files.max_file_size))

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines behind a line; line 0 is the beginning."""
        return self._run(Insert(command, self._files.max_file_size))

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file, or a directory with all that is in it; earlier versions stay on the server."""
        return self._run(Delete(command))

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Rename or move a file or a directory, never over something else."""
        return self._run(Rename(command))

    def clear_all_memory(self) -> str:
        """Delete all files; earlier versions stay on the server."""
        return self._run(Clear())


class AsyncMemtraceMemoryTool(BetaAsyncAbstractMemoryTool):
    """Anthropic's memory tool for its async client; as `MemtraceMemoryTool`. It runs on asyncio and on trio."""

    def __init__(
        self,
        client: AsyncMemtrace,
        agent_id: str,
        *,
        max_file_size: int = 256 * _KIB,
        wait_timeout: float = 5.0,
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._dispatcher = async_dispatcher(client, "AsyncMemtraceMemoryTool")
        self._files = _Files(agent_id, max_file_size, wait_timeout)

    async def _run(self, command: Command) -> str:
        return await self._dispatcher.run(self._files.execute(command, self._dispatcher.settings.clock))

    async def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """List a directory, two levels deep, or show a file with line numbers."""
        return await self._run(View(command))

    async def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """Make a new file."""
        return await self._run(Create(command, self._files.max_file_size))

    async def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that stands in the file exactly once."""
        return await self._run(StrReplace(command, self._files.max_file_size))

    async def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines behind a line; line 0 is the beginning."""
        return await self._run(Insert(command, self._files.max_file_size))

    async def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file, or a directory with all that is in it; earlier versions stay on the server."""
        return await self._run(Delete(command))

    async def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Rename or move a file or a directory, never over something else."""
        return await self._run(Rename(command))

    async def clear_all_memory(self) -> str:
        """Delete all files; earlier versions stay on the server."""
        return await self._run(Clear())
