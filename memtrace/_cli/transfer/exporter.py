"""``memtrace-sdk export``: agents, sessions and memories to JSON lines, oldest first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.recent_rows import line_of
from memtrace._cli.transfer.registrations import RegisteredLines, registered_lines
from memtrace._cli.transfer.resumable_file import PartialFile
from memtrace.client import Memtrace
from memtrace.models import ListOptions
from memtrace.operations._time_bounds import is_lookback

_BLOCK_ROWS = 1000
_BLOCK_CHARACTERS = 1 << 20


def is_whole(wanted: ListOptions) -> bool:
    """Whether no filter leaves out a memory, so that the export has agents and sessions as well."""
    return not any(wanted.model_dump(exclude={"tags_match"}).values())


def export_lines(
    client: Memtrace, wanted: ListOptions, write: Callable[[str], object], registered: RegisteredLines | None = None
) -> int:
    """Write `registered`, then every memory that `wanted` finds as a line; gives how many memories."""
    for line in registered.lines if registered else ():
        write(line + "\n")
    count = 0
    for memory in client.memories.iter(wanted.model_copy(update={"order": "asc"})):
        write(line_of(memory) + "\n")
        count += 1
    return count


@dataclass(slots=True)
class FileExport:
    """An export into one file, which appears under its name when it is whole."""

    client: Memtrace
    wanted: ListOptions
    target: Path
    #: The server's address: another server's export is another one.
    server: str
    #: How many memories a run before this one had written.
    resumed: int = 0
    #: The agents and sessions in the file; None where a filter chooses memories, and until they are read.
    registered: RegisteredLines | None = None
    part: PartialFile | None = None

    @property
    def can_resume(self) -> bool:
        """Whether a later run would ask for the same: a bound that counts from now moves."""
        bounds = (self.wanted.since, self.wanted.until)
        return not any(is_lookback(str(bound)) for bound in bounds)

    def run(self, on_block: Callable[[int], object]) -> int:
        """Write the missing memories and move the file to its path. Returns how many memories it has.

        `on_block` is called with the number written. Raises `OSError` and the errors of reading. Written memories stay
        for the next run.
        """
        part = self.part = PartialFile(self._part_path(), self.target, anew=not self.can_resume)
        self.resumed = part.count
        for block in self._blocks(part):
            part.append(block)
            on_block(part.count)
        if is_whole(self.wanted):  # now, so that none is missing which a memory names
            self.registered = registered_lines(self.client)
            part.first = self.registered.lines
        part.finish()
        return part.count

    def close(self) -> None:
        """Leave what is written for a later run, or nothing where none could go on."""
        if self.part is not None:
            if self.can_resume:
                self.part.close()
            else:
                self.part.discard()

    def _part_path(self) -> Path:
        """Beside the target, with a unique name for each server, organisation and choice of memories."""
        newest = self.client.memories.list(limit=1).memories
        organisation = newest[0].org_id if newest else ""
        chosen = self.wanted.model_dump(mode="json", exclude_none=True)
        text = json.dumps([self.server, organisation, chosen], sort_keys=True)
        return self.target.with_name(f"{self.target.name}.{hashlib.sha256(text.encode()).hexdigest()[:8]}.part")

    def _blocks(self, part: PartialFile) -> Iterator[list[tuple[str, datetime]]]:
        recent = part.recent
        since = self.wanted.since if part.since is None else part.since
        recent.begin()
        block: list[tuple[str, datetime]] = []
        size = 0
        for memory in self.client.memories.iter(self.wanted.model_copy(update={"since": since, "order": "asc"})):
            line = line_of(memory)
            if not recent.is_new(line, memory.time):
                continue
            block.append((line, memory.time))
            size += len(line)
            if len(block) == _BLOCK_ROWS or size >= _BLOCK_CHARACTERS:
                yield block
                block, size = [], 0
                recent.forget_old()
        if block:
            yield block


def target_of(file: str, *, force: bool) -> Path:
    """The file that an export makes. Raises `CommandError` for one that is there, unless `force` is true."""
    path = Path(file).resolve()  # a link stays one
    if Path(file).is_symlink() and not path.exists():
        raise CommandError(f"{file} is a link to a file that is not there; give the file", ExitStatus.USAGE)
    if path.exists() and not path.is_file():
        raise CommandError(f"{file} is not a regular file; give one, or - for the standard output", ExitStatus.USAGE)
    if path.exists() and not force:
        raise CommandError(f"{file} is there already: give another name, or --force to replace it", ExitStatus.USAGE)
    return path
