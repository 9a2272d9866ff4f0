"""Several calls at once, each done once, whatever becomes of the threads."""

from __future__ import annotations

import threading

import pytest

from memtrace._support.concurrency import run_concurrently


def test_results_and_errors_stand_in_the_order_of_the_calls():
    error = ValueError("b")

    def fail():
        raise error

    assert run_concurrently([lambda: "a", fail, lambda: "c"]) == ["a", error, "c"]
    assert run_concurrently([]) == []


def test_several_calls_run_at_the_same_time():
    meeting = threading.Barrier(3, timeout=30)
    assert sorted(run_concurrently([meeting.wait] * 3)) == [0, 1, 2]


@pytest.mark.parametrize("to_be_had", [0, 1, 3])
def test_where_threads_run_out_every_call_is_still_made_once(monkeypatch, to_be_had):
    left = [None] * to_be_had
    start = threading.Thread.start

    def start_while_there_are(thread):
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_while_there_are)
    made = []
    assert run_concurrently([lambda place=place: made.append(place) or place for place in range(6)]) == list(range(6))
    assert sorted(made) == list(range(6))


@pytest.mark.parametrize("place", [0, 1])
def test_an_interrupt_comes_out_when_the_others_have_ended(place):
    ended = []
    begun = threading.Barrier(2, timeout=30)

    def interrupted():
        begun.wait()
        raise KeyboardInterrupt

    def other():
        begun.wait()
        ended.append("other")

    calls = [other]
    calls.insert(place, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_concurrently(calls)
    assert ended == ["other"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("memtrace-batch")]


def test_after_an_interrupt_nothing_more_is_begun(monkeypatch):
    def none_to_be_had(thread):
        raise RuntimeError("can't start new thread")

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
    made = []
    with pytest.raises(KeyboardInterrupt):
        run_concurrently([interrupted, lambda: made.append(1)])
    assert made == []
