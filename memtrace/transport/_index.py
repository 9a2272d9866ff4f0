"""An optional capability of a transport: a full-text index where the memories are, and its queries."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from pydantic import AwareDatetime, BaseModel, ConfigDict

from memtrace.models import Memory, TagsMatch


@runtime_checkable
class IndexedTransport(Protocol):
    """A transport of either kind whose server has a full-text index. Then the client keeps none.

    It is a transport with `search_path`. The client sends a POST with an `IndexQuery` as JSON
    there, with its API key, like every call. The response is 200 with an `IndexAnswer`, or a usual
    error. The index has every memory that can be read. Memories of other organisations never
    influence a score.
    """

    @property
    def search_path(self) -> str:
        """The path of searches, such as ``/index/search``."""
        ...


class _Message(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)


class Neighbour(NamedTuple):
    """A memory that is next to another one in its session."""

    #: When it occurred: see `Memory.occurred_at`.
    occurred_at: AwareDatetime
    #: When the server stored it.
    time: AwareDatetime


class PlacedVector(_Message):
    """The vector of a memory's text, to be stored."""

    place: int
    vector: list[float]


class PlacedText(_Message):
    """The text of a memory that has no vector yet."""

    #: The memory's place in the index, for a `PlacedVector`.
    place: int
    text: str


class IndexQuery(_Message):
    """A request to an index: for hits if `query` is given, and for whatever else is above 0 or true.

    Filters are joined by "and", the values of one list of types by "or". None and an empty list do
    not filter.
    """

    #: The query; None for no hits.
    query: str | None = None
    #: How many hits at most.
    limit: int = 10
    #: The vector of the query.
    vector: list[float] | None = None
    #: The model of the vectors. Vectors of other models and lengths are stored beside them, and never compared.
    model: str | None = None
    #: The length of the model's vectors, if it is known and there is no `vector`.
    dimensions: int | None = None
    agent_id: str | None = None
    session_id: str | None = None
    #: Only memories that occurred later, or earlier.
    since: datetime | None = None
    until: datetime | None = None
    #: All must match, as `tags_match` says.
    tags: list[str] | None = None
    tags_match: TagsMatch = "substring"
    memory_types: list[str] | None = None
    event_types: list[str] | None = None
    #: At least this; a memory without an importance has 0.
    min_importance: float | None = None
    #: How many of the newest memories to return beside the hits.
    newest: int = 0
    #: Whether to count the memories of the agent and session, and the model's vectors of them.
    counted: bool = False
    #: Whether to compare the index with the store before anything else: missing memories are added, and those that are no longer
    #: stored are removed. With a `model`, the vectors of other models are removed too, for the agent or for all.
    rebuild: bool = False
    #: Vectors of the model to store before the search.
    vectors: list[PlacedVector] = []
    #: How many strings without a vector of the model to return.
    missing: int = 0


class IndexHit(_Message):
    """A memory that a search found."""

    memory: Memory
    score: float
    #: How many memories of its agent have this content. The hit is the newest of them.
    count: int = 1
    #: The memories before and after it in its session; of a query that names an agent and no
    #: session, that agent's alone. Without a session, those of its agent, in order of time. None if
    #: there is none, or it is unknown.
    previous: Neighbour | None = None
    next: Neighbour | None = None


class IndexAnswer(_Message):
    """The response of an index. Fields that were not asked for are empty."""

    #: Most relevant first; equal contents of one agent are one hit. Equal scores are ordered by `occurred_at`, newest first.
    hits: list[IndexHit] = []
    #: Newest first.
    newest: list[IndexHit] = []
    memories: int = 0
    vectors: int = 0
    #: The latest server time of the counted memories.
    latest: datetime | None = None
    missing: list[PlacedText] = []
