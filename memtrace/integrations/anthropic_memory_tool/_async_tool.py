"""The memory tool for Anthropic's async client."""

from __future__ import annotations

from anthropic.lib.tools import BetaAsyncAbstractMemoryTool
from anthropic.types import beta

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations.anthropic_memory_tool import _commands as commands
from memtrace.integrations.anthropic_memory_tool._files import KIB, Files


class AsyncMemtraceMemoryTool(BetaAsyncAbstractMemoryTool):
    """Anthropic's memory tool, its files kept as memories of `agent_id`; for ``client.beta.messages.tool_runner``.

    Each command reads the changes of the files from the server, and each change is one memory. A command returns once its change can
    be read, for `wait_timeout` seconds at most. `max_file_size` is in bytes of UTF-8, at most 512 KiB. What a command refuses
    is a `ToolError`, which the model reads; what the server refuses is a `MemtraceError`. One tool may serve several tasks.
    It runs on asyncio and on trio.

    Raises `InvalidRequestError` for an `agent_id` that the server would not take, and for the other two out of their range.

    >>> import asyncio
    >>> from memtrace import AsyncMemtrace
    >>> async def main() -> str:
    ...     tool = AsyncMemtraceMemoryTool(AsyncMemtrace("memory://", "any key"), "assistant")
    ...     return await tool.call({"command": "create", "path": "/memories/user.md", "file_text": "Likes tea"})
    >>> asyncio.run(main())
    'File created successfully at: /memories/user.md'
    """

    def __init__(
        self,
        client: AsyncMemtrace,
        agent_id: str,
        *,
        max_file_size: int = 256 * KIB,
        wait_timeout: float = 5.0,
        cache_control: beta.BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._dispatcher = async_dispatcher(client, "AsyncMemtraceMemoryTool")
        self._files = Files(agent_id, max_file_size, wait_timeout)

    async def _run(self, command: commands.Command) -> str:
        return await self._dispatcher.run(self._files.execute(command, self._dispatcher.settings.clock))

    async def view(self, command: beta.BetaMemoryTool20250818ViewCommand) -> str:
        """List a directory, two levels deep, or show a file with line numbers."""
        return await self._run(commands.View(command))

    async def create(self, command: beta.BetaMemoryTool20250818CreateCommand) -> str:
        """Make a new file."""
        return await self._run(commands.Create(command, self._files.max_file_size))

    async def str_replace(self, command: beta.BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a text that stands in the file exactly once."""
        return await self._run(commands.StrReplace(command, self._files.max_file_size))

    async def insert(self, command: beta.BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines behind a line; line 0 is the beginning."""
        return await self._run(commands.Insert(command, self._files.max_file_size))

    async def delete(self, command: beta.BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file, or a directory with all that is in it; earlier versions stay on the server."""
        return await self._run(commands.Delete(command))

    async def rename(self, command: beta.BetaMemoryTool20250818RenameCommand) -> str:
        """Rename or move a file or a directory, never over something else."""
        return await self._run(commands.Rename(command))

    async def clear_all_memory(self) -> str:
        """Delete all files; earlier versions stay on the server."""
        return await self._run(commands.Clear())
