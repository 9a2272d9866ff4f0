"""Responses of very many small values: their errors are few, and what is right in them is read as ever."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from memtrace import models
from memtrace.exceptions import ResponseDecodeError
from memtrace.models import WIRE, AddMemoryRequest, AgentStats, ContextOptions, Health, MemoryList, SearchQuery
from memtrace.operations._dense_json import is_dense
from memtrace.operations._endpoints import response_parser
from memtrace.operations._server_messages import read_error
from memtrace.transport import Response

MANY = 50_000
ROW = {
    "time": "2026-01-01T00:00:00.123456789Z",
    "org_id": "o",
    "agent_id": "a",
    "memory_type": "newer",
    "event_type": "e",
    "content": "é 𝄞",
}
STATS = dict.fromkeys(("memory_count", "memories_24h", "errors_24h", "session_count", "active_sessions"), 1)
LISTS = [
    (models.MemoryList, "memories"),
    (models.SearchResult, "results"),
    (models.AgentList, "agents"),
    (models.SessionList, "sessions"),
]


def listed(*rows, **more):
    return json.dumps({"memories": rows, "count": len(rows), "has_more": False, **more}).encode()


def problem_of(model, body):
    with pytest.raises(ResponseDecodeError) as caught:
        response_parser(model)(Response(200, body=body))
    return str(caught.value).partition("readable as ")[2].partition(" (")[0]


@pytest.mark.parametrize("wrong", [{}, [], 1, "a", None, {"a": []}])
class TestErrors:
    @pytest.mark.parametrize(("model", "field"), LISTS)
    def test_a_list_is_validated_up_to_its_first_wrong_row(self, model, field, wrong):
        for data in ({field: [wrong] * 100}, {field: [wrong] * 100, "count": 100, "has_more": True}):
            with pytest.raises(ValidationError) as caught:
                model.model_validate_json(json.dumps(data), context=WIRE)
            assert caught.value.error_count() < 12

    @pytest.mark.parametrize(
        ("model", "fields"),
        [
            (AddMemoryRequest, ["tags"]),
            (SearchQuery, ["tags", "memory_types", "event_types"]),
            (ContextOptions, ["include_types"]),
            (models.Memory, ["tags"]),
            (AgentStats, ["memory_types"]),
            (Health, ["arc"]),
        ],
    )
    def test_so_is_every_other_list_and_dict(self, model, fields, wrong):
        if isinstance(wrong, str):
            wrong = {}
        for field in fields:
            of_type = dict if field in ("memory_types", "arc") and model in (AgentStats, Health) else list
            many = {str(number): wrong for number in range(100)} if of_type is dict else [wrong] * 100
            if wrong == 1 and model in (AgentStats, Health):
                many = dict.fromkeys(many, "many")
            with pytest.raises(ValidationError) as caught:
                model(**{field: many})
            assert sum(error["loc"][0] == field for error in caught.value.errors()) <= 2


def test_a_dict_is_read_whole_and_its_wrong_member_is_named():
    stats = {"agent_id": "a", **STATS, "memory_types": {"episodic": 2, "newer": 3.0}}
    assert AgentStats.model_validate(stats).memory_types == {"episodic": 2, "newer": 3}
    with pytest.raises(ValidationError) as caught:
        AgentStats.model_validate({**stats, "memory_types": {"episodic": 2, "newer": []}})
    assert [error["loc"] for error in caught.value.errors()] == [("memory_types", "newer")]
    with pytest.raises(ValidationError, match="valid dictionary"):
        AgentStats.model_validate({**stats, "memory_types": []})


def test_a_model_of_a_users_own_may_have_any_dict():
    class Annotated(models.Memory):
        bare: dict
        nested: dict[str, list[int]]

    read = Annotated.model_validate({**ROW, "bare": {1: 2}, "nested": {"a": [1]}}, context=WIRE)
    assert (read.bare, read.nested) == ({1: 2}, {"a": [1]})
    with pytest.raises(ValidationError) as caught:
        Annotated.model_validate({**ROW, "bare": {}, "nested": dict.fromkeys("abc", [[]] * 9)}, context=WIRE)
    assert [error["loc"] for error in caught.value.errors()] == [("nested", "a", 0)]


class TestDenseTexts:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "body",
        [
            listed({**ROW, "metadata": {"x": [[]] * MANY}}, ROW),
            listed({**ROW, "metadata": {"x": [1.5, None, True] * MANY}, "tags": ["é"] * 100, "importance": 1}, ROW),
            listed(*[{**ROW, "content": ",[{" * 100}] * 1000),
            listed(ROW, newer=[{}] * MANY),
            json.dumps({"newer": [[]] * MANY, "memories": [ROW], "count": 1, "has_more": False}).encode(),
        ],
    )
    def test_one_that_is_right_is_read_as_any_other(self, body):
        assert is_dense(body)
        read = response_parser(MemoryList)(Response(200, body=body))
        expected = MemoryList.model_validate_json(body, context=WIRE)
        assert (read, read.model_extra, read.memories[0].time) == (
            expected,
            expected.model_extra,
            expected.memories[0].time,
        )

    @pytest.mark.parametrize("pad", range(12))
    def test_its_beginning_may_end_anywhere(self, pad):
        row = {**ROW, "content": "x" * pad + "é𝄞\\u0041" * 2000}
        body = json.dumps({"memories": [row, ROW], "count": 2, "has_more": False, "x": [0] * MANY}, ensure_ascii=False)
        assert response_parser(MemoryList)(Response(200, body=body.encode())).count == 2

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"[" + b"{}," * MANY + b"{}]", "MemoryList: model_type"),
            (b"[" + b"{}," * MANY, "MemoryList: model_type"),
            (listed(*[{}] * MANY), "MemoryList: memories.0.time: missing"),
            (listed(*[[]] * MANY), "MemoryList: memories.0: model_type"),
            (listed(ROW, *[[]] * MANY), "MemoryList: memories.1: model_type"),
            (listed(*[ROW] * 100, *[[]] * MANY), "MemoryList: memories.100: model_type"),
            (listed({**ROW, "tags": [1] * MANY}), "MemoryList: memories.0.tags.0: string_type"),
            (b'{"memories": {"a": [' + b"[]," * MANY + b"[]]}}", "MemoryList: memories: list_type"),
            (b'{"x": [' + b"[]," * MANY + b"[]]}", "MemoryList: memories: missing"),
            (listed(ROW, x=[[]] * MANY)[:-1], "MemoryList: json_invalid"),
            (listed(ROW, x=[[]] * MANY) + b"]", "MemoryList: json_invalid"),
            (b"nonsense" + b"[]," * MANY, "MemoryList: json_invalid"),
            (b'{"a":' * MANY, "MemoryList: json_invalid"),
        ],
    )
    def test_one_that_is_wrong_is_told_by_its_first_wrong_place(self, body, problem):
        assert is_dense(body)
        assert problem_of(MemoryList, body) == problem

    def test_one_that_is_an_error_is_shown_by_its_beginning(self):
        found = read_error(Response(500, body=b'{"error": "boom", "x": [' + b"{}," * MANY + b"{}]}"))
        assert found.text.startswith('{"error": "boom", "x": [{},{}')
        assert (len(found.text), found.is_from_server) == (301, False)


def test_rows_of_a_server_are_not_dense_and_small_texts_neither():
    assert not is_dense(listed(*[{**ROW, "tags": ["ui", "nav"], "metadata": {"a": 1, "b": "c"}}] * 1000))
    assert not is_dense(b"[" * 60_000)
