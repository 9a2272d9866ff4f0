"""The files of a new package, from the templates beside this module.

A template is a file that ends in ``.template``, so that no tool takes it for code. It is a `string.Template`; a folder
``package_name`` gets the package's name. What every kind has is in ``every_kind``, the rest in the kind's own folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import PurePosixPath
from string import Template
from typing import TYPE_CHECKING, Final

from memtrace._cli.new_plugin.kinds import KINDS
from memtrace._cli.new_plugin.names import PluginNames

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

_ENDING: Final = ".template"
_TOP: Final = PurePosixPath()


def rendered_files(names: PluginNames) -> dict[PurePosixPath, bytes]:
    """Each file of the package by its path in it, in order of paths."""
    kind = KINDS[names.kind]
    values = {
        **names._asdict(),
        "extras": kind.extras,
        "group": kind.group,
        "summary": kind.summary,
        "variable": names.package.upper(),
    }
    folder = resources.files("memtrace._cli.new_plugin").joinpath("templates")
    templates = [each for part in ("every_kind", names.kind) for each in _templates_in(folder.joinpath(part))]
    files = [(path, _rendered(text, values)) for path, text in templates]
    return {_path_in(names.package, path): content for path, content in sorted(files)}


def _templates_in(folder: Traversable, path: PurePosixPath = _TOP) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _templates_in(entry, path / entry.name)
        else:
            yield path / entry.name.removesuffix(_ENDING), entry.read_text(encoding="utf-8")


def _rendered(text: str, values: Mapping[str, str]) -> bytes:
    return Template(text).substitute(values).encode()


def _path_in(package: str, path: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(*(package if part == "package_name" else part for part in path.parts))
