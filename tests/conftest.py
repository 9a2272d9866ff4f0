"""What several tests need: a clock that only moves when told to, scripted transports, and one runner for both drivers."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from hypothesis import settings

import memtrace
import memtrace_transports
from memtrace._flow.composition import compose
from memtrace._flow.drivers import drive, drive_async
from memtrace._support.locks import Locks
from memtrace.transport import CallContext, Request, Response
from tests import sampling
from tests.faces import Face

# ---- what runs ------------------------------------------------------------------------------------------------------

settings.register_profile("dev", max_examples=5, deadline=None)  # a busy machine is no failure, here and below
settings.register_profile("default", max_examples=15, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None)
settings.register_profile("long", max_examples=2000, deadline=None)


def pytest_addoption(parser):
    group = parser.getgroup("memtrace-sdk's own tests")
    group.addoption("--whole", action="store_true", help="run every case, and the tests marked slow")
    group.addoption("--sample-seed", type=int, metavar="N", help="draw the samples of an earlier run again")


def pytest_configure(config):
    option = config.option
    if option.sample_seed is None:
        given = getattr(config, "workerinput", {})  # what a worker of pytest-xdist is handed by `pytest_configure_node`
        option.sample_seed = given.get("sample_seed", random.randrange(1_000_000))
    sampling.begin(seed=option.sample_seed, whole=option.whole)
    settings.load_profile(config.getoption("--hypothesis-profile") or ("ci" if option.whole else "default"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Every worker of a run draws the same cases."""
    node.workerinput["sample_seed"] = node.config.option.sample_seed


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    """Save what was measured: a worker that takes long to end, on a busy machine, is killed by then."""
    measured = sys.modules["coverage"].Coverage.current() if "coverage" in sys.modules else None
    if measured is not None:
        measured.save()


@pytest.fixture(autouse=True)
def _measuring():
    """Measure on: what coverage calls fails where a test is out of stack or is interrupted, and then Python calls it no more."""
    tracer = sys.gettrace()
    yield
    if sys.gettrace() is not tracer:
        sys.settrace(tracer)


def pytest_report_header(config):
    if config.option.whole:
        return "cases: all (--whole)"
    return f"cases: samples, drawn again with --sample-seed={config.option.sample_seed}; all with --whole"


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(config, items):
    """Mark what has a server on a port. Leave the tests marked slow out, unless the run is whole, asks for them, or names tests one by one."""
    for item in items:
        if {"memtrace_server", "serving"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("network")
    if config.option.whole or "slow" in config.option.markexpr or any("::" in str(arg) for arg in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


# ---- fixtures and what they are made of ----------------------------------------------------------------------------


class StoppedClock:
    """Stands still but for sleeping, which takes no real time and is written down."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_800_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Script:
    """A transport that does one step of a list for each request: a status, a response, an error, or a function of the request."""

    def __init__(self, *steps: int | Response | BaseException | Callable[[Request], Response]) -> None:
        self.steps = list(steps)
        self.requests: list[Request] = []
        self.closed = 0

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        step = self.steps.pop(0) if self.steps else 200
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, int):
            return Response(step)
        return step if isinstance(step, Response) else step(request)

    def close(self) -> None:
        self.closed += 1


class AsyncScript(Script):
    """The same, awaiting."""

    async def send(self, request: Request) -> Response:
        return super().send(request)

    async def close(self) -> None:
        super().close()


class Runner:
    """Runs flows and middleware on one of the drivers, with the same script and the same clock, locks and calls for each."""

    def __init__(self, driver: str) -> None:
        self.driver = driver
        self.clock = StoppedClock()
        self.locks = Locks()
        self.context = CallContext(self.clock)
        self.transport: Script = Script()

    @property
    def requests(self) -> list[Request]:
        """What reached the transport of the last run."""
        return self.transport.requests

    @property
    def is_async(self) -> bool:
        return self.driver != "sync"

    def request(self, **fields) -> Request:
        given = {"method": "POST", "origin": "http://server", "target": "/api/v1/memories", "operation": "memories.add"}
        return Request(**{**given, "context": self.context, **fields})

    def run(self, flow, *steps):
        """Drive `flow` against the script and give its value."""
        if self.driver == "sync":
            self.transport = Script(*steps)
            return drive(flow, self.transport, self.locks, self.context)
        self.transport = AsyncScript(*steps)
        run = asyncio.run if self.driver == "asyncio" else _trio_run
        return run(drive_async(flow, self.transport, self.locks, self.context))

    def call(self, middleware, *steps, **fields):
        """Make one call through `middleware` (one, or several with the outermost first)."""
        chain = middleware if isinstance(middleware, (list, tuple)) else [middleware]
        return self.run(compose(chain)(self.request(**fields)), *steps)


def _trio_run(coroutine):
    async def main():
        return await coroutine

    return trio.run(main)


@pytest.fixture(params=["sync", "asyncio", "trio"])
def runner(request):
    """Each test that asks for it holds for the blocking driver, and for the awaiting one on both event loops."""
    return Runner(request.param)


@pytest.fixture(params=["sync", "async"])
def face(request):
    """Each test that asks for it holds for both clients."""
    loop = asyncio.new_event_loop()
    yield Face(request.param, loop)
    loop.close()


@pytest.fixture
def checkout(tmp_path):
    """Both packages as they are installed, the scripts and the configuration, in a folder where they may be changed."""
    root = Path(__file__).parents[1]
    packages = [Path(package.__file__).parent for package in (memtrace, memtrace_transports)]
    for folder in (*packages, root / "scripts"):
        shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.fixture
def draw():
    """Begin another run of `tests.sampling`, until the end of the test."""
    before = {"seed": sampling.seed(), "whole": sampling.is_whole()}
    yield sampling.begin
    sampling.begin(**before)


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    for name in ("BASE_URL", "API_KEY", "TRANSPORT", "TIMEOUT"):
        monkeypatch.delenv(f"MEMTRACE_{name}", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
