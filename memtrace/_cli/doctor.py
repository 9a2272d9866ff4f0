"""``memtrace-sdk doctor``: the checks, printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from memtrace._cli.diagnosis import Diagnosis, diagnose
from memtrace._cli.options import Choice
from memtrace._cli.terminal import make_console, show_json, show_table, visible

_STYLES = {"ok": "green", "failed": "bold red", "skipped": "dim"}
_MARKS = {"ok": "✓", "failed": "✗", "skipped": "-"}
_WORDS = {status: status for status in _STYLES}


def run_doctor(choice: Choice, *, as_json: bool) -> int:
    """Examine, print what was found, and return the exit status."""
    diagnosis = diagnose(choice)
    if as_json:
        checks = [asdict(check) for check in diagnosis.checks]
        show_json({"ok": diagnosis.exit_status == 0, "checks": checks})
    else:
        marks = _MARKS if make_console().encoding.startswith("utf") else _WORDS
        show_table(_table(diagnosis, marks))
    return diagnosis.exit_status


def _table(diagnosis: Diagnosis, marks: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in diagnosis.checks:
        table.add_row(Text(marks[check.status], _STYLES[check.status]), check.name, Text(visible(check.found)))
        if check.advice:
            table.add_row("", "", Text(visible(f"To do: {check.advice}"), "yellow"))
    return table
