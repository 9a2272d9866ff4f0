"""What the routes of memories answer: writing, reading, searching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring as quoted

from memtrace.transport import Response
from memtrace_transports._engine.engine import Engine, StoredRow
from memtrace_transports._engine.go_json.writer import RawJson, float_text, write
from memtrace_transports._engine.organisations import OrganisationState
from memtrace_transports._engine.route_errors import RouteError
from memtrace_transports._engine.routes.request import RouteRequest, decode_fields, json_response
from memtrace_transports._engine.rules.filters import (
    SEARCH,
    Filters,
    read_list_filters,
    read_page,
    read_search_filters,
)
from memtrace_transports._engine.rules.new_memories import CREATE_MEMORY, NewMemory, read_batch
from memtrace_transports._engine.store.rows import Row, RowSelection
from memtrace_transports._engine.timestamps import rfc3339


def create_memories(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``POST /memories``: one memory, or a batch when there is one that is not empty."""
    body = call.parsed()
    batch = read_batch(body)
    if batch:
        return _create_batch(engine, org, batch)
    new_memory = NewMemory.from_fields(decode_fields(CREATE_MEMORY, body))
    problem = new_memory.problem()
    if problem is not None:
        raise RouteError(400, problem)
    written = engine.write(org, new_memory)
    if written is None:
        raise RouteError(409, "duplicate memory")
    return json_response(201, RawJson(_written_json(org.org_id, written)))


def is_batch(call: RouteRequest) -> bool:
    """Whether `create_memories` reads this body as a batch."""
    lower = call.body.lower()
    if b"memorie" not in lower and b"\\u" not in lower:  # then no field of it can be called memories
        return False
    try:
        return bool(read_batch(call.parsed()))
    except RouteError:
        return False


def _create_batch(engine: Engine, org: OrganisationState, batch: Sequence[NewMemory]) -> Response:
    """Store item by item: duplicates are left out, and what came before an invalid item stays stored."""
    problem, valid = _first_invalid(batch)
    written = engine.write_all(org, batch[:valid]) if valid else []
    if problem is not None:
        raise RouteError(500, f"failed to create memory {valid}: {problem}")
    engine.flush(org)
    memories = [_written_json(org.org_id, item) for item in written if item is not None]
    return json_response(201, {"count": len(memories), "memories": _array(memories)})


def _first_invalid(batch: Sequence[NewMemory]) -> tuple[str | None, int]:
    """The error of the first invalid item, and the number of items before it: all of them if none is invalid."""
    for position, new_memory in enumerate(batch):
        problem = new_memory.problem()
        if problem is not None:
            return problem, position
    return None, len(batch)


def list_memories(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /memories``: every filter."""
    return _page_of(engine, org, call.query)


def agent_memories(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /agents/{id}/memories``: the id unchecked, the last 24 hours by default, few filters."""
    since = call.query.get("since") or "24h"
    names = ("memory_type", "event_type", "limit", "order")
    return _page_of(engine, org, {"agent_id": call.segments[0], "since": since, **_only(call.query, names)})


def session_memories(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /sessions/{id}/memories``: from the beginning by default, few filters."""
    query = {"session_id": call.segments[0], **_only(call.query, ("memory_type", "since", "limit", "order"))}
    return _page_of(engine, org, query)


def find_memory(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``GET /memories/{text}``: the newest row whose content holds the text."""
    rows = engine.read(org, Filters(RowSelection(contains=call.segments[0], limit=1)), "search memories")
    if not rows:
        raise RouteError(404, "memory not found")
    return json_response(200, RawJson(row_json(org.org_id, rows[0])))


def search_memories(engine: Engine, org: OrganisationState, call: RouteRequest) -> Response:
    """``POST /search``."""
    started = engine.stamps.elapsed()
    rows = engine.read(org, read_search_filters(call.fields(SEARCH)), "search memories")
    results = _array([row_json(org.org_id, row) for row in rows])
    spent = (engine.stamps.elapsed() - started) // 1000
    return json_response(200, {"results": results, "count": len(rows), "query_time_ms": spent})


def _page_of(engine: Engine, org: OrganisationState, query: Mapping[str, str]) -> Response:
    rows = engine.read(org, read_list_filters(query), "query memories")
    memories = _array([row_json(org.org_id, row) for row in rows])
    has_more = len(rows) >= read_page(query.get("limit", "")).full_at
    return json_response(200, {"memories": memories, "count": len(rows), "has_more": has_more})


def _only(query: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: query[name] for name in names if name in query}


def _array(texts: Iterable[str]) -> RawJson:
    """JSON texts as an array."""
    return RawJson(f"[{','.join(texts)}]")


def _written_json(org_id: str, written: StoredRow) -> str:
    tags = f',"tags":{write(list(written.tags))}' if written.tags else ""
    return _memory_json(org_id, written.row, written.stamp.text(), tags)


def row_json(org_id: str, row: Row) -> str:
    """A stored memory as JSON text, as it is read."""
    return _memory_json(org_id, row, rfc3339(row.time), _tags_json(row.tags) if row.tags else "")


@lru_cache(maxsize=256)
def _tags_json(tags: str) -> str:
    return f',"tags":{write([*tags.split(",")])}'


def _memory_json(org_id: str, row: Row, time: str, tags: str) -> str:
    _, agent_id, session_id, memory_type, event_type, content, metadata, _, dedup_key, importance, parent_id = row
    names = _names_json(org_id, agent_id, session_id, memory_type, event_type)
    about = f',"metadata":{metadata}{tags}' if metadata else tags
    rest = f',"importance":{float_text(importance)}' if importance else ""
    if parent_id:
        rest += f',"parent_id":{quoted(parent_id)}'
    return f'{{"time":"{time}",{names},"content":{quoted(content)}{about},"dedup_key":{quoted(dedup_key)}{rest}}}'


@lru_cache(maxsize=256)
def _names_json(org_id: str, agent_id: str, session_id: str, memory_type: str, event_type: str) -> str:
    """What many rows have in common; it takes longer to write than to look up."""
    session = f'"session_id":{quoted(session_id)},' if session_id else ""
    return (
        f'"org_id":{quoted(org_id)},"agent_id":{quoted(agent_id)},{session}'
        f'"memory_type":{quoted(memory_type)},"event_type":{quoted(event_type)}'
    )
