"""Models are put together where they are first used, and that may be in many threads at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from memtrace.models import WIRE, AddMemoryRequest, CreateSessionRequest, ListOptions, MemoryList, SearchQuery, SearchResult

row = b'{"time":"2026-01-01T00:00:00Z","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"g","content":"x"}'
barrier, errors = threading.Barrier(12), []

def work():
    barrier.wait()
    try:
        AddMemoryRequest(agent_id="a", content="c").model_dump_json()
        MemoryList.__pydantic_validator__.validate_json(b'{"memories":[' + row + b'],"count":1,"has_more":false}', context=WIRE)
        SearchResult.model_validate_json(b'{"results":[' + row + b'],"count":1,"query_time_ms":1}', context=WIRE)
        ListOptions(since="1h").model_copy(update={"limit": 3})
        SearchQuery(tags="a"), CreateSessionRequest(agent_id="x")
    except BaseException as error:
        errors.append(repr(error))

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not errors, errors
"""


@pytest.mark.parametrize("time", range(4))
def test_many_threads_may_use_them_first_at_once(time):
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
