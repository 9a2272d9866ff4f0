"""``memtrace-sdk store``: what the file of a store holds, its copies, its keys, and forgetting."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime

import typer

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.messages import command_error_of
from memtrace._cli.tables import plain_table, time_text
from memtrace._cli.terminal import say, show_error, show_json, show_table
from memtrace._support.numbers import counted
from memtrace._support.timestamps import rfc3339
from memtrace.clock import SystemClock
from memtrace.exceptions import InvalidRequestError, MemtraceError
from memtrace.operations._time_bounds import to_moment
from memtrace_transports.sqlite.maintenance import ForgetReport, StoreFile, check_store


@contextmanager
def opened_store(store: str | None, *, create: bool = False, timeout: float = 30.0) -> Iterator[StoreFile]:
    """The file of the argument or of the environment. An error is raised in the console's words."""
    with _named(store) as place, StoreFile(place, create=create, timeout=timeout) as file:
        yield file


@contextmanager
def _named(store: str | None) -> Iterator[str]:
    """The address of a store, from the argument or the environment. An error is raised in the console's words."""
    place = store or os.environ.get("MEMTRACE_BASE_URL")
    if not place:
        raise CommandError(
            "no store is named: add --store sqlite:///agent.db, or set MEMTRACE_BASE_URL to one", ExitStatus.USAGE
        )
    if not place.lower().startswith("sqlite:"):
        raise CommandError("this command maintains a sqlite:/// store, and this is not one", ExitStatus.USAGE)
    try:
        yield place
    except MemtraceError as error:
        source = "--store" if store else "MEMTRACE_BASE_URL"
        raise command_error_of(error, {"base_url": source}) from None


def show_info(store: str | None, *, timeout: float, as_json: bool) -> None:
    """Print what the file holds."""
    with opened_store(store, timeout=timeout) as file:
        found = file.info()
    if as_json:
        organisations = [organisation._asdict() for organisation in found.organisations]
        show_json(
            {
                **asdict(found),
                "organisations": organisations,
                "oldest": _json_time(found.oldest),
                "newest": _json_time(found.newest),
            }
        )
        return
    size = f"{found.file_bytes:,} bytes, {found.free_bytes:,} of them free, and a log of {found.log_bytes:,}"
    say(f"{found.path}: schema version {found.schema_version}, {size}")
    say(
        f"{counted(found.memories, 'memory', 'memories')}, "
        f"{counted(found.agents, 'agent', 'agents')}, {counted(found.sessions, 'session', 'sessions')} "
        f"and {counted(found.keys, 'key', 'keys')}"
    )
    for organisation in found.organisations:
        say(f"  {organisation.name}: {counted(organisation.memories, 'memory', 'memories')}")
    if found.oldest is not None:
        say(f"from {time_text(found.oldest)} to {time_text(found.newest)}")


def run_check(store: str | None, *, timeout: float, as_json: bool) -> ExitStatus:
    """Print what is wrong with the file."""
    with _named(store) as place:
        problems = check_store(place, timeout=timeout)
    if as_json:
        show_json({"ok": not problems, "problems": problems})
    elif problems:
        show_error("the store is damaged", *problems, _advice(problems))
    else:
        say("The store is intact")
    return ExitStatus.FAILED if problems else ExitStatus.OK


def _advice(problems: Sequence[str]) -> str:
    if all(problem.startswith("the text index ") for problem in problems):
        return "rebuild the text index with: memtrace-sdk store compact"
    return "go back to a backup, or copy what can be read with: memtrace-sdk export"


def run_backup(store: str | None, destination: str, *, timeout: float, as_json: bool) -> None:
    """Write a copy."""
    with opened_store(store, timeout=timeout) as file:
        size = file.backup(destination)
    if as_json:
        show_json({"file": destination, "bytes": size})
    else:
        say(f"Copied the store to {destination}, {size:,} bytes")


def run_compact(store: str | None, *, timeout: float, as_json: bool) -> None:
    """Give free pages back."""
    with opened_store(store, timeout=timeout) as file:
        before, after = file.compact()
    if as_json:
        show_json({"bytes_before": before, "bytes_after": after})
    else:
        say(f"The file has {after:,} bytes; it had {before:,}")


def _json_time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


# ---- forgetting -----------------------------------------------------------------------------------------------------


def run_forget(
    store: str | None,
    agent: str,
    *,
    before: str | None,
    organisation: str,
    yes: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Show what would be removed, ask, and remove it."""
    until = None if before is None else _moment(before)
    with opened_store(store, timeout=timeout) as file:
        report = file.forgettable(agent, organisation=organisation, before=until)
        if not report.known and not report.unfinished:
            raise CommandError(
                f"the store has no agent {agent!r} of the organisation {organisation!r}: it takes the id that memories are stored "
                "under, or the name of a registered agent; see memtrace-sdk agents, and store info for organisations",
                ExitStatus.NOT_FOUND,
            )
        if report.namesake is not None:
            show_error(f"another agent is registered under the name {agent!r}, and stays: {report.namesake}")
        if not yes and not report.is_empty:
            _ask(report)
        report = file.forget(agent, organisation=organisation, before=until)
    if as_json:
        show_json(asdict(report))
        return
    if report.known:
        say(f"Forgot {_removed(report)}")
    if report.unfinished:
        say("Erased from the file what an earlier run had removed")


def _ask(report: ForgetReport) -> None:
    show_error(f"this removes for good {_removed(report)}")
    if not _can_be_asked():
        raise CommandError("nobody can be asked here: add --yes to remove it", ExitStatus.USAGE)
    if not typer.confirm("Remove it?", err=True):
        raise CommandError("nothing was removed", ExitStatus.FAILED)


def _can_be_asked() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _removed(report: ForgetReport) -> str:
    parts = [f"{counted(report.memories, 'memory', 'memories')} of {report.agent_id}"]
    if report.sessions:
        parts.append(counted(report.sessions, "session", "sessions"))
    if report.registered:
        parts.append("its registration")
    return " and ".join([*filter(None, [", ".join(parts[:-1])]), parts[-1]])


def _moment(text: str) -> datetime:
    """A time that is given, and never none: without one everything would be meant."""
    with suppress(InvalidRequestError):
        bound = to_moment(text, "before", SystemClock())
        if bound is not None:
            return bound
    raise CommandError("--before must be a time such as 90d, 24h, 2026-01-31 or 2026-01-31T12:00:00Z", ExitStatus.USAGE)


# ---- keys -----------------------------------------------------------------------------------------------------------


def create_key(store: str | None, name: str, organisation: str, *, timeout: float, as_json: bool) -> None:
    """Print a new key."""
    with opened_store(store, create=True, timeout=timeout) as file:
        key = file.create_key(name, organisation=organisation)
    if as_json:
        show_json({"name": name, "api_key": key})
    else:
        say(key)


def list_keys(store: str | None, *, timeout: float, as_json: bool) -> None:
    """Print the keys by name."""
    with opened_store(store, timeout=timeout) as file:
        found = file.keys()
    if as_json:
        rows = [
            {**key._asdict(), "created_at": _json_time(key.created_at), "revoked_at": _json_time(key.revoked_at)}
            for key in found
        ]
        show_json({"keys": rows, "count": len(rows)})
    elif found:
        cells = [(key.name, key.organisation, time_text(key.created_at), time_text(key.revoked_at)) for key in found]
        show_table(plain_table({"name": "cyan", "organisation": "", "created": "dim", "revoked": "red"}, cells))
    else:
        show_error("there is no key; issue one with: memtrace-sdk store keys create NAME")


def revoke_key(store: str | None, name: str, *, timeout: float, as_json: bool) -> None:
    """Refuse a key."""
    with opened_store(store, timeout=timeout) as file:
        file.revoke_key(name)
    if as_json:
        show_json({"revoked": name})
    else:
        say(f"The key {name} is rejected from now on")
