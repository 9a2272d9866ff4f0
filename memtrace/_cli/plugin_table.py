"""``memtrace-sdk transports``, ``middleware`` and ``rankers``: the installed plugins, and whether they work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from memtrace._cli.terminal import make_console, show, show_json, show_table, visible
from memtrace.plugins import ClientKind, PluginInfo

_OF_TRANSPORTS = ("serves", "default_for")


def run_listing(plugins: Sequence[PluginInfo], none: str, *, as_json: bool, clients: bool = False) -> None:
    """Print every plugin with its status; `none` where there is none.

    Transports are shown with the `clients` that they serve, and whose default they are here.
    """
    if as_json:
        rows = [asdict(info) for info in plugins]
        show_json([{name: row[name] for name in row if clients or name not in _OF_TRANSPORTS} for row in rows])
        return
    if not plugins:
        show(make_console(), none, wrap=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in _cells(plugins[0], clients=clients):
        table.add_column(name, overflow="fold", no_wrap=name in ("kind", "name", "status"))
    for info in plugins:
        cells = {name: Text(visible(text)) for name, text in _cells(info, clients=clients).items()}
        cells["name"].stylize("cyan")
        cells["status"].stylize("green" if info.status == "ok" else "red")
        table.add_row(*cells.values())
    show_table(table)


def _cells(info: PluginInfo, *, clients: bool) -> dict[str, str]:
    own = {"sync": _served(info, "sync"), "async": _served(info, "async"), "default": ", ".join(info.default_for)}
    return {
        "kind": info.kind,
        "name": info.name,
        **(own if clients else {}),
        "distribution": info.distribution,
        "version": info.version,
        "status": info.status,
        "detail": info.detail,
    }


def _served(info: PluginInfo, client: ClientKind) -> str:
    if not info.serves:
        return ""
    return "yes" if client in info.serves else "no"
