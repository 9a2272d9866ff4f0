"""Uses buffers and interrupts that again and again, a little later each time; fails when a lock stays held or an outcome open."""

from __future__ import annotations

import signal

from memtrace import BufferDrainError
from memtrace_transports import FakeMemtrace


class Interrupted(BaseException):
    pass


def interrupt(*_):
    raise Interrupted


def use(client, number, heard, futures):
    """One buffer, interrupted after a while; gives it and whether it was."""
    buffer = client.memories.buffered(
        max_items=3,
        max_age=0.0005,
        max_pending=6,
        when_full=["block", "drop_oldest"][number % 2],
        on_result=heard.append,
    )
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + number * 0.00003)
        with buffer:
            futures.extend(buffer.add(agent_id="a1", content=f"{number}.{each}") for each in range(40))
    except (Interrupted, BufferDrainError):
        return buffer, True
    except RuntimeError as error:
        if isinstance(error.__context__, Interrupted):  # what threading.Condition makes of it where a thread starts
            return buffer, True
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return buffer, False


def check(buffer, heard, futures):
    buffer.close()
    worker = buffer._outbox._worker
    if worker is not None and worker.is_alive():
        worker.join(10)
        assert not worker.is_alive()
    assert buffer._outbox.guard.acquire(timeout=1)
    buffer._outbox.guard.release()
    assert all(future.done() for future in futures)
    counts = buffer.counts
    assert counts.pending == 0
    assert counts.accepted - len(futures) in {0, 1}, "one whose future nobody was given, at most"
    indexes = [outcome.index for outcome in heard]
    assert len(set(indexes)) == len(indexes)


def main():
    client, interrupted = FakeMemtrace().client(), 0
    signal.signal(signal.SIGALRM, interrupt)
    for number in range(300):
        heard, futures = [], []
        try:
            buffer, was = use(client, number, heard, futures)
        except Interrupted:
            continue  # between the blocks of this script
        interrupted += was
        check(buffer, heard, futures)
    assert interrupted > 20, interrupted


if __name__ == "__main__":
    main()
