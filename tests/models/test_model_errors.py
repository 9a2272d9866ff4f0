"""What pydantic finds wrong, in the SDK's words."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import BaseModel, ValidationError

from memtrace.context import PromptContextOptions
from memtrace.exceptions import InvalidRequestError
from memtrace.models import AddMemoryRequest, Agent, ListOptions
from memtrace.operations._time_bounds import TIME_RULE
from memtrace.operations._validation_errors import invalid_request_from

MEMORY = {"agent_id": "assistant", "content": "planted"}


def refused(model, **fields):
    with pytest.raises(ValidationError) as caught:
        model(**fields)
    error = invalid_request_from(caught.value)
    assert isinstance(error, InvalidRequestError)
    assert "planted" not in str(error)
    assert "Input should" not in error.message
    return error


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"content": ["planted"]}, "content must be a string, not list"),
        ({"content": None}, "content must be a string, not NoneType"),
        ({"content": str}, "content must be a string, not the class str"),
        ({"tags": "planted"}, "tags must be a list, not str"),
        ({"tags": ["ui", 5]}, "tags[1] must be a string, not int"),
        ({"metadata": "planted"}, "metadata must be a dict, not str"),
        ({"importance": -0.1}, "importance must be at least 0"),
        ({"importance": 2}, "importance must be at most 1"),
        ({"importance": "planted"}, "importance must be a number"),
        ({"importance": []}, "importance must be a number, not list"),
        ({"memory_type": "planted"}, "memory_type must be 'episodic', 'session', 'decision' or 'entity'"),
    ],
)
def test_a_field_of_a_memory_is_told_with_its_rule(fields, told):
    assert refused(AddMemoryRequest, **{**MEMORY, **fields}).message == told


@pytest.mark.parametrize(
    ("model", "fields", "told"),
    [
        (AddMemoryRequest, {"agent_id": "assistant"}, "content must be given"),
        (ListOptions, {"limit": 1.5}, "limit must be a whole number"),
        (ListOptions, {"limit": "many"}, "limit must be a whole number"),
        (ListOptions, {"limit": []}, "limit must be a whole number, not list"),
        (ListOptions, {"order": "newest"}, "order must be 'asc' or 'desc'"),
        (PromptContextOptions, {"show_agents": []}, "show_agents must be True or False, not list"),
        (PromptContextOptions, {"count_tokens": 3}, "count_tokens must be a function, not int"),
        (ListOptions, {"since": 24}, f"since must be {TIME_RULE}, not int"),
        (ListOptions, {"until": date(2026, 1, 1)}, f"until must be {TIME_RULE}, not date"),
    ],
)
def test_a_setting_is_told_with_its_rule(model, fields, told):
    error = refused(model, **fields)
    assert error.message == told
    assert told.startswith(f"{error.field} must be {error.rule}")


def test_an_object_where_its_id_is_due_is_named():
    agent = Agent(id="agent_1", org_id="org_1", name="planted", created_at="2026-01-01T00:00:00Z")
    assert refused(AddMemoryRequest, agent_id=agent, content="x").message == "agent_id must be a string, not Agent"


def test_what_no_rule_is_known_for_is_told_in_the_words_of_its_type():
    class Odd(BaseModel):
        day: date

    with pytest.raises(ValidationError) as caught:
        Odd(day="planted")
    assert invalid_request_from(caught.value).message.startswith(
        "day must be what its type allows: Input should be a valid date"
    )
