"""The console: ``memtrace-sdk``, also ``python -m memtrace``. It needs the extra ``cli``; importing this does not."""

from __future__ import annotations

import importlib.util
import sys

__all__ = ["main"]

_NEEDED = ("rich", "typer")


def main() -> None:
    """Run the console with the process's arguments. Always ends in `SystemExit`, whose statuses ``--help`` lists."""
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        sys.stderr.write(
            f"memtrace-sdk: the console needs {' and '.join(missing)}, not installed here. "
            'Run: pip install "memtrace-sdk[cli]"\n'
        )
        raise SystemExit(2)
    try:
        from memtrace.cli.app import run

        run()
    except KeyboardInterrupt:  # during the imports; commands handle their own
        raise SystemExit(130) from None
