"""The examples of a page that stand in blocks of a shell: a command after ``$``, and below it what it shows."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys


def examples(text):
    """Each command with what the page shows below it."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)


def check(command, shown, output):
    """Hold what a command wrote against the page, where ``...`` stands for anything."""
    if output and not output.endswith("\n"):
        output += "\n"  # a page cannot show that it is missing
    same = doctest.OutputChecker().check_output(shown, output, doctest.ELLIPSIS)
    assert same, f"$ {command}\nshould show:\n{shown}\nbut shows:\n{output}"


def shell(command, **options):
    """What bash writes."""
    # the environment as Python has it: readline adds COLUMNS behind its back
    given = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "env": dict(os.environ), **options}
    return subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, text=True, timeout=120, check=False, **given
    ).stdout


def install_program(folder, monkeypatch):
    """Put a memtrace-sdk that is a process of this Python on the path."""
    program = folder / "bin" / "memtrace-sdk"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m memtrace "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
