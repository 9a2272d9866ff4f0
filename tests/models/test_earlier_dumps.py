"""What 0.2.0's models dump: recorded from it, and the same here. `nox -s compat` runs this file on 0.2.0 too."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import pytest

from memtrace import models

AT = "2026-02-08T12:00:00Z"
NOON = datetime(2026, 2, 8, 12, tzinfo=timezone.utc)
MEMORY = {
    "time": AT,
    "org_id": "o",
    "agent_id": "a",
    "memory_type": "episodic",
    "event_type": "general",
    "content": "c",
}

# a model's arguments, its dump, that as JSON, and the JSON without None
# fmt: off
DUMPS = [
    (
        "Memory", MEMORY,
        {"time": NOON, "org_id": "o", "agent_id": "a", "session_id": None, "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": None, "tags": None, "dedup_key": None, "importance": None, "parent_id": None},
        '{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","session_id":null,"memory_type":"episodic","event_type":"general","content":"c","metadata":null,"tags":null,"dedup_key":null,"importance":null,"parent_id":null}',
        '{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"general","content":"c"}',
    ),
    (
        "Memory", {**MEMORY, "session_id": "s", "metadata": {"k": [1, 2.5, None, {"x": "é"}], "none": None}, "tags": ["a", "b"], "dedup_key": "d", "importance": 1, "parent_id": "p"},
        {"time": NOON, "org_id": "o", "agent_id": "a", "session_id": "s", "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": {"k": [1, 2.5, None, {"x": "é"}], "none": None}, "tags": ["a", "b"], "dedup_key": "d", "importance": 1.0, "parent_id": "p"},
        '{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","session_id":"s","memory_type":"episodic","event_type":"general","content":"c","metadata":{"k":[1,2.5,null,{"x":"é"}],"none":null},"tags":["a","b"],"dedup_key":"d","importance":1.0,"parent_id":"p"}',
        '{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","session_id":"s","memory_type":"episodic","event_type":"general","content":"c","metadata":{"k":[1,2.5,null,{"x":"é"}],"none":null},"tags":["a","b"],"dedup_key":"d","importance":1.0,"parent_id":"p"}',
    ),
    (
        "Memory", {"time": "2026-02-08T12:00:00.123456789+02:00", "org_id": "o", "agent_id": "a", "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": {"nan": math.nan, "list": [math.inf, -math.inf]}, "importance": math.inf, "tags": []},
        {"time": NOON.replace(hour=10, microsecond=123456), "org_id": "o", "agent_id": "a", "session_id": None, "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": {"nan": math.nan, "list": [math.inf, -math.inf]}, "tags": [], "dedup_key": None, "importance": math.inf, "parent_id": None},
        '{"time":"2026-02-08T12:00:00.123456+02:00","org_id":"o","agent_id":"a","session_id":null,"memory_type":"episodic","event_type":"general","content":"c","metadata":{"nan":null,"list":[null,null]},"tags":[],"dedup_key":null,"importance":null,"parent_id":null}',
        '{"time":"2026-02-08T12:00:00.123456+02:00","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"general","content":"c","metadata":{"nan":null,"list":[null,null]},"tags":[],"importance":null}',
    ),
    (
        "AddMemoryRequest", {"agent_id": "a", "memory_type": "episodic", "event_type": "general", "content": "c"},
        {"agent_id": "a", "session_id": None, "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": None, "tags": None, "dedup_key": None, "importance": None, "parent_id": None},
        '{"agent_id":"a","session_id":null,"memory_type":"episodic","event_type":"general","content":"c","metadata":null,"tags":null,"dedup_key":null,"importance":null,"parent_id":null}',
        '{"agent_id":"a","memory_type":"episodic","event_type":"general","content":"c"}',
    ),
    (
        "AddMemoryRequest", {"agent_id": "a", "memory_type": "episodic", "event_type": "general", "content": "c", "session_id": "s", "metadata": {"k": [1, 2.5, None, {"x": "é"}], "none": None}, "tags": ["a", "b"], "dedup_key": "d", "importance": 1, "parent_id": "p"},
        {"agent_id": "a", "session_id": "s", "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": {"k": [1, 2.5, None, {"x": "é"}], "none": None}, "tags": ["a", "b"], "dedup_key": "d", "importance": 1.0, "parent_id": "p"},
        '{"agent_id":"a","session_id":"s","memory_type":"episodic","event_type":"general","content":"c","metadata":{"k":[1,2.5,null,{"x":"é"}],"none":null},"tags":["a","b"],"dedup_key":"d","importance":1.0,"parent_id":"p"}',
        '{"agent_id":"a","session_id":"s","memory_type":"episodic","event_type":"general","content":"c","metadata":{"k":[1,2.5,null,{"x":"é"}],"none":null},"tags":["a","b"],"dedup_key":"d","importance":1.0,"parent_id":"p"}',
    ),
    (
        "AddMemoryRequest", {"agent_id": "a", "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": {"nan": math.nan, "list": [math.inf, -math.inf]}, "tags": ("a",)},
        {"agent_id": "a", "session_id": None, "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": {"nan": math.nan, "list": [math.inf, -math.inf]}, "tags": ["a"], "dedup_key": None, "importance": None, "parent_id": None},
        '{"agent_id":"a","session_id":null,"memory_type":"episodic","event_type":"general","content":"c","metadata":{"nan":null,"list":[null,null]},"tags":["a"],"dedup_key":null,"importance":null,"parent_id":null}',
        '{"agent_id":"a","memory_type":"episodic","event_type":"general","content":"c","metadata":{"nan":null,"list":[null,null]},"tags":["a"]}',
    ),
    (
        "ListOptions", {},
        {"agent_id": None, "session_id": None, "memory_type": None, "event_type": None, "tags": None, "since": None, "until": None, "limit": None, "offset": None, "order": None},
        '{"agent_id":null,"session_id":null,"memory_type":null,"event_type":null,"tags":null,"since":null,"until":null,"limit":null,"offset":null,"order":null}',
        "{}",
    ),
    (
        "ListOptions", {"agent_id": "a", "limit": 50},
        {"agent_id": "a", "session_id": None, "memory_type": None, "event_type": None, "tags": None, "since": None, "until": None, "limit": 50, "offset": None, "order": None},
        '{"agent_id":"a","session_id":null,"memory_type":null,"event_type":null,"tags":null,"since":null,"until":null,"limit":50,"offset":null,"order":null}',
        '{"agent_id":"a","limit":50}',
    ),
    (
        "ListOptions", {"agent_id": "a", "session_id": "s", "memory_type": "decision", "event_type": "e", "tags": "a,b", "since": "2h", "until": AT, "limit": 5, "offset": 10, "order": "asc"},
        {"agent_id": "a", "session_id": "s", "memory_type": "decision", "event_type": "e", "tags": "a,b", "since": "2h", "until": AT, "limit": 5, "offset": 10, "order": "asc"},
        '{"agent_id":"a","session_id":"s","memory_type":"decision","event_type":"e","tags":"a,b","since":"2h","until":"2026-02-08T12:00:00Z","limit":5,"offset":10,"order":"asc"}',
        '{"agent_id":"a","session_id":"s","memory_type":"decision","event_type":"e","tags":"a,b","since":"2h","until":"2026-02-08T12:00:00Z","limit":5,"offset":10,"order":"asc"}',
    ),
    (
        "MemoryList", {"memories": [], "count": 0, "has_more": False},
        {"memories": [], "count": 0, "has_more": False},
        '{"memories":[],"count":0,"has_more":false}',
        '{"memories":[],"count":0,"has_more":false}',
    ),
    (
        "MemoryList", {"memories": [MEMORY], "count": 1, "has_more": True},
        {"memories": [{"time": NOON, "org_id": "o", "agent_id": "a", "session_id": None, "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": None, "tags": None, "dedup_key": None, "importance": None, "parent_id": None}], "count": 1, "has_more": True},
        '{"memories":[{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","session_id":null,"memory_type":"episodic","event_type":"general","content":"c","metadata":null,"tags":null,"dedup_key":null,"importance":null,"parent_id":null}],"count":1,"has_more":true}',
        '{"memories":[{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"general","content":"c"}],"count":1,"has_more":true}',
    ),
    (
        "SearchQuery", {},
        {"agent_id": None, "session_id": None, "memory_types": None, "event_types": None, "tags": None, "content_contains": None, "since": None, "until": None, "min_importance": None, "limit": None, "order": None},
        '{"agent_id":null,"session_id":null,"memory_types":null,"event_types":null,"tags":null,"content_contains":null,"since":null,"until":null,"min_importance":null,"limit":null,"order":null}',
        "{}",
    ),
    (
        "SearchQuery", {"agent_id": "a", "session_id": "s", "memory_types": ["episodic"], "event_types": ["e"], "tags": ["a", "b"], "content_contains": "x", "since": "7d", "until": "1h", "min_importance": 0.5, "limit": 10, "order": "desc"},
        {"agent_id": "a", "session_id": "s", "memory_types": ["episodic"], "event_types": ["e"], "tags": ["a", "b"], "content_contains": "x", "since": "7d", "until": "1h", "min_importance": 0.5, "limit": 10, "order": "desc"},
        '{"agent_id":"a","session_id":"s","memory_types":["episodic"],"event_types":["e"],"tags":["a","b"],"content_contains":"x","since":"7d","until":"1h","min_importance":0.5,"limit":10,"order":"desc"}',
        '{"agent_id":"a","session_id":"s","memory_types":["episodic"],"event_types":["e"],"tags":["a","b"],"content_contains":"x","since":"7d","until":"1h","min_importance":0.5,"limit":10,"order":"desc"}',
    ),
    (
        "SearchQuery", {"tags": ("a",), "min_importance": math.inf},
        {"agent_id": None, "session_id": None, "memory_types": None, "event_types": None, "tags": ["a"], "content_contains": None, "since": None, "until": None, "min_importance": math.inf, "limit": None, "order": None},
        '{"agent_id":null,"session_id":null,"memory_types":null,"event_types":null,"tags":["a"],"content_contains":null,"since":null,"until":null,"min_importance":null,"limit":null,"order":null}',
        '{"tags":["a"],"min_importance":null}',
    ),
    (
        "SearchResult", {"results": [MEMORY], "count": 1, "query_time_ms": 5},
        {"results": [{"time": NOON, "org_id": "o", "agent_id": "a", "session_id": None, "memory_type": "episodic", "event_type": "general", "content": "c", "metadata": None, "tags": None, "dedup_key": None, "importance": None, "parent_id": None}], "count": 1, "query_time_ms": 5},
        '{"results":[{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","session_id":null,"memory_type":"episodic","event_type":"general","content":"c","metadata":null,"tags":null,"dedup_key":null,"importance":null,"parent_id":null}],"count":1,"query_time_ms":5}',
        '{"results":[{"time":"2026-02-08T12:00:00Z","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"general","content":"c"}],"count":1,"query_time_ms":5}',
    ),
    (
        "Agent", {"id": "i", "org_id": "o", "name": "n", "created_at": AT},
        {"id": "i", "org_id": "o", "name": "n", "description": None, "config": None, "created_at": NOON, "last_active_at": None},
        '{"id":"i","org_id":"o","name":"n","description":null,"config":null,"created_at":"2026-02-08T12:00:00Z","last_active_at":null}',
        '{"id":"i","org_id":"o","name":"n","created_at":"2026-02-08T12:00:00Z"}',
    ),
    (
        "Agent", {"id": "i", "org_id": "o", "name": "n", "created_at": AT, "description": "d", "config": {"m": 1}, "last_active_at": AT},
        {"id": "i", "org_id": "o", "name": "n", "description": "d", "config": {"m": 1}, "created_at": NOON, "last_active_at": NOON},
        '{"id":"i","org_id":"o","name":"n","description":"d","config":{"m":1},"created_at":"2026-02-08T12:00:00Z","last_active_at":"2026-02-08T12:00:00Z"}',
        '{"id":"i","org_id":"o","name":"n","description":"d","config":{"m":1},"created_at":"2026-02-08T12:00:00Z","last_active_at":"2026-02-08T12:00:00Z"}',
    ),
    (
        "RegisterAgentRequest", {"name": "n"},
        {"name": "n", "description": None, "config": None},
        '{"name":"n","description":null,"config":null}',
        '{"name":"n"}',
    ),
    (
        "RegisterAgentRequest", {"name": "n", "description": "d", "config": {"nan": math.nan, "list": [math.inf, -math.inf]}},
        {"name": "n", "description": "d", "config": {"nan": math.nan, "list": [math.inf, -math.inf]}},
        '{"name":"n","description":"d","config":{"nan":null,"list":[null,null]}}',
        '{"name":"n","description":"d","config":{"nan":null,"list":[null,null]}}',
    ),
    (
        "AgentList", {"agents": [{"id": "i", "org_id": "o", "name": "n", "created_at": AT}], "count": 1},
        {"agents": [{"id": "i", "org_id": "o", "name": "n", "description": None, "config": None, "created_at": NOON, "last_active_at": None}], "count": 1},
        '{"agents":[{"id":"i","org_id":"o","name":"n","description":null,"config":null,"created_at":"2026-02-08T12:00:00Z","last_active_at":null}],"count":1}',
        '{"agents":[{"id":"i","org_id":"o","name":"n","created_at":"2026-02-08T12:00:00Z"}],"count":1}',
    ),
    (
        "AgentStats", {"agent_id": "a", "memory_count": 3, "memories_24h": 2, "errors_24h": 1, "session_count": 2, "active_sessions": 1, "memory_types": {"episodic": 3}},
        {"agent_id": "a", "memory_count": 3, "memories_24h": 2, "errors_24h": 1, "session_count": 2, "active_sessions": 1, "last_active_at": None, "memory_types": {"episodic": 3}},
        '{"agent_id":"a","memory_count":3,"memories_24h":2,"errors_24h":1,"session_count":2,"active_sessions":1,"last_active_at":null,"memory_types":{"episodic":3}}',
        '{"agent_id":"a","memory_count":3,"memories_24h":2,"errors_24h":1,"session_count":2,"active_sessions":1,"memory_types":{"episodic":3}}',
    ),
    (
        "AgentStats", {"agent_id": "a", "memory_count": 3, "memories_24h": 2, "errors_24h": 1, "session_count": 2, "active_sessions": 1, "memory_types": {"episodic": 3}, "last_active_at": AT},
        {"agent_id": "a", "memory_count": 3, "memories_24h": 2, "errors_24h": 1, "session_count": 2, "active_sessions": 1, "last_active_at": NOON, "memory_types": {"episodic": 3}},
        '{"agent_id":"a","memory_count":3,"memories_24h":2,"errors_24h":1,"session_count":2,"active_sessions":1,"last_active_at":"2026-02-08T12:00:00Z","memory_types":{"episodic":3}}',
        '{"agent_id":"a","memory_count":3,"memories_24h":2,"errors_24h":1,"session_count":2,"active_sessions":1,"last_active_at":"2026-02-08T12:00:00Z","memory_types":{"episodic":3}}',
    ),
    (
        "Session", {"id": "i", "org_id": "o", "agent_id": "a", "status": "active", "created_at": AT, "updated_at": AT},
        {"id": "i", "org_id": "o", "agent_id": "a", "status": "active", "metadata": None, "created_at": NOON, "updated_at": NOON, "closed_at": None},
        '{"id":"i","org_id":"o","agent_id":"a","status":"active","metadata":null,"created_at":"2026-02-08T12:00:00Z","updated_at":"2026-02-08T12:00:00Z","closed_at":null}',
        '{"id":"i","org_id":"o","agent_id":"a","status":"active","created_at":"2026-02-08T12:00:00Z","updated_at":"2026-02-08T12:00:00Z"}',
    ),
    (
        "Session", {"id": "i", "org_id": "o", "agent_id": "a", "status": "active", "created_at": AT, "updated_at": AT, "metadata": {"t": 1}, "closed_at": AT},
        {"id": "i", "org_id": "o", "agent_id": "a", "status": "active", "metadata": {"t": 1}, "created_at": NOON, "updated_at": NOON, "closed_at": NOON},
        '{"id":"i","org_id":"o","agent_id":"a","status":"active","metadata":{"t":1},"created_at":"2026-02-08T12:00:00Z","updated_at":"2026-02-08T12:00:00Z","closed_at":"2026-02-08T12:00:00Z"}',
        '{"id":"i","org_id":"o","agent_id":"a","status":"active","metadata":{"t":1},"created_at":"2026-02-08T12:00:00Z","updated_at":"2026-02-08T12:00:00Z","closed_at":"2026-02-08T12:00:00Z"}',
    ),
    (
        "SessionList", {"sessions": [{"id": "i", "org_id": "o", "agent_id": "a", "status": "active", "created_at": AT, "updated_at": AT}], "count": 1},
        {"sessions": [{"id": "i", "org_id": "o", "agent_id": "a", "status": "active", "metadata": None, "created_at": NOON, "updated_at": NOON, "closed_at": None}], "count": 1},
        '{"sessions":[{"id":"i","org_id":"o","agent_id":"a","status":"active","metadata":null,"created_at":"2026-02-08T12:00:00Z","updated_at":"2026-02-08T12:00:00Z","closed_at":null}],"count":1}',
        '{"sessions":[{"id":"i","org_id":"o","agent_id":"a","status":"active","created_at":"2026-02-08T12:00:00Z","updated_at":"2026-02-08T12:00:00Z"}],"count":1}',
    ),
    (
        "CreateSessionRequest", {"agent_id": "a"},
        {"agent_id": "a", "metadata": None},
        '{"agent_id":"a","metadata":null}',
        '{"agent_id":"a"}',
    ),
    (
        "CreateSessionRequest", {"agent_id": "a", "metadata": {"nan": math.nan, "list": [math.inf, -math.inf]}},
        {"agent_id": "a", "metadata": {"nan": math.nan, "list": [math.inf, -math.inf]}},
        '{"agent_id":"a","metadata":{"nan":null,"list":[null,null]}}',
        '{"agent_id":"a","metadata":{"nan":null,"list":[null,null]}}',
    ),
    (
        "ContextOptions", {},
        {"max_tokens": None, "include_types": None, "since": None},
        '{"max_tokens":null,"include_types":null,"since":null}',
        "{}",
    ),
    (
        "ContextOptions", {"max_tokens": 4000, "include_types": ["episodic"], "since": "2h"},
        {"max_tokens": 4000, "include_types": ["episodic"], "since": "2h"},
        '{"max_tokens":4000,"include_types":["episodic"],"since":"2h"}',
        '{"max_tokens":4000,"include_types":["episodic"],"since":"2h"}',
    ),
    (
        "SessionContext", {"session_id": "s", "context": "# c\n", "memory_count": 1},
        {"session_id": "s", "context": "# c\n", "memory_count": 1},
        '{"session_id":"s","context":"# c\\n","memory_count":1}',
        '{"session_id":"s","context":"# c\\n","memory_count":1}',
    ),
]
# fmt: on


def without_none(dump):
    """Without the None fields of a model and of the models in its lists; what lies inside metadata stays."""
    return {
        name: [without_none(row) for row in value]
        if isinstance(value, list) and all(isinstance(row, dict) for row in value)
        else value
        for name, value in dump.items()
        if value is not None
    }


@pytest.mark.parametrize(
    ("name", "given", "dump", "text", "short"), DUMPS, ids=[f"{row[0]}-{i}" for i, row in enumerate(DUMPS)]
)
def test_a_model_dumps_what_it_dumped_in_0_2_0(name, given, dump, text, short):
    model = getattr(models, name)(**given)
    assert model.model_dump() == dump
    assert model.model_dump(exclude_none=True) == without_none(dump)
    assert model.model_dump_json() == text
    assert model.model_dump_json(exclude_none=True) == short


def test_every_model_of_0_2_0_is_recorded():
    assert {name for name, *_ in DUMPS} == {
        "AddMemoryRequest",
        "Agent",
        "AgentList",
        "AgentStats",
        "ContextOptions",
        "CreateSessionRequest",
        "ListOptions",
        "Memory",
        "MemoryList",
        "RegisterAgentRequest",
        "SearchQuery",
        "SearchResult",
        "Session",
        "SessionContext",
        "SessionList",
    }
