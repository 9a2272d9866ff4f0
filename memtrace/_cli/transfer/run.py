"""export and import as commands: files, progress, and what is said at the end."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, cast

import typer

from memtrace._cli.command_errors import reporting_errors
from memtrace._cli.connection import ConnectionSettings, choose, opened
from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.files import lock
from memtrace._cli.json_lines import LineError, bounded_lines
from memtrace._cli.nothing_found import check_agent
from memtrace._cli.options import Choice
from memtrace._cli.progress import counting, measuring
from memtrace._cli.stdin import open_file, size_of, standard_input
from memtrace._cli.terminal import say, show_error, show_json
from memtrace._cli.transfer.exporter import FileExport, export_lines, is_whole, target_of
from memtrace._cli.transfer.importer import ImportPlan, ImportReport, import_lines
from memtrace._cli.transfer.registrations import RegisteredCounts, RegisteredLines, registered_lines
from memtrace._cli.transfer.streams import is_standard_output, is_stream, open_stream
from memtrace._support.numbers import counted
from memtrace._support.sqlite_urls import location_of_path
from memtrace.client import Memtrace
from memtrace.clock import SystemClock
from memtrace.exceptions import MemtraceError
from memtrace.models import ListOptions

# ---- export ---------------------------------------------------------------------------------------------------------


def run_export(choice: Choice, wanted: ListOptions, file: str, *, force: bool, as_json: bool) -> None:
    """Write what `wanted` finds. Raises `CommandError`, which says what is kept for the next run."""
    if is_standard_output(file):
        if as_json:
            raise CommandError(
                f"--json reports on a file; what {file} writes is JSON already: leave it out", ExitStatus.USAGE
            )
        with opened(choose(choice)) as client:
            check_agent(client, wanted.agent_id)
            write = typer.get_text_stream("stdout", encoding="utf-8").write
            export_lines(client, wanted, write, _registered(client, wanted))
        return
    connection = choose(choice)
    if is_stream(file):
        with opened(connection) as client, _writing(file), open_stream(file) as stream:
            check_agent(client, wanted.agent_id)
            registered = _registered(client, wanted)
            count = export_lines(client, wanted, stream.write, registered)
        _show_count(file, count, 0, registered, as_json=as_json)
        return
    target = target_of(file, force=force)
    exports: list[FileExport] = []
    with reporting_errors(lambda: _kept(exports)), opened(connection) as client, counting("Exporting") as show_progress:
        check_agent(client, wanted.agent_id)
        export = FileExport(client, wanted, target, str(connection.url))
        exports.append(export)
        count = _written(export, show_progress, file)
    _show_count(file, count, export.resumed, export.registered, as_json=as_json)


def _registered(client: Memtrace, wanted: ListOptions) -> RegisteredLines | None:
    return registered_lines(client) if is_whole(wanted) else None


def _show_count(file: str, count: int, resumed: int, registered: RegisteredLines | None, *, as_json: bool) -> None:
    agents, sessions = (0, 0) if registered is None else (len(registered.agents), len(registered.sessions))
    if as_json:
        also = {} if registered is None else {"agents": agents, "sessions": sessions}
        show_json({"file": file, "exported": count, "resumed": resumed, **also})
        return
    also_told = f"{counted(agents, 'agent', 'agents')}, {counted(sessions, 'session', 'sessions')} and "
    more = f", {resumed:,} of them in an earlier run" if resumed else ""
    told = f"{also_told if agents else ''}{counted(count, 'memory', 'memories')}"
    say(f"Exported {told} to {file}{more}")


def _written(export: FileExport, show_progress: Callable[[str], None], file: str) -> int:
    try:
        with _writing(file):
            return export.run(lambda count: show_progress(counted(count, "memory", "memories")))
    finally:
        export.close()


@contextmanager
def _writing(file: str) -> Iterator[None]:
    try:
        yield
    except MemtraceError:  # some are an OSError too, of the server and not of the file
        raise
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}", ExitStatus.FAILED) from None


def _kept(exports: list[FileExport]) -> tuple[str, ...]:
    """What an export that ended too early leaves."""
    part = exports[0].part if exports else None
    if part is None:
        return ()
    if not exports[0].can_resume:
        return ("Nothing is kept: a --since or --until that counts from now begins anew.",)
    kept = counted(part.count, "memory", "memories")
    return (f"{kept} so far are kept in {part.path.name}: run the same command again to go on.",)


# ---- import ---------------------------------------------------------------------------------------------------------


_NOT_IN_JSON = ("reasons", "own_agent")


def run_import(choice: Choice, file: str, plan: ImportPlan, *, as_json: bool) -> ExitStatus:
    """Store what `plan` names. Raises `CommandError`, which says how far it came."""
    report = ImportReport()
    with (
        reporting_errors(lambda: _how_far(report)),
        _target(choose(choice), plan) as connection,
        opened(connection, creates=True) as client,
    ):
        try:
            with _opened(file) as source, _measuring(source, report) as advance:
                import_lines(client, source.lines, plan, report, clock=SystemClock(), on_chunk=advance)
        except LineError as error:
            raise CommandError(str(error), ExitStatus.USAGE) from None
    for problem in report.problems:
        show_error(problem)
    if report.own_agent:
        kept = counted(report.own_agent, "line has its own agent_id", "lines have their own agent_id")
        show_error(f"{kept}, which counts; --agent {plan.agent} is for lines without one")
    if as_json:
        counts = {name: value for name, value in asdict(report).items() if name not in _NOT_IN_JSON}
        show_json({"file": file, "dry_run": plan.dry_run, **counts})
    else:
        _say_what_became(report, plan)
    return ExitStatus.INCOMPLETE if report.rejected else ExitStatus.OK


@contextmanager
def _target(connection: ConnectionSettings, plan: ImportPlan) -> Iterator[ConnectionSettings]:
    """Where to import to: of a file that is not there yet, and that a dry run must not make, an empty one for the time being."""
    if plan.dry_run and connection.missing_file is not None:
        with TemporaryDirectory() as folder:
            yield replace(connection, url=location_of_path(str(Path(folder) / "dry-run.db")).url())
    else:
        yield connection


def _say_what_became(report: ImportReport, plan: ImportPlan) -> None:
    would = "would be " if plan.dry_run else ""
    if report.agents.total:
        _say_registered(counted(report.agents.total, "agent", "agents"), report.agents, f"{would}registered", plan)
    if report.sessions.total:
        _say_registered(counted(report.sessions.total, "session", "sessions"), report.sessions, f"{would}opened", plan)
    say(
        f"{counted(report.read, 'line', 'lines')} of {plan.name}: "
        f"{report.stored:,} {would}stored, {report.present:,} there already, {report.rejected:,} rejected"
    )


def _say_registered(total: str, counts: RegisteredCounts, done: str, plan: ImportPlan) -> None:
    say(f"{total} of {plan.name}: {counts.stored:,} {done}, {counts.present:,} there already")


def _how_far(report: ImportReport) -> tuple[str, ...]:
    """What an import that ended too early has done."""
    registered = report.agents.total + report.sessions.total
    if not report.read and not registered:
        return ()
    unknown = f", {report.unknown:,} more may be stored" if report.unknown else ""
    lines = counted(report.read, "line", "lines")
    also = (
        f"{counted(report.agents.total, 'agent', 'agents')} and {counted(report.sessions.total, 'session', 'sessions')} are there. "
        if registered
        else ""
    )
    told = (
        f"{also}Of {lines} read {report.stored:,} are stored, {report.present:,} were there already, "
        f"{report.rejected:,} rejected{unknown}: run the same command again to go on, nothing is stored twice."
    )
    return (*report.problems, told)


@dataclass(frozen=True, slots=True)
class _ImportSource:
    """An open file of lines, decompressed or not. The size of the file read is known if it is a regular one."""

    lines: Iterator[bytes]
    raw: IO[bytes]
    size: int | None = None


@contextmanager
def _opened(file: str) -> Iterator[_ImportSource]:
    if file == "-":
        yield _ImportSource(bounded_lines(standard_input()), standard_input())
        return
    with open_file(file) as raw:
        if not lock(raw.fileno()):
            raise CommandError(f"{file} is being imported by another process; wait for it", ExitStatus.FAILED)
        lines = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if file.endswith(".gz") else raw
        yield _ImportSource(bounded_lines(lines), raw, size_of(raw))


@contextmanager
def _measuring(source: _ImportSource, report: ImportReport) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, which moves as the file is read."""
    with measuring(
        "Importing", source.size, told="looking at what is there", silent=source.raw.isatty()
    ) as show_progress:

        def advance() -> None:
            completed = 0 if source.size is None else source.raw.tell()
            show_progress(completed, f"{report.stored:,} stored, {report.present:,} there already")

        yield advance
