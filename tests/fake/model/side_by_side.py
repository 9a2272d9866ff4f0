"""The fake and the model, given the same requests, and what of their answers must be equal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeAlias, cast

from memtrace.exceptions import TransportError
from memtrace.transport import Headers, Method, Request
from memtrace_transports.memory import FakeMemtrace, ManualClock, StorageState, Visibility
from tests.fake.model.server import SECOND, Answer, Model

IDENTIFIER = re.compile(r"\b(agent|sess|org)_[0-9a-f]{24}\b")
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z")
REFERENCE = re.compile(r"<(?:agent|sess|time):\d+>")
GENERATED = re.compile(r"[0-9a-f]{32}")
PAUSE = 0.002
"""Between two requests, so that no moment that counts is met exactly."""
OFF_THE_SECOND = 0.000_7
OWN_NANOSECONDS = 1_123
"""Gives the model's times digits of every precision, by which the places are known where a time may have them."""


class Spelt(str):
    """A number in the digits that came."""

    __slots__ = ()


class DifferenceError(AssertionError):
    """The fake's answer is not the model's."""


@dataclass(frozen=True)
class Call:
    """A request, with references in place of what the server made up."""

    method: str
    target: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: {"x-api-key": "<key>"})


@dataclass(frozen=True)
class Pass:
    seconds: float


@dataclass(frozen=True)
class Settle:
    pass


@dataclass(frozen=True)
class Storage:
    """The storage of the organisation from now on; nothing is on its way there when it changes."""

    state: str


@dataclass(frozen=True)
class Seed:
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Again:
    """An earlier write once more, counted from the last one back."""

    back: int


Step: TypeAlias = Call | Again | Pass | Settle | Storage | Seed


@dataclass
class Side:
    """What one of the two made up so far, in order of first appearance."""

    org_id: str
    api_key: str
    reading: bool = False
    made: dict[str, list[str]] = field(default_factory=lambda: {"agent": [], "sess": [], "time": []})

    def resolved(self, text: str) -> str:
        text = REFERENCE.sub(lambda found: self.real(found[0]), text)
        return text.replace("<key>", self.api_key).replace("<org>", self.org_id)

    def real(self, reference: str) -> str:
        kind, _, number = reference.strip("<>").partition(":")
        made = self.made[kind]
        return made[int(number) % len(made)] if made else f"no-{kind}"

    def reference(self, identifier: str, kind: str) -> str:
        if kind == "org":
            return "<org>" if identifier == self.org_id else "<org:other>"
        if identifier not in self.made[kind]:
            self.made[kind].append(identifier)
        return f"<{kind}:{self.made[kind].index(identifier)}>"


@dataclass
class Told:
    """A side's answer in a form in which the two can be compared."""

    status: int
    content_type: str
    body: Any
    times: list[str]


class SideBySide:
    """One organisation on each side; each step is done on both, and their answers compared."""

    def __init__(self, visibility: str, storage: str = "up", fake_class: Any = FakeMemtrace, clock: Any = None) -> None:
        self.clock = clock or ManualClock()
        self.fake = fake_class(clock=self.clock)
        self.model = Model(self.now())
        self.clock.advance(OFF_THE_SECOND)
        states = {"storage": cast("StorageState", storage), "visibility": cast("Visibility", visibility)}
        self.real_org = self.fake.organisation("one", **states)
        self.model_org = self.model.organisation("one", **states)
        self.of_fake = Side(self.real_org.org_id, self.real_org.api_key)
        self.of_model = Side(self.model_org.org_id, self.model_org.api_key)
        self.written: list[Call] = []

    def now(self) -> int:
        return round(self.clock.wall() * 1_000_000) * (SECOND // 1_000_000) + OWN_NANOSECONDS

    def run(self, steps: Sequence[Step]) -> None:
        for number, step in enumerate(steps):
            self.clock.advance(PAUSE)
            try:
                self.step(step)
            except DifferenceError as difference:
                raise DifferenceError(f"step {number} of {steps}\n{difference}") from None

    def step(self, step: Step) -> None:
        if isinstance(step, Pass):
            self.clock.advance(step.seconds)
        elif isinstance(step, Settle):
            self.flush()
        elif isinstance(step, Storage):
            self.flush()
            self.fake.set_storage(self.real_org, cast("StorageState", step.state))
            self.model.set_storage(self.model_org, step.state, self.now())
            self.flush()
        elif isinstance(step, Seed):
            self.fake.seed(self.real_org, step.rows)
            self.model.seed(self.model_org, step.rows, self.now())
        elif isinstance(step, Again):
            if self.written:
                self.call(self.written[-1 - step.back % len(self.written)])
        else:
            if step.target.endswith("/memories") and step.method == "POST":
                self.written.append(step)
            self.call(step)

    def flush(self) -> None:
        self.fake.flush()
        self.model.tick(self.now())
        self.model.settle(self.now())

    def call(self, call: Call) -> None:
        real = self.answer_of_fake(call)
        due = self.answer_of_model(call)
        if real is None or due is None:
            if real is not due:
                raise DifferenceError(f"{call}\nfake:  {real}\nmodel: {due}")
            return
        self.compare(call, told(real, self.of_fake), told(due, self.of_model))

    def answer_of_fake(self, call: Call) -> Answer | None:
        target, headers, body = sent(call, self.of_fake)
        request = Request(cast("Method", call.method), "http://fake", target, Headers(headers), body)
        try:
            response = self.fake.handle(request)
        except TransportError:
            return None
        return response.status, response.headers.get("content-type", ""), response.body

    def answer_of_model(self, call: Call) -> Answer | None:
        target, headers, body = sent(call, self.of_model)
        return self.model.answer(call.method, target, headers, body or b"", self.now())

    def compare(self, call: Call, real: Told, due: Told) -> None:
        if due.status == 500 and " engine " in str(due.body):
            same = real.status == 500 and opening(real.body) == opening(due.body)
        else:
            same = (real.status, real.content_type, real.body) == (due.status, due.content_type, due.body)
            same = same and times_agree(real.times, due.times)
        if not same:
            raise DifferenceError(f"{call}\nfake:  {real}\nmodel: {due}")


def sent(call: Call, side: Side) -> tuple[str, dict[str, str], bytes | None]:
    headers = {name: side.resolved(value) for name, value in call.headers.items()}
    body = call.body
    if body is not None and b"<" in body:
        body = side.resolved(body.decode("latin-1")).encode("latin-1")
    return side.resolved(call.target), headers, body


def told(answer: Answer, side: Side) -> Told:
    status, content_type, data = answer
    times: list[str] = []
    side.reading = status == 200
    if content_type != "application/json" or not data:
        return Told(status, content_type, referenced(data.decode(), side, times), times)
    body = json.loads(data, parse_int=Spelt, parse_float=Spelt, object_pairs_hook=lambda pairs: ("members", pairs))
    members = dict(body[1])
    if "agents" in members:
        in_any_order_within_a_second(members["agents"])
    return Told(status, content_type, referenced(body, side, times), times)


def in_any_order_within_a_second(agents: list[Any]) -> None:
    """Newest second first is all that is known of the order."""
    seconds = [dict(agent[1])["created_at"] for agent in agents]
    if seconds != sorted(seconds, reverse=True):
        raise DifferenceError(f"not the newest first: {seconds}")
    agents.sort(key=lambda agent: (dict(agent[1])["created_at"], dict(agent[1])["name"]))


def referenced(value: Any, side: Side, times: list[str]) -> Any:
    """`value` with references for what a server makes up; its times go to `times`. Members keep their order."""
    if isinstance(value, Spelt):
        return "0" if value == "-0" else str(value)
    if isinstance(value, str):
        return moments_out(IDENTIFIER.sub(lambda found: side.reference(found[0], found[1]), value), times)
    if isinstance(value, tuple) and value[0] == "members":
        return ("members", referenced_members(value[1], side, times))
    return [referenced(item, side, times) for item in value] if isinstance(value, list) else value


def referenced_members(members: list[tuple[str, Any]], side: Side, times: list[str]) -> list[tuple[str, Any]]:
    out = []
    row = dict(members)
    for name, value in members:
        if name == "time" and side.reading:
            side.made["time"].append(value)
        told_value = referenced(value, side, times)
        if name == "dedup_key" and GENERATED.fullmatch(str(value)) and IDENTIFIER.match(str(row.get("agent_id"))):
            told_value = "<generated>"
        if name in {"query_time_ms", "uptime", "hint"} and "error" not in row:
            told_value = type(value).__name__
        out.append((referenced(name, side, times), told_value))
    return out


def moments_out(text: str, times: list[str]) -> str:
    def put_away(found: re.Match[str]) -> str:
        times.append(found[0])
        return "<time>"

    return MOMENT.sub(put_away, text)


def times_agree(real: list[str], due: list[str]) -> bool:
    """The same moments, but for what the server needs for each row, in no more digits than belong there."""
    if len(real) != len(due):
        return False
    for one, other in zip(real, due, strict=True):
        found, wanted = MOMENT.fullmatch(one), MOMENT.fullmatch(other)
        if found is None or wanted is None:
            return False
        digits = len(wanted[2] or "")
        most = 0 if digits == 0 else 6 if digits <= 6 else 9
        if len(found[2] or "") > most or (found[2] or "").endswith("0"):
            return False
        if abs(point(found) - point(wanted)) > (PAUSE if most else 1.0):
            return False
    return True


def point(found: re.Match[str]) -> float:
    moment = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return moment.timestamp() + float(f"0.{found[2] or 0}")


def opening(body: Any) -> str:
    """What an error says before the engine has the word."""
    return str(dict(body[1])["error"]).partition(":")[0]
