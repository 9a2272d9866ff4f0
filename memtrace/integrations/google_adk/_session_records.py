"""The sessions of one app as records: what created and deleted them, and their events, each with its change of the state.

A state is never stored by itself, so that an event and its change are one write. The state of a session is made of its records, that
of a user and of the app of the records that a tag names, in whatever session they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from memtrace._runtime.workflows.steps import Workflow
from memtrace.clock import Clock
from memtrace.integrations._records import Record, RecordCodec, json_text, unreadable, write
from memtrace.integrations.google_adk._state import (
    APP,
    APP_TAG,
    USER,
    JsonObject,
    delta_of,
    digest,
    lasting,
    own,
    scoped,
    state_tags,
    user_tag,
)
from memtrace.integrations.identifiers import id_for
from memtrace.operations._validation import require_non_empty

FORMAT = "google-adk"
_CREATED, _EVENT, _DELETED = "created", "event", "deleted"
_FEW = 20


@dataclass(slots=True)
class StoredSession:
    """A session that was read: its events as JSON, oldest first, and its state, that of user and app included."""

    user_id: str
    id: str
    #: The key of the record that created it.
    key: str
    updated_at: float
    state: JsonObject = field(repr=False)
    events: list[JsonObject] = field(repr=False)


@dataclass(slots=True)
class _Reading:
    """A session while its records are read, the newest first."""

    #: By the keys of their records: the server may have stored one twice.
    events: dict[str, JsonObject] = field(default_factory=dict)
    created: Record | None = None
    is_complete: bool = False

    def take_all(self, records: Iterable[Record]) -> None:
        """Apply the records before, up to a deletion. Of two that create one session the earlier counts."""
        for record in records:
            self.is_complete |= record.kind == _DELETED
            if record.kind == _EVENT and not self.is_complete:
                self.events.pop(record.key, None)
                self.events[record.key] = _event(record)
            elif record.kind == _CREATED and not self.is_complete:
                self.created = record

    def session(self) -> StoredSession | None:
        """The session; None where it was deleted, or never created."""
        if self.created is None:
            return None
        made = self.created.item
        events = [*self.events.values()][::-1]
        try:
            state = own(made["state"])
            for event in events:
                state.update(own(delta_of(event)))
            updated_at = float(events[-1]["timestamp"] if events else made["time"])
            return StoredSession(made["user"], made["id"], self.created.key, updated_at, state, events)
        except (KeyError, TypeError, ValueError):
            raise unreadable(FORMAT, "session or event") from None


@dataclass(frozen=True, slots=True)
class _Latest:
    """The end of a session: when it was updated, what created it, and its last events."""

    key: str
    updated_at: float
    events: list[JsonObject] = field(repr=False)

    @classmethod
    def of(cls, records: list[Record]) -> _Latest:
        """What the newest records of a session say, the newest first."""
        newest = records[0]
        events = [_event(record) for record in records if record.kind == _EVENT]
        try:
            if newest.kind == _CREATED:
                return cls(newest.key, float(newest.item["time"]), events)
            return cls(newest.item["session"], float(events[0]["timestamp"]), events)
        except (KeyError, TypeError, ValueError, IndexError):
            raise unreadable(FORMAT, "session or event") from None


class SessionRecords:
    """The records of one app's sessions. Writes wait `wait_timeout` seconds until they can be read; None does not wait."""

    def __init__(self, app_name: str, wait_timeout: float | None) -> None:
        require_non_empty(app_name, "app_name")
        self._agent_id = id_for(app_name)
        self._wait_timeout = wait_timeout

    def load(self, user_id: str, session_id: str, clock: Clock) -> Workflow[StoredSession | None]:
        """One session with its whole state; None where there is none."""
        session = yield from self._own_session(user_id, session_id, clock)
        if session is not None:
            session.state.update((yield from self._shared_state(user_id, clock)))
        return session

    def list(self, user_id: str | None, clock: Clock) -> Workflow[list[StoredSession]]:
        """All sessions, or those of one user, the one that was updated last at the end."""
        reading: dict[str | None, _Reading] = {}
        moments = RecordCodec(FORMAT, self._agent_id).newest_first(
            clock, tags=[] if user_id is None else [user_tag("user", user_id)]
        )
        while (records := (yield from moments.next())) is not None:
            for record in records:
                reading.setdefault(record.memory.session_id, _Reading()).take_all([record])
        found = [session for each in reading.values() if (session := each.session()) is not None]
        shared: dict[str, JsonObject] = {}
        for session in found:
            if session.user_id not in shared:
                shared[session.user_id] = yield from self._shared_state(session.user_id, clock)
            session.state.update(shared[session.user_id])
        return sorted(found, key=lambda session: (session.updated_at, session.user_id, session.id))

    def create(
        self, user_id: str, session_id: str, state: JsonObject, time: float, clock: Clock
    ) -> Workflow[StoredSession | None]:
        """Create a session; None where there is one, also where another caller created it first."""
        if (yield from self._latest(user_id, session_id, clock)) is not None:
            return None
        item = json_text({"user": user_id, "id": session_id, "state": lasting(state), "time": time}, "state")
        request = self._form(user_id, session_id).request(
            _CREATED,
            item,
            content=f"A session of {user_id} began",
            event_type="session_created",
            tags=[user_tag("user", user_id), *state_tags(user_id, state)],
        )
        yield from write([request], self._wait_timeout, clock)
        session = yield from self.load(user_id, session_id, clock)
        if session is None and self._wait_timeout is None:  # not to be read yet
            return StoredSession(user_id, session_id, "", time, lasting(state), [])
        return session if session is None or session.key == request.dedup_key else None

    def append(
        self, session: tuple[str, str, float], event: JsonObject, content: str, event_type: str, clock: Clock
    ) -> Workflow[float | None]:
        """Append an event to a session that a caller last saw at a time. Stores an event once, however often it is appended.

        Gives that time, or a later one where the session was updated since and nothing is stored. None where there is no session.
        """
        user_id, session_id, seen_at = session
        latest = yield from self._latest(user_id, session_id, clock)
        if latest is None:
            return None
        delta = lasting(delta_of(event))
        event = {**event, "actions": {**event["actions"], "state_delta": delta}}
        if event in latest.events:
            return seen_at
        if latest.updated_at > seen_at:
            return latest.updated_at
        item = json_text({"session": latest.key, "event": event}, "event")
        request = self._form(user_id, session_id).request(
            _EVENT,
            item,
            content=content or item,
            event_type=event_type,
            tags=[user_tag("user", user_id), *state_tags(user_id, delta)],
            key=f"event-{digest(user_id, session_id, item)}",
        )
        yield from write([request], self._wait_timeout, clock)
        return seen_at

    def delete(self, user_id: str, session_id: str, clock: Clock) -> Workflow[None]:
        """Delete a session, if there is one. What it did to the state of user and app stays."""
        if (yield from self._latest(user_id, session_id, clock)) is None:
            return
        request = self._form(user_id, session_id).request(
            _DELETED,
            "null",
            content="The session was deleted",
            event_type="session_deleted",
            tags=[user_tag("user", user_id)],
        )
        yield from write([request], self._wait_timeout, clock)

    def user_state(self, user_id: str, clock: Clock) -> Workflow[JsonObject]:
        """What all sessions of a user share; the keys have no prefix."""
        state = yield from self._scoped_state(USER, user_tag("user-state", user_id), clock)
        return {key.removeprefix(USER): value for key, value in state.items()}

    def _own_session(self, user_id: str, session_id: str, clock: Clock) -> Workflow[StoredSession | None]:
        """A session with its own state alone."""
        reading = _Reading()
        moments = self._form(user_id, session_id).newest_first(clock)
        while not reading.is_complete and (records := (yield from moments.next())) is not None:
            reading.take_all(records)
        return reading.session()

    def _latest(self, user_id: str, session_id: str, clock: Clock) -> Workflow[_Latest | None]:
        """The end of a session; None where there is no session."""
        moments = self._form(user_id, session_id).newest_first(clock, page_size=_FEW)
        found: list[Record] = []
        while len(found) < _FEW and (records := (yield from moments.next())) is not None:
            found += records
        if not found or found[0].kind == _DELETED:
            return None
        return _Latest.of(found)

    def _shared_state(self, user_id: str, clock: Clock) -> Workflow[JsonObject]:
        app = yield from self._scoped_state(APP, APP_TAG, clock)
        return {**app, **(yield from self._scoped_state(USER, user_tag("user-state", user_id), clock))}

    def _scoped_state(self, prefix: str, tag: str, clock: Clock) -> Workflow[JsonObject]:
        state: JsonObject = {}
        moments = RecordCodec(FORMAT, self._agent_id).newest_first(clock, tags=[tag])
        while (records := (yield from moments.next())) is not None:
            for record in records:
                changes = record.item["state"] if record.kind == _CREATED else delta_of(_event(record))
                state = {**scoped(prefix, changes), **state}  # what is newer counts
        return state

    def _form(self, user_id: str, session_id: str) -> RecordCodec:
        """A session's id is unique for one user only."""
        require_non_empty(user_id, "user_id")
        require_non_empty(session_id, "session_id")
        whole = id_for(json_text([user_id, session_id], "session_id"))
        return RecordCodec(FORMAT, self._agent_id, whole, session=session_id)


def _event(record: Record) -> JsonObject:
    try:
        event: JsonObject = record.item["event"]
        delta_of(event)
    except (AttributeError, KeyError, TypeError):
        raise unreadable(FORMAT, "event") from None
    return event
