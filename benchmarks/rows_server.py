"""A fake server on a port, filled with rows: prints its address. python benchmarks/rows_server.py ROWS"""

from __future__ import annotations

import sys
import threading

from memtrace_transports.memory._fake import FakeMemtrace
from memtrace_transports.memory.server import LiveServer


def main():
    fake = FakeMemtrace()
    org = fake.organisation("default", api_key="mtk_benchmark")
    count = int(sys.argv[1])
    fake.seed(org, ({"agent_id": "reader", "content": f"row {n} " + "x" * 100, "age_s": 3600.0} for n in range(count)))
    with LiveServer(fake) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
