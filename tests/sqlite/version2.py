"""Makes version2.db, a file as the second schema version has it, with the first version of the text index.

`python -m tests.sqlite.version2`; run it for no later version.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from memtrace import Memtrace
from memtrace.ranking._words import VERSION as INDEX_VERSION
from memtrace_transports.memory import ManualClock
from memtrace_transports.sqlite._schema import VERSION

PATH = Path(__file__).with_name("version2.db")


def main() -> None:
    if (VERSION, INDEX_VERSION) != (2, 1):
        raise SystemExit("the code writes another version by now")
    PATH.unlink(missing_ok=True)
    with Memtrace(PATH, clock=ManualClock()) as client:
        client.remember("assistant", "User prefers dark mode")
        client.remember("assistant", "The cat is called Miso")
        client.memories.search("cat")
    with closing(sqlite3.connect(PATH, isolation_level=None)) as connection:  # small pages: most are nearly empty
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 512", "VACUUM"):
            connection.execute(statement)


if __name__ == "__main__":
    main()
