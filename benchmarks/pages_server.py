"""A loopback server of as many memories as it is told, newest first, put together as they are asked for: what is measured is the client.

python benchmarks/pages_server.py ROWS
"""

from __future__ import annotations

import asyncio
import functools
import re
import sys
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

SECOND = 1_000_000
NEWEST = 50 * SECOND  # microseconds of a minute, which is as many rows as it can have
ROW = (
    '{"time":"2026-01-01T00:00:%02d.%06d123Z","org_id":"org_000000000000000000000000","agent_id":"reader",'
    '"memory_type":"episodic","event_type":"general","content":"row %d ' + "x" * 100 + '",'
    '"dedup_key":"00dc37b13a4a873400e6688622288135"}'
)
REQUEST = re.compile(rb"GET (\S+) HTTP/1\.1\r\n(?:[^\r]+\r\n)*\r\n")


@functools.lru_cache(maxsize=8)
def page(target, rows):
    """The rows that this target asks for, and the answer around them; the last ones are kept, for lists that are asked for again."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    begin = int(asked.get("offset", 0))
    if "until" in asked:
        until = datetime.fromisoformat(asked["until"])
        begin += NEWEST - (until.second * SECOND + until.microsecond) + 1
    end = min(begin + int(asked.get("limit", 100)), rows)
    texts = [ROW % (*divmod(NEWEST - number, SECOND), number) for number in range(begin, end)]
    more = "true" if end < rows else "false"
    body = f'{{"memories":[{",".join(texts)}],"count":{len(texts)},"has_more":{more}}}'.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Pages(asyncio.Protocol):
    def __init__(self, rows):
        self.rows = rows
        self.waiting = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.waiting += data
        while request := REQUEST.match(self.waiting):
            self.waiting = self.waiting[request.end() :]
            self.transport.write(page(request[1].decode(), self.rows))


async def main():
    rows = int(sys.argv[1])
    assert rows < NEWEST
    server = await asyncio.get_running_loop().create_server(lambda: Pages(rows), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
