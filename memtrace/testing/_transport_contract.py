"""The contract of a transport, as classes that pytest runs: subclass one, give it your transport, and see what it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, cast

import pytest

from memtrace.plugins import TransportSpec
from memtrace.testing._rules.answers import Responses
from memtrace.testing._rules.async_behaviour import Awaiting
from memtrace.testing._rules.connections import Connections
from memtrace.testing._rules.failures import Failures
from memtrace.testing._rules.fixtures import Make
from memtrace.testing._rules.lifecycle import Making
from memtrace.testing._rules.options import Options
from memtrace.testing._rules.requests import Requests
from memtrace.testing._rules.secrets import Secrets
from memtrace.testing._transport_under_test import (
    AsyncTransportUnderTest,
    Backend,
    SyncTransportUnderTest,
    TransportUnderTest,
)
from memtrace.transport import TransportOptions

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet


class _Contract(Options, Secrets, Failures, Connections, Responses, Requests, Making):
    """What holds for both forms; pytest begins with the last of these."""

    @pytest.fixture
    def make(self, subject_of: Callable[[TransportOptions], TransportUnderTest]) -> Iterator[Make]:
        """Makes transports with options; closes them in the end."""
        with ExitStack() as stack:

            def make(**options: object) -> TransportUnderTest:
                subject = subject_of(TransportOptions(**options))  # type: ignore[arg-type]  # the rules know their types
                stack.callback(subject.end)
                return subject

            yield make

    @pytest.fixture
    def subject(self, make: Make) -> TransportUnderTest:
        """A transport with all options as they are by default."""
        return make()


class TransportContract(_Contract):
    """Tests that every blocking transport must pass. Subclass it and define the fixture `spec`.

    ::

        class TestMyTransport(TransportContract):
            @pytest.fixture
            def spec(self):
                return my_package.memtrace_transport()

    pytest then sends real requests to a server on a loopback port. It skips options that are not
    among the spec's `capabilities`. The class attributes `network`, `keeps_alive`, `forks` and
    `clocks_connecting` turn off further tests. TLS is not tested.
    """

    @pytest.fixture
    def subject_of(self, spec: TransportSpec) -> Callable[[TransportOptions], TransportUnderTest]:
        """Makes a transport with options."""
        create = _checked_spec(spec).create
        assert create is not None, "the spec has no create: use AsyncTransportContract"
        return lambda options: SyncTransportUnderTest(create(options))


class AsyncTransportContract(Awaiting, _Contract):
    """Tests that every async transport must pass. Use it like `TransportContract`.

    `backends` has the event loops that it runs on: ``("asyncio",)``, or ``("asyncio", "trio")``.
    """

    backends: ClassVar[tuple[Backend, ...]] = ("asyncio",)
    """The event loops on which all of it is run."""

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Run everything on each of the event loops."""
        if "backend" in metafunc.fixturenames:
            backends = cast("type[AsyncTransportContract]", metafunc.cls).backends
            metafunc.parametrize("backend", [_runnable(backend) for backend in backends])

    @pytest.fixture
    def subject_of(self, spec: TransportSpec, backend: Backend) -> Callable[[TransportOptions], TransportUnderTest]:
        """Makes a transport with options."""
        create = _checked_spec(spec).create_async
        assert create is not None, "the spec has no create_async: use TransportContract"
        return lambda options: AsyncTransportUnderTest(create(options), backend)


def _runnable(backend: Backend) -> ParameterSet:
    missing = backend == "trio" and find_spec("trio") is None
    return pytest.param(backend, marks=pytest.mark.skipif(missing, reason="trio is not installed"))


def _checked_spec(spec: object) -> TransportSpec:
    assert isinstance(spec, TransportSpec), (
        f"the fixture spec gives {type(spec).__name__}: it must return a TransportSpec"
    )
    return spec
