"""Reading a body: content types, field names, repeated names, wrong types."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace.exceptions import TransportError
from memtrace_transports.memory import FakeMemtrace
from tests.fake.caller import Caller
from tests.fake.test_json_reading import JSON_LIKE

MEMORY = b'{"agent_id": "bot", "content": "x"}'


@pytest.mark.parametrize("kind", ["application/json", "APPLICATION/JSON; charset=utf-8", "application/vnd.api+json"])
def test_json_content_types_are_read(api: Caller, kind: str) -> None:
    assert api.raw("POST", "/memories", MEMORY, kind).status == 201


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/jsonp", "multipart/form-data"])
def test_other_content_types_are_unprocessable(api: Caller, kind: str | None) -> None:
    answer = api.raw("POST", "/memories", MEMORY, kind)
    assert (answer.status, answer.error) == (400, "invalid request body: Unprocessable Entity")


def test_a_form_is_read_and_has_none_of_our_fields(api: Caller) -> None:
    form = "application/x-www-form-urlencoded"
    assert api.raw("POST", "/memories", b"agent_id=a&content=b", form).error == "agent_id is required"
    assert api.raw("POST", "/agents", b"name=a", form).error == "name is required"
    assert api.raw("POST", "/search", b"limit=a", form).json["count"] == 0


@pytest.mark.parametrize(
    ("path", "struct"),
    [
        ("/memories", "memory.CreateRequest"),
        ("/search", "memory.SearchQuery"),
        ("/agents", "agent.CreateRequest"),
        ("/sessions", "session.CreateRequest"),
    ],
)
@pytest.mark.parametrize(("body", "kind"), [(b"[]", "array"), (b'"x"', "string"), (b"1", "number"), (b"true", "bool")])
def test_a_body_that_is_no_object_is_refused(api: Caller, path: str, struct: str, body: bytes, kind: str) -> None:
    answer = api.raw("POST", path, body)
    wanted = f"invalid request body: json: cannot unmarshal {kind} into Go value of type {struct}"
    assert (answer.status, answer.error) == (400, wanted)


def test_an_update_that_is_no_object_is_refused(api: Caller) -> None:
    wanted = "invalid request body: json: cannot unmarshal array into Go value of type session.UpdateRequest"
    assert api.put("/sessions/x", []).error == wanted


@pytest.mark.parametrize(
    ("path", "body", "ending"),
    [
        ("/memories", {"content": 1}, "number into Go struct field CreateRequest.content of type string"),
        ("/memories", {"content": {}}, "object into Go struct field CreateRequest.content of type string"),
        ("/memories", {"importance": "1"}, "string into Go struct field CreateRequest.importance of type float64"),
        ("/memories", {"importance": []}, "array into Go struct field CreateRequest.importance of type float64"),
        ("/memories", {"tags": "a"}, "string into Go struct field CreateRequest.tags of type []string"),
        ("/memories", {"tags": {}}, "object into Go struct field CreateRequest.tags of type []string"),
        ("/memories", {"tags": ["a", True]}, "bool into Go struct field CreateRequest.tags of type string"),
        (
            "/memories",
            {"metadata": [1]},
            "array into Go struct field CreateRequest.metadata of type map[string]interface {}",
        ),
        ("/search", {"limit": 1.5}, "number 1.5 into Go struct field SearchQuery.limit of type int"),
        ("/search", {"limit": 2**63}, f"number {2**63} into Go struct field SearchQuery.limit of type int"),
        ("/search", {"event_types": [1]}, "number into Go struct field SearchQuery.event_types of type string"),
        ("/agents", {"description": False}, "bool into Go struct field CreateRequest.description of type string"),
        ("/sessions", {"agent_id": 1}, "number into Go struct field CreateRequest.agent_id of type string"),
    ],
)
def test_a_wrong_type_is_told_as_go_does(api: Caller, path: str, body: object, ending: str) -> None:
    answer = api.post(path, body)
    assert (answer.status, answer.error) == (400, f"invalid request body: json: cannot unmarshal {ending}")


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        (b'{"importance": 1e999}', "number 1e999 into Go struct field CreateRequest.importance of type float64"),
        (
            b'{"metadata": {"b": [0, {"x": 1e998}], "a": 1e999}}',
            "number 1e998 into Go struct field CreateRequest.metadata of type float64",
        ),
        (b'{"content": 1, "tags": 1}', "number into Go struct field CreateRequest.content of type string"),
    ],
)
def test_the_first_value_that_does_not_fit_is_told(api: Caller, body: bytes, ending: str) -> None:
    assert api.raw("POST", "/memories", body).error == f"invalid request body: json: cannot unmarshal {ending}"


def test_the_struct_of_an_update_is_its_own(api: Caller) -> None:
    wanted = (
        "invalid request body: json: cannot unmarshal number into Go struct field UpdateRequest.status of type string"
    )
    assert api.put("/sessions/x", {"status": 1}).error == wanted


def test_null_is_an_object_without_fields(api: Caller) -> None:
    assert api.raw("POST", "/memories", b"null").error == "agent_id is required"
    assert api.raw("POST", "/search", b"null").json["results"] == []


def test_null_in_a_field_is_absent(api: Caller) -> None:
    fields = dict.fromkeys(["session_id", "memory_type", "metadata", "tags", "dedup_key", "importance", "parent_id"])
    memory = api.add(**fields).json
    assert memory.keys() == {"time", "org_id", "agent_id", "memory_type", "event_type", "content", "dedup_key"}


def test_field_names_match_without_case_and_unknown_ones_are_ignored(api: Caller) -> None:
    body = (
        '{"AGENT_ID": "bot", "Content": "x", "\u017fe\u017f\u017fion_id": "s1", "seßion_id": "s2", "time": 3}'.encode()
    )
    answer = api.raw("POST", "/memories", body)
    assert (answer.status, answer.json["session_id"]) == (201, "s1")


def test_the_last_of_a_repeated_field_counts_and_null_leaves_text_alone(api: Caller) -> None:
    body = b'{"agent_id": "a", "agent_id": "b", "agent_id": null, "content": "x", "tags": ["t"], "tags": null}'
    answer = api.raw("POST", "/memories", body).json
    assert answer["agent_id"] == "b"
    assert "tags" not in answer


def test_a_repeated_object_is_merged_at_its_top_level(api: Caller) -> None:
    body = b'{"agent_id": "a", "content": "x", "metadata": {"a": {"x": 1}, "b": 1}, "metadata": {"a": {"y": 2}}}'
    assert api.raw("POST", "/memories", body).json["metadata"] == {"a": {"y": 2}, "b": 1}
    body = b'{"agent_id": "a", "content": "y", "metadata": {"a": 1}, "metadata": null}'
    assert "metadata" not in api.raw("POST", "/memories", body).json


def test_null_in_a_list_of_texts_is_empty(api: Caller) -> None:
    assert api.add(tags=["a", None]).json["tags"] == ["a", ""]


def test_invalid_utf8_becomes_a_replacement_character(api: Caller) -> None:
    api.raw("POST", "/memories", b'{"agent_id": "a", "content": "a\xffb\\ud800"}')
    assert api.contents() == ["a\ufffdb\ufffd"]


def test_metadata_may_be_as_deep_as_go_reads(api: Caller) -> None:
    deep = b'{"agent_id": "a", "content": "x", "metadata": {"a": ' + b"[" * 9_000 + b"]" * 9_000 + b"}}"
    assert b"[" * 9_000 in api.raw("POST", "/memories", deep).response.body


def test_a_body_over_4_mib_cuts_the_connection(api: Caller) -> None:
    envelope = len(b'{"agent_id": "a", "content": ""}')
    fits = b'{"agent_id": "a", "content": "%s"}' % (b"x" * (4 * 1024 * 1024 - envelope))
    assert api.raw("POST", "/memories", fits).status == 201
    with pytest.raises(TransportError) as caught:
        api.raw("POST", "/memories", fits + b" ")
    assert (caught.value.cause, caught.value.maybe_sent) == ("reset", True)


@given(body=st.binary(max_size=60) | JSON_LIKE, kind=st.sampled_from(["application/json", "text/plain", ""]))
@settings(deadline=None)
def test_any_body_is_answered(body: bytes, kind: str) -> None:
    fake = FakeMemtrace()
    api = Caller(fake, fake.organisation())
    for path in ("/memories", "/search", "/agents", "/sessions", "/sessions/s1/context"):
        answer = api.raw("POST", path, body, kind)
        assert answer.status in {200, 201, 400, 500}
        assert isinstance(answer.json, dict)
