"""Which way imports go: the contracts of import-linter in pyproject.toml, circles, and the picture of them in the docs."""

import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import memtrace
import memtrace_transports
from tests.docs import pages
from tests.sampling import sample

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIGURATION = pages.ROOT / "pyproject.toml"
PACKAGES = {package.__name__: Path(package.__file__).parent for package in (memtrace, memtrace_transports)}


def contracts():
    return tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def linted(folder):
    program = "import sys\nfrom importlinter.cli import lint_imports_command\nlint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_every_import_goes_down_a_layer(checkout):
    done = linted(checkout)
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(contracts())} kept, 0 broken." in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "statement"),
    sample(
        [
            pytest.param(
                "memtrace/models.py", "def planted():\n    from memtrace import client", id="inside a function"
            ),
            pytest.param(
                "memtrace/clock.py",
                "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from memtrace import plugins",
                id="for type checkers",
            ),
            pytest.param(
                "memtrace/_runtime/chain.py",
                "def planted():\n    import memtrace_transports.memory",
                id="a transport in the core",
            ),
            pytest.param(
                "memtrace_transports/_engine/engine.py",
                "def planted():\n    import memtrace_transports.memory",
                id="the fake in the server's rules",
            ),
            pytest.param(
                "memtrace_transports/_engine/engine.py",
                "from memtrace_transports._checks import limits",
                id="a transport's checks in the server's rules",
            ),
            pytest.param(
                "memtrace_transports/_engine/stamps.py",
                "from memtrace import exceptions",
                id="errors of the core in the server's rules",
            ),
            pytest.param(
                "memtrace_transports/_engine/stamps.py",
                "from memtrace import Memtrace",
                id="a client in the server's rules",
            ),
            pytest.param(
                "memtrace_transports/_pool/deadline.py",
                "def planted():\n    from memtrace._runtime import chain",
                id="the runtime in a transport",
            ),
        ],
        3,
    ),
)
def test_a_forbidden_import_breaks_a_contract(checkout, module, statement):
    with (checkout / module).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{statement}\n")
    done = linted(checkout)
    assert done.returncode == 1
    planted = module.removesuffix(".py").replace("/", ".")
    assert re.search(rf"^-\s+{re.escape(planted)} -> ", done.stdout, re.MULTILINE), done.stdout


def graph():
    found = grimp.build_graph(*PACKAGES, include_external_packages=False)
    return {module: found.find_modules_directly_imported_by(module) for module in found.modules}


def test_no_modules_import_each_other_in_a_circle():
    imports = graph()
    assert len(imports) > 200
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


def test_a_circle_is_really_seen():
    imports = graph()
    imports["memtrace.models"].add("memtrace.client")
    with pytest.raises(CycleError):
        TopologicalSorter(imports).prepare()


def test_the_package_has_at_most_19_rooms():
    named = {
        path.stem for path in PACKAGES["memtrace"].iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert len(named - {"__init__", "__main__", "_version"}) <= 19


@pytest.mark.parametrize("package", PACKAGES)
def test_the_picture_in_the_docs_is_the_contract(package):
    (contract,) = [each for each in contracts() if each.get("containers") == [package]]
    text = (pages.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = re.search(rf"^{package}/\n((?:  \S.*\n)+)", text, re.MULTILINE)
    assert picture, f"docs/architecture.md draws no layers of {package}"
    drawn = [re.match(r"  (\w+(?: \| \w+)*)", line)[1] for line in picture[1].splitlines()]
    assert drawn == contract["layers"]


BY_NAME = {
    "memtrace/__init__.py",
    "memtrace/_cli/mcp.py",
    "memtrace/_support/lazy_modules.py",
    "memtrace/plugins.py",
    "memtrace/testing/__init__.py",
    "memtrace_transports/__init__.py",
    "memtrace_transports/_httpx.py",
}


def test_modules_are_imported_by_name_only_where_a_name_was_asked_for():
    """import-linter does not see these: public names, plugins, an extra, whichever of httpx and httpx2 is used, and annotations."""
    found = set()
    for package, root in PACKAGES.items():
        for path in root.rglob("*.py"):
            if re.search(r"\bimport_module\(|\b__import__\(", path.read_text(encoding="utf-8")):
                found.add(f"{package}/{path.relative_to(root).as_posix()}")
    assert found <= BY_NAME
