"""What is read is a list of its items first: iteration, length, index, slice and truth; and a model as before."""

import pickle

import pytest
from pydantic import BaseModel

from memtrace import (
    AddMemoryRequest,
    Agent,
    AgentList,
    BatchResult,
    Memory,
    MemoryList,
    Outcome,
    SearchHit,
    SearchHits,
    SearchResult,
    Session,
    SessionList,
)
from tests.responses import AGENT, ROW, SESSION


def memories(count):
    row = Memory.model_validate_json(ROW)
    return [row.model_copy(update={"content": f"memory {number}"}) for number in range(count)]


def agents(count):
    row = Agent.model_validate_json(AGENT)
    return [row.model_copy(update={"id": f"agent_{number}"}) for number in range(count)]


def sessions(count):
    row = Session.model_validate_json(SESSION)
    return [row.model_copy(update={"id": f"sess_{number}"}) for number in range(count)]


def as_models(kind, field, rows, **fields):
    return lambda count: (kind(**{field: rows(count), "count": count, **fields}), rows(count))


def hits(count):
    found = [SearchHit(memory, 1.0) for memory in memories(count)]
    return SearchHits(found), found


def outcomes(count):
    found = tuple(Outcome(number, "duplicate") for number in range(count))
    return BatchResult(found), list(found)


MODELS = {
    "MemoryList": as_models(MemoryList, "memories", memories, has_more=False),
    "SearchResult": as_models(SearchResult, "results", memories, query_time_ms=3),
    "AgentList": as_models(AgentList, "agents", agents),
    "SessionList": as_models(SessionList, "sessions", sessions),
}
LISTS = {**MODELS, "SearchHits": hits, "BatchResult": outcomes}
every_list = pytest.mark.parametrize("make", LISTS.values(), ids=list(LISTS))
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))


@every_list
def test_iteration_length_index_slice_and_truth_are_those_of_the_items(make):
    result, items = make(4)
    assert list(result) == items
    assert len(result) == result.count == 4
    assert (result[0], result[-1]) == (items[0], items[-1])
    assert list(result[:3]) == items[:3]
    assert list(reversed(result)) == items[::-1]
    assert items[2] in result
    assert result
    with pytest.raises(IndexError):
        result[4]


@every_list
def test_an_empty_result_is_false(make):
    result, _ = make(0)
    assert not result
    assert list(result) == []


@every_model
def test_the_model_is_what_it_was(make):
    result, items = make(2)
    (field,) = [name for name, value in vars(result).items() if isinstance(value, list)]
    assert getattr(result, field) == items
    assert result.count == 2
    assert list(result.model_dump()) == list(type(result).model_fields)
    assert result.model_dump()[field] == [item.model_dump() for item in items]
    assert type(result).model_validate_json(result.model_dump_json()) == result
    assert result == make(2)[0] != make(3)[0]
    assert pickle.loads(pickle.dumps(result)) == result.model_copy(deep=True) == result
    assert set(type(result).model_json_schema()["properties"]) == set(type(result).model_fields)


@every_model
def test_dict_of_it_has_the_fields_by_name_as_of_every_model(make):
    result, _ = make(2)
    newer = type(result).model_validate({**dict(result), "added_by_a_newer_server": 1})
    assert dict(newer) == dict(BaseModel.__iter__(newer)) == {**dict(result), "added_by_a_newer_server": 1}
    assert type(result)(**dict(result)) == result
    with pytest.raises(KeyError, match="nothing"):
        result["nothing"]


@every_list
def test_the_repr_of_a_thousand_items_fits_in_a_log_and_says_how_many_they_are(make):
    result, _ = make(1000)
    assert len(repr(result)) < 2000
    assert "1000" in repr(result).replace(",", "")
    assert "memory 999" not in repr(result)


def test_long_contents_and_metadata_are_cut_in_reprs_of_memories_and_requests():
    fields = {
        "content": "tea " * 70_000,
        "metadata": {f"key {n}": "long " * 1000 for n in range(100)},
        "tags": ["t"] * 99,
    }
    request = AddMemoryRequest(agent_id="assistant", **fields)
    stored = memories(1)[0].model_copy(update=fields)
    for model in (request, stored):
        assert len(repr(model)) < 1500
        assert len(str(model)) < 1500
        assert "tea tea" in repr(model)


def test_a_short_repr_is_whole_and_leaves_out_what_is_not_set():
    request = AddMemoryRequest(agent_id="assistant", content="User likes tea", tags=["drinks"])
    assert repr(request) == (
        "AddMemoryRequest(agent_id='assistant', memory_type='episodic', event_type='general', "
        "content='User likes tea', tags=['drinks'])"
    )


def test_the_number_of_items_comes_before_them_in_a_repr():
    result, _ = MODELS["MemoryList"](2)
    assert repr(result).startswith("MemoryList(count=2, has_more=False, memories=[Memory(time=")


def test_the_repr_of_a_batch_says_what_became_of_it():
    assert repr(outcomes(2)[0]) == "<BatchResult of 2 memories: 2 duplicate>"
    assert repr(outcomes(0)[0]) == "<BatchResult of 0 memories: nothing>"
