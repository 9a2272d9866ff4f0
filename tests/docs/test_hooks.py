"""What plugin authors read of hooks, specs and protocols is what the code has."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import get_args

import pytest

from memtrace import plugins
from memtrace.middleware import CallNext, Middleware
from memtrace.plugins import (
    API_VERSION,
    HookSpecs,
    MiddlewareSpec,
    RankerSpec,
    Status,
    TransportSpec,
    middleware_registry,
    ranker_registry,
    transport_registry,
)
from memtrace.transport import AsyncTransport, Transport
from tests.docs import pages
from tests.docs.console_examples import check, examples, install_program, shell

PAGE = (pages.ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
SIGNATURES = pages.section(PAGE, "Every signature")


def rows(text):
    """The cells of every table of a text, without the code marks around them."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def below(heading):
    """The part of the signatures under a third-level heading."""
    assert f"\n### {heading}\n" in SIGNATURES
    return SIGNATURES.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]


def signature_of(function, *, leave_out=""):
    """As it is written in code; annotations are texts in every module of ours."""
    signature = inspect.signature(function)
    kept = [parameter for name, parameter in signature.parameters.items() if name != leave_out]
    return str(signature.replace(parameters=kept)).replace("'", "")


def default_of(field):
    return "required" if field.default is dataclasses.MISSING else repr(field.default)


def methods_of(protocol):
    for name, function in vars(protocol).items():
        if inspect.isfunction(function) and (name == "__call__" or not name.startswith("_")):
            kind = "async " if inspect.iscoroutinefunction(function) else ""
            yield [protocol.__name__, f"{kind}{name}{signature_of(function)}"]


def test_every_hook_is_documented_with_its_signature_and_no_other():
    hooks = {name: function for name, function in vars(HookSpecs).items() if name.startswith("memtrace_")}
    written = re.findall(r"^### `(\w+)(\(.*)`$", SIGNATURES, re.MULTILINE)
    assert written == [(name, signature_of(function, leave_out="self")) for name, function in hooks.items()]
    assert len(hooks) == 3


@pytest.mark.parametrize("spec", [TransportSpec, MiddlewareSpec, RankerSpec])
def test_every_field_of_a_spec_is_documented_with_its_type_and_default(spec):
    (hook,) = re.findall(rf"^### (`\w+\(\) -> {spec.__name__}`)$", SIGNATURES, re.MULTILINE)
    written = [tuple(row[:3]) for row in rows(below(hook))]
    assert written == [
        (field.name, field.type.replace("ranking.", ""), default_of(field)) for field in dataclasses.fields(spec)
    ]
    keywords = {p.kind for p in inspect.signature(spec).parameters.values()}
    assert keywords == {inspect.Parameter.KEYWORD_ONLY}


def test_every_method_of_the_protocols_is_documented_with_its_signature():
    protocols = (Transport, AsyncTransport, Middleware, CallNext)
    assert list(rows(below("The protocols"))) == [row for protocol in protocols for row in methods_of(protocol)]


def test_every_status_of_the_listing_is_documented():
    assert [row[0] for row in rows(pages.section(PAGE, "What is installed"))] == list(get_args(Status))


def test_groups_and_hooks_are_those_that_are_searched():
    groups = {
        "transport": transport_registry._group,
        "middleware": middleware_registry._group,
        "ranker": ranker_registry._group,
    }
    introduction = PAGE.partition("\n## ")[0]
    assert re.findall(r"^\| a (\w+) \| `(.+?)` \| `(.+?)` \|", introduction, re.MULTILINE) == [
        (kind, group, f"memtrace_{kind}") for kind, group in groups.items()
    ]
    assert re.findall(r'^\[project\.entry-points\."(.+)"\]$', PAGE, re.MULTILINE) == list(groups.values())


def test_the_version_of_the_interface_is_the_codes():
    assert f"`API_VERSION`, which is {API_VERSION};" in PAGE


def test_every_name_that_the_page_takes_from_the_plugins_module_is_public_there():
    imported = re.findall(r"^from memtrace\.plugins import (.+)$", PAGE, re.MULTILINE)
    names = {name for line in imported for name in line.split(", ")}
    assert {"TransportSpec", "MiddlewareSpec", "hookimpl", "transport_registry"} <= names <= set(plugins.__all__)


def test_the_complete_transport_has_no_more_than_30_lines():
    page = (pages.ROOT / "docs" / "transports.md").read_text(encoding="utf-8")
    (heading,) = re.findall(r"^### Example: a transport in (\d+) lines$", page, re.MULTILINE)
    (block,) = [block for block in pages.python_blocks(page) if "class PlainTransport" in block]
    code = [line for line in block[block.index("class ") :].splitlines() if line.strip()]
    assert len(code) <= int(heading)


@pytest.mark.slow
def test_the_package_of_the_plugins_page_is_written_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    install_program(tmp_path, monkeypatch)
    ((command, shown),) = examples(PAGE)
    check(command, shown, shell(command))
    made = {path.name for path in (tmp_path / "memtrace-audit").iterdir()}
    table = pages.section(PAGE, "Begin with a package")
    described = re.findall(r"`([^`]+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)))
    assert {name.split("/")[0] for name in described} == made - {".gitignore"}
