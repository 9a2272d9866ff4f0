"""A server of rows whose times are given, many of them in one microsecond: what the fake, whose times rise, cannot have.

It answers ``GET /memories`` and ``POST /search`` as the real one does: bounds exclusive, a limit from 1 to 1000, rows of one
time in an order of their own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

from memtrace import AsyncMemtrace, Memtrace
from memtrace.transport import Headers, Response

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


def moment(microseconds):
    """A time by its microseconds since the beginning of 2026."""
    return EPOCH + timedelta(microseconds=microseconds)


class RowsServer:
    """Rows are `(microseconds, name, tags)`; `after` is called after each answer, with the server."""

    def __init__(self, rows=(), after=None):
        self.rows = [(time, name, *rest) for time, name, *rest in rows]
        self.after = after
        self.asked = []
        self.largest = 0

    def write(self, time, name, *tags):
        self.rows.append((time, name, *tags))

    def newest(self):
        return max((row[0] for row in self.rows), default=0)

    def send(self, request):
        path, _, query = request.target.partition("?")
        search = path.endswith("/search")
        given = json.loads(request.body) if search else dict(parse_qsl(query))
        assert path == ("/api/v1/search" if search else "/api/v1/memories")
        self.asked.append(given)
        found = [_json(row) for row in self._found(given)]
        self.largest = max(self.largest, len(found))
        answer = {"results": found, "query_time_ms": 2} if search else {"memories": found}
        full = int(given.get("limit", 100)) <= len(found)
        body = json.dumps({**answer, "count": len(found), "has_more": full})
        if self.after is not None:
            self.after(self)
        return Response(200, Headers({"content-type": "application/json"}), body.encode())

    def _found(self, given):
        since, until = (_bound(given.get(name)) for name in ("since", "until"))
        tags = given.get("tags", [])
        wanted = [tag.strip(" ") for tag in tags.split(",")] if isinstance(tags, str) else tags
        rows = [
            row
            for row in self.rows
            if (since is None or row[0] > since)
            and (until is None or row[0] < until)
            and all(tag in ",".join(row[2:]) for tag in wanted)
        ]
        rows.sort(key=lambda row: row[0], reverse=given.get("order") != "asc")
        limit = int(given.get("limit", 100))
        assert 1 <= limit <= 1000
        offset = int(given.get("offset", 0))
        return rows[offset : offset + limit]

    def close(self):
        pass


class AsyncRowsServer(RowsServer):
    async def send(self, request):
        await asyncio.sleep(0)
        return super().send(request)

    async def close(self):
        pass


def _bound(text):
    if text is None:
        return None
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - EPOCH) // timedelta(microseconds=1)


def _json(row):
    time, name, *tags = row
    made = {"time": moment(time).isoformat(), "org_id": "o", "agent_id": "a", "content": str(name), "tags": tags}
    return {**made, "memory_type": "episodic", "event_type": "general", "dedup_key": "k"}


class Reader:
    """One kind of client on such a server; runs workflows and streams to their end."""

    def __init__(self, form, rows=(), after=None, **settings):
        self.form = form
        self.server = (RowsServer if form == "sync" else AsyncRowsServer)(rows, after)
        kind = Memtrace if form == "sync" else AsyncMemtrace
        self.client = kind("http://server", "key", transport=self.server, **settings)
        self.clock = self.client._dispatcher.settings.clock

    def run(self, workflow):
        result = self.client._dispatcher.run(workflow)
        return result if self.form == "sync" else asyncio.run(_awaited(result))

    def names(self, stream):
        """The contents of what a stream emits."""
        items = self.client._dispatcher.stream(stream)
        found = list(items) if self.form == "sync" else asyncio.run(_listed(items))
        return [memory.content for memory in found]


async def _awaited(coroutine):
    return await coroutine


async def _listed(items):
    return [item async for item in items]


def counted(names):
    """How often each name comes."""
    return Counter(map(str, names))
