"""The pytest plugin: a fake server for each test, with clients of it. It is loaded by every pytest, so that it imports little."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, cast

import pytest

if TYPE_CHECKING:
    from memtrace import AsyncMemtrace, Memtrace
    from memtrace_transports import FakeMemtrace
    from memtrace_transports.memory import LoggedCall, StorageState, StrictModeError, Visibility

_MARKER = "memtrace"
_HELP = (
    "memtrace(*, org='default', clock='manual', visibility='immediate', storage='up', strict=True, seed=0, "
    "dedup_enabled=True, dedup_window_hours=24, write_batch_size=100, write_flush_interval_ms=1000): "
    "settings of the fake Memtrace server that this test gets"
)
_SHOWN_CALLS = 20
_FAKE = pytest.StashKey["FakeMemtrace"]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker ``memtrace``."""
    config.addinivalue_line("markers", _HELP)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a wrong marker, on a test that asks for no fixture as well."""
    _MarkerSettings(item)


class _MarkerSettings:
    """What the marker says; the one nearest to the test wins, setting by setting."""

    def __init__(self, item: pytest.Item) -> None:
        self.org: str = "default"
        self.clock: Literal["manual", "real"] = "manual"
        self.visibility: Visibility = "immediate"
        self.storage: StorageState = "up"
        self.strict: bool = True
        self.seed: int = 0
        self.dedup_enabled: bool = True
        self.dedup_window_hours: int = 24
        self.write_batch_size: int = 100
        self.write_flush_interval_ms: int = 1000
        for mark in reversed(list(item.iter_markers(_MARKER))):
            self._take(mark)

    def _take(self, mark: pytest.Mark) -> None:
        unknown = sorted(set(mark.kwargs) - set(vars(self)))
        if mark.args or unknown:
            what = f"does not know {unknown[0]}" if unknown else "takes keywords only"
            raise pytest.UsageError(f"the marker memtrace {what}: {_HELP}")
        for name, value in mark.kwargs.items():
            if name in _CHOICES and value not in _CHOICES[name]:
                raise pytest.UsageError(f"the marker memtrace takes {name} as one of {', '.join(_CHOICES[name])}")
            if type(value) is not type(getattr(self, name)):
                raise pytest.UsageError(f"the marker memtrace takes {name} as {type(getattr(self, name)).__name__}")
        vars(self).update(mark.kwargs)


_CHOICES = {"clock": ("manual", "real"), "visibility": ("immediate", "server"), "storage": ("up", "none", "down")}


@pytest.fixture
def memtrace_fake(request: pytest.FixtureRequest) -> Iterator[FakeMemtrace]:
    """A `FakeMemtrace` of this test alone: strict, on a `ManualClock`, unless the marker ``memtrace`` says otherwise.

    A refusal of strict mode that did not reach the test fails it at its end, unless the test takes it out of `strict_errors`.
    """
    from memtrace_transports import FakeMemtrace, ManualClock

    settings = _MarkerSettings(request.node)
    fake = FakeMemtrace(
        clock=ManualClock() if settings.clock == "manual" else None,
        seed=settings.seed,
        visibility=settings.visibility,
        strict=settings.strict,
        dedup_enabled=settings.dedup_enabled,
        dedup_window_hours=settings.dedup_window_hours,
        write_batch_size=settings.write_batch_size,
        write_flush_interval_ms=settings.write_flush_interval_ms,
    )
    fake.organisation(settings.org, storage=settings.storage)
    request.node.stash[_FAKE] = fake
    yield fake
    unseen = _unseen(list(fake.strict_errors), request.node)
    if unseen:
        pytest.fail("\n  ".join([_UNSEEN, *unseen]) + _MEANT, pytrace=False)


@pytest.fixture
def memtrace_client(request: pytest.FixtureRequest, memtrace_fake: FakeMemtrace) -> Iterator[Memtrace]:
    """A client of `memtrace_fake`."""
    with memtrace_fake.client(_MarkerSettings(request.node).org) as client:
        yield client


@pytest.fixture
def async_memtrace_client(request: pytest.FixtureRequest, memtrace_fake: FakeMemtrace) -> AsyncMemtrace:
    """An async client of `memtrace_fake`. It belongs to no event loop, so that any plugin's will do, and needs no closing."""
    return memtrace_fake.async_client(_MarkerSettings(request.node).org)


@pytest.fixture
def memtrace_server(memtrace_fake: FakeMemtrace) -> Iterator[str]:
    """The URL of `memtrace_fake` on a port, for code that makes its own client. Needs the extra ``server``."""
    from memtrace_transports.memory.server import LiveServer

    with LiveServer(memtrace_fake) as server:
        yield server.url


_UNSEEN = "strict mode refused requests, and the test did not see it:"
_MEANT = "\nWhere that is meant, say memtrace_fake.strict_errors.clear(), or mark the test with memtrace(strict=False)."


def _unseen(errors: Iterable[StrictModeError], item: pytest.Item) -> list[str]:
    """The rules of the errors that were handled before they came to a line of the test's module, or to what runs tests."""
    module, function = getattr(item, "module", None), cast("Any", getattr(item, "obj", None))
    places = getattr(module, "__dict__", None), getattr(inspect.unwrap(function), "__globals__", None)
    seen: dict[str, bool] = {}
    for error in errors:
        passed = [frame.f_globals for frame, _ in traceback.walk_tb(error.__traceback__)]
        in_test = any(names is place for names in passed for place in places)
        in_runner = any(str(names.get("__name__")).startswith(_RUNNERS) for names in passed)
        is_taken = not passed  # by assertRaises, which strips what it has caught
        seen[str(error)] = seen.get(str(error), False) or in_test or in_runner or is_taken
    return [rule for rule, is_seen in seen.items() if not is_seen]


_RUNNERS = ("_pytest.", "unittest.case", "doctest")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show a failed test's last calls: operations, paths and statuses, no contents and no keys."""
    if call.excinfo is not None and not item.config.option.fulltrace:
        _hide_own_frames(call.excinfo)
    report = yield
    fake = item.stash.get(_FAKE, None)
    if fake is not None and report.failed and len(fake.calls):
        calls = fake.calls[-_SHOWN_CALLS:]
        title = f"calls of the fake Memtrace server (the last {len(calls)} of {len(fake.calls)})"
        report.sections.append((title, "\n".join(_shown(call) for call in calls)))
    if fake is not None and call.when == "teardown":
        del item.stash[_FAKE]  # items live until the end of the run
    return report


def _hide_own_frames(raised: pytest.ExceptionInfo[BaseException]) -> None:
    """Let a refusal of strict mode end at the line that made the call, as an assertion of the test does."""
    from memtrace._support.tracebacks import without_own_frames

    memory = sys.modules.get("memtrace_transports.memory")
    if memory is None or not raised.errisinstance((memory.StrictModeError, memory.StrictModeWarning)):
        return
    raised.traceback = type(raised.traceback)(without_own_frames(raised.tb) or raised.tb)


def _shown(call: LoggedCall) -> str:
    """One call on a line; what was searched for in a path is a content."""
    return _SEARCHED.sub("/memories/...", str(call), count=1)


_SEARCHED = re.compile(r"/memories/\S.*(?= -> )", re.IGNORECASE | re.DOTALL)
