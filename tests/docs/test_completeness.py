"""The pages name everything that there is."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path

import pytest

import memtrace
import memtrace.exceptions
import memtrace_transports
from tests.docs import delivery_table, pages, transports_table


@pytest.mark.parametrize("page", transports_table.PAGES, ids=pages.name_of)
def test_the_table_of_transports_is_what_their_specs_say(page):
    wanted = transports_table.table()
    assert transports_table.table_in(page) == wanted, (
        f"{pages.name_of(page)} should have this table; `{transports_table.COMMAND}` writes it:\n\n{wanted}"
    )


@pytest.mark.parametrize(("part", "page"), [("summary", delivery_table.SUMMARY), ("cells", delivery_table.CELLS)])
def test_the_tables_of_delivery_are_what_the_tests_of_delivery_hold(part, page):
    wanted = getattr(delivery_table, part)()
    assert getattr(delivery_table, f"{part}_in")(page) == wanted, (
        f"{pages.name_of(page)} differs from tests/chaos/delivery.py; `{delivery_table.COMMAND}` writes it"
    )


def test_every_exception_is_in_the_page_about_errors():
    text = (pages.ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    for name in memtrace.exceptions.__all__:
        kind = getattr(memtrace.exceptions, name)
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning):
            assert re.search(rf"(─ |^){name}\b", text, re.MULTILINE), f"{name} is missing from the drawing"
            assert f"`{name}`" in tables or name in ("MemtraceError", "BatchError"), f"{name} is in no table"


def test_the_page_about_errors_draws_the_hierarchy_as_the_module_does():
    text = (pages.ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    module = memtrace.exceptions.__doc__ or ""
    drawn = re.findall(r"^ *([│├└─ ]*\w+Error)\b", module, re.MULTILINE)
    assert drawn
    for line in drawn:
        assert re.search(rf"^{re.escape(line)}\b", text, re.MULTILINE), line


PUBLIC_MODULES = sorted(
    name
    for package in (memtrace, memtrace_transports)
    for root in [Path(package.__file__).parent]
    for path in root.rglob("*.py")
    for name in [".".join((package.__name__, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")]
    if not re.search(r"\._(?!_)|__main__", name)
)


def names_in_reference():
    """What is documented there, by its last name: many stand under the package that exports them too."""
    return {name.rpartition(".")[2] for name in re.findall(r"\bmemtrace(?:_transports)?\.[\w.]+", pages.reference())}


def test_no_name_is_described_twice():
    described = re.findall(r"^\.\. auto\w+:: ([\w.]+)", pages.reference(), re.MULTILINE)
    assert len(described) > 150
    assert sorted(described) == sorted(set(described))


def test_every_public_name_is_in_the_reference():
    text = pages.reference()
    missing = [name for name in memtrace.__all__ if not re.search(rf"\bmemtrace\.{name}\b", text)]
    assert missing == []


@pytest.mark.parametrize("module", [name for name in PUBLIC_MODULES if not name.startswith(pages.ELSEWHERE)])
def test_every_name_that_a_public_module_exports_is_in_the_reference(module):
    exported = getattr(import_module(module), "__all__", ())
    assert set(exported) - names_in_reference() == set()


def test_every_module_without_an_underscore_is_in_the_reference():
    text = pages.reference()
    unnamed = {name for name in PUBLIC_MODULES if not re.search(rf"\b{re.escape(name)}(\.\w|$)", text, re.MULTILINE)}
    exported = {name: {f"memtrace.{each}" for each in import_module(name).__all__} for name in unnamed}
    assert {
        name for name in unnamed if not exported[name] <= set(re.findall(r"[\w.]+", text.replace("(", " ")))
    } == set()


def test_the_readme_names_every_extra_and_no_other():
    extras = set(metadata("memtrace-sdk").get_all("Provides-Extra") or ())
    listed = (pages.ROOT / "README.md").read_text(encoding="utf-8").partition("All extras:")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([^`]+)`", listed)) == extras
