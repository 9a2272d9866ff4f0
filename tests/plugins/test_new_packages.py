"""What `memtrace-sdk new` writes: built, installed, found by name, and held against its own tests and tools."""

from __future__ import annotations

import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import memtrace
from memtrace._cli.new_plugin.kinds import KINDS
from memtrace._cli.new_plugin.names import plugin_names
from memtrace._cli.new_plugin.rendering import rendered_files
from memtrace._cli.new_plugin.writing import write_files
from tests.plugins.conftest import Python, install, run
from tests.sampling import sample

#: Short and long ones, since formatters break lines.
DISTRIBUTIONS = ("acme", "memtrace-audit", "memtrace-customer-audit-trail")


def write(folder, kind, distribution="memtrace-audit"):
    files = rendered_files(plugin_names(kind, distribution))
    write_files(folder, files)
    return set(map(str, files))


class Written:
    """A package of one kind, and Python processes in its folder in which it is installed."""

    def __init__(self, kind, folder):
        self.kind, self.project = kind, folder / "memtrace-audit"
        self.files = write(self.project, kind)
        self.site = install(folder, [self.project])
        (self.wheel,) = (folder / "wheels").glob("*.whl")
        self.python = Python(self.site, self.project)

    def test(self, *arguments):
        return self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)


@pytest.fixture(scope="module", params=sample(sorted(KINDS), 1))
def package(request, tmp_path_factory):
    return Written(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
@pytest.mark.network
def test_its_tests_of_the_example_pass_and_clients_find_it_by_name(package):
    assert " passed" in package.test("--deselect", f"tests/test_{package.kind}.py::TestContract")


@pytest.mark.slow
def test_it_is_listed_as_usable(package):
    command = "middleware" if package.kind == "middleware" else f"{package.kind}s"
    (row,) = [
        row
        for row in json.loads(package.python("-m", "memtrace", command, "--json"))
        if row["distribution"] == "memtrace-audit"
    ]
    assert row == {
        "kind": package.kind,
        "name": "audit",
        "distribution": "memtrace-audit",
        "version": "0.1.0",
        "status": "ok",
        "detail": "",
        **({"serves": ["sync"], "default_for": []} if package.kind == "transport" else {}),
    }


@pytest.mark.slow
def test_the_wheel_is_typed_and_has_its_licence_and_no_tests(package):
    names = set(zipfile.ZipFile(package.wheel).namelist())
    source = {name.removeprefix("src/") for name in package.files if name.startswith("src/")}
    assert "memtrace_audit/py.typed" in source
    info = "memtrace_audit-0.1.0.dist-info"
    told = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    assert names == source | told


@pytest.mark.slow
@pytest.mark.network
def test_it_keeps_the_contract_with_every_warning_an_error(package):
    assert " passed" in package.test("-W", "error")


@pytest.mark.slow
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_ruffs_defaults_find_nothing(tmp_path, kind, distribution):
    project = tmp_path / distribution
    write(project, kind, distribution)
    run(sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", ".", cwd=project)
    run(sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--check", ".", cwd=project)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_passes_strict_type_checking_as_it_is_configured(tmp_path, kind):
    project, environment = tmp_path / "memtrace-audit", dict(os.environ)
    write(project, kind)
    source = Path(memtrace.__file__).parents[1]
    if source.name != "site-packages":  # mypy finds what is installed by itself
        environment["MYPYPATH"] = str(source)
    assert "strict = true" in (project / "pyproject.toml").read_text(encoding="utf-8")
    run(sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), cwd=project, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_its_author_would_publish_can_be_built(tmp_path, kind):
    project = tmp_path / "memtrace-audit"
    files = write(project, kind)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=project)
    built = sorted(path.name for path in (project / "dist").iterdir())
    assert built == ["memtrace_audit-0.1.0-py3-none-any.whl", "memtrace_audit-0.1.0.tar.gz"]
    with tarfile.open(project / "dist" / built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == files | {"PKG-INFO"}
