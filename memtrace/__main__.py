"""``python -m memtrace``: the console, as ``memtrace-sdk``."""

from __future__ import annotations

from memtrace._cli import main

if __name__ == "__main__":
    main()
