"""What the routes of sessions answer, the context text among them."""

from __future__ import annotations

from dataclasses import replace

from memtrace.transport import Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.go_json.structs import Fields, GoStruct
from memtrace_transports._engine.go_json.writer import Writable, compact_object
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.registry import Session
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.request import RouteRequest, json_response
from memtrace_transports._engine.rules.filters import Filters
from memtrace_transports._engine.rules.identifier_rules import first_problem, identifier_problem, type_problem
from memtrace_transports._engine.rules.session_context import CONTEXT, context_text
from memtrace_transports._engine.store.rows import RowSelection
from memtrace_transports._engine.timestamps import read_relative

_CREATE = GoStruct("session.CreateRequest", {"agent_id": "string", "metadata": "map[string]interface {}"})
_UPDATE = GoStruct("session.UpdateRequest", {"status": "string", "metadata": "map[string]interface {}"})
_CONTEXT_ROWS = 100


def create_session(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``POST /sessions``: for a registered agent's id."""
    fields = call.fields(_CREATE)
    if not fields.text("agent_id"):
        raise RouteError(400, "agent_id is required")
    now = engine.stamps.stamp()
    session = Session(
        id=engine.identifiers.new("sess"),
        agent_id=fields.text("agent_id"),
        status="active",
        metadata=compact_object(fields.members("metadata") or {}),
        created=now,
        updated=now,
    )
    org.registry.add_session(session)
    return json_response(201, session.json(org.org_id))


def list_sessions(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /sessions``: all of them, or those of one agent's id."""
    found = org.registry.sessions(call.query.get("agent_id", ""))
    sessions: list[Writable] = [session.json(org.org_id) for session in found]
    return json_response(200, {"count": len(sessions), "sessions": sessions})


def get_session(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /sessions/{id}``."""
    session = org.registry.find_session(call.segments[0])
    if session is None:
        raise RouteError(404, "session not found")
    return json_response(200, session.json(org.org_id))


def update_session(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``PUT /sessions/{id}``: any status; an unknown session is a 400 here."""
    fields = call.fields(_UPDATE)
    session = org.registry.find_session(call.segments[0])
    if session is None:
        raise RouteError(400, "session not found")
    status, metadata = fields.text("status"), fields.members("metadata")
    now = engine.stamps.stamp()
    session = replace(
        session,
        updated=now,
        status=status or session.status,
        closed=now if status == "closed" else session.closed,
        metadata=session.metadata if metadata is None else compact_object(metadata),
    )
    org.registry.replace_session(session)
    return json_response(200, session.json(org.org_id))


def session_context(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``POST /sessions/{id}/context``: the newest 100 rows as text; `max_tokens` changes nothing."""
    session_id = call.segments[0]
    fields = _lenient_fields(call)
    types = fields.strings("include_types")
    checks = (
        ("session_id", identifier_problem(session_id)),
        *((f"include_type '{name}'", type_problem(name)) for name in types),
    )
    problem = first_problem(checks)
    if problem is not None:
        raise RouteError(500, problem)
    since = fields.text("since")
    limit = _CONTEXT_ROWS + (engine.observer is not None)
    wanted = RowSelection(session_id=session_id, memory_types=types, limit=limit)
    filters = Filters(wanted, since="24h" if read_relative(since) is None else since)
    found = engine.read(org, filters, "query session context")
    if engine.observer is not None:
        engine.observer.context_cut(len(found), _CONTEXT_ROWS)
    rows = found[:_CONTEXT_ROWS]
    text = context_text(session_id, rows)
    return json_response(200, {"session_id": session_id, "context": text, "memory_count": len(rows)})


def _lenient_fields(call: RouteRequest) -> Fields:
    """The body's fields; none at all where it cannot be read, or one of them is of the wrong type."""
    try:
        return call.fields(CONTEXT)
    except RouteError:
        return Fields()
