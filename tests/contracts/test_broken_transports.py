"""Each broken transport fails the contract, and only by the tests of the rule that it breaks."""

from __future__ import annotations

import gc
import os

import pytest

from tests.contracts import noticing
from tests.contracts.broken_transports import (
    AWAITING,
    BLOCKING,
    BlocksTheLoop,
    CannotTellConnectingFromWaiting,
    KeepsItsConnectionsOpen,
    KeepsNoConnection,
    SharesConnectionsWithItsChildren,
    WaitsLongForTheBody,
    WaitsTooLong,
)
from tests.contracts.plain_transport import Plain
from tests.sampling import is_whole, sample

# By the nox session `broken`: each one against the whole contract, two minutes.
EVERYTHING = "CANCELLATIONS" in os.environ
QUICK = ("spec", "methods", "headers", "closes", "refused", "no_http", "redirect", "is_kept")

SLOW = {
    BlocksTheLoop,
    CannotTellConnectingFromWaiting,
    KeepsItsConnectionsOpen,
    SharesConnectionsWithItsChildren,
    WaitsLongForTheBody,
    WaitsTooLong,
}

MODULE = """
import pytest
from memtrace.testing import {contract}
from tests.contracts import broken_transports, plain_transport

class TestIt({contract}):
    {flags}

    @pytest.fixture
    def spec(self):
        return broken_transports.spec_of({place})
"""


pytestmark = [
    pytest.mark.network,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # some of them leave connections behind
]


@pytest.fixture(autouse=True)
def _what_is_left_behind_goes_with_its_test():
    yield
    gc.collect()


def failures(pytester, contract, broken, expected=(), flags=""):
    """The names of the tests of the contract that fail for this transport, among those that should and some others."""
    place = f"{broken.__module__.rpartition('.')[2]}.{broken.__name__}"
    source = MODULE.format(contract=contract, place=place, flags=flags)
    chosen = () if EVERYTHING or not expected else ("-k", " or ".join((*expected, *QUICK)))
    return noticing.failures(pytester, source, *chosen, least=5)


def quick(table):
    """Those that are caught within a second, unless the run is whole."""
    return [broken for broken in table if is_whole() or broken not in SLOW]


@pytest.mark.parametrize("rules", [QUICK, pytest.param((), marks=pytest.mark.slow)], ids=["some of it", "all of it"])
def test_the_transport_that_they_are_made_of_keeps_the_contract(pytester, rules):
    assert failures(pytester, "TransportContract", Plain, rules) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "flag"),
    [
        (KeepsNoConnection, "keeps_alive = False"),
        (SharesConnectionsWithItsChildren, "forks = False"),
        (CannotTellConnectingFromWaiting, "clocks_connecting = False"),
    ],
)
def test_what_a_transport_cannot_do_may_be_said(pytester, broken, flag):
    assert failures(pytester, "TransportContract", broken, BLOCKING[broken], flag) == set()


@pytest.mark.slow
@pytest.mark.parametrize("broken", sample(quick(BLOCKING), 2), ids=lambda broken: broken.__name__)
def test_a_broken_transport_is_caught(pytester, broken):
    failed = failures(pytester, "TransportContract", broken, BLOCKING[broken])
    assert noticing.astray(failed, BLOCKING[broken]) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("broken", sample(quick(AWAITING), 1), ids=lambda broken: broken.__name__)
def test_a_broken_async_transport_is_caught(pytester, broken):
    failed = failures(pytester, "AsyncTransportContract", broken, AWAITING[broken])
    assert noticing.astray(failed, AWAITING[broken]) == ([], [])
