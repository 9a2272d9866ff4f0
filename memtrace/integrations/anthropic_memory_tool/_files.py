"""The files of one agent, on which commands run."""

from __future__ import annotations

from anthropic.lib.tools import ToolError

from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations.anthropic_memory_tool._change_log import ChangeLog
from memtrace.integrations.anthropic_memory_tool._commands import Command
from memtrace.operations._validation import check_non_negative_seconds, invalid, require_id

KIB = 1024
_LARGEST = 512 * KIB  # its JSON text has at most six times as many bytes, and the server takes 4 MiB
_TRIES = 5


class Files:
    """Runs commands on the files of one agent."""

    def __init__(self, agent_id: str, max_file_size: int, wait_timeout: float) -> None:
        require_id(agent_id, "agent_id")
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
