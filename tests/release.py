"""What the nox session `release` asks of the files that would be published: python -m tests.release dist/*"""

from __future__ import annotations

import re
import sys
import tarfile
from email.parser import Parser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "memtrace" / "_version.py").read_text(), re.MULTILINE)[1]
PACKAGES = {"memtrace", "memtrace_transports"}
TEMPLATES = PurePosixPath("memtrace/_cli/new_plugin/templates")


def check_wheel(path):
    """Both packages, typed, with their licence, and nothing else."""
    with ZipFile(path) as wheel:
        names = [PurePosixPath(name) for name in wheel.namelist()]
        info = f"memtrace_sdk-{VERSION}.dist-info"
        metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    assert {name.parts[0] for name in names} == PACKAGES | {info}
    assert {PurePosixPath(package, "py.typed") for package in PACKAGES} <= set(names)
    assert PurePosixPath(info, "licenses", "LICENSE") in names
    templates = {name for name in names if TEMPLATES in name.parents}
    written = {PurePosixPath(path.relative_to(ROOT)) for path in (ROOT / TEMPLATES).rglob("*.template")}
    assert templates == written, templates ^ written
    pages = {name.name for name in names if name.parent == PurePosixPath("memtrace/_cli/error_pages")}
    assert pages == {path.name for path in (ROOT / "docs" / "errors").glob("*.md")}, pages
    strange = [
        name
        for name in set(names) - templates
        if {"tests", "__pycache__"} & set(name.parts) or name.name.startswith(("test_", "conftest"))
    ]
    assert not strange, strange
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    core = [need for need in metadata.get_all("Requires-Dist") if "extra ==" not in need]
    assert {re.split(r"[<>=!~;\s]", need)[0] for need in core} == {"httpx", "pluggy", "pydantic"}, core


def check_source(path):
    """All that it takes to run the tests and to build the wheel."""
    with tarfile.open(path) as archive:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.getnames()}
    for needed in (
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "noxfile.py",
        "tests/release.py",
    ):
        assert PurePosixPath(needed) in names, needed
    assert not [name for name in names if "__pycache__" in name.parts]


def check_changelog():
    """The newest entry is this version's."""
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == VERSION


def main(paths):
    wheels = [path for path in paths if path.suffix == ".whl"]
    sources = [path for path in paths if path.name.endswith(".tar.gz")]
    assert len(wheels) == len(sources) == 1, paths
    check_wheel(wheels[0])
    check_source(sources[0])
    check_changelog()
    print(f"{VERSION}: {wheels[0].name} and {sources[0].name} hold what they should")  # noqa: T201  # what the session shows


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
