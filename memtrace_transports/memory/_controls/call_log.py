"""The log of calls: what reached a fake server, and assertions about it."""

from __future__ import annotations

import difflib
import json
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, overload
from urllib.parse import unquote

from memtrace._support.numbers import counted
from memtrace.transport._header_rules import SECRET_HEADERS
from memtrace_transports._engine.routes.memories import is_batch
from memtrace_transports._engine.routes.request import RouteRequest
from memtrace_transports.memory._organisations import Organisation, check_fake

OPERATIONS = (
    "memories.add", "memories.add_many", "memories.list", "memories.find", "memories.filter",
    "agents.register", "agents.list", "agents.get", "agents.delete", "agents.memories", "agents.stats",
    "sessions.create", "sessions.list", "sessions.get", "sessions.update", "sessions.memories", "sessions.context",
    "health", "ready", "unknown",
)  # fmt: skip
"""What a call can be: its route, by the name of the client's method; ``unknown`` where there is none."""

_SENT_AS = {
    "memories.remember": "memories.add",
    "memories.decide": "memories.add",
    "memories.recall": "memories.list",
    "agents.get_or_register": "agents.register",
    "sessions.open": "sessions.create",
    "sessions.close": "sessions.update",
    "sessions.prompt_context": "memories.list",
}
"""Methods of the client without their own route."""

_KEPT_CALLS = 10_000
_OWN_BYTES = 800  # and those of a few short texts
_KEPT_BYTES = 32 * 1024 * 1024


def check_operation(pattern: str) -> None:
    """Raise ValueError for an operation, or a pattern of operations, that no call can be: it would never match."""
    if any(fnmatchcase(name, pattern) for name in OPERATIONS):
        return
    near = [_SENT_AS[pattern]] if pattern in _SENT_AS else difflib.get_close_matches(pattern, OPERATIONS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"{pattern!r} is not an operation{hint} There are {', '.join(OPERATIONS)}")


@dataclass(slots=True, eq=False, repr=False)
class LoggedCall:
    """One request that reached the server, and its outcome.

    `status` is the status of the response, or 0 if there was none. `fault` describes an injected
    fault. `at` is the time in seconds since 1970, by the fake's clock. `headers` are the headers that
    were sent, by their names in lower case; the value of a key is ``***``.
    """

    _route: str
    method: str
    path: str
    at: float
    org: str | None
    org_id: str | None
    variable: tuple[str, str] | None
    query: Mapping[str, str]
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0
    fault: str | None = None
    _operation: str | None = field(default=None, init=False)

    @property
    def operation(self) -> str:
        """The name of the client's method for this route; ``unknown`` for an unknown route.

        ``memories.add_many`` is a body that the server reads as a batch. The body is parsed at the
        first use.
        """
        if self._operation is None:
            self._operation = self._route
            content_type = self.headers.get("content-type", "")
            if self._route == "memories.add" and is_batch(RouteRequest((), {}, content_type, self.body or b"")):
                self._operation = "memories.add_many"
        return self._operation

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments: the body's fields, the query's parameters as strings, and the IDs in the path.

        A body that is not a JSON object has none. It is parsed anew each time, since the result is
        larger than the body.
        """
        found = {**_fields(self.body), **self.query}
        if self.variable is not None:
            found[self.variable[0]] = unquote(self.variable[1])
        return MappingProxyType(found)

    def differing(self, arguments: Mapping[str, object]) -> list[str]:
        """Compare the call with expected arguments. A number equals its string in a query.

        Args:
            arguments: Names and expected values.

        Returns:
            The names of the arguments that this call has with another value, or not at all.
        """
        if not arguments:
            return []
        own = self.arguments
        return [name for name, wanted in arguments.items() if name not in own or not _equal(own[name], wanted)]

    def differing_headers(self, headers: Mapping[str, str]) -> list[str]:
        """Compare headers with those of this call.

        Args:
            headers: The expected headers. Their names are case-insensitive.

        Returns:
            The names whose value differs, or that were not sent.
        """
        return [name for name, wanted in headers.items() if self.headers.get(name.lower()) != wanted]

    @property
    def size(self) -> int:
        """How many bytes of memory it uses."""
        size = _OWN_BYTES + len(self.body or b"") + sys.getsizeof(self.path)
        for texts in (self.headers, self.query):
            if texts:
                size += sum(map(sys.getsizeof, (texts, *texts, *texts.values())))
        return size + sum(map(sys.getsizeof, self.variable or ()))

    def __str__(self) -> str:
        what = f"{self.operation}: {self.method} {self.path} -> {self.status or 'no response'}"
        return what + (f" ({self.fault})" if self.fault else "")

    def __repr__(self) -> str:
        return f"<LoggedCall, {self}>"


def masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers, by their names in lower case, as a log may keep them: without secrets."""
    return {name: _MASK if name in SECRET_HEADERS else value for name, value in headers.items()}


_MASK = "***"


def _checked_headers(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    """Headers to compare with. Raises ValueError for a secret, with which no call could be found."""
    for name in headers or ():
        if name.lower() in SECRET_HEADERS:
            raise ValueError(f"the log keeps no value of {name}; org= finds the calls of one key's organisation")
    return headers or {}


def _fields(body: bytes | None) -> dict[str, Any]:
    try:
        fields = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _equal(found: object, wanted: object) -> bool:
    if isinstance(found, str) and isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        return found == str(wanted)
    if isinstance(found, str) and isinstance(wanted, (list, tuple)):
        return found == ",".join(str(each) for each in wanted)
    return found == (list(wanted) if isinstance(wanted, tuple) else wanted)


class CallLog(Sequence[LoggedCall]):
    """A log of calls, in order: the newest calls of a fake, or those that `filter` has selected.

    A fake keeps 10,000 calls, or as many as fit into 32 MiB. Operations are those of
    `LoggedCall.operation`, or patterns such as ``"memories.*"``. An unknown one raises ValueError.

    Example:
        >>> from memtrace_transports import FakeMemtrace
        >>> fake = FakeMemtrace()
        >>> memory = fake.client().remember("assistant", "User prefers dark mode")
        >>> fake.calls.assert_called("memories.add", agent_id="assistant", times=1)
        >>> [call.status for call in fake.calls.filter("memories.*")]
        [201]
    """

    def __init__(self, calls: Sequence[LoggedCall] = (), *, fake: int = 0) -> None:
        """`fake` is the number of the server whose calls they are: an `Organisation` of another one raises."""
        self._fake = fake
        self._guard = threading.Lock()  # taken by itself, or inside the lock of the fake
        self._calls = deque((call, call.size) for call in calls)
        self._bytes = sum(size for _, size in self._calls)

    def add(self, call: LoggedCall) -> None:
        """Append a call. The oldest are dropped when the log is too long or too large.

        Args:
            call: The call.
        """
        size = call.size
        with self._guard:
            self._calls.append((call, size))
            self._bytes += size
            while len(self._calls) > _KEPT_CALLS or (self._bytes > _KEPT_BYTES and len(self._calls) > 1):
                self._bytes -= self._calls.popleft()[1]

    def clear(self) -> None:
        """Remove all calls."""
        with self._guard:
            self._calls.clear()
            self._bytes = 0

    def filter(
        self,
        operation: str = "*",
        *,
        org: Organisation | str | None = None,
        status_code: int | None = None,
        headers: Mapping[str, str] | None = None,
        **arguments: object,
    ) -> CallLog:
        """Select calls.

        Args:
            operation: The name of the operation, such as ``memories.add``; ``*`` matches any part.
            org: An organisation, its name or its ID. Default: all.
            status_code: The status of the response. Default: any.
            headers: Headers that were sent; their names are case-insensitive. The log keeps no value
                of a key: select by `org` instead. Default: any.
            **arguments: Fields of the body, parameters of the query and IDs in the path, with their
                values.

        Returns:
            The selected calls, in order.

        Raises:
            TypeError: `org` is not an organisation, a name or an ID.
            ValueError: No operation and no logged call has this name, or the value of a header is a
                secret.
        """
        check_operation(operation)
        wanted = _checked_headers(headers)
        check_fake(org, self._fake)
        whose = org.org_id if isinstance(org, Organisation) else org
        if not (whose is None or isinstance(whose, str)):
            raise TypeError(f"org must be an organisation, its name or its id, not {type(org).__name__}")
        return CallLog(
            [
                call
                for call in self
                if fnmatchcase(call.operation, operation)
                and (whose is None or whose in (call.org, call.org_id))
                and (status_code is None or call.status == status_code)
                and not call.differing_headers(wanted)
                and not call.differing(arguments)
            ],
            fake=self._fake,
        )

    def assert_called(
        self,
        operation: str,
        *,
        org: Organisation | str | None = None,
        times: int | None = None,
        headers: Mapping[str, str] | None = None,
        **arguments: object,
    ) -> None:
        """Assert that there was such a call, or an exact number of them.

        Args:
            operation: The name of the operation, such as ``memories.add``; ``*`` matches any part.
            org: An organisation, its name or its ID. Default: all.
            times: How many such calls there were exactly. Default: one or more.
            headers: Headers that were sent; their names are case-insensitive. The log keeps no value
                of a key: use `org` instead. Default: any.
            **arguments: Fields of the body, parameters of the query and IDs in the path, with their
                values.

        Raises:
            AssertionError: There was no such call, or another number of them. The message shows what
                was expected, the nearest calls, and how often each operation was called.
            TypeError: `org` is not an organisation, a name or an ID.
            ValueError: No operation and no logged call has this name, or the value of a header is a
                secret.

        Example:
            >>> from memtrace_transports import FakeMemtrace
            >>> fake = FakeMemtrace()
            >>> memory = fake.client(headers={"X-Run": "nightly"}).remember("assistant", "User prefers dark mode")
            >>> fake.calls.assert_called("memories.add", agent_id="assistant", headers={"x-run": "nightly"})
        """
        __tracebackhide__ = True
        called = self.filter(operation, org=org, headers=headers)
        found = [call for call in called if not call.differing(arguments)]
        if (times is None and found) or (times is not None and len(found) == times):
            return
        wanted = _shown_call(operation, org, {**({"headers": dict(headers)} if headers else {}), **arguments})
        expected = "at least 1 call" if times is None else counted(times, "call", "calls")
        calls = self if org is None else self.filter(org=org)
        near = calls._near(operation, headers or {}, arguments)  # noqa: SLF001 - of this class
        raise AssertionError("\n  ".join([f"expected {expected} to {wanted}, got {len(found)}", *near]))

    def assert_not_called(
        self,
        operation: str,
        *,
        org: Organisation | str | None = None,
        headers: Mapping[str, str] | None = None,
        **arguments: object,
    ) -> None:
        """Assert that there was no such call.

        Args:
            operation: The name of the operation, such as ``memories.add``; ``*`` matches any part.
            org: An organisation, its name or its ID. Default: all.
            headers: Headers that were sent; their names are case-insensitive. The log keeps no value
                of a key: use `org` instead. Default: any.
            **arguments: Fields of the body, parameters of the query and IDs in the path, with their
                values.

        Raises:
            AssertionError: There was such a call.
            TypeError: `org` is not an organisation, a name or an ID.
            ValueError: No operation and no logged call has this name, or the value of a header is a
                secret.
        """
        __tracebackhide__ = True
        self.assert_called(operation, org=org, times=0, headers=headers, **arguments)

    def _near(self, operation: str, headers: Mapping[str, str], arguments: Mapping[str, object]) -> list[str]:
        """The calls of the operation, those with the fewest differences first, and how often each operation was called."""

        def differences(call: LoggedCall) -> int:
            return len(call.differing(arguments)) + len(call.differing_headers(headers))

        ranked = sorted(self.filter(operation), key=differences)
        near = [f"{call}{_difference(call, headers, arguments)}" for call in ranked[:_SHOWN]]
        counts = Counter(call.operation for call in self).most_common()
        came = ", ".join(f"{name} ({count})" for name, count in counts) or "none"
        nearest = [f"{'nearest' if place == 0 else 'next'}: {line}" for place, line in enumerate(near)]
        return [*nearest, f"all calls: {came}"]

    @overload
    def __getitem__(self, index: int) -> LoggedCall: ...
    @overload
    def __getitem__(self, index: slice) -> CallLog: ...
    def __getitem__(self, index: int | slice) -> LoggedCall | CallLog:
        calls = self._copy()
        return CallLog(calls[index], fake=self._fake) if isinstance(index, slice) else calls[index]

    def __iter__(self) -> Iterator[LoggedCall]:
        return iter(self._copy())

    def __len__(self) -> int:
        return len(self._calls)

    def __repr__(self) -> str:
        return f"<CallLog, {len(self)} calls>"

    def _copy(self) -> list[LoggedCall]:
        with self._guard:
            return [call for call, _ in self._calls]


_SHOWN = 5
_SHOWN_LENGTH = 200


def _shown_call(operation: str, org: Organisation | str | None, arguments: Mapping[str, object]) -> str:
    whose = "" if org is None else f" by {org.name if isinstance(org, Organisation) else org}"
    return f"{operation}({', '.join(f'{name}={_shown(value)}' for name, value in arguments.items())}){whose}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"


def _difference(call: LoggedCall, headers: Mapping[str, str], arguments: Mapping[str, object]) -> str:
    own = call.arguments
    told = [f"{name}={_shown(own[name])}" if name in own else f"no {name}" for name in call.differing(arguments)]
    for name in call.differing_headers(headers):
        sent = call.headers.get(name.lower())
        told.append(f"no header {name}" if sent is None else f"header {name}={_shown(sent)}")
    return f", with {', '.join(told)}" if told else ""
