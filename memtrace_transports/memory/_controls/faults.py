"""The fault plan: which failures meet which calls, the same in every run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeGuard, get_args

from memtrace.transport._header_rules import is_header
from memtrace_transports.memory._clock import is_span
from memtrace_transports.memory._controls.call_log import LoggedCall, check_operation
from memtrace_transports.memory._controls.fault_targets import check_route
from memtrace_transports.memory._organisations import Organisation, check_fake

FaultKind: TypeAlias = Literal[
    "status", "delay", "refused", "reset", "truncated", "garbled", "slow_body", "storage_down"
]
"""The kinds of faults.

``status``: another response than the server's, like a proxy's. ``delay``: a late response. ``refused``: no connection. ``reset``: the
connection breaks before the response. ``truncated``: an incomplete response. ``garbled``: a response with half of its JSON.
``slow_body``: a slow body of the response. ``storage_down``: the organisation's storage is unreachable for a while.
"""

_NEEDS_SECONDS = ("delay", "slow_body", "storage_down")
_APPLIES = ("status", "reset")
_BODY = b'{"error":"service unavailable"}'
_HEADERS: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Fault:
    """Inject a fault into the `nth` matching call, and into `times` calls in a row.

    Calls are counted from when the fault was added. If several faults apply to one call, the one
    that was added first hits it. The others stay planned for their next matching call.

    `on` is an operation (``"memories.add"``, ``"sessions.*"``) or a method and path
    (``"GET /api/v1/memories*"``). `org` is an organisation, its name or ID. `when` is a function of
    the call, whose error is raised. None matches every call. With `times` None, all later calls are
    hit.

    With `applied`, the server performs the request before a ``reset`` or a ``status``. `status`,
    `body` and `headers` are the response of a ``status``. `seconds` is the duration of a ``delay``,
    ``slow_body`` or ``storage_down``, by the fake's clock. A `ManualClock` skips it.

    A ``storage_down`` only hits calls of an organisation. Storage that is missing, or down until
    you change it, stays so.

    Raises:
        ValueError: The operation or route does not exist, or settings do not fit together.

    Example:
        >>> Fault("reset", on="memories.add", nth=2, applied=True).describe()
        'reset after it was applied, on memories.add, call 2'
    """

    kind: FaultKind
    on: str | None = None
    org: Organisation | str | None = None
    when: Callable[[LoggedCall], bool] | None = None
    nth: int = 1
    times: int | None = 1
    applied: bool = False
    status: int = 503
    body: bytes = _BODY
    headers: Mapping[str, str] = field(default_factory=lambda: _HEADERS, hash=False)
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(FaultKind))}, not {self.kind!r}")
        if self.on is not None:
            (check_route if " " in self.on else check_operation)(self.on)
        self._check_calls()
        self._check_what_happens()

    def _check_calls(self) -> None:
        if not _counts(self.nth) or not (self.times is None or _counts(self.times)):
            raise ValueError("nth and times are whole numbers, counted from 1")
        if not (self.org is None or isinstance(self.org, (str, Organisation))):
            raise ValueError("org must be an organisation, its name or its id")
        if not (self.when is None or callable(self.when)):
            raise ValueError("when must be a function of the call")

    def _check_what_happens(self) -> None:
        if self.applied and self.kind not in _APPLIES:
            raise ValueError(f"applied is for {' and '.join(_APPLIES)}")
        if (self.seconds is not None) != (self.kind in _NEEDS_SECONDS):
            raise ValueError(f"seconds is for {', '.join(_NEEDS_SECONDS)}, and needed there")
        if self.seconds is not None and not is_span(self.seconds):
            raise ValueError("seconds must be a number from 0 to 10 years")
        if not _counts(self.status) or not 200 <= self.status <= 599:
            raise ValueError("status must be a whole number from 200 to 599")
        if not isinstance(self.body, bytes):
            raise ValueError("body must be bytes")  # noqa: TRY004 - the documented kind, with all other settings
        if not all(
            _is_text(name) and _is_text(value) and is_header(name, value) for name, value in self.headers.items()
        ):
            raise ValueError("headers must be names and values that HTTP can carry: printable ASCII")
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))
        if self.kind != "status" and (self.status, self.body, self.headers) != (503, _BODY, _HEADERS):
            raise ValueError("status, body and headers are for a status")

    def describe(self) -> str:
        """Describe the fault in words, for messages.

        Returns:
            One line.
        """
        what = f"status {self.status}" if self.kind == "status" else self.kind
        parts = [what + (" after it was applied" if self.applied else ""), f"on {self.on or 'any call'}"]
        if self.org is not None:
            parts.append(f"of {self.org if isinstance(self.org, str) else self.org.name}")
        last = (
            ""
            if self.times == 1
            else " and all that follow"
            if self.times is None
            else f" to {self.nth + self.times - 1}"
        )
        return f"{', '.join(parts)}, call{'' if self.times == 1 else 's'} {self.nth}{last}"


@dataclass(slots=True)
class _Planned:
    fault: Fault
    seen: int = 0
    hit: int = 0

    def matches(self, call: LoggedCall) -> bool:
        """Whether all that was asked for holds. Raises what `when` raises."""
        fault, on = self.fault, self.fault.on
        org = fault.org.org_id if isinstance(fault.org, Organisation) else fault.org
        if on is not None and not fnmatchcase(f"{call.method} {call.path}" if " " in on else call.operation, on):
            return False
        return (
            (fault.kind != "storage_down" or call.org_id is not None)
            and (org is None or org in (call.org, call.org_id))
            and (fault.when is None or fault.when(call))
        )

    @property
    def is_open(self) -> bool:
        return self.fault.times is None or self.hit < self.fault.times

    @property
    def is_due(self) -> bool:
        return self.is_open and self.seen >= self.fault.nth

    @property
    def is_left(self) -> bool:
        return self.hit < (self.fault.times or 1)


class FaultPlan:
    """The planned faults of one fake server, in order. The first that applies hits a call, and the others wait.

    Example:
        >>> from memtrace_transports import FakeMemtrace
        >>> fake = FakeMemtrace()
        >>> fake.faults.add(Fault("status", status=429, headers={"Retry-After": "60"}))
        >>> fake.client().agents.list()
        Traceback (most recent call last):
        memtrace.exceptions.RateLimitError: ...
        >>> fake.faults.assert_all_used()
    """

    def __init__(self, *, fake: int = 0) -> None:
        """`fake` is the number of the server whose plan it is: an `Organisation` of another one raises."""
        self._fake = fake
        self._guard = threading.Lock()  # taken by itself, or inside the lock of the fake
        self._planned: list[_Planned] = []

    def add(self, *faults: Fault) -> None:
        """Plan more faults. Their calls are counted from now on.

        Args:
            faults: The faults, in the order in which they are checked.

        Raises:
            ValueError: A fault is for an `Organisation` of another fake. None is planned.
        """
        for fault in faults:
            check_fake(fault.org, self._fake)
        planned = [_Planned(fault) for fault in faults]
        with self._guard:
            self._planned.extend(planned)

    def clear(self) -> None:
        """Remove all faults. Storage that a fault has taken down comes back at its time."""
        with self._guard:
            self._planned.clear()

    def next(self, call: LoggedCall) -> Fault | None:
        """Take the fault that hits a call: the first one whose turn it is.

        Every matching fault counts the call, until it is used up. A fault whose turn it is, but
        which is not the first, hits a later call.

        An error of a fault's `when` is raised. Then no fault counts the call.

        Args:
            call: The call, before it is answered.

        Returns:
            The fault, or None.
        """
        with self._guard:
            plan = list(self._planned)
        open_ones = [planned for planned in plan if planned.is_open]
        matching = [planned for planned in open_ones if planned.matches(call)]  # a `when` may use this plan
        with self._guard:
            for planned in matching:
                planned.seen += 1
            due = next((planned for planned in matching if planned.is_due), None)
            if due is None:
                return None
            due.hit += 1
            return due.fault

    def unused(self) -> list[Fault]:
        """List the faults that have hit fewer calls than planned.

        Returns:
            The faults; one without an end is listed until it has hit one call.
        """
        with self._guard:
            return [planned.fault for planned in self._planned if planned.is_left]

    def assert_all_used(self) -> None:
        """Assert that every fault has hit all its calls, so that the test tests what it says.

        Raises:
            AssertionError: A fault has hit fewer calls than planned.
        """
        __tracebackhide__ = True
        with self._guard:
            left = [
                f"{planned.fault.describe()}: hit {planned.hit} of {planned.seen} matching calls"
                for planned in self._planned
                if planned.is_left
            ]
        if left:
            raise AssertionError("faults that were not used up:\n  " + "\n  ".join(left))

    def __len__(self) -> int:
        with self._guard:
            return len(self._planned)

    def __repr__(self) -> str:
        return f"<FaultPlan, {len(self)} faults>"


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _counts(value: object) -> bool:
    return type(value) is int and value >= 1
