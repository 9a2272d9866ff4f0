"""Clients are lent to one thread at a time, within bounds."""

from __future__ import annotations

import threading

import pytest

from memtrace.exceptions import ClientClosedError
from memtrace_transports._pool.client_pool import ClientPool
from memtrace_transports.memory import ManualClock


class Client:
    closed = False

    def close(self):
        self.closed = True


def pool(*, max_size=3, kept=2, expiry=30.0, clock=None, make=Client):
    return ClientPool(make, max_size=max_size, max_idle=kept, expiry=expiry, now=(clock or ManualClock()).monotonic)


def test_the_one_that_was_given_back_last_is_lent_first():
    lent = pool()
    one, two = lent.acquire(None), lent.acquire(None)
    assert one is not two
    lent.release(one)
    lent.release(two)
    assert [lent.acquire(None), lent.acquire(None)] == [two, one]


def test_no_more_are_lent_at_once_than_there_may_be():
    lent = pool(max_size=1)
    client = lent.acquire(None)
    assert lent.acquire(0.01) is None
    waiting = threading.Thread(target=lambda: got.append(lent.acquire(10)))
    got = []
    waiting.start()
    lent.release(client)
    waiting.join()
    assert got == [client]


def test_one_that_cannot_be_made_takes_no_place():
    def fail():
        raise OSError("no certificates")

    lent = pool(max_size=1, make=fail)
    for _ in range(3):
        with pytest.raises(OSError, match="no certificates"):
            lent.acquire(0.01)


def test_no_more_wait_than_are_kept():
    lent = pool(kept=1)
    one, two = lent.acquire(None), lent.acquire(None)
    lent.release(one)
    lent.release(two)
    assert (one.closed, two.closed) == (True, False)


def test_none_waits_where_none_is_kept():
    lent = pool(kept=0)
    client = lent.acquire(None)
    lent.release(client)
    assert client.closed
    assert lent.acquire(None) is not client


def test_one_that_has_waited_too_long_is_closed_by_the_next_that_is_given_back():
    clock = ManualClock()
    lent = pool(expiry=5.0, clock=clock)
    one, two = lent.acquire(None), lent.acquire(None)
    lent.release(one)
    clock.advance(6)
    lent.release(two)
    assert (one.closed, two.closed) == (True, False)


def test_closing_closes_those_that_wait_now_and_those_that_are_lent_when_they_come_back():
    lent = pool()
    one, two = lent.acquire(None), lent.acquire(None)
    lent.release(one)
    lent.close()
    assert (one.closed, two.closed) == (True, False)
    lent.release(two)
    assert two.closed


def test_who_waits_for_a_place_while_all_is_closed_gets_no_new_connection():
    lent = pool(max_size=1)
    client = lent.acquire(None)
    lent.close()
    lent.release(client)
    for _ in range(2):
        with pytest.raises(ClientClosedError):
            lent.acquire(0.01)


def test_a_client_that_fails_to_close_gives_its_place_back():
    class Failing(Client):
        def close(self):
            raise OSError("the socket is gone")

    lent = pool(max_size=1, kept=0, make=Failing)
    for _ in range(2):
        client = lent.acquire(0.01)
        with pytest.raises(OSError, match="gone"):
            lent.release(client)
