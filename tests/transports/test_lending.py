"""Clients are lent to one thread at a time, within bounds."""

from __future__ import annotations

import threading

import pytest

from memtrace.exceptions import ClientClosedError
from memtrace_transports.lending import Lending
from memtrace_transports.memory import ManualClock


class Client:
    closed = False

    def close(self):
        self.closed = True


def lending(*, most=3, kept=2, expiry=30.0, clock=None, make=Client):
    return Lending(make, most=most, kept=kept, expiry=expiry, now=(clock or ManualClock()).monotonic)


def test_the_one_that_was_given_back_last_is_lent_first():
    lent = lending()
    one, two = lent.lend(None), lent.lend(None)
    assert one is not two
    lent.give_back(one)
    lent.give_back(two)
    assert [lent.lend(None), lent.lend(None)] == [two, one]


def test_no_more_are_lent_at_once_than_there_may_be():
    lent = lending(most=1)
    client = lent.lend(None)
    assert lent.lend(0.01) is None
    waiting = threading.Thread(target=lambda: got.append(lent.lend(10)))
    got = []
    waiting.start()
    lent.give_back(client)
    waiting.join()
    assert got == [client]


def test_one_that_cannot_be_made_takes_no_place():
    def fail():
        raise OSError("no certificates")

    lent = lending(most=1, make=fail)
    for _ in range(3):
        with pytest.raises(OSError, match="no certificates"):
            lent.lend(0.01)


def test_no_more_wait_than_are_kept():
    lent = lending(kept=1)
    one, two = lent.lend(None), lent.lend(None)
    lent.give_back(one)
    lent.give_back(two)
    assert (one.closed, two.closed) == (True, False)


def test_none_waits_where_none_is_kept():
    lent = lending(kept=0)
    client = lent.lend(None)
    lent.give_back(client)
    assert client.closed
    assert lent.lend(None) is not client


def test_one_that_has_waited_too_long_is_closed_by_the_next_that_is_given_back():
    clock = ManualClock()
    lent = lending(expiry=5.0, clock=clock)
    one, two = lent.lend(None), lent.lend(None)
    lent.give_back(one)
    clock.advance(6)
    lent.give_back(two)
    assert (one.closed, two.closed) == (True, False)


def test_closing_closes_those_that_wait_now_and_those_that_are_lent_when_they_come_back():
    lent = lending()
    one, two = lent.lend(None), lent.lend(None)
    lent.give_back(one)
    lent.close()
    assert (one.closed, two.closed) == (True, False)
    lent.give_back(two)
    assert two.closed


def test_who_waits_for_a_place_while_all_is_closed_gets_no_new_connection():
    lent = lending(most=1)
    client = lent.lend(None)
    lent.close()
    lent.give_back(client)
    for _ in range(2):
        with pytest.raises(ClientClosedError):
            lent.lend(0.01)


def test_a_client_that_fails_to_close_gives_its_place_back():
    class Failing(Client):
        def close(self):
            raise OSError("the socket is gone")

    lent = lending(most=1, kept=0, make=Failing)
    for _ in range(2):
        client = lent.lend(0.01)
        with pytest.raises(OSError, match="gone"):
            lent.give_back(client)
