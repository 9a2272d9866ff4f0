"""Several calls at once, each done once, whatever becomes of the threads."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

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


def needs_signals(test):
    test = pytest.mark.usefixtures("interruptible")(test)
    return pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to one thread")(test)


@pytest.fixture
def interruptible():
    """A shell starts programs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_while_waiting(times, seen):
    """Interrupt the main thread once it waits for the others, from one of them."""
    for _ in range(times):
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.05)
    seen.append("other")


@needs_signals
def test_an_interrupt_while_threads_are_waited_for_comes_out_when_all_have_ended():
    ended = []
    with pytest.raises(KeyboardInterrupt):
        run_concurrently([lambda: None, lambda: interrupt_while_waiting(1, ended), lambda: time.sleep(0.01)])
    assert ended == ["other"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("memtrace-batch")]


@needs_signals
def test_a_second_interrupt_comes_out_at_once():
    go_on, ended = threading.Event(), threading.Event()

    def other():
        interrupt_while_waiting(2, [])
        assert go_on.wait(30)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        run_concurrently([lambda: None, other])
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(30)


@needs_signals
def test_the_second_interrupt_counts_also_where_the_first_one_met_a_call():
    go_on, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def first():
        assert begun.wait(30)
        raise KeyboardInterrupt

    def other():
        begun.set()
        interrupt_while_waiting(1, [])
        assert go_on.wait(30)
        ended.set()

    with pytest.raises(KeyboardInterrupt):
        run_concurrently([first, other])
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(30)


def test_an_interrupt_while_a_thread_starts_waits_for_those_that_run(monkeypatch):
    start, ended, begun = threading.Thread.start, [], threading.Event()

    def start_and_interrupt(thread):
        if thread.name == "memtrace-batch-2":
            assert begun.wait(30)
            raise KeyboardInterrupt
        start(thread)

    def other():
        begun.set()
        ended.append("other")

    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_concurrently([lambda: ended.append("first"), other, other])
    assert ended == ["other"]


@needs_signals
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="mended there")
def test_a_join_of_the_bare_library_that_is_interrupted_takes_its_thread_for_stopped():
    """Where this fails `_CallThread.wait` can be a `join`."""
    go_on = threading.Event()

    def other():
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        go_on.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        thread.join(30)
    assert not thread.is_alive()
    go_on.set()


@pytest.mark.slow
@needs_signals
def test_the_interpreter_ends_at_once_after_a_second_interrupt():
    program = (
        "import signal, threading, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from memtrace._support.concurrency import run_concurrently\n"
        "def interrupt():\n"
        "    for _ in range(2):\n"
        "        time.sleep(0.3)\n"
        "        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\n"
        "threading.Thread(target=interrupt).start()\n"
        "run_concurrently([int, lambda: time.sleep(3600)])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.slow
def test_after_an_interrupt_no_further_call_is_begun():
    done = []

    def interrupted():
        raise KeyboardInterrupt

    # threads are started one after the other, so that the first has long ended before the last begins
    with pytest.raises(KeyboardInterrupt):
        run_concurrently([lambda: done.append(1), interrupted, *[lambda: done.append(1)] * 200])
    assert len(done) < 201
