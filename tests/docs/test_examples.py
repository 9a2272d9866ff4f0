"""What the documentation shows is what happens."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import memtrace
import memtrace_transports
from tests.docs import pages


def modules_of(package):
    """Its modules by their files: to import all of them would take seconds before the first test."""
    place = Path(package.__file__).parent
    for file in place.rglob("*.py"):
        parts = file.relative_to(place.parent).with_suffix("").parts
        if parts[-1] not in ("__init__", "__main__"):
            yield ".".join(parts)
        elif parts[-1] == "__init__" and len(parts) > 2:
            yield ".".join(parts[:-1])


MODULES = sorted(
    name
    for package in (memtrace, memtrace_transports)
    for name in modules_of(package)
    if not name.startswith(pages.ELSEWHERE)
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


FRAMEWORKS = r"agents|anthropic|claude_agent_sdk|langchain\w*|langgraph|mcp|opentelemetry"
NETWORK = ["docs/serving.md", "docs/transports.md"]


def marked(page):
    """A page, and what its examples need."""
    needs_framework = re.search(rf"^(?:>>> )?(?:from|import) (?:{FRAMEWORKS})\b", page.read_text("utf-8"), re.MULTILINE)
    marks = [pytest.mark.framework] if needs_framework else []
    return pytest.param(page, marks=[*marks, pytest.mark.network] if pages.name_of(page) in NETWORK else marks)


@pytest.mark.parametrize("page", list(map(marked, pages.WITH_EXAMPLES)), ids=pages.name_of)
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


#: Pages whose examples pass no strict type checking, and why.
UNCHECKED = {
    "docs/quickstart.md": "it shows names of other libraries, which no type has, and an error caught by its builtin class",
    "docs/batches.md": "a console shows a field that not every error has, and makes what a block goes on with",
    "docs/errors/unexpected_error.md": "a function without annotations is enough to show the error",
    "docs/errors/buffer_drain.md": "a function without annotations is enough to show the error",
    "docs/errors/buffer_full.md": "a function without annotations is enough to show the error",
    "docs/errors/drain_timeout.md": "a function without annotations is enough to show the error",
    "docs/errors/middleware.md": "a function without annotations is enough to show the error",
    "docs/errors/result_window_exceeded.md": "a function without annotations is enough to show the error",
    "docs/integrations/tools.md": "a scripted model stands for theirs, whose answer is any JSON",
    "docs/integrations/claude-agent-sdk.md": "their type of an entry names three of its keys alone",
    "docs/integrations/mcp.md": "an answer's content is one of five kinds, and the page knows that it is a text",
    "docs/integrations/openai-agents.md": "a scripted model stands for theirs, whose items are one of thirty kinds",
}
#: What the blocks of these pages have from their consoles.
SETUP = 'from memtrace import Memtrace, MemtraceError\n\nclient = Memtrace("memory://", "any key")\n'
#: Pages whose ``python`` blocks pass it, and whose consoles show a field of what may be None.
BLOCKS_ALONE = {
    f"docs/{name}.md"
    for name in [
        "context",
        "errors",
        "observability",
        "raw",
        "testing",
        "write-buffer",
        "integrations/anthropic-memory-tool",
        "integrations/langgraph",
    ]
}


def checkable(page):
    """What of a page is type-checked: its examples in order."""
    name = pages.name_of(page)
    if name in BLOCKS_ALONE:
        text = [SETUP, *pages.python_blocks(page.read_text(encoding="utf-8"))]
    else:
        parsed = [example.parsed for example in pages.EXAMPLES.parse(page).examples()]
        text = [getattr(each, "source", each) for each in parsed]
    return "\n\n".join(text)


@pytest.mark.slow
def test_the_examples_of_the_pages_pass_strict_type_checking(tmp_path):
    pytest.importorskip("mypy")
    files = []
    for page in pages.WITH_EXAMPLES:
        code = checkable(page)
        if code and pages.name_of(page) not in UNCHECKED:
            file = tmp_path / f"example_{re.sub(r'[^a-z0-9]+', '_', pages.name_of(page).lower())}.py"
            file.write_text(code, encoding="utf-8")
            files.append(file.name)
    assert len(files) > 40
    environment = dict(os.environ)
    source = Path(memtrace.__file__).parents[1]
    if source.name != "site-packages":  # mypy finds what is installed by itself
        environment["MYPYPATH"] = str(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", *files]
    checked = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
