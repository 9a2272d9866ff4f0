"""What a model chooses when it calls a tool, as pydantic models: they give the schemas, and check the calls."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from memtrace._support.error_text import did_you_mean
from memtrace.clock import Clock
from memtrace.exceptions import InvalidRequestError
from memtrace.models import AddMemoryRequest, MemoryType, SearchQuery, one_in_a_list
from memtrace.operations._coercion import decision_memory
from memtrace.operations._time_bounds import to_moment
from memtrace.operations._validation_errors import invalid_request_from


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevanceQuery:
    """The arguments of `memories.search`."""

    query: str = field(repr=False)
    agent_id: str
    session_id: str | None
    since: str | None
    until: str | None
    tags: list[str] | None
    memory_types: list[str] | None
    min_importance: float | None
    limit: int


MemoryRequest = AddMemoryRequest | SearchQuery | RelevanceQuery
"""What a call of a tool becomes."""

MAX_ROWS = 100
"""The most memories that one call reads."""

_DEFAULT_ROWS = 20
_LONGEST_NAME = 64

_SINCE = "Only what is newer than this: a number and m, h or d, such as 30m, 24h or 7d, or a time as in 2026-01-31T12:00:00Z. Leave it out for all times."
_UNTIL = "Only what is older than this, in the forms of since."
_TAGS = "letters, digits, '_', '-' and '.', at most 64 characters each"
_LABELS = f"Labels to find it by: {_TAGS}."
_ALL_TAGS = f"Labels that it must all have: {_TAGS}."
_IMPORTANCE = "From 0 to 1."


Strings = Annotated[list[str] | None, BeforeValidator(one_in_a_list)]
"""Several strings, of which a model may write a single one without a list."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Whose memory it is: what the application says, and no model chooses."""

    agent_id: str
    #: Times that a model writes count from its now.
    clock: Clock
    #: Written memories belong to this session.
    session_id: str | None = None
    #: Only what belongs to this session is read; None for all of the agent.
    read_session_id: str | None = None


class Arguments(BaseModel, ABC):
    """Arguments of a tool, which become a request."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @property
    def rows(self) -> int:
        """How many memories it shows at most; one more is asked for, to know whether there are more."""
        return 0

    @abstractmethod
    def request(self, binding: Binding) -> MemoryRequest:
        """The arguments to send."""


class Remember(Arguments):
    """Arguments of ``remember``."""

    content: str = Field(
        description="What to remember, in whole sentences that can be understood without this conversation."
    )
    tags: Strings = Field(default=None, description=_LABELS)
    importance: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False, description=_IMPORTANCE)
    event_type: str | None = Field(
        default=None,
        description="The kind of event, a free-form label: a letter, then letters, digits or '_'. Default: 'general'.",
    )
    occurred_at: str | None = Field(
        default=None,
        description="When it happened, by default now: 2h or 3d for 2 hours or 3 days ago, or a time such as 2026-01-31T12:00:00Z.",
    )

    def request(self, binding: Binding) -> AddMemoryRequest:
        """An episodic memory."""
        return AddMemoryRequest(
            agent_id=binding.agent_id,
            session_id=binding.session_id,
            content=self.content,
            event_type=self.event_type or "general",
            occurred_at=to_moment(self.occurred_at, "occurred_at", binding.clock),
            tags=self.tags,
            importance=self.importance,
        )


class Decide(Arguments):
    """Arguments of ``decide``."""

    decision: str = Field(description="The decision, in one sentence.")
    reasoning: str = Field(description="Why, so that it can be judged later.")
    tags: Strings = Field(default=None, description=_LABELS)
    importance: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False, description=_IMPORTANCE)

    def request(self, binding: Binding) -> AddMemoryRequest:
        """A decision, its reasons beside it."""
        details = {"tags": self.tags, "importance": self.importance}
        return decision_memory(binding.agent_id, self.decision, self.reasoning, details, binding.session_id)


class Recall(Arguments):
    """Arguments of ``recall``."""

    query: str | None = Field(
        default=None,
        description="What to look for, in plain words: a question, or the words that the memory may have. Any of them is "
        "enough, and the most relevant comes first. Leave it out to read the newest that the other arguments allow.",
    )
    since: str | None = Field(default=None, description=_SINCE)
    until: str | None = Field(default=None, description=_UNTIL)
    tags: Strings = Field(default=None, description=_ALL_TAGS)
    memory_types: Annotated[list[MemoryType] | None, BeforeValidator(one_in_a_list)] = Field(
        default=None, description="Kinds of memory, any of them."
    )
    limit: int | None = Field(
        default=None, ge=1, le=MAX_ROWS, description="How many memories to read at most. Default: 20."
    )

    @property
    def rows(self) -> int:
        """As many as asked for."""
        return self.limit or _DEFAULT_ROWS

    def request(self, binding: Binding) -> SearchQuery | RelevanceQuery:
        """The most relevant, or without a query the newest that fit."""
        return self._reading(binding, None)

    def _reading(self, binding: Binding, min_importance: float | None) -> SearchQuery | RelevanceQuery:
        types: list[str] | None = [*self.memory_types] if self.memory_types else None
        if self.query:
            return RelevanceQuery(
                query=self.query,
                agent_id=binding.agent_id,
                session_id=binding.read_session_id,
                since=self.since or None,
                until=self.until or None,
                tags=self.tags,
                memory_types=types,
                min_importance=min_importance,
                limit=self.rows + 1,
            )
        return SearchQuery(
            agent_id=binding.agent_id,
            session_id=binding.read_session_id,
            memory_types=types,
            tags=self.tags,
            since=self.since or None,
            until=self.until or None,
            min_importance=min_importance,
            limit=self.rows + 1,
            order="desc",
        )


class Search(Recall):
    """Arguments of ``search``: those of ``recall``, and the importance."""

    min_importance: float | None = Field(
        default=None, ge=0, le=1, allow_inf_nan=False, description="The lowest importance, from 0 to 1."
    )

    def request(self, binding: Binding) -> SearchQuery | RelevanceQuery:
        """The most relevant, or without a query the newest that fit."""
        return self._reading(binding, self.min_importance)


ArgumentsT = TypeVar("ArgumentsT", bound=BaseModel)


def arguments_from(model: type[ArgumentsT], given: str | Mapping[str, Any] | None) -> ArgumentsT:
    """The arguments of a call, as a model wrote them: JSON text, or the object itself.

    Raises `InvalidRequestError` with the argument and the rule, and never with a value.
    """
    fields = _object(given)
    for name in fields:
        if name not in model.model_fields:
            known = ", ".join(model.model_fields)
            raise _invalid_argument(
                "arguments",
                f"of {known}",
                f"there is no argument {shown_name(name)}.{did_you_mean(name, model.model_fields)} There are: {known}",
            )
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise invalid_request_from(error) from None


def unknown_tool(name: str, offered: Collection[str]) -> InvalidRequestError:
    """The error for a call of a tool that is not offered."""
    names = ", ".join(offered)
    text = f"there is no tool {shown_name(name)}.{did_you_mean(name, offered)} There are: {names}"
    return InvalidRequestError(text, field="name", rule=f"one of {names}")


def shown_name(name: str) -> str:
    """A name that a model made up, as errors and logs show it: its beginning, where it is long."""
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")


def _object(given: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is None or given == "":
        return {}
    value: object = given
    if isinstance(given, str):
        try:
            value = json.loads(given)
        except (ValueError, RecursionError):
            raise _invalid_argument("arguments", "a JSON object", "they are not valid JSON") from None
    if not isinstance(value, Mapping):
        raise _invalid_argument("arguments", "a JSON object", "they are something else")
    return {str(name): each for name, each in value.items()}


def _invalid_argument(field: str, rule: str, problem: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field}: {problem}", field=field, rule=rule)
