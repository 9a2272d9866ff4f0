"""Conversations as JSON lines: read from a stream, and loaded into a client. Nothing is printed here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from memtrace._cli.json_lines import LineError, parse_line, readable
from memtrace._cli.messages import item_problem_of
from memtrace.client import Memtrace
from memtrace.exceptions import MemtraceError, PayloadTooLargeError
from memtrace.models import AddMemoryRequest
from memtrace.operations._endpoints import MAX_BODY
from memtrace.operations._validation import BATCH_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one speaker said once."""

    file: str
    line: int
    #: How many bytes of the file end with this line.
    end: int
    conversation: int | str
    session: int | str
    id: int | str
    speaker: str
    #: When it was said, as the file has it.
    time: str
    text: str = field(repr=False)
    #: Every field of the line but the text.
    metadata: dict[str, Any] = field(repr=False)


# ---- reading --------------------------------------------------------------------------------------------------------

_NAME = (int, str)
_FIELDS: dict[str, tuple[type, ...]] = {
    "conversation": _NAME,
    "session": _NAME,
    "time": (str,),
    "speaker": (str,),
    "id": _NAME,
    "text": (str,),
}
_KINDS: dict[tuple[type, ...], str] = {_NAME: "a whole number or a string", (str,): "a string"}


def read_turns(lines: Iterable[bytes], file: str) -> Iterator[Turn]:
    """The turns of a binary stream, one a line; blank lines are passed over.

    Raises `LineError` where the stream cannot be read, and at the first line that is not UTF-8, not a JSON
    object, or lacks a field.
    """
    end = 0
    for number, raw in enumerate(readable(lines, file), 1):
        end += len(raw)
        fields = parse_line(raw, file, number)
        if fields is None:
            continue
        for name, types in _FIELDS.items():
            _check(fields, name, types, file, number)
        if fields.get("caption") is not None:
            _check(fields, "caption", (str,), file, number)
        yield Turn(
            file=file,
            line=number,
            end=end,
            conversation=fields["conversation"],
            session=fields["session"],
            id=fields["id"],
            speaker=fields["speaker"],
            time=fields["time"],
            text=fields["text"],
            metadata={name: value for name, value in fields.items() if name != "text"},
        )


def _check(fields: dict[str, Any], name: str, types: tuple[type, ...], file: str, line: int) -> None:
    if name not in fields:
        problem = f"is missing; each line needs {', '.join(_FIELDS)}"
    elif not isinstance(fields[name], types) or isinstance(fields[name], bool):
        problem = f"is {_json_type(fields[name])}; it must be {_KINDS[types]}"
    elif fields[name] == "" and name in _FIELDS:
        problem = "is empty; it must be a string with at least one character"
    else:
        return
    raise LineError(file, problem, line=line, field=name)


def _json_type(value: object) -> str:
    names: dict[type, str] = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number with a fraction",
        str: "a string",
        list: "a list",
    }
    return names.get(type(value), "an object")


# ---- loading --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class LoadReport:
    """The number of memories loaded so far, exact even if loading stops at an error."""

    read: int = 0
    stored: int = 0
    duplicates: int = 0
    #: The id of each speaker's agent.
    agents: dict[str, str] = field(default_factory=dict)
    #: The id of each session, in order.
    sessions: dict[tuple[str, str], str] = field(default_factory=dict)
    #: The longest word that was said in more than one session, else the longest of all.
    word: str = ""


def load(client: Memtrace, turns: Iterable[Turn], report: LoadReport, on_chunk: Callable[[Turn], object]) -> None:
    """Store turns, in requests of at most 100, and count them in `report`.

    Each speaker of each conversation becomes an agent, each session of a conversation a session whose owner is its first
    speaker. `on_chunk` is called with the last turn of each request. When `turns` raises `LineError`, what came
    before is stored; it is also raised for a turn that the server would refuse.
    """
    loader = _Loader(client, report, on_chunk)
    try:
        for turn in turns:
            loader.take(turn)
    except LineError:
        loader.flush()
        raise
    loader.flush()
    report.word = loader.shared_word or loader.longest_word


class _Loader:
    """The turns that wait for the next request, and the agents and sessions that they need."""

    def __init__(self, client: Memtrace, report: LoadReport, on_chunk: Callable[[Turn], object]) -> None:
        #: The longest word that was said in more than one session, and the longest of all: one of them is worth a search.
        self.shared_word = ""
        self.longest_word = ""
        self._said_in: dict[str, tuple[str, str]] = {}
        self._client = client
        self._report = report
        self._on_chunk = on_chunk
        self._waiting: dict[str, tuple[Turn, AddMemoryRequest]] = {}
        self._sent_to = 0

    def take(self, turn: Turn) -> None:
        """Prepare a turn, and send what waits when that is enough."""
        key = _key(turn.conversation, turn.session, turn.id)
        if key in self._waiting:  # within one request the server does not see that a key is there twice
            self.flush()
        self._report.read += 1
        agent_id = self._agent(turn)
        session = (_key(turn.conversation), _key(turn.session))
        request = AddMemoryRequest(
            agent_id=agent_id,
            session_id=self._session(session, turn, agent_id),
            event_type="message",
            content=turn.text,
            metadata=turn.metadata,
            occurred_at=None if "occurred_at" in turn.metadata else _moment(turn.time),
            dedup_key=key,
        )
        self._waiting[key] = (turn, request)
        self._hear(turn.text, session)
        if len(self._waiting) == BATCH_SIZE or turn.end - self._sent_to >= MAX_BODY:
            self.flush()

    def _hear(self, text: str, session: tuple[str, str]) -> None:
        for word in _WORD.findall(text) or [text]:
            if len(word) > len(self.longest_word):
                self.longest_word = word
            if len(word) > len(self.shared_word) and self._said_in.setdefault(word, session) != session:
                self.shared_word = word

    def flush(self) -> None:
        """Store the turns that wait."""
        if not self._waiting:
            return
        turns = [turn for turn, _ in self._waiting.values()]
        result = self._client.memories.add_many(request for _, request in self._waiting.values())
        self._waiting.clear()
        self._sent_to = turns[-1].end
        self._report.stored += len(result.stored)
        self._report.duplicates += len(result.duplicates)
        for outcome in result:
            if outcome.error is not None:
                raise _line_error(turns[outcome.index], outcome.error)
        self._on_chunk(turns[-1])

    def _agent(self, turn: Turn) -> str:
        name = f"{turn.speaker} (conversation {_key(turn.conversation)})"
        if name not in self._report.agents:
            self._report.agents[name] = self._client.agents.get_or_register(name=name).id
        return self._report.agents[name]

    def _session(self, session: tuple[str, str], turn: Turn, owner: str) -> str:
        if session not in self._report.sessions:
            metadata = {"conversation": turn.conversation, "session": turn.session}
            self._report.sessions[session] = self._client.sessions.create(agent_id=owner, metadata=metadata).id
        return self._report.sessions[session]


def _moment(time: str) -> datetime | None:
    """Parse a point in time; None if the string is not one, or has no time zone."""
    try:
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", time))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _line_error(turn: Turn, error: MemtraceError) -> LineError:
    field_name = "text" if isinstance(error, PayloadTooLargeError) else None
    return LineError(turn.file, f"cannot be stored: {item_problem_of(error)}", line=turn.line, field=field_name)


def _key(*parts: int | str) -> str:
    """One text for several parts, different when any part is; without the characters at which the server's keys fail."""
    return "/".join(quote(str(part), safe=": ") for part in parts)


_WORD = re.compile(r"[^\W\d_]+")
