"""The real server as a list of rows that every request walks from end to end."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.fake.model.go_json import (
    T_MAP,
    JsonError,
    Members,
    Parser,
    decode,
    folded,
    kind,
    name_sorted,
    text_of,
    written,
)

SECOND = 1_000_000_000
MICROSECOND = 1_000
DAY = 86_400 * SECOND
STORAGE_DELAY = SECOND // 10
BODY_LIMIT = 4 * 1024 * 1024

ID = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
TYPE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}")
TAG = re.compile(r"([a-zA-Z0-9_.\-]{1,64})?")
BAD_ID = "invalid ID format: must be alphanumeric with underscores/hyphens, max 128 chars"
BAD_TYPE = "invalid type format: must be alphanumeric with underscores, max 64 chars"
BAD_TAG = "invalid tag format: must be alphanumeric with underscores/hyphens/dots, max 64 chars"

SPAN = re.compile(r"\+?([0-9]+)([hdm])")
TIMESTAMP = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)

NO_ARC = "no arc instance configured for this org"
HINT = "ask an admin to run `memtrace org add-arc <org_id>`"

MEMORY_FIELDS = {
    **dict.fromkeys(("agent_id", "session_id", "memory_type", "event_type"), "string"),
    **dict.fromkeys(("content", "dedup_key", "parent_id"), "string"),
    "metadata": T_MAP,
    "tags": "[]string",
    "importance": "float64",
}
QUERY_FIELDS = {
    **dict.fromkeys(("agent_id", "session_id", "content_contains", "since", "until", "order"), "string"),
    **dict.fromkeys(("memory_types", "event_types", "tags"), "[]string"),
    "min_importance": "float64",
    "limit": "int",
}
AGENT_FIELDS = {"name": "string", "description": "string", "config": T_MAP}
SESSION_FIELDS = {"agent_id": "string", "metadata": T_MAP}
UPDATE_FIELDS = {"status": "string", "metadata": T_MAP}
CONTEXT_FIELDS = {"since": "string", "include_types": "[]string", "max_tokens": "int"}


class RefusedError(Exception):
    """An answer of a status and an error, from anywhere in a handler."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass
class Row:
    """A memory; not in storage yet while `readable_at` is None."""

    time: int
    fields: dict[str, Any]
    readable_at: int | None = None


@dataclass
class Organisation:
    org_id: str
    api_key: str
    storage: str = "up"
    visibility: str = "immediate"
    rows: list[Row] = field(default_factory=list)
    agents: list[dict[str, Any]] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)

    def waiting(self) -> list[Row]:
        return [row for row in self.rows if row.readable_at is None]

    def readable(self, now: int) -> list[Row]:
        """What storage shows, oldest first."""
        found = [row for row in self.rows if row.readable_at is not None and row.readable_at <= now]
        return sorted(found, key=lambda row: row.time)

    def flush(self, now: int) -> None:
        if self.storage != "up":
            return
        for row in self.waiting():
            row.readable_at = now if self.visibility == "immediate" else now + STORAGE_DELAY


@dataclass
class Call:
    """A request that found its route."""

    org: Organisation
    now: int
    segment: str
    query: dict[str, str]
    content_type: str
    body: bytes


Answer = tuple[int, str, bytes]


class Model:
    """`answer` gives status, content type and body, or None where the connection is cut."""

    def __init__(self, started: int) -> None:
        self.started = started
        self.seen = started
        self.last_time = 0
        self.identifiers = 0
        self.organisations: dict[str, Organisation] = {}

    def organisation(self, name: str, *, storage: str | None = None, visibility: str | None = None) -> Organisation:
        if name not in self.organisations:
            number = len(self.organisations) + 1
            self.organisations[name] = Organisation(f"org_{number:024x}", f"mtk_{number:044}")
        org = self.organisations[name]
        org.storage = storage or org.storage
        org.visibility = visibility or org.visibility
        return org

    def set_storage(self, org: Organisation, storage: str, now: int) -> None:
        self.tick(now)
        org.storage = storage

    def settle(self, now: int) -> None:
        for org in self.organisations.values():
            org.flush(now)
            for row in org.rows:
                if row.readable_at is not None:
                    row.readable_at = min(row.readable_at, now)

    def seed(self, org: Organisation, memories: Iterable[Mapping[str, Any]], now: int) -> int:
        count = 0
        for memory in memories:
            time = now - round(memory["age_s"] * 1_000_000) * MICROSECOND
            while any(row.time == time for row in org.rows):
                time += MICROSECOND
            fields = decode_plain({name: value for name, value in memory.items() if name != "age_s"})
            org.rows.append(Row(time, fields, readable_at=now))
            count += 1
        return count

    def tick(self, now: int) -> None:
        """Once in each second since the start what waits goes to storage."""
        next_tick = self.started + ((self.seen - self.started) // SECOND + 1) * SECOND
        if next_tick <= now:
            for org in self.organisations.values():
                org.flush(next_tick)
        self.seen = now

    def next_time(self, now: int) -> int:
        self.last_time = max(now, self.last_time + MICROSECOND)
        return self.last_time

    def identifier(self, kind: str) -> str:
        self.identifiers += 1
        return f"{kind}_{self.identifiers:024x}"

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int) -> Answer | None:
        self.tick(now)
        if len(body) > BODY_LIMIT:
            return None
        status, content_type, answer = self.routed(method, target, headers, body, now)
        for org in self.organisations.values():
            if org.visibility == "immediate":
                org.flush(now)
        return status, content_type, b"" if method == "HEAD" else answer

    def routed(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now: int) -> Answer:
        path, _, query = target.partition("?")
        lower = path.lower()
        org = None
        if lower == "/api/v1" or lower.startswith("/api/v1/"):
            org = self.authenticated(headers)
            if isinstance(org, str):
                return json_answer(401, {"error": org})
        handlers, segment = route_of(path)
        if not handlers:
            return 404, "text/plain; charset=utf-8", f"Cannot {method} {escaped(path)}".encode()
        handler = handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            return 405, "text/plain; charset=utf-8", b"Method Not Allowed"
        if org is None:
            return handler(self, now)
        content_type = header(headers, "content-type") or ""
        call = Call(org, now, segment, arguments(query), content_type, body)
        try:
            return handler(self, call)
        except RefusedError as refusal:
            hint = {"hint": HINT} if refusal.error == NO_ARC else {}
            return json_answer(refusal.status, {"error": refusal.error, **hint})

    def authenticated(self, headers: Mapping[str, str]) -> Organisation | str:
        """The organisation of the key, or what is wrong."""
        key = header(headers, "x-api-key")
        if not key:
            key = header(headers, "authorization")
            if key and key.startswith("Bearer "):
                key = key[len("Bearer ") :]
        if not key:
            return "missing API key"
        return next((org for org in self.organisations.values() if org.api_key == key), "invalid API key")

    def health(self, now: int) -> Answer:
        arcs = self.arcs()
        return json_answer(200, {"arc": arcs, "service": "memtrace", "status": "ok", "uptime": "0s"})

    def ready(self, now: int) -> Answer:
        arcs = self.arcs()
        if not arcs:
            return json_answer(
                503,
                {
                    "hint": "configure an Arc instance with `memtrace org add-arc`",
                    "reason": "no_instances",
                    "status": "not ready",
                },
            )
        if all(arcs.values()):
            return json_answer(200, {"arc": arcs, "status": "ready"})
        return json_answer(503, {"arc": arcs, "status": "not ready"})

    def arcs(self) -> dict[str, bool]:
        known = {org.org_id: org.storage == "up" for org in self.organisations.values() if org.storage != "none"}
        return name_sorted(known)

    def create(self, call: Call) -> Answer:
        batch = batch_of(call)
        if not batch:
            request = read(call, "memory.CreateRequest", "CreateRequest", MEMORY_FIELDS)
            row = self.stored(call, request)
            if row is None:
                raise RefusedError(409, "duplicate memory")
            return json_answer(201, written_row(call.org, row))
        rows = []
        for number, request in enumerate(batch):
            try:
                row = self.stored(call, request)
            except RefusedError as refusal:
                if refusal.error == NO_ARC:
                    raise
                raise RefusedError(500, f"failed to create memory {number}: {refusal.error}") from None
            if row is not None:
                rows.append(row)
        call.org.flush(call.now)
        return json_answer(201, {"count": len(rows), "memories": [written_row(call.org, row) for row in rows]})

    def stored(self, call: Call, request: dict[str, Any]) -> Row | None:
        """The new row; None when it is a duplicate."""
        fields = completed(request)
        if call.org.storage == "none":
            raise RefusedError(503, NO_ARC)
        if call.org.storage == "up" and is_duplicate(call.org, fields["dedup_key"], call.now):
            return None
        row = Row(self.next_time(call.now), fields)
        call.org.rows.append(row)
        if len(call.org.waiting()) >= 100:
            call.org.flush(call.now)
        if len(call.org.waiting()) > 10_000:
            call.org.rows.remove(call.org.waiting()[0])
        return row

    def list_memories(self, call: Call) -> Answer:
        get = call.query.get
        check_ids(get("agent_id", ""), get("session_id", ""))
        check_type("memory_type", get("memory_type", ""))
        check_type("event_type", get("event_type", ""))
        tags = [tag.strip(" ") for tag in get("tags", "").split(",")]
        check_tags(tags)
        return page(
            call,
            agent_id=get("agent_id"),
            session_id=get("session_id"),
            memory_types=[get("memory_type")] if get("memory_type") else [],
            event_types=[get("event_type")] if get("event_type") else [],
            tags=tags,
            since=get("since"),
            until=get("until"),
            offset=max(whole_number(get("offset", ""), 0), 0),
        )

    def agent_memories(self, call: Call) -> Answer:
        get = call.query.get
        check_ids(call.segment, "")
        check_type("memory_type", get("memory_type", ""))
        check_type("event_type", get("event_type", ""))
        return page(
            call,
            agent_id=call.segment,
            memory_types=[get("memory_type")] if get("memory_type") else [],
            event_types=[get("event_type")] if get("event_type") else [],
            since=get("since") or "24h",
        )

    def session_memories(self, call: Call) -> Answer:
        get = call.query.get
        check_ids("", call.segment)
        check_type("memory_type", get("memory_type", ""))
        return page(
            call,
            session_id=call.segment,
            memory_types=[get("memory_type")] if get("memory_type") else [],
            since=get("since"),
        )

    def newest_with(self, call: Call) -> Answer:
        found = selected(call, "failed to search memories", content_contains=call.segment)
        if not found:
            raise RefusedError(404, "memory not found")
        return json_answer(200, read_row(call.org, found[-1]))

    def search(self, call: Call) -> Answer:
        query = read(call, "memory.SearchQuery", "SearchQuery", QUERY_FIELDS)
        check_ids(query.get("agent_id", ""), query.get("session_id", ""))
        for name in ("memory_type", "event_type"):
            for wanted in query.get(f"{name}s", []):
                check_type(name, wanted)
        check_tags(query.get("tags", []))
        limit, order = query.pop("limit", 50), query.pop("order", "")
        found = in_order(selected(call, "failed to search memories", **query), order)
        results = [read_row(call.org, row) for row in found[: limit if 1 <= limit <= 1000 else 50]]
        return json_answer(200, {"results": results, "count": len(results), "query_time_ms": 0})

    def context(self, call: Call) -> Answer:
        try:
            asked = read(call, "", "", CONTEXT_FIELDS)
        except RefusedError:
            asked = {}
        check_ids("", call.segment)
        for wanted in asked.get("include_types", []):
            if wanted and not TYPE.fullmatch(wanted):
                raise RefusedError(500, f"invalid include_type '{wanted}': {BAD_TYPE}")
        since = asked.get("since", "")
        found = selected(
            call,
            "failed to query session context",
            session_id=call.segment,
            memory_types=asked.get("include_types"),
            since=since if span(since) else "24h",
        )
        rows = in_order(found, "desc")[:100]
        text = f"## Session Context ({call.segment})\n\n{groups(rows)}"
        return json_answer(200, {"session_id": call.segment, "context": text, "memory_count": len(rows)})

    def stats(self, call: Call) -> Answer:
        check_ids(call.segment, "")
        if call.org.storage == "none":
            raise RefusedError(503, NO_ARC)
        readable = call.org.readable(call.now) if call.org.storage == "up" else []
        rows = [row for row in readable if row.fields["agent_id"] == call.segment]
        recent = [row for row in rows if row.time > call.now - DAY]
        sessions = [session for session in call.org.sessions if session["agent_id"] == call.segment]
        types = [row.fields["memory_type"] for row in rows]
        return json_answer(
            200,
            {
                "agent_id": call.segment,
                "memory_count": len(rows),
                "memories_24h": len(recent),
                "errors_24h": sum(row.fields["event_type"] == "error" for row in recent),
                "session_count": len(sessions),
                "active_sessions": sum(session["status"] == "active" for session in sessions),
                "memory_types": {name: types.count(name) for name in sorted(set(types))},
            },
        )

    def create_agent(self, call: Call) -> Answer:
        asked = read(call, "agent.CreateRequest", "CreateRequest", AGENT_FIELDS)
        name = asked.get("name")
        if not name:
            raise RefusedError(400, "name is required")
        if any(agent["name"] == name for agent in call.org.agents):
            raise RefusedError(409, f"agent '{name}' already exists in this organization")
        agent = {
            "id": self.identifier("agent"),
            "org_id": call.org.org_id,
            "name": name,
            "description": asked.get("description"),
            "config": name_sorted(asked.get("config")),
            "created_at": self.next_time(call.now),
        }
        call.org.agents.append(agent)
        return json_answer(201, {**filled(agent), "created_at": moment(agent["created_at"])})

    def list_agents(self, call: Call) -> Answer:
        agents = sorted(call.org.agents, key=lambda agent: -(agent["created_at"] // SECOND))
        return json_answer(200, {"agents": [read_agent(agent) for agent in agents], "count": len(agents)})

    def get_agent(self, call: Call) -> Answer:
        for agent in call.org.agents:
            if call.segment in {agent["id"], agent["name"]}:
                return json_answer(200, read_agent(agent))
        raise RefusedError(404, "agent not found")

    def delete_agent(self, call: Call) -> Answer:
        agent = next((agent for agent in call.org.agents if agent["id"] == call.segment), None)
        if agent is None:
            raise RefusedError(404, "agent not found")
        if any(session["agent_id"] == call.segment for session in call.org.sessions):
            raise RefusedError(404, "FOREIGN KEY constraint failed")
        call.org.agents.remove(agent)
        return 204, "", b""

    def create_session(self, call: Call) -> Answer:
        asked = read(call, "session.CreateRequest", "CreateRequest", SESSION_FIELDS)
        if not asked.get("agent_id"):
            raise RefusedError(400, "agent_id is required")
        if all(agent["id"] != asked["agent_id"] for agent in call.org.agents):
            raise RefusedError(400, "failed to create session: FOREIGN KEY constraint failed")
        time = self.next_time(call.now)
        session = {
            "id": self.identifier("sess"),
            "org_id": call.org.org_id,
            "agent_id": asked["agent_id"],
            "status": "active",
            "metadata": name_sorted(asked.get("metadata")),
            "created_at": time,
            "updated_at": time,
            "closed_at": None,
        }
        call.org.sessions.append(session)
        return json_answer(201, read_session(session))

    def list_sessions(self, call: Call) -> Answer:
        wanted = call.query.get("agent_id")
        found = [session for session in call.org.sessions if not wanted or session["agent_id"] == wanted]
        newest = sorted(found, key=lambda session: -session["created_at"])
        return json_answer(200, {"count": len(newest), "sessions": [read_session(session) for session in newest]})

    def get_session(self, call: Call) -> Answer:
        return json_answer(200, read_session(session_of(call, 404)))

    def update_session(self, call: Call) -> Answer:
        asked = read(call, "session.UpdateRequest", "UpdateRequest", UPDATE_FIELDS)
        session = session_of(call, 400)
        time = self.next_time(call.now)
        if asked.get("status"):
            session["status"] = asked["status"]
            if asked["status"] == "closed":
                session["closed_at"] = time
        if "metadata" in asked:
            session["metadata"] = name_sorted(asked["metadata"])
        session["updated_at"] = time
        return json_answer(200, read_session(session))


Handler = Callable[..., Answer]
ROUTES: list[tuple[str, dict[str, Handler]]] = [
    ("/health", {"GET": Model.health}),
    ("/ready", {"GET": Model.ready}),
    ("/api/v1/memories", {"POST": Model.create, "GET": Model.list_memories}),
    ("/api/v1/memories/*", {"GET": Model.newest_with}),
    ("/api/v1/search", {"POST": Model.search}),
    ("/api/v1/agents", {"POST": Model.create_agent, "GET": Model.list_agents}),
    ("/api/v1/agents/*", {"GET": Model.get_agent, "DELETE": Model.delete_agent}),
    ("/api/v1/agents/*/memories", {"GET": Model.agent_memories}),
    ("/api/v1/agents/*/stats", {"GET": Model.stats}),
    ("/api/v1/sessions", {"POST": Model.create_session, "GET": Model.list_sessions}),
    ("/api/v1/sessions/*", {"GET": Model.get_session, "PUT": Model.update_session}),
    ("/api/v1/sessions/*/memories", {"GET": Model.session_memories}),
    ("/api/v1/sessions/*/context", {"POST": Model.context}),
]


def route_of(path: str) -> tuple[dict[str, Handler], str]:
    """The handlers of a path by method, and what stands in it for an id."""
    sent = path.removesuffix("/").split("/")
    for route, handlers in ROUTES:
        parts = route.split("/")
        pairs = list(zip(parts, sent, strict=False))
        if len(parts) == len(sent) and all(one != "" if part == "*" else part == one.lower() for part, one in pairs):
            return handlers, next((one for part, one in pairs if part == "*"), "")
    return {}, ""


def arguments(query: str) -> dict[str, str]:
    """The first of each name, percent-decoded, a plus sign being a space."""
    found: dict[str, str] = {}
    for argument in query.split("&"):
        name, _, value = argument.partition("=")
        found.setdefault(decoded(name), decoded(value))
    return found


def decoded(text: str) -> str:
    return text_of(unquote_to_bytes(text.replace("+", " ")))


def header(headers: Mapping[str, str], wanted: str) -> str | None:
    return next((value.strip() for name, value in headers.items() if name.lower() == wanted), None)


def escaped(path: str) -> str:
    return html.escape(path).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def json_answer(status: int, value: Any) -> Answer:
    return status, "application/json", written(value).encode()


def parsed(call: Call) -> Any:
    media = call.content_type.partition(";")[0].strip().lower()
    if media == "application/x-www-form-urlencoded":
        return None
    if media != "application/json" and not media.endswith("+json"):
        raise RefusedError(400, "invalid request body: Unprocessable Entity")
    try:
        return Parser(call.body).whole()
    except JsonError as error:
        raise RefusedError(400, f"invalid request body: {error}") from None


def read(call: Call, whole: str, struct: str, fields: dict[str, str]) -> dict[str, Any]:
    try:
        return decode(parsed(call), whole, struct, fields)
    except JsonError as error:
        raise RefusedError(400, f"invalid request body: {error}") from None


def batch_of(call: Call) -> list[dict[str, Any]]:
    """The items of a batch; none when the body is no batch, or one that does not decode."""
    try:
        body = parsed(call)
        if not isinstance(body, Members):
            return []
        lists = [value for name, value in body if folded(name) == "memories"]
        if any(value is not None and kind(value) != "array" for value in lists):
            return []
        items = (lists[-1] if lists else None) or []
        return [decode(item, "", "", MEMORY_FIELDS) for item in items]
    except (JsonError, RefusedError):
        return []


def decode_plain(memory: dict[str, Any]) -> dict[str, Any]:
    """A row that a test seeds, as if it had come in a body."""
    return completed(decode(Parser(written(memory).encode()).whole(), "", "", MEMORY_FIELDS))


def completed(request: dict[str, Any]) -> dict[str, Any]:
    """A memory to store, with what is absent filled in; refuses a wrong one."""
    for name in ("agent_id", "content"):
        if not request.get(name):
            raise RefusedError(400, f"{name} is required")
    memory_type = request.get("memory_type") or "episodic"
    event_type = request.get("event_type") or "general"
    if memory_type not in {"episodic", "session", "decision", "entity"}:
        raise RefusedError(400, f"invalid memory_type: {memory_type}")
    if not ID.fullmatch(request["agent_id"]):
        raise RefusedError(400, f"invalid agent_id: {BAD_ID}")
    if request.get("session_id") and not ID.fullmatch(request["session_id"]):
        raise RefusedError(400, f"invalid session_id: {BAD_ID}")
    if not TYPE.fullmatch(event_type):
        raise RefusedError(400, f"invalid event_type: {BAD_TYPE}")
    for tag in request.get("tags", []):
        if not TAG.fullmatch(tag):
            raise RefusedError(400, f"invalid tag '{tag}': {BAD_TAG}")
    start = request["content"].encode()[:200]
    hashed = f"{request['agent_id']}|{event_type}|".encode() + start
    return {
        "agent_id": request["agent_id"],
        "session_id": request.get("session_id"),
        "memory_type": memory_type,
        "event_type": event_type,
        "content": request["content"],
        "metadata": name_sorted(request.get("metadata")),
        "tags": request.get("tags"),
        "dedup_key": request.get("dedup_key") or hashlib.sha256(hashed).hexdigest()[:32],
        "importance": request.get("importance"),
        "parent_id": request.get("parent_id"),
    }


def is_duplicate(org: Organisation, key: str, now: int) -> bool:
    if "\\" in key or "\0" in key:
        return False
    return any(row.fields["dedup_key"] == key and row.time > now - DAY for row in org.readable(now))


def check_ids(agent_id: str, session_id: str) -> None:
    for name, value in (("agent_id", agent_id), ("session_id", session_id)):
        if value and not ID.fullmatch(value):
            raise RefusedError(500, f"invalid {name}: {BAD_ID}")


def check_type(name: str, value: str) -> None:
    if value and not TYPE.fullmatch(value):
        raise RefusedError(500, f"invalid {name}: {BAD_TYPE}")


def check_tags(tags: list[str]) -> None:
    if not all(TAG.fullmatch(tag) for tag in tags):
        raise RefusedError(500, f"invalid tag: {BAD_TAG}")


def selected(
    call: Call,
    doing: str,
    *,
    agent_id: str | None = None,
    session_id: str | None = None,
    memory_types: list[str] | None = None,
    event_types: list[str] | None = None,
    tags: list[str] | None = None,
    content_contains: str = "",
    min_importance: float = 0.0,
    since: str | None = None,
    until: str | None = None,
) -> list[Row]:
    """The readable rows that match, oldest first; what waits goes on its way after it was looked past."""
    org = call.org
    if org.storage == "none":
        raise RefusedError(503, NO_ARC)
    rows = org.readable(call.now)
    org.flush(call.now)
    if org.storage == "down":
        raise RefusedError(500, f"{doing}: the engine cannot be reached")
    after = bound(since, call.now, doing)
    before = None if until == "now" else bound(until, call.now, doing)
    least = float(f"{min_importance:.6f}") if min_importance > 0 else None
    found = []
    for row in rows:
        fields = row.fields
        stored = row.time // MICROSECOND * MICROSECOND
        joined = ",".join(fields["tags"] or [])
        if (
            (not agent_id or fields["agent_id"] == agent_id)
            and (not session_id or fields["session_id"] == session_id)
            and (not memory_types or fields["memory_type"] in memory_types)
            and (not event_types or fields["event_type"] in event_types)
            and all(tag in joined for tag in tags or [])
            and content_contains.replace("\0", "") in fields["content"]
            and (least is None or (fields["importance"] or 0) >= least)
            and (after is None or stored > after)
            and (before is None or stored < before)
        ):
            found.append(row)
    return found


def bound(text: str | None, now: int, doing: str) -> int | None:
    if not text:
        return None
    length = span(text)
    if length:
        return now - length
    found = TIMESTAMP.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)  # noqa: TRY301 - one way out for every spelling and every date that is none
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
        fraction, zone = found[7] or "", found[8] or "Z"
        point = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise RefusedError(500, f"{doing}: the engine cannot read {text}") from None
    if zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        point = point - offset if zone[0] == "+" else point + offset
    seconds = (point - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(seconds=1)
    return seconds * SECOND + int(fraction.ljust(9, "0"))


def span(text: str) -> int:
    """What N hours, days or minutes are; 0 for anything else."""
    found = SPAN.fullmatch(text)
    if found is None:
        return 0
    number, unit = int(found[1]), found[2]
    if not 1 <= number <= (365 if unit == "d" else 8760):
        return 0
    return number * {"m": 60, "h": 3600, "d": 86_400}[unit] * SECOND


def whole_number(text: str, default: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text) or not -(2**63) <= int(text) < 2**63:
        return default
    return int(text)


def in_order(rows: list[Row], order: str) -> list[Row]:
    return rows if order == "asc" else rows[::-1]


def page(call: Call, *, offset: int = 0, **filters: Any) -> Answer:
    asked = whole_number(call.query.get("limit", ""), 100)
    asked = 100 if asked <= 0 else asked
    limit = 100 if asked > 1000 else asked
    rows = in_order(selected(call, "failed to query memories", **filters), call.query.get("order", ""))
    shown = [read_row(call.org, row) for row in rows[offset : offset + limit]]
    return json_answer(200, {"memories": shown, "count": len(shown), "has_more": len(shown) >= asked})


def groups(rows: list[Row]) -> str:
    """The lines of a context."""
    named: dict[str, list[str]] = {"Recent Actions": [], "Decisions Made": [], "Errors": [], "Other": []}
    for row in rows:
        memory_type, event_type = row.fields["memory_type"], row.fields["event_type"]
        content = row.fields["content"].encode()
        shown = text_of(content[:80]) + "..." if len(content) > 80 else row.fields["content"]
        name = {"episodic": "Recent Actions", "decision": "Decisions Made"}.get(memory_type, "Other")
        if memory_type == "session" and event_type == "error":
            name = "Errors"
        named[name].append(f"- [{moment(row.time, 1000)}] {event_type}: {shown}\n")
    text = ""
    for name, lines in named.items():
        if lines:
            text += f"### {name} ({len(lines)})\n{''.join(lines)}{'' if name == 'Other' else chr(10)}"
    return text


def moment(time: int, precision: int = 1) -> str:
    """A time as the server writes it, `precision` being the nanoseconds that it still tells apart."""
    time -= time % precision
    seconds, fraction = divmod(time, SECOND)
    text = (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return text + f".{fraction:09}".rstrip("0").rstrip(".") + "Z"


def filled(members: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {name: value for name, value in members.items() if value not in (None, "", 0, [], {})}


def written_row(org: Organisation, row: Row) -> dict[str, Any]:
    return {"time": moment(row.time), "org_id": org.org_id, **filled(row.fields)}


def read_row(org: Organisation, row: Row) -> dict[str, Any]:
    joined = ",".join(row.fields["tags"] or [])
    tags = joined.split(",") if joined else []
    return {"time": moment(row.time, MICROSECOND), "org_id": org.org_id, **filled({**row.fields, "tags": tags})}


def read_agent(agent: dict[str, Any]) -> dict[str, Any]:
    return {**filled(agent), "created_at": moment(agent["created_at"], SECOND)}


def read_session(session: dict[str, Any]) -> dict[str, Any]:
    times = {name: moment(session[name]) for name in ("created_at", "updated_at", "closed_at") if session[name]}
    return {**filled(session), **times}


def session_of(call: Call, missing: int) -> dict[str, Any]:
    for session in call.org.sessions:
        if session["id"] == call.segment:
            return session
    raise RefusedError(missing, "session not found")
