"""The console: ``memtrace-sdk``, also ``python -m memtrace``. It needs the extra ``cli``; importing this does not."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["main"]

_NEEDED = ("platformdirs", "rich", "tomlkit", "typer")


def main() -> None:
    """Run the console with the process's arguments. Always ends in `SystemExit`, whose statuses ``--help`` lists."""
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        sys.stderr.write(
            f"memtrace-sdk: the console needs {_listed(missing)}, not installed here. "
            'Run: pip install "memtrace-sdk[cli]"\n'
        )
        raise SystemExit(2)
    try:
        from memtrace._cli.app import run

        run()
    except KeyboardInterrupt:  # during the imports; commands handle their own
        sys.stderr.write("memtrace-sdk: interrupted\n")
        raise SystemExit(130) from None


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
