"""The table of transports in README.md and docs/transports.md, out of their specs: python -m tests.docs.transports_table."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

from memtrace.plugins import _DEFAULTS, TransportSpec, transport_registry
from memtrace.transport import TransportOptions
from tests.docs import pages

PAGES = [pages.ROOT / "README.md", pages.ROOT / "docs" / "transports.md"]
COMMAND = "python -m tests.docs.transports_table"

HEADER = ("name", "sync", "async", "to install", "options that it honours", "chosen by")
OPTIONS = [option.name for option in fields(TransportOptions) if option.name not in ("url", "clock")]

# what no spec says
EVENT_LOOPS = {"aiohttp": "asyncio", "httpx": "asyncio, trio", "httpx2": "asyncio, trio"}
BESIDES = {"httpx2": ", on Python 3.11 or later"}

_TABLE = re.compile(r"(?<=\n\n)\| name \|[^\n]*\n(?:\|[^\n]*\n)+")


def table() -> str:
    """The table as it should stand, whichever packages are installed here."""
    rows = [
        HEADER,
        ("---",) * len(HEADER),
        *(_row(name, path) for name, path in sorted(transport_registry._builtin.items())),
    ]
    return "".join(f"|{'|'.join(cells)}|\n" if cells[0] == "---" else f"| {' | '.join(cells)} |\n" for cells in rows)


def table_in(page: Path) -> str:
    """The table as it stands in this page."""
    return "".join(_TABLE.findall(page.read_text(encoding="utf-8")))


def write(page: Path) -> None:
    """Put the table into this page, in place of the one that is there."""
    text, count = _TABLE.subn(lambda _: table(), page.read_text(encoding="utf-8"))
    assert count == 1, f"{pages.name_of(page)} has {count} tables of transports"
    page.write_text(text, encoding="utf-8")


def _row(name: str, path: str) -> tuple[str, ...]:
    bare, rich = _spec(path, h2=False), _spec(path, h2=True)
    loops = f" ({EVENT_LOOPS[name]})" if name in EVENT_LOOPS else ""
    return (
        f"`{name}`",
        "yes" if bare.create is not None else "no",
        f"yes{loops}" if bare.create_async is not None else "no",
        _installed_by(bare) + BESIDES.get(name, ""),
        _honoured(bare.capabilities, rich.capabilities),
        _chosen_by(name),
    )


def _spec(path: str, *, h2: bool) -> TransportSpec:
    """The spec where the package h2, on which one option depends, is installed or not."""
    module = import_module(path)
    with patch("memtrace_transports._httpx.find_spec", lambda name: module.__spec__ if h2 else None):
        return module.memtrace_transport()


def _installed_by(spec: TransportSpec) -> str:
    if spec.extra is not None:
        return f'`pip install "memtrace-sdk[{spec.extra}]"`'
    return f"nothing: {', '.join(spec.requires)} comes with the SDK" if spec.requires else "nothing"


def _honoured(bare: frozenset[str], rich: frozenset[str]) -> str:
    dropped = [f"`{option}`" for option in OPTIONS if option not in rich]
    if len(dropped) == len(OPTIONS):
        return "none"
    with_h2 = "".join(f"; `{option}` with the package h2" for option in OPTIONS if option in rich - bare)
    return (f"all except {', '.join(dropped)}" if dropped else "all") + with_h2


def _chosen_by(name: str) -> str:
    before = {defaults[: defaults.index(name)] for defaults in _DEFAULTS.values() if name in defaults}
    if name == "sqlite":
        return "`sqlite:///file.db`, a `Path`; never by itself"
    if not before:
        return f'`{name}://`, `transport="{name}"`; never by itself'
    (missing,) = before
    if not missing:
        return "default"
    return f'`transport="{name}"`; default where {" and ".join(missing)} {"are" if missing[1:] else "is"} missing'


if __name__ == "__main__":
    for each in PAGES:
        write(each)
