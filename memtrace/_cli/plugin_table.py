"""``memtrace-sdk transports``, ``middleware`` and ``rankers``: what is installed here, and whether it works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from memtrace._cli.terminal import make_console, show, show_json, show_table, visible
from memtrace.plugins import PluginInfo

_COLUMNS = ("kind", "name", "distribution", "version", "status", "detail")


def run_listing(plugins: Sequence[PluginInfo], none: str, *, as_json: bool) -> None:
    """Print every plugin with its status; `none` where there is none."""
    rows = [asdict(info) for info in plugins]
    if as_json:
        show_json(rows)
        return
    if not rows:
        show(make_console(), none, wrap=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        table.add_column(name, overflow="fold", no_wrap=name in ("kind", "status"))
    for row in rows:
        cells = {name: Text(visible(row[name])) for name in _COLUMNS}
        cells["name"].stylize("cyan")
        cells["status"].stylize("green" if row["status"] == "ok" else "red")
        table.add_row(*cells.values())
    show_table(table)
