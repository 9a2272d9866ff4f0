# Generated from _async_tool.py by scripts/unasync.py: change that file and run the script.
"""The memory tool for Anthropic's client."""

from __future__ import annotations

from anthropic.lib.tools import BetaAbstractMemoryTool
from anthropic.types import beta

from memtrace.client import Memtrace
from memtrace.integrations._dual_client import dispatcher
from memtrace.integrations.anthropic_memory_tool import _commands as commands
from memtrace.integrations.anthropic_memory_tool._files import KIB, Files


class MemtraceMemoryTool(BetaAbstractMemoryTool):
    """Anthropic's memory tool with Memtrace as its storage, for ``client.beta.messages.tool_runner``.

    Each command reads the changes of the files from the server. Each change is one memory of
    `agent_id`. An invalid command raises `ToolError`, which the model reads. A failure of the
    server raises `MemtraceError`. One tool may serve several threads.


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
        max_file_size: int = 256 * KIB,
        wait_timeout: float = 5.0,
        cache_control: beta.BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._dispatcher = dispatcher(client, "MemtraceMemoryTool")
        self._files = Files(agent_id, max_file_size, wait_timeout)

    def _run(self, command: commands.Command) -> str:
        return self._dispatcher.run(self._files.execute(command, self._dispatcher.settings.clock))

    def view(self, command: beta.BetaMemoryTool20250818ViewCommand) -> str:
        """List a directory, two levels deep, or show a file with line numbers.

        Args:
            command: The model's command.

        Returns:
            The listing or the lines.

        Raises:
            ToolError: There is no such file or directory.
            MemtraceError: The files could not be read.
        """
        return self._run(commands.View(command))

    def create(self, command: beta.BetaMemoryTool20250818CreateCommand) -> str:
        """Create a file.

        Args:
            command: The model's command.

        Returns:
            A confirmation for the model.

        Raises:
            ToolError: The path exists already, or the file is too large.
            MemtraceError: The file could not be stored.
        """
        return self._run(commands.Create(command, self._files.max_file_size))

    def str_replace(self, command: beta.BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace a string that the file contains exactly once.

        Args:
            command: The model's command.

        Returns:
            The changed lines, for the model.

        Raises:
            ToolError: There is no such file, or the string is not there exactly once.
            MemtraceError: The change could not be stored.
        """
        return self._run(commands.StrReplace(command, self._files.max_file_size))

    def insert(self, command: beta.BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines after a line. Line 0 is the beginning.

        Args:
            command: The model's command.

        Returns:
            The changed lines, for the model.

        Raises:
            ToolError: There is no such file or line.
            MemtraceError: The change could not be stored.
        """
        return self._run(commands.Insert(command, self._files.max_file_size))

    def delete(self, command: beta.BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file, or a directory with everything in it. The server keeps earlier versions.

        Args:
            command: The model's command.

        Returns:
            A confirmation for the model.

        Raises:
            ToolError: There is no such file or directory.
            MemtraceError: The deletion could not be stored.
        """
        return self._run(commands.Delete(command))

    def rename(self, command: beta.BetaMemoryTool20250818RenameCommand) -> str:
        """Rename or move a file or a directory, without overwriting.

        Args:
            command: The model's command.

        Returns:
            A confirmation for the model.

        Raises:
            ToolError: The old path does not exist, or the new one does.
            MemtraceError: The change could not be stored.
        """
        return self._run(commands.Rename(command))

    def clear_all_memory(self) -> str:
        """Delete all files. The server keeps earlier versions.

        Returns:
            A confirmation.

        Raises:
            MemtraceError: The deletion could not be stored.
        """
        return self._run(commands.Clear())
