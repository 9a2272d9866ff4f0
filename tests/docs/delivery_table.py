"""The tables of docs/delivery-guarantees.md and docs/delivery-table.md, out of the cells that tests/chaos proves: python -m tests.docs.delivery_table."""

from __future__ import annotations

import re
from pathlib import Path

from tests.chaos.delivery import CALLS, EXPECTED, FAULTS, Call, Fault, identifier
from tests.docs import pages

SUMMARY = pages.ROOT / "docs" / "delivery-guarantees.md"
CELLS = pages.ROOT / "docs" / "delivery-table.md"
COMMAND = "python -m tests.docs.delivery_table"

HEADER = ("what goes wrong", "adding memories", "reads", "agents; `sessions.update`, `close`", "`sessions.create`")
GROUPS = (
    ("add", "add_per_call", "add_own_key", "add_many"),
    ("list",),
    ("register", "delete", "update", "close"),
    ("create",),
)

_SUMMARY = re.compile(r"(?<=\n\n)\| what goes wrong \|[^\n]*\n(?:\|[^\n]*\n)+")
_CELLS = re.compile(r"(?<=\n\n)Each line is a test of .*\Z", re.DOTALL)


def summary() -> str:
    """One line a fault, one column for calls to which the same happens."""
    rows = [HEADER, ("---",) * len(HEADER), *map(_summed, FAULTS)]
    return "".join(f"|{'|'.join(row)}|\n" if row[0] == "---" else f"| {' | '.join(row)} |\n" for row in rows)


def cells() -> str:
    """One table a fault, with the test of each cell."""
    begins = "Each line is a test of `tests/chaos/test_delivery.py`, by its id: it runs for both clients.\n"
    return begins + "".join(map(_section, FAULTS))


def summary_in(page: Path) -> str:
    """The first table as it stands in this page."""
    return "".join(_SUMMARY.findall(page.read_text(encoding="utf-8")))


def cells_in(page: Path) -> str:
    """The tables, one a fault, as they stand in this page."""
    return "".join(_CELLS.findall(page.read_text(encoding="utf-8")))


def write(page: Path, pattern: re.Pattern[str], made: str) -> None:
    """Put what was made into this page, in place of what is there."""
    text, count = pattern.subn(lambda _: made, page.read_text(encoding="utf-8"))
    assert count == 1, f"{pages.name_of(page)} has {count} places for {pattern.pattern}"
    page.write_text(text, encoding="utf-8")


def _summed(fault: Fault) -> tuple[str, ...]:
    found = EXPECTED[fault.name]
    row = [f"[{fault.words}](delivery-table.md#{_anchor(fault.words)})"]
    for group in GROUPS:
        (cell,) = {found[name] for name in group}  # what is in one column is the same
        row.append(f"**{cell}**" if cell == "unknown" else cell)
    return tuple(row)


def _section(fault: Fault) -> str:
    rows = "".join(_line(fault, call) for call in CALLS)
    return f"\n## {fault.words}\n\n| call | what happens | test |\n|---|---|---|\n{rows}"


def _line(fault: Fault, call: Call) -> str:
    return f"| {call.words} | {EXPECTED[fault.name][call.name]} | `test_delivery[{identifier(fault, call)}]` |\n"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


if __name__ == "__main__":
    write(SUMMARY, _SUMMARY, summary())
    write(CELLS, _CELLS, cells())
