"""What the routes of agents answer."""

from __future__ import annotations

from memtrace.transport import Headers, Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.go_json.structs import GoStruct
from memtrace_transports._engine.go_json.writer import Writable, compact_object
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.registry import Agent
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.request import RouteRequest, json_response

_CREATE = GoStruct(
    "agent.CreateRequest", {"name": "string", "description": "string", "config": "map[string]interface {}"}
)


def create_agent(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``POST /agents``."""
    fields = call.fields(_CREATE)
    if not fields.text("name"):
        raise RouteError(400, "name is required")
    agent = Agent(
        id=engine.identifiers.new("agent"),
        name=fields.text("name"),
        description=fields.text("description"),
        config=compact_object(fields.members("config") or {}),
        created=engine.stamps.stamp(),
    )
    org.registry.add_agent(agent)
    return json_response(201, agent.json(org.org_id, just_created=True))


def list_agents(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /agents``: all of them."""
    agents: list[Writable] = [agent.json(org.org_id) for agent in org.registry.agents()]
    return json_response(200, {"agents": agents, "count": len(agents)})


def get_agent(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /agents/{id}``, by id or by name."""
    return json_response(200, org.registry.agent(call.segments[0]).json(org.org_id))


def delete_agent(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``DELETE /agents/{id}``: 204 without a body or a content type."""
    org.registry.remove_agent(call.segments[0])
    return Response(204, Headers())


def agent_stats(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /agents/{id}/stats``: of any agent_id, registered or not; sessions are counted whatever storage does."""
    agent_id = call.segments[0]
    counts = engine.counts(org, agent_id)
    sessions = org.registry.sessions(agent_id)
    types: dict[str, Writable] = {name: counts.by_type[name] for name in sorted(counts.by_type)}
    answer: dict[str, Writable] = {
        "agent_id": agent_id,
        "memory_count": counts.total,
        "memories_24h": counts.recent,
        "errors_24h": counts.recent_errors,
        "session_count": len(sessions),
        "active_sessions": sum(session.status == "active" for session in sessions),
        "memory_types": types,
    }
    return json_response(200, answer)
