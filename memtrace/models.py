"""Requests, responses and the options of reads, as pydantic models.

Requests and options accept what the server accepts in form; its further rules are checked when they are sent.
Responses that you build are strict; parsed from the wire they keep unknown fields and accept new values.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypeVar,
    cast,
    get_args,
    overload,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from memtrace._support import peer_names as peers
from memtrace._support.error_text import did_you_mean
from memtrace._support.numbers import counted
from memtrace._support.pretty import PrettyPrinter, cut_fields, print_fields
from memtrace._support.short_reprs import short_repr
from memtrace._support.timestamps import rfc3339
from memtrace.exceptions import MemtraceWarning

__all__ = [
    "AddMemoryRequest",
    "Agent",
    "AgentList",
    "AgentStats",
    "ContextOptions",
    "CreateSessionRequest",
    "Health",
    "ListOptions",
    "Memory",
    "MemoryList",
    "MemoryType",
    "Order",
    "RegisterAgentRequest",
    "SearchQuery",
    "SearchResult",
    "Session",
    "SessionContext",
    "SessionList",
    "TagsMatch",
    "TimeBound",
    "UpdateSessionRequest",
]

MemoryType = Literal["episodic", "session", "decision", "entity"]
"""The kinds of memory that can be written."""

Order = Literal["asc", "desc"]
"""Oldest first, or newest first (the server's default)."""

TagsMatch = Literal["substring", "exact"]
"""How a tag that is asked for has to match: as a part of a row's joined tags, case-sensitive (the server's own way:
``ui`` finds ``gui``), or as one of its tags."""

TimeBound = str | Annotated[timedelta, Strict()] | Annotated[datetime, Strict()]
"""A point in time: the server's text (``"24h"``, ``"7d"``, ``"30m"``, ``"2026-01-31T12:00:00Z"``), a `timedelta`
before now, or an aware `datetime`."""


def one_in_a_list(value: object) -> object:
    """A single string as a list of it; anything else as it is."""
    return [value] if isinstance(value, str) else value


TypeNames = Annotated[str | list[str] | None, AfterValidator(one_in_a_list)]
"""Names of types to filter by: a list, or a single string, which becomes a list."""


WIRE = {"memtrace": "wire"}
"""The validation context for parsing a response of the server."""


class _KnownMemoryType:
    """One of `MemoryType`, or any string from the wire. A Python validator takes 5 % of reading a list."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        known = get_args(MemoryType)
        newer = core_schema.with_info_after_validator_function(_from_the_wire, core_schema.str_schema())
        return core_schema.union_schema(
            [core_schema.literal_schema([*known]), newer],
            mode="left_to_right",
            custom_error_type="memory_type",
            custom_error_message=f"must be one of {', '.join(known)}",
        )

    @staticmethod
    def __get_pydantic_json_schema__(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(core_schema.str_schema())


def _from_the_wire(value: str, info: ValidationInfo) -> str:
    if info.context is not WIRE and value not in get_args(MemoryType):  # an enum of texts is none of the literals
        raise ValueError
    return value


def _one_by_one(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """Validate the members of a dict up to the first wrong one, which pydantic does for lists alone."""
    if not isinstance(value, dict):
        return handler(value)
    return {name: member for pair in value.items() for name, member in handler(dict([pair])).items()}


_ANY = core_schema.any_schema()


def _stop_early(schema: object) -> None:
    # FailFast of pydantic would stand in the public types of the fields, and is for lists alone
    if isinstance(schema, dict):
        inner = [part for name, part in schema.items() if name != "metadata"]
        if schema.get("type") == "list":
            schema["fail_fast"] = True
        elif schema.get("type") == "dict" and schema.get("values_schema", _ANY)["type"] != "any":
            wrapped = core_schema.no_info_wrap_validator_function(_one_by_one, cast("CoreSchema", {**schema}))
            schema.clear()
            schema.update(wrapped)
        schema = inner
    if isinstance(schema, (list, tuple)):
        for part in schema:
            _stop_early(part)


class _StopsEarly(BaseModel):
    """Validation ends at the first wrong member of a list or dict: there may be a million, and an error takes hundreds of bytes."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _stop_early(schema)
        return schema

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The fields that have a value, long ones cut: reprs appear in logs."""
        return [(name, short_repr(value)) for name, value in super().__repr_args__() if value is not None]

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        """The fields for ``rich.print``, with long texts and lists cut."""
        return cut_fields(_fields_of(self))

    def _repr_pretty_(self, printer: PrettyPrinter, cycle: bool) -> None:  # noqa: FBT001 - as IPython calls it
        """Print the fields in IPython, with long texts and lists cut."""
        print_fields(printer, type(self).__name__, _fields_of(self))


def _fields_of(model: BaseModel) -> Iterable[tuple[str, object]]:
    """Names and values, those that a newer server added as well."""
    return {**model.__dict__, **(model.__pydantic_extra__ or {})}.items()


class _Sent(_StopsEarly):
    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    if not TYPE_CHECKING:  # pragma: no branch - type checkers make a constructor of the fields

        def __init__(self, /, **fields: object) -> None:
            if not fields.keys() <= self.__pydantic_fields__.keys():
                _warn_of_ignored(type(self), fields)
            super().__init__(**fields)

        __init__.__pydantic_base_init__ = True  # it is pydantic's own to pydantic: validation does not go through it


def _warn_of_ignored(model: type[BaseModel], given: Mapping[str, object]) -> None:
    """Warn of an unknown field, which is ignored as in 0.2.0."""
    if model.model_config.get("extra", "ignore") != "ignore":
        return
    names = model.model_fields
    ignored = next(name for name in given if name not in names)
    text = f"{model.__name__} has no field {ignored!r}, which is ignored.{did_you_mean(ignored, names)}"
    warnings.warn(text, MemtraceWarning, stacklevel=3)


class _Read(_Sent):
    # As a lambda it has no annotations, of which the JSON schema would be made.
    _dumped = model_serializer(mode="wrap")(lambda self, handler: _without_match(handler(self)))


def _without_match(dumped: dict[str, Any]) -> dict[str, Any]:
    """What 0.2.0 dumped too, unless `tags_match` is given."""
    if dumped.get("tags_match", "left out") is None:
        del dumped["tags_match"]
    return dumped


class ResponseModel(peers.HintsAtNames, _StopsEarly):
    """A model that the server sends. Fields that a newer server added are kept."""

    _peer_names: ClassVar[Mapping[str, str]] = {"to_dict": "use .model_dump()"}

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True, extra="allow")

    def _repr_html_(self) -> str:
        """Render the fields as a table, for notebooks."""
        from memtrace._support.html import fields_table

        return fields_table(type(self).__name__, self)


class RowTable(NamedTuple):
    """How rows of one model look in notebooks, and what they are called."""

    columns: tuple[str, ...]
    one: str
    many: str

    def counted(self, count: int) -> str:
        """So many rows, in words."""
        return counted(count, self.one, self.many)

    def render(self, caption: str, rows: Sequence[ResponseModel]) -> str:
        """The HTML of a table with these rows."""
        from memtrace._support.html import rows_table

        return rows_table(caption, self.columns, map(self.values, rows), len(rows))

    def values(self, row: ResponseModel) -> list[object]:
        """What a row has in each column. A model that was made without validation may lack some."""
        return [getattr(row, column, None) for column in self.columns]


ItemT = TypeVar("ItemT")


class _ItemList(ResponseModel, Generic[ItemT]):
    """A response that is a list of items before it is a model: iteration, length, index, slice and truth are the items'.

    `dict()` of it stays what it is of every model, its fields by name: that is what `keys` and an index by name are for.
    """

    _field: ClassVar[str]
    _peer_names: ClassVar[Mapping[str, str]] = peers.LIST_NAMES

    @property
    def _items(self) -> list[ItemT]:
        return cast("list[ItemT]", getattr(self, self._field))

    def __iter__(self) -> Iterator[ItemT]:  # type: ignore[override]  # pydantic's are its fields
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> ItemT: ...
    @overload
    def __getitem__(self, place: slice) -> list[ItemT]: ...
    @overload
    def __getitem__(self, place: str) -> object: ...
    def __getitem__(self, place: int | slice | str) -> object:
        """An item by its place, a list of several, or a field by its name."""
        return dict(super().__iter__())[place] if isinstance(place, str) else self._items[place]

    def keys(self) -> Iterable[str]:
        """List the names of the fields, for ``dict(result)``.

        Returns:
            The names.
        """
        return dict(super().__iter__()).keys()

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The fields with the items last, so that their number comes before them."""
        return sorted(super().__repr_args__(), key=lambda field: field[0] == self._field)


# ---- memories -------------------------------------------------------------------------------------------------------


class AddMemoryRequest(_Sent):
    """Request to store a memory.

    Example:
        >>> AddMemoryRequest(agent_id="assistant", content="User prefers dark mode", tags=["ui"]).memory_type
        'episodic'
    """

    #: The agent's ID: a letter, then letters, digits, ``_`` or ``-``, 128 characters at most. It need not be registered.
    agent_id: str
    #: The session that it belongs to; it need not exist.
    session_id: str | None = None
    memory_type: MemoryType = "episodic"
    #: A letter, then letters, digits or ``_``, 64 characters at most. Stats count ``error`` separately.
    event_type: str = "general"
    #: The content to remember, not empty.
    content: str
    #: JSON values. The server keeps numbers as 64-bit floats and gives keys back sorted.
    metadata: dict[str, Any] | None = None
    #: When it happened, if not now, with a zone. It is stored as ``metadata["occurred_at"]``: the server sets `time` itself.
    occurred_at: datetime | None = Field(default=None, exclude=True, strict=True)
    #: Letters, digits, ``_``, ``.`` and ``-``, 64 characters at most each. The SDK rejects white space around a tag; only filters remove it.
    tags: list[str] | None = None
    #: The idempotency key, unique in the organisation for 24 hours. Default: in `client.memories`, sessions and buffers, a unique
    #: key for each call; elsewhere the server's own key of the agent, the event type and the first 200 bytes of the content.
    dedup_key: str | None = None
    #: From 0 to 1. The server stores 0 like no importance: it reads back as None, which filters, searches and prompts count as 0.
    importance: float | None = Field(default=None, ge=0, le=1)
    #: Another memory that this one follows from; the server does not check it.
    parent_id: str | None = None

    @field_validator("occurred_at")
    @classmethod
    def _check_occurred_at(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if value is None:
            return None
        text = _rfc3339(value)
        if text is None:
            raise PydanticCustomError("naive_datetime", "no point in time")
        said = (info.data.get("metadata") or {}).get(_OCCURRED_AT, text)
        if said != text:
            raise PydanticCustomError("occurred_twice", "another time in metadata")
        return value

    def model_post_init(self, context: object, /) -> None:
        """Keep `occurred_at` where the server keeps it."""
        if self.occurred_at is not None:
            self.metadata = {**(self.metadata or {}), _OCCURRED_AT: _rfc3339(self.occurred_at)}


_OCCURRED_AT = "occurred_at"


def _rfc3339(at: datetime) -> str | None:
    """A point in time as text, in UTC; None for what is none."""
    if at.utcoffset() is None:
        return None
    try:
        return rfc3339(at)
    except OverflowError:
        return None


class Memory(ResponseModel):
    """A stored memory."""

    _peer_names: ClassVar[Mapping[str, str]] = peers.MEMORY_NAMES

    #: When the server stored it, in UTC. Nanoseconds are cut to microseconds.
    time: datetime
    org_id: str
    agent_id: str
    session_id: str | None = None
    memory_type: Annotated[str, _KnownMemoryType]
    event_type: str
    content: str
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    dedup_key: str | None = None
    #: From 0 to 1; None if it was not set, or set to 0.
    importance: float | None = None
    parent_id: str | None = None

    @property
    def occurred_at(self) -> datetime:
        """When it happened: ``metadata["occurred_at"]`` (RFC 3339, with a time zone), or `time`."""
        said = (self.metadata or {}).get(_OCCURRED_AT)
        return (_point_in_time(said) if isinstance(said, str) else None) or self.time


def _point_in_time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in {"Z", "z"} else text)
        at.astimezone(timezone.utc)
    except (ValueError, OverflowError):  # its zone may lead out of the calendar
        return None
    return None if at.utcoffset() is None else at


MEMORY_TABLE: Final = RowTable(
    (
        "time",
        "content",
        "memory_type",
        "event_type",
        "tags",
        "importance",
        "metadata",
        "agent_id",
        "session_id",
        "parent_id",
    ),
    "memory",
    "memories",
)


class MemoryList(_ItemList[Memory]):
    """The memories of one read. It is a sequence of memories: iterate over it, index it, slice it, or take its `len`.

    Example:
        >>> from memtrace import Memtrace
        >>> with Memtrace("memory://") as client:
        ...     memory = client.remember("assistant", "User likes tea")
        ...     found = client.recall("assistant")
        >>> [memory.content for memory in found], len(found), found[0].content, found[:3] == found.memories, bool(found)
        (['User likes tea'], 1, 'User likes tea', True, True)
    """

    _field: ClassVar[str] = "memories"

    memories: list[Memory]
    #: The number of these memories.
    count: int
    #: Whether more match. The server's own value, for up to 1000 memories, is also true if the last page is exactly full. For several
    #: pages it is exact, except that with ``tags_match="exact"`` true may mean memories that were not read.
    has_more: bool

    def _repr_html_(self) -> str:
        more = "; more may follow" if self.has_more else ""
        return MEMORY_TABLE.render(f"MemoryList: {MEMORY_TABLE.counted(len(self.memories))}{more}", self.memories)


class ListOptions(_Read):
    """Filters, order and limit of a read. A field that is None does not filter."""

    agent_id: str | None = None
    session_id: str | None = None
    memory_type: str | None = None
    event_type: str | None = None
    #: ``"ui,nav"`` or ``["ui", "nav"]``. All must match. White space around each is removed. An empty tag does not filter.
    tags: str | list[str] | None = None
    #: Not sent. ``exact`` matches whole tags: the SDK drops memories that the server finds by a part of a tag, and reads more
    #: in their place. ``substring`` also matches parts of tags, as the server does. None: ``exact``, except in the methods of
    #: 0.2.0 and in operations, which use ``substring``.
    tags_match: TagsMatch | None = None
    #: Only what is newer.
    since: TimeBound | None = None
    #: Only what is older.
    until: TimeBound | None = None
    #: The most memories to read, from 1; 100 by default. More than 1000 are read page by page.
    limit: int | None = None
    #: How many memories to skip.
    offset: int | None = None
    order: Order | None = None


class SearchQuery(_Read):
    """Filters of a search on the server. Filters are joined by "and", the values of one list of types by "or"."""

    agent_id: str | None = None
    session_id: str | None = None
    #: ``["decision", "entity"]``, or a single string. Any may match.
    memory_types: TypeNames = None
    #: ``["error", "warning"]``, or a single string. Any may match.
    event_types: TypeNames = None
    #: ``"ui,nav"`` or ``["ui", "nav"]``. All must match. White space around each is removed. An empty tag does not filter.
    tags: str | list[str] | None = None
    #: Not sent. ``exact`` matches whole tags: the SDK drops memories that the server finds by a part of a tag, and reads more
    #: in their place. ``substring`` also matches parts of tags, as the server does. None: ``exact``, except in the methods of
    #: 0.2.0 and in operations, which use ``substring``.
    tags_match: TagsMatch | None = None
    #: A part of the content, case-sensitive; no wildcards.
    content_contains: str | None = None
    since: TimeBound | None = None
    until: TimeBound | None = None
    #: At least this; 0 and less do not filter.
    min_importance: float | None = None
    #: The most memories to read, from 1; 50 by default. More than 1000 are read page by page.
    limit: int | None = None
    order: Order | None = None


class SearchResult(_ItemList[Memory]):
    """The memories that match, and how long the storage took, in milliseconds, over all pages.

    It is a sequence of memories, like `MemoryList`.
    """

    _field: ClassVar[str] = "results"

    results: list[Memory]
    count: int
    query_time_ms: int

    def _repr_html_(self) -> str:
        found = MEMORY_TABLE.counted(len(self.results))
        return MEMORY_TABLE.render(f"SearchResult: {found} in {self.query_time_ms} ms of the storage", self.results)


# ---- agents ---------------------------------------------------------------------------------------------------------


class RegisterAgentRequest(_Sent):
    """Request to register an agent. Its name is any string, unique in the organisation."""

    name: str
    description: str | None = None
    config: dict[str, Any] | None = None


class Agent(ResponseModel):
    """A registered agent."""

    _peer_names: ClassVar[Mapping[str, str]] = peers.AGENT_NAMES

    id: str
    org_id: str
    name: str
    description: str | None = None
    config: dict[str, Any] | None = None
    #: UTC, in whole seconds when read later.
    created_at: datetime
    #: This server never sets it.
    last_active_at: datetime | None = None


AGENT_TABLE: Final = RowTable(
    ("id", "name", "description", "config", "created_at", "last_active_at"), "agent", "agents"
)


class AgentList(_ItemList[Agent]):
    """All agents of the organisation, newest first. It is a sequence of agents.

    The order of agents that were registered within one second is undefined.
    """

    _field: ClassVar[str] = "agents"

    agents: list[Agent]
    count: int

    def _repr_html_(self) -> str:
        return AGENT_TABLE.render(f"AgentList: {AGENT_TABLE.counted(len(self.agents))}", self.agents)


class AgentStats(ResponseModel):
    """Counts of what is stored under an agent's ID, which need not be registered."""

    _peer_names: ClassVar[Mapping[str, str]] = peers.STATS_NAMES

    agent_id: str
    memory_count: int
    memories_24h: int
    #: Memories of the last 24 hours whose event_type is ``error``.
    errors_24h: int
    session_count: int
    active_sessions: int
    last_active_at: datetime | None = None
    #: How many memories of each type.
    memory_types: dict[str, int]


# ---- sessions -------------------------------------------------------------------------------------------------------


class CreateSessionRequest(_Sent):
    """Request to open a session. `agent_id` is the ID (not the name) of a registered agent."""

    agent_id: str
    metadata: dict[str, Any] | None = None


class UpdateSessionRequest(_Sent):
    """Request to change a session. None leaves a field as it is, and ``{}`` clears the metadata. An unknown field is an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    #: Any string. ``closed`` closes the session.
    status: str | None = None
    metadata: dict[str, Any] | None = None


class Session(ResponseModel):
    """A session of an agent."""

    _peer_names: ClassVar[Mapping[str, str]] = peers.STORED_SESSION_NAMES

    id: str
    org_id: str
    agent_id: str
    #: ``active`` at first.
    status: str
    metadata: dict[str, Any] | None = None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None


SESSION_TABLE: Final = RowTable(
    ("id", "agent_id", "status", "created_at", "updated_at", "closed_at", "metadata"), "session", "sessions"
)


class SessionList(_ItemList[Session]):
    """All sessions, newest first. It is a sequence of sessions."""

    _field: ClassVar[str] = "sessions"

    sessions: list[Session]
    count: int

    def _repr_html_(self) -> str:
        return SESSION_TABLE.render(f"SessionList: {SESSION_TABLE.counted(len(self.sessions))}", self.sessions)


class ContextOptions(_Sent):
    """Time range and size of a session's context."""

    #: Sent, but this server ignores it: at most 100 memories, each cut at 80 bytes.
    max_tokens: int | None = None
    #: Memory types, or a single one; all by default.
    include_types: TypeNames = None
    #: A look-back (``"24h"``, the default); a `timedelta` or `datetime` is rounded up to whole minutes, hours or days.
    since: TimeBound | None = None


class SessionContext(ResponseModel):
    """A session's memories as Markdown, rendered by the server."""

    _peer_names: ClassVar[Mapping[str, str]] = peers.CONTEXT_NAMES

    session_id: str
    context: str
    memory_count: int


# ---- the server -----------------------------------------------------------------------------------------------------


class Health(ResponseModel):
    """The server's status."""

    status: str
    service: str
    #: A Go duration: ``1h2m3.5s``.
    uptime: str
    #: For each organisation that has storage, whether it can be reached.
    arc: dict[str, bool] | None = None
