"""explain: the page about an error, from the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import pytest
from rich.text import Text

from memtrace._cli import error_pages
from memtrace.exceptions import CODES, NotFoundError
from tests.cli.test_memory_commands import on_a_terminal
from tests.docs import pages

ERRORS = pages.ROOT / "docs" / "errors"


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_shows_its_page_as_it_is_in_the_documentation(invoke, code):
    result = invoke("explain", code)
    assert (result.exit_code, result.stdout) == (0, (ERRORS / f"{code}.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["errors/not_found", "NotFoundError", "not_found.md", NotFoundError().url])
def test_an_error_is_found_by_what_its_text_names_and_by_its_class(invoke, name):
    assert invoke("explain", name).stdout.startswith("# not_found: ")


def test_a_class_with_several_codes_shows_them(invoke):
    shown = invoke("explain", "ConflictError").stdout
    assert shown.startswith("# conflict: ")
    assert shown.endswith(
        "```\n\n## Other codes of ConflictError\n\n- `agent_in_use`: the agent has sessions and cannot be deleted\n"
        "- `duplicate_memory`: the memory is already stored\n"
    )


def test_an_error_that_a_command_ends_with_names_a_page_that_explain_shows(invoke):
    told = invoke("recall", "a", "--base-url", "memory://", "--timeout", "-1").stderr
    url = re.search(r"docs: (https://[^\s)]+)", told)[1]
    assert invoke("explain", url).stdout.startswith("# configuration: ")


@pytest.mark.parametrize(
    ("name", "told"),
    [("not_fuond", "Did you mean 'not_found'?"), ("zzz", "zzz;"), ("Memtrace", "no error has the code")],
)
def test_an_unknown_code_names_the_near_one_and_the_list(invoke, name, told):
    result = invoke("explain", name)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert told in result.stderr
    assert "memtrace-sdk explain lists them" in result.stderr


def test_without_a_code_all_are_listed_with_their_titles(invoke):
    header, *rows = invoke("explain").stdout.splitlines()
    assert header.split() == ["code", "what", "it", "means"]
    assert [row.split()[0] for row in rows] == sorted(CODES)
    assert all(len(row.split()) > 2 for row in rows)


@pytest.mark.slow
def test_a_terminal_shows_it_laid_out():
    seen = Text.from_ansi(on_a_terminal("explain", "not_found").decode().replace("\r", "")).plain
    assert "## Cause" not in seen
    assert "Cause" in seen
    assert "client.agents.get" in seen


@pytest.mark.skipif(not (pages.ROOT / "memtrace").is_dir(), reason="the wheel itself is under test")
def test_the_wheel_has_every_page_where_explain_looks(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=pages.ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    folder = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(folder)
    found = folder / "memtrace" / "_cli" / "error_pages"
    assert {page.stem: page.read_bytes() for page in found.iterdir()} == {
        page.stem: page.read_bytes() for page in ERRORS.iterdir()
    }
    code = (
        "from memtrace._cli import error_pages as e; print(e._FOLDERS[0].is_dir(), e.__file__); e.page_of('not_found')"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    assert shown.stdout.split() == ["True", str(folder / "memtrace" / "_cli" / "error_pages.py")]


def test_the_pages_are_those_of_the_package_or_of_its_checkout():
    first, second = (folder.is_dir() for folder in error_pages._FOLDERS)
    assert first != second
