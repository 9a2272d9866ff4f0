"""``memtrace-sdk import``: JSON lines to agents, sessions and memories, none of them twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from memtrace._cli.json_lines import LineError, parse_line, readable
from memtrace._cli.messages import item_problem_of
from memtrace._cli.recent_rows import line_of
from memtrace._cli.transfer.dedup_keys import DedupKeys
from memtrace._cli.transfer.registrations import FieldError, RegisteredCounts, Registrar
from memtrace.client import Memtrace
from memtrace.clock import Clock
from memtrace.exceptions import InvalidRequestError, MemtraceError, PayloadTooLargeError
from memtrace.models import AddMemoryRequest
from memtrace.operations._endpoints import MAX_BODY
from memtrace.operations._retry_policy import VERIFY_DELAY_AFTER_READ, VERIFY_DELAY_BEFORE_READ
from memtrace.operations._validation import BATCH_SIZE
from memtrace.operations._validation_errors import first_violation
from memtrace.outcomes import BatchResult

_TOLD = 20
_LINES_TOLD = 5
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """What the options say."""

    #: What the lines come from, for messages.
    name: str
    #: Who remembers the lines that name nobody.
    agent: str | None = None
    #: Where in the metadata a line's time is kept.
    keep_time_as: str | None = None
    #: Store nothing, and count what would be stored.
    dry_run: bool = False


@dataclass(slots=True)
class RejectedLines:
    """Lines that were rejected for one reason."""

    file: str
    #: The first few, by their numbers.
    lines: list[int | None]
    #: The field and what is wrong with it, of the first.
    reason: str
    count: int = 1

    def __str__(self) -> str:
        """One message for all of them."""
        more = f" and {self.count - len(self.lines):,} more" if self.count > len(self.lines) else ""
        lines = "line" if self.count == 1 else "lines"
        return f"{self.file}, {lines} {', '.join(map(str, self.lines))}{more}{self.reason}"


@dataclass(slots=True)
class ImportReport:
    """What became of the lines so far; exact also when an import stops. The rest of `read` had not been sent."""

    #: Lines of memories, and all rejected lines.
    read: int = 0
    stored: int = 0
    #: The server had them before, or the file has them twice.
    present: int = 0
    rejected: int = 0
    #: Sent, and no answer said what became of them.
    unknown: int = 0
    agents: RegisteredCounts = field(default_factory=RegisteredCounts)
    sessions: RegisteredCounts = field(default_factory=RegisteredCounts)
    #: Lines that name an agent, if the plan names another one for the lines without.
    own_agent: int = 0
    #: The rejected lines, by reason: the first 20 reasons.
    reasons: dict[tuple[str | None, str], RejectedLines] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """The messages about rejected lines, one for each reason."""
        told = sum(reason.count for reason in self.reasons.values())
        rest = [f"and {self.rejected - told:,} more were rejected"] if self.rejected > told else []
        return [*map(str, self.reasons.values()), *rest]

    def count_rejected(self, error: LineError) -> None:
        """Count a line that cannot be stored. Reasons that differ in their numbers alone are one."""
        self.rejected += 1
        kind = error.field, re.sub(r"\d+", "0", error.problem)
        known = self.reasons.get(kind)
        if known is not None:
            known.count += 1
            if len(known.lines) < _LINES_TOLD:
                known.lines.append(error.line)
        elif len(self.reasons) < _TOLD:
            field_told = "" if error.field is None else f', field "{error.field}"'
            self.reasons[kind] = RejectedLines(error.file, [error.line], f"{field_told}: {error.problem}")


def import_lines(
    client: Memtrace,
    lines: Iterable[bytes],
    plan: ImportPlan,
    report: ImportReport,
    *,
    clock: Clock,
    on_chunk: Callable[[], object],
) -> None:
    """Store each line that is not there yet, in requests of 100, and count in `report`; `on_chunk` is called after 100 lines or less.

    Agents and sessions are registered as their lines come, and memories stored under the ids that these get. First waits 1.5 s, until all that an import before this one may have sent can be read. Of each agent it then reads all
    memories before it stores one. A line that cannot be stored is counted and passed over. Raises `LineError` for a file that
    cannot be read on, and what reading and storing raise: the same import again goes on from there.
    """
    _wait_until_visible(client, clock)
    importer = _Importer(client, plan, report)
    try:
        for number, raw in enumerate(readable(lines, plan.name), 1):
            importer.take(number, raw)
            if importer.is_full:
                importer.flush()
                on_chunk()
            elif number % BATCH_SIZE == 0:
                on_chunk()
    except LineError:
        importer.flush()
        raise
    importer.flush()
    importer.registrar.end_sessions()


def _wait_until_visible(client: Memtrace, clock: Clock) -> None:
    """Wait as the SDK does before it retries a write. An organisation that cannot be read raises before that."""
    client.memories.list(limit=1)
    clock.sleep(VERIFY_DELAY_BEFORE_READ)
    client.memories.list(limit=1)
    clock.sleep(VERIFY_DELAY_AFTER_READ)


class _Importer:
    """The lines that wait for the next request, and the keys of what is there."""

    def __init__(self, client: Memtrace, plan: ImportPlan, report: ImportReport) -> None:
        #: Each with the number of its line.
        self.waiting: list[tuple[int, AddMemoryRequest]] = []
        self.registrar = Registrar(client, report.agents, report.sessions, dry_run=plan.dry_run)
        self._bytes = 0
        self._client = client
        self._plan = plan
        self._report = report
        self._keys = DedupKeys()
        self._known: set[str] = set()
        self._agents: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether what waits makes a request: lines may be long, so that their number alone bounds no memory."""
        return len(self.waiting) == BATCH_SIZE or self._bytes >= MAX_BODY

    def take(self, number: int, raw: bytes) -> None:
        """Prepare a line."""
        try:
            fields = parse_line(raw, self._plan.name, number)
            if fields is None or self._registers(fields, number):
                return
            request = self._request(fields, number)
        except LineError as error:
            self._report.read += 1
            self._report.count_rejected(error)
            return
        self._report.read += 1
        self._look_up(request.agent_id)
        request = self._with_ids_of_here(request)
        self._look_up(request.agent_id)
        if request.dedup_key in self._known:
            self._report.present += 1
            return
        self._known.add(str(request.dedup_key))
        self.waiting.append((number, request))
        self._bytes += len(raw)

    def _registers(self, fields: dict[str, Any], number: int) -> bool:
        """Whether it was a line of an agent or a session, which is there now."""
        try:
            return self.registrar.take(fields)
        except FieldError as error:
            raise self._error(number, error.field, error.problem) from None

    def _with_ids_of_here(self, request: AddMemoryRequest) -> AddMemoryRequest:
        ids = {
            "agent_id": self.registrar.agent_id(request.agent_id),
            "session_id": self.registrar.session_id(request.session_id),
        }
        return request.model_copy(update=ids)

    def _request(self, fields: dict[str, Any], number: int) -> AddMemoryRequest:
        if self._plan.agent is not None and fields.get("agent_id") in (None, ""):
            fields = {**fields, "agent_id": self._plan.agent}
        for name in fields:
            if name not in _FIELDS:
                raise self._error(number, name[:_SHOWN], f"is not a field of a memory; there are {', '.join(_FIELDS)}")
        given = {name: value for name, value in fields.items() if name not in _NOT_SENT and value is not None}
        for name in ("agent_id", "content"):
            if not given.get(name):
                more = ", or give --agent" if name == "agent_id" else ""
                raise self._error(number, name, f"is missing or empty; each line needs it{more}")
        try:
            request = AddMemoryRequest(**given)
        except ValidationError as error:
            field, _, problem = first_violation(error)
            raise self._error(number, field, problem) from None
        self._report.own_agent += self._plan.agent not in (None, request.agent_id)
        return request.model_copy(
            update={"dedup_key": self._keys.key_for(fields), "metadata": self._metadata(request, fields.get("time"))}
        )

    def _metadata(self, request: AddMemoryRequest, time: object) -> dict[str, Any] | None:
        if self._plan.keep_time_as is None or time is None:
            return request.metadata
        return {self._plan.keep_time_as: time, **(request.metadata or {})}

    def _error(self, number: int, name: str | None, problem: str) -> LineError:
        return LineError(self._plan.name, problem, line=number, field=name)

    def _look_up(self, agent: str) -> None:
        """Learn the keys of what an agent remembers."""
        if agent in self._agents:
            return
        self._agents.add(agent)
        try:
            memories = self._client.memories.iter(agent_id=agent, order="asc")
        except InvalidRequestError:
            return  # no such agent can have memories; the server rejects its lines
        keys = DedupKeys()
        for memory in memories:
            self._known.add(keys.key_for(json.loads(line_of(memory))))

    def flush(self) -> None:
        """Store what waits."""
        if not self.waiting:
            return
        sent, self.waiting, self._bytes = self.waiting, [], 0
        self._report.unknown += len(sent)  # until it is known: an interruption leaves it so
        result = self._store([request for _, request in sent])
        self._report.unknown -= len(sent)
        failure: MemtraceError | None = None
        for outcome, (number, _) in zip(result, sent, strict=True):
            self._report.stored += outcome.status == "stored"
            self._report.present += outcome.status == "duplicate"
            self._report.unknown += outcome.status == "unknown"
            if isinstance(outcome.error, (InvalidRequestError, PayloadTooLargeError)):
                problem = f"cannot be stored: {item_problem_of(outcome.error)}"
                self._report.count_rejected(self._error(number, None, problem))
            elif outcome.error is not None and failure is None:
                failure = outcome.error
        if failure is not None:
            raise failure

    def _store(self, requests: list[AddMemoryRequest]) -> BatchResult:
        if not self._plan.dry_run:
            return self._client.memories.add_many(requests, on_failure="continue")
        with Memtrace("memory://", "dry run", timeout=None) as client:  # which follows the same rules
            return client.memories.add_many(requests, on_failure="continue")


_NOT_SENT = ("org_id", "time")
_FIELDS = (*AddMemoryRequest.model_fields, *_NOT_SENT)
