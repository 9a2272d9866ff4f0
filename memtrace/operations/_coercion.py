"""A request model, or the same fields as keywords: one of the two becomes the model that is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from memtrace._support.error_text import type_name
from memtrace._support.peer_names import unexpected_keyword
from memtrace.models import (
    AddMemoryRequest,
    Agent,
    CreateSessionRequest,
    ListOptions,
    SearchQuery,
    TagsMatch,
    TimeBound,
)
from memtrace.operations._validation import invalid, require_non_empty
from memtrace.operations._validation_errors import invalid_request_from

ModelT = TypeVar("ModelT", bound=BaseModel)
OptionsT = TypeVar("OptionsT", ListOptions, SearchQuery)


def coerce_request(
    model: type[ModelT], given: object, fields: Mapping[str, object], also: Collection[str] = (), *, first: str = ""
) -> ModelT:
    """`given`, or a model of `fields`; a string is the value of the field `first`, if there is one.

    Raises `TypeError` for both at once, another type, or a keyword that there is not, neither a field nor one of `also`;
    `InvalidRequestError` for a value that the model does not take.
    """
    if given is None:
        return _built(model, fields, (*model.__pydantic_fields__, *also))
    if isinstance(given, str) and first:
        if first in fields:
            raise TypeError(f"{first} is given twice: as the first argument and as a keyword")
        return _built(model, {first: given, **fields}, (*model.__pydantic_fields__, *also))
    if fields:
        raise TypeError(f"pass {model.__name__}(...) or its fields as keywords, not both")
    if not isinstance(given, model):
        fields_of = ", ".join(model.model_fields)
        short = f", {first} as a string" if first else ""
        raise TypeError(
            f"expected {model.__name__}{short} or its fields as keywords, not {type_name(given)}; the fields are {fields_of}"
        )
    return given


def session_request(given: object, fields: Mapping[str, object]) -> CreateSessionRequest:
    """What `sessions.create` and `sessions.open` are given: a request, a registered agent or its id, or the fields."""
    return coerce_request(
        CreateSessionRequest, given.id if isinstance(given, Agent) else given, fields, first="agent_id"
    )


def filters_from(
    model: type[ModelT], given: ModelT | None, fields: Mapping[str, object], also: Collection[str] = ()
) -> ModelT:
    """`coerce_request` for reads of everyone's memories: an empty id field raises, since it would not filter.

    In an options object an empty id keeps the server's meaning, which code for 0.2.0 may rely on.
    """
    for name in ("agent_id", "session_id"):
        if fields.get(name) == "":
            raise invalid(name, "None or a string that is not empty", "an empty one would not filter")
    return coerce_request(model, given, fields, also)


_NO_FIELDS: Final[Mapping[str, object]] = {}
_OF_EPISODES = frozenset({"agent_id", "content"})
_OF_DECISIONS = frozenset({"agent_id", "content", "memory_type", "event_type"})


def episodic_memory(
    agent_id: object, content: object, fields: Mapping[str, object] = _NO_FIELDS, session_id: str | None = None
) -> AddMemoryRequest:
    """What `remember` stores; the session of an open one is not for its caller to give."""
    given = _fields_beside(_OF_EPISODES, fields, session_id)
    return _built(AddMemoryRequest, {"agent_id": agent_id, "content": content, **given})


def decision_memory(
    agent_id: object,
    content: object,
    reasoning: object,
    fields: Mapping[str, object] = _NO_FIELDS,
    session_id: str | None = None,
) -> AddMemoryRequest:
    """The memory that `decide` stores. A decision that is empty or not a string raises with that field."""
    given = _fields_beside(_OF_DECISIONS, fields, session_id)
    require_non_empty(content if isinstance(content, str) else "", "decision")
    metadata = given.pop("metadata", None) or {}
    if not isinstance(metadata, Mapping):
        raise invalid("metadata", "a dict", f"{type_name(metadata)} was given")
    if "reasoning" in metadata:
        raise invalid("metadata", "a dict without 'reasoning'", "the call has a reasoning already")
    kind = {"memory_type": "decision", "event_type": "decision", "metadata": {"reasoning": reasoning, **metadata}}
    return _built(AddMemoryRequest, {"agent_id": agent_id, "content": content, **kind, **given})


def _fields_beside(others: Collection[str], fields: Mapping[str, object], session_id: str | None) -> dict[str, object]:
    """The fields of a memory that a caller may give, checked by name, with the session's id."""
    own = {} if session_id is None else {"session_id": session_id}
    if fields:
        _check_names(fields, [name for name in AddMemoryRequest.model_fields if name not in others and name not in own])
    return {**fields, **own}


_OF_RECALL = ("since", "until", "tags", "tags_match", "memory_types", "limit", "query")


def recent_query(
    agent_id: str, since: TimeBound | None, fields: Mapping[str, object] = _NO_FIELDS, *, has_query: bool = False
) -> ListOptions:
    """What `recall` reads: of 0.2.0, with further filters, or with a query. Rejects an empty agent, which would mean everyone.

    Raises `TypeError` for a keyword that `recall` does not have.
    """
    require_non_empty(agent_id, "agent_id")
    _check_names(fields, _OF_RECALL)
    newest = {} if has_query else {"limit": 100, "order": "desc"}
    given = {name: value for name, value in fields.items() if value is not None}
    return _built(ListOptions, {"agent_id": agent_id, "since": since, "tags_match": "exact", **newest, **given})


def with_tags_match(options: OptionsT, tags_match: TagsMatch) -> OptionsT:
    """The options, with this way of matching where they have tags and choose none."""
    if not options.tags or options.tags_match is not None:
        return options
    return options.model_copy(update={"tags_match": tags_match})


def _check_names(fields: Mapping[str, object], names: Collection[str]) -> None:
    for name in fields:
        if name not in names:
            raise unexpected_keyword(name, names)


def _built(model: type[ModelT], fields: Mapping[str, object], names: Collection[str] = ()) -> ModelT:
    known = names or model.__pydantic_fields__
    for name in fields:  # in place: the frames of a call are counted
        if name not in known:
            raise unexpected_keyword(name, known)
    try:
        return model(**fields)
    except ValidationError as error:
        raise invalid_request_from(error) from None
