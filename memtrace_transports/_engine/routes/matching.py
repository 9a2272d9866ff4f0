"""The routes: what each is called, who answers it, and what it reads of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from memtrace.transport import Request, Response
from memtrace_transports._engine.engine import Engine
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.routes import agents as agent_routes
from memtrace_transports._engine.routes import health as health_routes
from memtrace_transports._engine.routes import memories as memory_routes
from memtrace_transports._engine.routes import sessions as session_routes
from memtrace_transports._engine.routes.request import RouteRequest, read_query
from memtrace_transports._engine.rules.filters import SEARCH
from memtrace_transports._engine.rules.new_memories import CREATE_MEMORY
from memtrace_transports._engine.rules.session_context import CONTEXT

Handler = Callable[[Engine, OrganisationState, RouteRequest], Response]
OpenHandler = Callable[[Engine], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """One route and method."""

    operation: str
    handler: Handler
    #: What the variable segment of its path is.
    variable: str = ""
    #: The parameters of the query that it reads, and the fields of the body.
    parameters: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    #: Whether it changes what is stored.
    writes: bool = False


_LIST = frozenset(
    {"agent_id", "session_id", "memory_type", "event_type", "tags", "since", "until", "limit", "offset", "order"}
)

_PREFIX = ("api", "v1")
_ROUTES: Mapping[tuple[str, ...], Mapping[str, Route]] = {
    ("memories",): {
        "GET": Route("memories.list", memory_routes.list_memories, parameters=_LIST),
        "POST": Route("memories.add", memory_routes.create_memories, fields=frozenset({*CREATE_MEMORY.fields, "memories"}), writes=True),
    },
    ("memories", "*"): {"GET": Route("memories.find", memory_routes.find_memory, "text")},
    ("search",): {"POST": Route("memories.filter", memory_routes.search_memories, fields=frozenset(SEARCH.fields))},
    ("agents",): {
        "GET": Route("agents.list", agent_routes.list_agents),
        "POST": Route("agents.register", agent_routes.create_agent, fields=frozenset({"name", "description", "config"}), writes=True),
    },
    ("agents", "*"): {
        "GET": Route("agents.get", agent_routes.get_agent, "agent_id"),
        "DELETE": Route("agents.delete", agent_routes.delete_agent, "agent_id", writes=True),
    },
    ("agents", "*", "memories"): {
        "GET": Route(
            "agents.memories",
            memory_routes.agent_memories,
            "agent_id",
            frozenset({"memory_type", "event_type", "since", "limit", "order"}),
        )
    },
    ("agents", "*", "stats"): {"GET": Route("agents.stats", agent_routes.agent_stats, "agent_id")},
    ("sessions",): {
        "GET": Route("sessions.list", session_routes.list_sessions, parameters=frozenset({"agent_id"})),
        "POST": Route("sessions.create", session_routes.create_session, fields=frozenset({"agent_id", "metadata"}), writes=True),
    },
    ("sessions", "*"): {
        "GET": Route("sessions.get", session_routes.get_session, "session_id"),
        "PUT": Route(
            "sessions.update",
            session_routes.update_session,
            "session_id",
            fields=frozenset({"status", "metadata"}),
            writes=True,
        ),
    },
    ("sessions", "*", "memories"): {
        "GET": Route(
            "sessions.memories",
            memory_routes.session_memories,
            "session_id",
            frozenset({"memory_type", "since", "limit", "order"}),
        )
    },
    ("sessions", "*", "context"): {
        "POST": Route(
            "sessions.context",
            session_routes.session_context,
            "session_id",
            fields=frozenset(CONTEXT.fields),
        )
    },
}  # fmt: skip


_OPEN: Mapping[tuple[str, ...], OpenHandler] = {("health",): health_routes.health, ("ready",): health_routes.ready}


def routes_list() -> Iterator[str]:
    """Method and path of every route, a star for what varies; HEAD works where GET does."""
    routes: Mapping[tuple[str, ...], Iterable[str]] = {
        **dict.fromkeys(_OPEN, ("GET",)),
        **{(*_PREFIX, *path): methods for path, methods in _ROUTES.items()},
    }
    for path, methods in routes.items():
        for method in methods:
            for name in ("GET", "HEAD") if method == "GET" else (method,):
                yield f"{name} /{'/'.join(path)}"


@dataclass(slots=True)
class RouteMatch:
    """Where a request goes: its path, the path's segments in lower case, and the methods of the route, None without one."""

    method: str
    path: str
    query: Mapping[str, str]
    folded: tuple[str, ...]
    #: The variable segment as it was sent, not percent-decoded.
    segments: tuple[str, ...]
    methods: Mapping[str, Route] | None

    @property
    def is_open(self) -> bool:
        """Whether it is outside of ``/api/v1``, where no key is needed."""
        return self.folded[:2] != _PREFIX

    @property
    def open_handler(self) -> OpenHandler | None:
        """What answers it where it is one of the two routes that need no key."""
        return _OPEN.get(self.folded)

    @property
    def route(self) -> Route | None:
        """The route for the method, None where there is none. HEAD works where GET does."""
        return self.methods.get(self.read_method) if self.methods is not None else None

    @property
    def read_method(self) -> str:
        """The method whose response is expected."""
        return "GET" if self.method == "HEAD" else self.method


def match_route(request: Request) -> RouteMatch:
    """Find the route of a request; `request.method` may be any string."""
    path, _, query = request.target.partition("#")[0].partition("?")
    segments, folded = _split(path)
    methods = _ROUTES.get(_pattern(folded[2:])) if folded[:2] == _PREFIX else None
    return RouteMatch(request.method, path, read_query(query) if query else {}, folded, segments[3:4], methods)


@lru_cache(maxsize=64)
def _split(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The segments of a path, as they stand and in lower case."""
    segments = path.rstrip("/").split("/")[1:] if path.startswith("/") else []
    return tuple(segments), tuple([segment.lower() for segment in segments])


def _pattern(segments: tuple[str, ...]) -> tuple[str, ...]:
    """The path with its variable segment starred; what is empty there is no segment."""
    if len(segments) > 1 and segments[1]:
        return (segments[0], "*", *segments[2:])
    return segments
