"""The schemas are JSON Schemas, in the form of each provider, and accept what the tools accept."""

import json

import pytest
from jsonschema import Draft202012Validator

from memtrace import ConfigurationError
from memtrace.integrations.tools import TOOLS, schemas
from memtrace.integrations.tools._arguments import Decide, Recall, Remember, Search

GOOD = {
    "remember": {
        "content": "User likes tea",
        "tags": ["taste"],
        "importance": 0.5,
        "event_type": "preference",
        "occurred_at": "2d",
    },
    "recall": {
        "since": "24h",
        "until": "2026-01-31T12:00:00Z",
        "tags": ["taste"],
        "memory_types": ["episodic"],
        "limit": 3,
        "query": "tea",
    },
    "search": {
        "query": "tea",
        "tags": ["taste"],
        "memory_types": ["episodic"],
        "min_importance": 0.1,
        "since": "7d",
        "until": "1d",
        "limit": 100,
    },
    "decide": {"decision": "Serve tea", "reasoning": "the user likes it", "tags": ["taste"], "importance": 0.5},
}
MODELS = {"remember": Remember, "recall": Recall, "search": Search, "decide": Decide}


def parameters(form):
    for schema in schemas(form):
        outer = schema["function"] if form == "openai" else schema
        yield outer["name"], outer["input_schema" if form == "anthropic" else "parameters"]


def objects(schema):
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


@pytest.mark.parametrize("form", ["openai", "openai-responses", "anthropic"])
def test_each_schema_is_valid_and_accepts_a_whole_call_and_refuses_more(form):
    names = []
    for name, schema in parameters(form):
        names.append(name)
        Draft202012Validator.check_schema(schema)
        validator = Draft202012Validator(schema)
        assert validator.is_valid(GOOD[name])
        assert not validator.is_valid({**GOOD[name], "agent_id": "another"})
        assert set(schema["properties"]) == set(GOOD[name])
        assert json.loads(json.dumps(schema)) == schema
    assert names == list(TOOLS)


def test_no_schema_mentions_an_agent_or_a_session():
    for form in ("openai", "openai-responses", "anthropic"):
        assert "agent" not in json.dumps(schemas(form))
        for _, schema in parameters(form):
            assert not {"agent_id", "session_id"} & set(schema["properties"])


def test_the_outside_is_each_providers_own():
    (chat,) = schemas("openai", tools=["decide"])
    (responses,) = schemas("openai-responses", tools=["decide"])
    (anthropic,) = schemas("anthropic", tools=["decide"])
    assert set(chat) == {"type", "function"}
    assert chat["function"] == {name: value for name, value in responses.items() if name != "type"}
    assert (chat["type"], responses["type"], responses["strict"]) == ("function", "function", True)
    assert set(anthropic) == {"name", "description", "input_schema"}
    assert anthropic["description"] == responses["description"]


@pytest.mark.parametrize("form", ["openai", "openai-responses"])
def test_those_for_openai_keep_the_rules_of_its_strict_mode(form):
    """All is required, null stands for what is left out, nothing else is let in, and no keyword is one it does not know."""
    known = {"type", "properties", "required", "additionalProperties", "description", "anyOf", "items", "enum"}
    known |= {"minimum", "maximum"}
    for name, schema in parameters(form):
        assert schema["required"] == list(schema["properties"])
        assert schema["additionalProperties"] is False
        for each in [schema, *schema["properties"].values()]:
            for inner in objects({key: value for key, value in each.items() if key != "properties"}):
                assert set(inner) <= known
        optional = {field: None for field, info in MODELS[name].model_fields.items() if not info.is_required()}
        assert Draft202012Validator(schema).is_valid({**GOOD[name], **optional})


def test_those_for_anthropic_leave_out_what_is_optional():
    for name, schema in parameters("anthropic"):
        required = [field for field, info in MODELS[name].model_fields.items() if info.is_required()]
        assert schema["required"] == required
        assert "null" not in json.dumps(schema)
        assert Draft202012Validator(schema).is_valid({field: GOOD[name][field] for field in required})


def test_every_argument_and_every_tool_is_described():
    for form in ("openai", "openai-responses", "anthropic"):
        assert all((schema.get("function") or schema)["description"] for schema in schemas(form))
        for _, schema in parameters(form):
            assert all(argument["description"] for argument in schema["properties"].values())


def test_a_prefix_stands_before_each_name():
    assert [schema["name"] for schema in schemas("anthropic", prefix="memory_")] == [f"memory_{tool}" for tool in TOOLS]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"format": "gemini"}, "format must be one of openai, openai-responses, anthropic, not 'gemini'"),
        ({"format": "openai", "tools": ["serach"]}, "there is no tool 'serach'. Did you mean 'search'?"),
        ({"format": "openai", "tools": "search"}, "tools must be a list of names"),
        ({"format": "openai", "tools": []}, "tools must be a list of names, with one of remember"),
        ({"format": "openai", "prefix": "my "}, "prefix must be of letters"),
        ({"format": "openai", "prefix": "x" * 60}, "prefix must be of letters, .* no name longer than 64"),
    ],
)
def test_what_cannot_be_offered_is_refused(arguments, told):
    with pytest.raises(ConfigurationError, match=told):
        schemas(**arguments)


def test_the_schemas_of_both_faces_are_the_same(made):
    tools = made(tools=["search", "recall"], prefix="m-")
    assert tools.schemas("openai") == schemas("openai", tools=["search", "recall"], prefix="m-")
