"""Makes version1.index, a file of an index as the first version has it: `python -m tests.ranking.version1`. Run it for no later version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from memtrace.ranking import TextIndex, open_index_file
from memtrace.ranking._words import VERSION
from tests.ranking.memories import memory

PATH = Path(__file__).with_name("version1.index")


def main() -> None:
    if VERSION != 1:
        raise SystemExit("the code writes another version by now")
    PATH.unlink(missing_ok=True)
    with closing(open_index_file(PATH)) as connection:
        index = TextIndex(connection, "someone")
        index.add_many([memory("black tea", 0, session_id="s"), memory("milk", 1, session_id="s")])
        index.set_note("seen", "up to here")
    with closing(sqlite3.connect(PATH, isolation_level=None)) as connection:  # small pages: most are nearly empty
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 512", "VACUUM"):
            connection.execute(statement)


if __name__ == "__main__":
    main()
