"""The garbage collector while a large answer is parsed."""

from __future__ import annotations

import gc
import json
import threading

import pytest

from memtrace.exceptions import UnreadableResponseError
from memtrace.garbage import LARGE, uncollected
from memtrace.models import MemoryList
from memtrace.operations import reader
from memtrace.transport import Response

ROW = {
    "time": "2026-01-01T00:00:00Z",
    "org_id": "org",
    "agent_id": "a",
    "memory_type": "episodic",
    "event_type": "general",
    "content": "x" * 100,
}


@pytest.fixture(autouse=True)
def switched_on():
    gc.enable()
    yield
    gc.enable()


def answer(rows, **changes):
    memories = [{**ROW, **changes}] * rows
    return Response(200, body=json.dumps({"memories": memories, "count": rows, "has_more": False}).encode())


def test_nothing_is_collected_while_a_large_answer_becomes_rows():
    large = answer(2000)
    assert len(large.body) > LARGE
    read = reader(MemoryList)
    read(answer(1))
    gc.collect()
    seen = []
    gc.callbacks.append(watch := lambda phase, info: seen.append(info["generation"]))
    try:
        rows = read(large).memories
        during = len(seen)
    finally:
        gc.callbacks.remove(watch)
    assert len(rows) == 2000
    assert during <= 1  # the one that was due, once it may run again
    assert gc.isenabled()


@pytest.mark.parametrize("rows", [1, 2000])
def test_who_has_switched_the_collector_off_finds_it_off(rows):
    gc.disable()
    reader(MemoryList)(answer(rows))
    assert not gc.isenabled()


def test_it_is_on_again_after_an_answer_that_cannot_be_read():
    with pytest.raises(UnreadableResponseError):
        reader(MemoryList)(answer(2000, time="soon"))
    assert gc.isenabled()


def test_it_is_off_while_it_parses_and_gives_back_what_parsing_gave():
    assert uncollected(gc.isenabled) is False
    assert uncollected(lambda: uncollected(gc.isenabled)) is False
    assert gc.isenabled()


def test_of_threads_that_parse_at_once_the_last_leaves_it_on():
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        for _ in range(300):
            uncollected(lambda: sum(range(50)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()
