"""The memory tool for Anthropic's async client."""

from __future__ import annotations

from anthropic.lib.tools import BetaAsyncAbstractMemoryTool
from anthropic.types import beta

from memtrace.async_client import AsyncMemtrace
from memtrace.integrations._dual_client import async_dispatcher
from memtrace.integrations.anthropic_memory_tool import _commands as commands
from memtrace.integrations.anthropic_memory_tool._files import KIB, Files


class AsyncMemtraceMemoryTool(BetaAsyncAbstractMemoryTool):
    """Anthropic's memory tool with Memtrace as its storage, for ``client.beta.messages.tool_runner``.

    Each command reads the changes of the files from the server. Each change is one memory of
    `agent_id`. An invalid command raises `ToolError`, which the model reads. A failure of the
    server raises `MemtraceError`. One tool may serve several tasks.

    It runs on asyncio and on trio.

    Args:
        client: The client.
        agent_id: The agent whose memories the files are.
        max_file_size: The largest file in bytes of UTF-8, at most 512 KiB.
        wait_timeout: Seconds that a command waits until its change can be read, 0 or more.
        cache_control: Anthropic's prompt caching setting for the tool's definition.

    Raises:
        InvalidRequestError: The server does not accept `agent_id`, or `max_file_size` or
            `wait_timeout` is out of range.

    Example:
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
        """List a directory, two levels deep, or show a file with line numbers.

        Args:
            command: The model's command.

        Returns:
            The listing or the lines.

        Raises:
            ToolError: There is no such file or directory.
            MemtraceError: The files could not be read.
        """
        return await self._run(commands.View(command))

    async def create(self, command: beta.BetaMemoryTool20250818CreateCommand) -> str:
        """Create a file.

        Args:
            command: The model's command.

        Returns:
            A confirmation for the model.

        Raises:
            ToolError: The path exists already, or the file is too large.
            MemtraceError: The file could not be stored.
        """
        return await self._run(commands.Create(command, self._files.max_file_size))

    async def str_replace(self, command: beta.BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a string that the file contains exactly once.

        Args:
            command: The model's command.

        Returns:
            The changed lines, for the model.

        Raises:
            ToolError: There is no such file, or the string is not there exactly once.
            MemtraceError: The change could not be stored.
        """
        return await self._run(commands.StrReplace(command, self._files.max_file_size))

    async def insert(self, command: beta.BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines after a line. Line 0 is the beginning.

        Args:
            command: The model's command.

        Returns:
            The changed lines, for the model.

        Raises:
            ToolError: There is no such file or line.
            MemtraceError: The change could not be stored.
        """
        return await self._run(commands.Insert(command, self._files.max_file_size))

    async def delete(self, command: beta.BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file, or a directory with everything in it. The server keeps earlier versions.

        Args:
            command: The model's command.

        Returns:
            A confirmation for the model.

        Raises:
            ToolError: There is no such file or directory.
            MemtraceError: The deletion could not be stored.
        """
        return await self._run(commands.Delete(command))

    async def rename(self, command: beta.BetaMemoryTool20250818RenameCommand) -> str:
        """Rename or move a file or a directory, without overwriting.

        Args:
            command: The model's command.

        Returns:
            A confirmation for the model.

        Raises:
            ToolError: The old path does not exist, or the new one does.
            MemtraceError: The change could not be stored.
        """
        return await self._run(commands.Rename(command))

    async def clear_all_memory(self) -> str:
        """Delete all files. The server keeps earlier versions.

        Returns:
            A confirmation.

        Raises:
            MemtraceError: The deletion could not be stored.
        """
        return await self._run(commands.Clear())
