"""Distributions as people publish them: built as wheels, installed by pip into a folder of their own."""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import tomlkit

from memtrace_transports import FakeMemtrace
from tests.loopback import LoopbackServer

HERE = Path(__file__).parent
BUILD = """
import os, sys
from hatchling.build import build_wheel

for project in sys.argv[2:]:
    os.chdir(project)
    build_wheel(sys.argv[1])
"""
PYPROJECT = """
[build-system]
requires = ["hatchling>=1.26"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"

[project.entry-points."{group}"]
{entry} = "{package}"
"""


def run(*command, **options):
    """A process that has to succeed; gives its output."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(folder, projects):
    """Build a wheel of each project, without network, and install them all into a folder of `folder`."""
    wheels, target = folder / "wheels", folder / "site"
    wheels.mkdir()
    run(sys.executable, "-c", BUILD, str(wheels), *map(str, projects))
    found = sorted(map(str, wheels.glob("*.whl")))
    assert len(found) == len(projects)
    options = ("--no-deps", "--no-index", "--disable-pip-version-check", "--quiet", "--target", str(target))
    run(sys.executable, "-m", "pip", "--isolated", "install", *options, *found)
    return target


METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def place(folder, projects):
    """What `install` makes of projects by `write_project`, without building wheels and without pip."""
    target = folder / "site"
    for project in projects:
        settings = tomlkit.parse((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        package = project.name.replace("-", "_")
        shutil.copytree(project / package, target / package)
        told = target / f"{package}-{settings['version']}.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(METADATA.format(**settings), encoding="utf-8")
        ((group, entries),) = settings["entry-points"].items()
        lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        (told / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return target


def write_project(folder, name, entry, code, *, version="1.0", group="memtrace.transports"):
    """A tiny project with one entry point."""
    project, package = folder / name, name.replace("-", "_")
    (project / package).mkdir(parents=True)
    settings = PYPROJECT.format(name=name, version=version, group=group, entry=entry, package=package)
    (project / "pyproject.toml").write_text(settings, encoding="utf-8")
    (project / package / "__init__.py").write_text(textwrap.dedent(code), encoding="utf-8")
    return project


class Python:
    """Fresh Python processes that see a folder of installed distributions, beside the SDK."""

    def __init__(self, site, cwd):
        self.site = site
        self._cwd = cwd

    def __call__(self, *arguments, **settings):
        """Run one with these settings beyond the machine's MEMTRACE_*, any warning an error; gives its output."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEMTRACE_", "PYTHON"))}
        environment = {**kept, "PYTHONPATH": str(self.site), "PYTHONIOENCODING": "utf-8", "COLUMNS": "400", **settings}
        return run(sys.executable, "-W", "error", *arguments, cwd=self._cwd, env=environment)


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The folder in which the three distributions beside this file are installed, once for all workers of a run."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    with (run / "published.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = run / "published"
        if not folder.exists():
            making = run / "published.part"
            install_published(making)
            making.rename(folder)
    return folder / "site"


def install_published(folder):
    """Build and install the three distributions beside this file."""
    projects = []
    for name in ("memtrace-urllib3", "memtrace-tagging", "memtrace-important"):
        ignored = shutil.ignore_patterns("__pycache__")
        projects.append(shutil.copytree(HERE / name, folder / name, ignore=ignored))
    install(folder, projects)


@pytest.fixture
def python(published, tmp_path):
    return Python(published, tmp_path)


@pytest.fixture
def here(published, monkeypatch):
    """The three distributions importable in this process, and nothing of them left behind."""
    from memtrace.plugins import middleware_registry, ranker_registry, transport_registry

    monkeypatch.syspath_prepend(published)
    for registry in (transport_registry, middleware_registry, ranker_registry):
        monkeypatch.setattr(registry, "_found", None)
        monkeypatch.setattr(registry, "_specs", {})
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield published
    for module in set(sys.modules) - before:
        if module.startswith(("memtrace_urllib3", "memtrace_tagging", "memtrace_important")):
            del sys.modules[module]


@pytest.fixture
def server():
    """A fake Memtrace on a loopback port, with a key; `received` has every request."""
    fake, received = FakeMemtrace(), []
    handle = fake.handle

    def noting(request):
        received.append(request)
        return handle(request)

    fake.handle = noting
    with LoopbackServer(fake) as loopback:
        yield SimpleNamespace(url=loopback.url, key=fake.organisation().api_key, received=received)
