"""An optional capability of a transport: a text index where the memories are, and how it is asked."""

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
    """A memory that stands next to another one in its session."""

    #: When it occurred: see `Memory.occurred_at`.
    occurred_at: AwareDatetime
    #: When the server took it.
    time: AwareDatetime


class PlacedVector(_Message):
    """The vector of a memory's text, to be stored."""

    place: int
    vector: list[float]


class PlacedText(_Message):
    """The text of a memory that has no vector yet."""

    #: What the index calls the memory, so that a `PlacedVector` can name it.
    place: int
    text: str


class IndexQuery(_Message):
    """A request to an index: for hits if `query` is given, and for whatever else is above 0 or true.

    Filters are joined by "and", the values of one list of types by "or". None and an empty list do
    not filter.
    """

    #: What to look for; None asks for no hits.
    query: str | None = None
    #: The most hits.
    limit: int = 10
    #: The vector of the query.
    vector: list[float] | None = None
    #: The model that makes the vectors. Those of another model, or of another length, are kept beside them and never compared.
    model: str | None = None
    #: How many numbers the model's vectors have, where that is known and there is no `vector`.
    dimensions: int | None = None
    agent_id: str | None = None
    session_id: str | None = None
    #: Only what occurred later, or earlier.
    since: datetime | None = None
    until: datetime | None = None
    #: All must match, in the way that `tags_match` says.
    tags: list[str] | None = None
    tags_match: TagsMatch = "substring"
    memory_types: list[str] | None = None
    event_types: list[str] | None = None
    #: At least this; a memory without an importance has 0.
    min_importance: float | None = None
    #: How many of the newest memories to give beside the hits.
    newest: int = 0
    #: Whether to count the memories of the agent and session, and the model's vectors of them.
    counted: bool = False
    #: Whether to compare the index with all that is stored, before anything else is done: what it lacks is added, and what is
    #: not stored any more is taken out. Where a model is named, the vectors of others are removed, of the agent or of all.
    rebuild: bool = False
    #: The model's vectors to be kept, before anything is looked for.
    vectors: list[PlacedVector] = []
    #: How many texts without a vector of the model to give.
    missing: int = 0


class IndexHit(_Message):
    """A memory that a search found."""

    memory: Memory
    score: float
    #: How many memories of its agent have this content; it is the newest of them.
    count: int = 1
    #: The memories before and after it in its session; of a query that names an agent and no
    #: session, that agent's alone. Without a session, those of its agent, in order of time. None if
    #: there is none, or it is unknown.
    previous: Neighbour | None = None
    next: Neighbour | None = None


class IndexAnswer(_Message):
    """The response of an index. Fields that were not asked for are empty."""

    #: The most relevant first; equal contents of one agent once. Of the same score first what occurred last.
    hits: list[IndexHit] = []
    #: The newest first.
    newest: list[IndexHit] = []
    memories: int = 0
    vectors: int = 0
    #: The newest time that the server gave one of the counted memories.
    latest: datetime | None = None
    missing: list[PlacedText] = []
