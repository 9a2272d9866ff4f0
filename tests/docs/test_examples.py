"""What the documentation shows is what happens."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import memtrace
import memtrace_transports
from tests.docs import pages

MODULES = sorted(
    module.name
    for package in (memtrace, memtrace_transports)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
)


@pytest.fixture
def no_settings(monkeypatch, tmp_path):
    """An environment without MEMTRACE_*, restored afterwards, and an empty folder to run in."""
    saved = dict(os.environ)
    for name in saved:
        if name.startswith("MEMTRACE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield
    for name in [name for name in os.environ if name.startswith("MEMTRACE_")]:
        del os.environ[name]
    os.environ.update(saved)


@pytest.mark.parametrize("page", pages.WITH_EXAMPLES, ids=pages.name_of)
def test_every_example_of_a_page_does_what_the_page_says(page, no_settings):
    document = pages.EXAMPLES.parse(page)
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", pages.WITH_EXAMPLES, ids=pages.name_of)
def test_no_example_of_a_page_is_left_out(page):
    text = page.read_text(encoding="utf-8")
    examples = list(pages.EXAMPLES.parse(page).examples())
    prompts = len(re.findall(r"^>>> ", text, re.MULTILINE))
    assert len(examples) == len(pages.python_blocks(text)) + prompts
    assert not re.search(r"invisible-code|skip: ", text)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_of_a_docstring_does_what_it_says(name, no_settings):
    module = importlib.import_module(name)
    found = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in found:
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_the_examples_of_middleware_and_transports_pass_strict_type_checking(tmp_path):
    pytest.importorskip("mypy")
    readme = pages.section((pages.ROOT / "README.md").read_text(encoding="utf-8"), "Middleware")
    client = 'from memtrace import Memtrace\n\nclient = Memtrace("memory://", "any key")\n'
    sources = {
        "readme_middleware": [client, *pages.python_blocks(readme)],
        "middleware": pages.python_blocks((pages.ROOT / "docs" / "middleware.md").read_text(encoding="utf-8")),
        "plugins": pages.python_blocks((pages.ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")),
        "raw": [client, *pages.python_blocks((pages.ROOT / "docs" / "raw.md").read_text(encoding="utf-8"))],
        "transports": pages.python_blocks((pages.ROOT / "docs" / "transports.md").read_text(encoding="utf-8")),
    }
    files = []
    for name, blocks in sources.items():
        assert len(blocks) > 1
        file = tmp_path / f"example_{name}.py"
        file.write_text("\n\n".join(blocks), encoding="utf-8")
        files.append(file.name)
    environment = dict(os.environ)
    source = Path(memtrace.__file__).parents[1]
    if source.name != "site-packages":  # mypy finds what is installed by itself
        environment["MYPYPATH"] = str(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", *files]
    checked = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
