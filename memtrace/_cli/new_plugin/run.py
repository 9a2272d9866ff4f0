"""The command: names, files, and what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path

from memtrace._cli.new_plugin.names import plugin_names
from memtrace._cli.new_plugin.rendering import rendered_files
from memtrace._cli.new_plugin.writing import write_files
from memtrace._cli.terminal import say, show_json


def run_new(kind: str, name: str, *, directory: str | None, as_json: bool) -> None:
    """Write the package, and print what was written and what to do next."""
    names = plugin_names(kind, name)
    target = Path(directory or name)
    files = rendered_files(names)
    write_files(target, files)
    if as_json:
        show_json({**names._asdict(), "directory": str(target), "files": [str(path) for path in files]})
        return
    say(f"Wrote the {kind} {names.name} to {target}:")
    for path in files:
        say(f"  {path}")
    say("Next:")
    for command in (f"cd {shlex.quote(str(target))}", 'python -m pip install -e ".[dev]"', "python -m pytest"):
        say(f"  {command}")
