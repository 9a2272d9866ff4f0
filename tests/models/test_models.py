from __future__ import annotations

import json
import pickle
import typing
import warnings
from datetime import datetime, timedelta, timezone
from enum import Enum

import pytest
import typing_extensions
from pydantic import ConfigDict, ValidationError

import memtrace
import memtrace.context
from memtrace import PromptContextOptions, models
from memtrace.models import (
    WIRE,
    AddMemoryRequest,
    AgentStats,
    ContextOptions,
    CreateSessionRequest,
    ListOptions,
    Memory,
    RegisterAgentRequest,
    SearchQuery,
    Session,
    UpdateSessionRequest,
)
from memtrace.resources import request_params as fields

ROW = {
    "time": "2026-01-02T03:04:05.123456789Z",
    "org_id": "org_1",
    "agent_id": "a1",
    "memory_type": "episodic",
    "event_type": "general",
    "content": "hello",
}


def test_a_memory_to_add_has_the_servers_defaults():
    request = AddMemoryRequest(agent_id="a1", content="x")
    assert (request.memory_type, request.event_type) == ("episodic", "general")
    assert request.session_id is request.metadata is request.tags is request.dedup_key is None
    assert request.importance is request.parent_id is None


@pytest.mark.parametrize("importance", [-0.01, 1.01, float("nan"), float("inf")])
def test_importance_outside_0_to_1_is_refused(importance):
    with pytest.raises(ValidationError, match="importance"):
        AddMemoryRequest(agent_id="a1", content="x", importance=importance)


@pytest.mark.parametrize("importance", [0, 1, 0.5])
def test_importance_from_0_to_1_is_taken(importance):
    assert AddMemoryRequest(agent_id="a1", content="x", importance=importance).importance == importance


@pytest.mark.parametrize("agent_id", ["", "a b", "é", "1a", "x" * 500])
def test_models_accept_ids_that_only_the_server_would_refuse(agent_id):
    assert AddMemoryRequest(agent_id=agent_id, content="").agent_id == agent_id


def test_an_unknown_memory_type_is_refused_when_writing():
    with pytest.raises(ValidationError, match="memory_type"):
        AddMemoryRequest(agent_id="a1", content="x", memory_type="semantic")


def test_unknown_fields_of_requests_are_ignored_as_by_the_earlier_sdk():
    with pytest.warns(memtrace.MemtraceWarning, match="'extra', which is ignored"):
        request = AddMemoryRequest(agent_id="a1", content="x", extra=1)
    assert not hasattr(request, "extra")
    assert request == AddMemoryRequest.model_validate({"agent_id": "a1", "content": "x", "extra": 1})


def test_a_memory_built_by_a_user_is_strict():
    with pytest.raises(ValidationError, match="memory_type"):
        Memory(**{**ROW, "memory_type": "nope"})
    assert Memory(**ROW).memory_type == "episodic"


def test_a_memory_from_the_wire_takes_new_values_and_keeps_unknown_fields():
    row = {**ROW, "memory_type": "procedural", "embedding": [1, 2]}
    memory = Memory.model_validate_json(json.dumps(row), context=WIRE)
    assert memory.memory_type == "procedural"
    assert memory.model_dump()["embedding"] == [1, 2]


def test_times_from_the_wire_are_aware_and_cut_to_microseconds():
    memory = Memory.model_validate_json(json.dumps(ROW), context=WIRE)
    assert memory.time == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=timezone.utc)
    assert memory.time.utcoffset() == timedelta(0)


def test_absent_fields_are_none():
    memory = Memory(**ROW)
    assert memory.session_id is memory.metadata is memory.tags is memory.dedup_key is None
    session = Session(id="s", org_id="o", agent_id="a", status="active", created_at=ROW["time"], updated_at=ROW["time"])
    assert session.closed_at is session.metadata is None


@pytest.mark.parametrize("model", [AddMemoryRequest, Memory])
def test_validation_errors_do_not_show_what_was_given(model):
    with pytest.raises(ValidationError) as caught:
        model(agent_id="a1", content=["planted secret"])
    assert "planted secret" not in str(caught.value)


@pytest.mark.parametrize(
    "bound", ["24h", "2026-01-02", timedelta(hours=3), datetime(2026, 1, 2, tzinfo=timezone.utc), datetime(2026, 1, 2)]
)
def test_time_bounds_are_kept_as_they_were_given(bound):
    for model in (ListOptions, SearchQuery, ContextOptions):
        kept = model(since=bound).since
        assert kept == bound
        assert type(kept) is type(bound)


@pytest.mark.parametrize("number", [24, 24.5, True])
def test_a_bare_number_is_no_time_bound(number):
    for model in (ListOptions, SearchQuery, ContextOptions):
        with pytest.raises(ValidationError, match="since"):
            model(since=number)


@pytest.mark.parametrize("tags", ["ui,nav", ["ui", "nav"]])
def test_tags_of_list_options_are_text_or_a_list(tags):
    assert ListOptions(tags=tags).tags == tags


@pytest.mark.parametrize("kind", [ListOptions, SearchQuery])
def test_how_tags_match_is_dumped_where_it_is_given(kind):
    for match in ("exact", "substring"):
        options = kind(agent_id="a", tags_match=match)
        assert options.model_dump(exclude_none=True) == {"agent_id": "a", "tags_match": match}
        assert kind(**options.model_dump()) == kind.model_validate_json(options.model_dump_json()) == options
    assert options.model_dump(include={"agent_id"}) == options.model_dump(exclude_none=True, exclude={"tags_match"})


@pytest.mark.parametrize("kind", [ListOptions, SearchQuery])
def test_the_schema_of_what_is_dumped_has_every_field(kind):
    assert list(kind.model_json_schema(mode="serialization")["properties"]) == list(kind.model_fields)


def test_models_pickle_and_copy():
    for model in (Memory(**ROW), AddMemoryRequest(agent_id="a", content="x", tags=["t"]), ListOptions(limit=3)):
        assert pickle.loads(pickle.dumps(model)) == model
        assert model.model_copy() == model


def test_stats_have_what_the_server_sends():
    stats = AgentStats(
        agent_id="a",
        memory_count=1,
        memories_24h=1,
        errors_24h=0,
        session_count=0,
        active_sessions=0,
        memory_types={"episodic": 1},
    )
    assert stats.last_active_at is None


PAIRS = [
    (AddMemoryRequest, fields.AddMemoryParams, set()),
    (ListOptions, fields.ListParams, set()),
    (ListOptions, fields.AgentMemoriesParams, {"agent_id"}),
    (ListOptions, fields.SessionMemoriesParams, {"session_id"}),
    (SearchQuery, fields.FilterParams, set()),
    (RegisterAgentRequest, fields.RegisterAgentParams, set()),
    (CreateSessionRequest, fields.CreateSessionParams, set()),
    (UpdateSessionRequest, fields.UpdateSessionParams, set()),
    (ContextOptions, fields.ContextParams, set()),
    (PromptContextOptions, fields.PromptContextParams, set()),
    (AddMemoryRequest, fields.RememberParams, {"agent_id", "content"}),
    (AddMemoryRequest, fields.SessionRememberParams, {"agent_id", "session_id", "content"}),
    (AddMemoryRequest, fields.DecideParams, {"agent_id", "content", "memory_type", "event_type"}),
    (AddMemoryRequest, fields.SessionDecideParams, {"agent_id", "session_id", "content", "memory_type", "event_type"}),
    (RegisterAgentRequest, fields.NamedAgentParams, {"name"}),
    (CreateSessionRequest, fields.SessionOfAgentParams, {"agent_id"}),
]


@pytest.mark.parametrize(("model", "keywords", "omitted"), PAIRS)
def test_the_keyword_form_has_the_models_fields_and_types(model, keywords, omitted):
    scope = dict(vars(fields))
    hints = {name: eval(hint.__forward_arg__, scope) for name, hint in _annotations(keywords).items()}
    expected = {name: field.annotation for name, field in model.model_fields.items() if name not in omitted}
    assert set(hints) == set(expected)
    for name, hint in hints.items():
        plain = typing.get_args(hint)[0] if typing_extensions.get_origin(hint) is typing_extensions.Required else hint
        assert plain == expected[name], name
        assert model.model_fields[name].is_required() == (
            typing_extensions.get_origin(hint) is typing_extensions.Required
        ), name


def _annotations(keywords):
    found = {}
    for kind in reversed(keywords.__mro__ if hasattr(keywords, "__orig_bases__") else (keywords,)):
        found.update(getattr(kind, "__annotations__", {}))
    return found


def test_every_model_is_at_the_top_level():
    exported = [name for name in models.__all__ if isinstance(getattr(models, name), type)]
    assert {name for name in exported if name in memtrace.__all__} == set(exported)


@pytest.mark.parametrize(
    "make", [lambda: UpdateSessionRequest(state="closed"), lambda: PromptContextOptions(max_token=5)]
)
def test_a_field_that_there_is_not_is_refused_by_the_models_that_0_2_0_did_not_have(make):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        make()


def test_the_kind_of_a_memory_may_be_an_enum_of_texts_and_is_a_text_in_the_schema():
    class Kind(str, Enum):
        EPISODIC = "episodic"
        OTHER = "other"

    assert Memory(**{**ROW, "memory_type": Kind.EPISODIC}).memory_type == "episodic"
    with pytest.raises(ValidationError, match="must be one of episodic, session, decision, entity"):
        Memory(**{**ROW, "memory_type": Kind.OTHER})
    assert Memory.model_json_schema()["properties"]["memory_type"]["type"] == "string"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: AddMemoryRequest(agent_id="a", content="x", tag=["t"]),
            "AddMemoryRequest has no field 'tag', which is ignored. Did you mean 'tags'?",
        ),
        (
            lambda: ListOptions(agent="a"),
            "ListOptions has no field 'agent', which is ignored. Did you mean 'agent_id'?",
        ),
        (lambda: SearchQuery(zzz=1, limit=3), "SearchQuery has no field 'zzz', which is ignored."),
    ],
    ids=["memory", "options", "query"],
)
def test_a_field_that_there_is_not_is_ignored_with_a_warning_at_the_line_that_gave_it(make, text):
    with pytest.warns(memtrace.MemtraceWarning) as caught:
        made = make()
    assert [str(each.message) for each in caught] == [text]
    assert caught[0].filename == __file__
    assert set(made.model_dump()) <= set(type(made).model_fields)


def test_what_a_server_adds_and_what_is_refused_or_kept_warns_of_nothing():
    class Mine(AddMemoryRequest):
        model_config = ConfigDict(extra="allow")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert models.MemoryList(memories=[], count=0, has_more=False, newer=1).model_extra == {"newer": 1}
        assert Mine(agent_id="a", content="x", mine=1).mine == 1
        assert ListOptions.model_validate({"limit": 3, "zzz": 1}) == ListOptions.model_validate_json(
            '{"limit": 3, "zzz": 1}'
        )
        with pytest.raises(ValidationError):
            UpdateSessionRequest(stats="closed")
