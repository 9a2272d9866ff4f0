"""``memtrace-sdk transports``: what can carry requests here."""

from __future__ import annotations

from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from memtrace import plugins
from memtrace.cli.terminal import make_console, show, show_json, visible

__all__ = ["run_transports"]

_COLUMNS = ("kind", "name", "distribution", "version", "status", "detail")


def run_transports(*, as_json: bool) -> None:
    """Print every installed transport with its status."""
    rows = [asdict(info) for info in plugins.transports.listing()]
    if as_json:
        show_json(rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, overflow="fold", no_wrap=name in ("kind", "status"))
    for row in rows:
        cells = {name: Text(visible(row[name])) for name in _COLUMNS}
        cells["name"].stylize("cyan")
        cells["status"].stylize("green" if row["status"] == "ok" else "red")
        table.add_row(*cells.values())
    show(make_console(), table)
