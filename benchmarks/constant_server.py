"""A loopback server that answers every request with the same stored memory: what is measured is the client."""

from __future__ import annotations

import asyncio
import re

ROW = (
    b'{"time":"2026-01-01T00:00:00.123456789Z","org_id":"org_000000000000000000000000","agent_id":"assistant",'
    b'"memory_type":"episodic","event_type":"general","content":"User prefers dark mode",'
    b'"dedup_key":"00dc37b13a4a873400e6688622288135"}'
)
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ROW), ROW)
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Constant(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.waiting = b""

    def data_received(self, data):
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self.waiting, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.waiting) < whole:
                return
            self.waiting = self.waiting[whole:]
            self.transport.write(ANSWER)


async def main():
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
