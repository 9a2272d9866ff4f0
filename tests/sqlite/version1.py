"""Makes version1.db, a file as the first schema version has it: `python -m tests.sqlite.version1`. Run it for no later version."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from memtrace import AddMemoryRequest, Memtrace
from memtrace_transports.memory import ManualClock
from memtrace_transports.sqlite._schema import VERSION

PATH = Path(__file__).with_name("version1.db")
KEY = "mtk_of_the_first_version"


def main() -> None:
    if VERSION != 1:
        raise SystemExit("the code writes another version by now")
    PATH.unlink(missing_ok=True)
    with Memtrace(PATH, clock=ManualClock()) as client:
        client.remember("assistant", "User prefers dark mode")
        request = AddMemoryRequest(
            agent_id="assistant",
            session_id="chat_1",
            memory_type="decision",
            event_type="decision",
            content="Bought tea \U0001f375",
            metadata={"photo": {"caption": "a green tin"}, "price": 4.5},
            tags=["shop", "tea"],
            dedup_key="order-1",
            importance=0.5,
            parent_id="order-0",
        )
        client.memories.add(request)
    with Memtrace(PATH, KEY, clock=ManualClock()) as client:
        agent = client.agents.register(name="bob", description="registered", config={"a": 1})
        session = client.sessions.create(agent_id=agent.id, metadata={"b": 2})
        client.sessions.close(session.id)
        client.remember(agent.id, "Belongs to another key")
    with closing(sqlite3.connect(PATH, isolation_level=None)) as connection:  # small pages: most are nearly empty
        for statement in ("PRAGMA journal_mode = DELETE", "PRAGMA page_size = 512", "VACUUM"):
            connection.execute(statement)


if __name__ == "__main__":
    main()
