"""Searches. Newer memories are read into the index first, unless the transport has its own index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar, get_args

from memtrace._runtime.config import Settings
from memtrace._runtime.local_index import LocalIndex, Mark, Survey, Target
from memtrace._runtime.workflows.listing import paginate
from memtrace._runtime.workflows.steps import Workflow, run_blocking, run_operation, tell_progress
from memtrace._support.characters import whole_characters
from memtrace.clock import Clock
from memtrace.exceptions import ResponseDecodeError
from memtrace.models import ListOptions, Memory, MemoryList, TagsMatch, TimeBound
from memtrace.operations import Operation, response_parser
from memtrace.operations._endpoints import check_body_size
from memtrace.operations._time_bounds import beside, to_moment
from memtrace.operations._validation import (
    check_id,
    check_importance,
    check_tags,
    check_types,
    invalid,
    split_tags,
    text_list,
    trim_tag,
)
from memtrace.ranking import IndexProgress, IndexStatus, SearchHit, SearchHits
from memtrace.ranking._ranker import ranked
from memtrace.ranking._search import check_hits, check_query
from memtrace.ranking._vectors import BATCH
from memtrace.transport import IndexAnswer, IndexedTransport, IndexHit, IndexQuery, PlacedText, PlacedVector

T = TypeVar("T")

_MICROSECOND = timedelta(microseconds=1)
_MOST_RESTARTS = 5


class Searching:
    """The searches of a client: its settings, the index that it shares with its copies, and its transport."""

    def __init__(self, settings: Settings, local: LocalIndex, transport: Callable[[], object]) -> None:
        self.settings = settings
        self._local = local
        self._transport = transport

    @property
    def clock(self) -> Clock:
        """The client's clock."""
        return self.settings.clock

    # ---- the interface of resources

    def search(self, query: str, asked: IndexQuery) -> Workflow[SearchHits]:
        """The most relevant memories."""
        wanted = asked.limit
        answer = yield from self.found(query, asked.model_copy(update={"limit": max(wanted, self._candidates)}))
        return answer[0][:wanted]

    def recall(self, query: str, asked: IndexQuery) -> Workflow[MemoryList]:
        """The most relevant memories as a list."""
        hits = yield from self.search(query, asked.model_copy(update={"limit": asked.limit + 1}))
        memories = hits.memories[: asked.limit]
        return MemoryList(memories=memories, count=len(memories), has_more=len(hits) > asked.limit)

    def found(self, query: str, asked: IndexQuery) -> Workflow[tuple[SearchHits, SearchHits]]:
        """The most relevant memories in the ranker's order, and the newest ones."""
        query = whole_characters(query)  # a lone surrogate is in no memory, and no index can receive it
        answer = yield from self._answer(asked.model_copy(update={"query": query}))
        hits, ranker = _hits(answer.hits), self.settings.search.ranker
        if ranker is not None:
            hits = yield from self.blocking(partial(ranked, ranker.ranker, query, hits, ranker.candidates))
        return hits, _hits(answer.newest)

    def newest(self, asked: IndexQuery) -> Workflow[list[Memory]]:
        """The newest indexed memories that pass the filters. Nothing is read."""
        answer = yield from self._ask(asked, None)
        return [] if answer is None else [hit.memory for hit in answer.newest]

    def status(self, agent_id: str | None) -> Workflow[IndexStatus]:
        """The status of the index. Nothing is read."""
        answer = yield from self._ask(self._counted(agent_id), None)
        return _status(answer or IndexAnswer())

    def sync(self, agent_id: str | None, progress: IndexProgress | None, *, rebuild: bool) -> Workflow[IndexStatus]:
        """Read newer memories, or all of them to rebuild the index, and compute the vectors that are missing."""
        asked = self._counted(agent_id)
        if not isinstance(rebuild, bool):
            raise invalid("rebuild", "True or False", "it says whether all memories are read again")

        def told() -> Workflow[None]:
            if progress is not None:
                yield from tell_progress(progress, (yield from self.status(agent_id)))

        if rebuild:
            yield from self._rebuild(asked, told)
        answer = yield from self._answer(asked, told)
        yield from told()
        return _status(answer)

    def blocking(self, call: Callable[[], T]) -> Workflow[T]:
        """Run blocking work; for the async client in a thread."""
        return run_blocking(call, self._local.thread)

    # ---- the index

    def _counted(self, agent_id: str | None) -> IndexQuery:
        _check_owner(agent_id, "agent_id")
        return self._with_model(IndexQuery(agent_id=agent_id, counted=True))

    def _with_model(self, asked: IndexQuery) -> IndexQuery:
        """The query with the model of the client's embedder, if it has one."""
        embedder = self._local.embedder
        if embedder is None:
            return asked
        return asked.model_copy(update={"model": embedder.model, "dimensions": embedder.dimensions})

    @property
    def _candidates(self) -> int:
        ranker = self.settings.search.ranker
        return 0 if ranker is None else ranker.candidates

    def _answer(self, asked: IndexQuery, told: Callable[[], Workflow[None]] | None = None) -> Workflow[IndexAnswer]:
        """The response of an up-to-date index, with vectors if there is an embedder."""
        for _ in range(_MOST_RESTARTS):
            target: Target | None = None
            if self.search_path() is None:
                target = yield from self._read_on(asked, told)
                if target is None:
                    return IndexAnswer()
            answer = yield from self._embedded_answer(asked, target, told)
            if answer is not None:
                return answer
        raise _unsteady()

    def _embedded_answer(
        self, asked: IndexQuery, target: Target | None, told: Callable[[], Workflow[None]] | None
    ) -> Workflow[IndexAnswer | None]:
        embedder = self._local.embedder
        if embedder is None or embedder.has_failed:
            return (yield from self._ask(asked, target))
        if asked.query is not None:
            vectors = yield from self.blocking(partial(embedder.vectors, [asked.query]))
            asked = asked.model_copy(update={"vector": None if vectors is None else vectors[0]})
        asked = self._with_model(asked)
        answer = yield from self._ask(asked.model_copy(update={"missing": BATCH}), target)
        if answer is None or not answer.missing or embedder.has_failed:
            return answer
        yield from self._embed(answer.missing, asked, target, told)
        return (yield from self._ask(self._with_model(asked), target))

    def _embed(
        self,
        missing: list[PlacedText],
        asked: IndexQuery,
        target: Target | None,
        told: Callable[[], Workflow[None]] | None,
    ) -> Workflow[None]:
        """Compute vectors of strings, and of those that are still missing then."""
        embedder, made = self._local.embedder, set[int]()
        # the transport's index does not store a vector that is missing again: stop
        while missing and embedder is not None and made.isdisjoint(each.place for each in missing):
            vectors = yield from self.blocking(partial(embedder.vectors, [each.text for each in missing]))
            if vectors is None:
                return
            kept = [
                PlacedVector(place=each.place, vector=vector) for each, vector in zip(missing, vectors, strict=True)
            ]
            more = IndexQuery(agent_id=asked.agent_id, session_id=asked.session_id, vectors=kept, missing=BATCH)
            made |= {each.place for each in missing}
            answer = yield from self._ask(self._with_model(more), target)
            missing = [] if answer is None else answer.missing
            if told is not None:
                yield from told()

    def _ask(self, asked: IndexQuery, target: Target | None) -> Workflow[IndexAnswer | None]:
        """The index's response; None if the client's own index was cleared since a target was read."""
        path = self.search_path()
        if path is None:
            return (yield from self.blocking(lambda: self._local.answer(self._owner, asked, target)))
        body = check_body_size(asked.model_dump_json(exclude_defaults=True).encode())
        return (
            yield from run_operation(
                Operation("memories.search", "POST", path, response_parser(IndexAnswer), "read", body)
            )
        )

    def search_path(self) -> str | None:
        """The path of the transport's index. A file that the user names is always the client's own index."""
        if self.settings.search.index is not None:
            return None
        transport = self._transport()
        return transport.search_path if isinstance(transport, IndexedTransport) else None

    @property
    def _owner(self) -> tuple[str, str]:
        """The owner of the index: each base URL and API key has its own."""
        return str(self.settings.base_url), self.settings.api_key

    # ---- rebuilding

    def _rebuild(self, asked: IndexQuery, told: Callable[[], Workflow[None]]) -> Workflow[None]:
        """Compare the index with all memories of the server."""
        if self.search_path() is not None:
            yield from self._ask(asked.model_copy(update={"rebuild": True, "counted": False}), None)
            return
        target = _targets(asked)[0]
        for _ in range(_MOST_RESTARTS):
            survey = yield from self.blocking(lambda: self._local.survey(self._owner, target))
            is_whole, last = yield from self._read_again(target, survey, told)
            sweep = partial(self._local.sweep, self._owner, target, survey, last, self.settings.clock.wall())
            if is_whole and (yield from self.blocking(sweep)):
                return
        raise _unsteady()

    def _read_again(
        self, target: Target, survey: Survey, told: Callable[[], Workflow[None]]
    ) -> Workflow[tuple[bool, Memory | None]]:
        """Read a whole target, and strike it from the survey. Returns False if the index was cleared, and the last memory."""
        options = ListOptions(agent_id=target.agent_id, session_id=target.session_id, order="asc")
        paginator = paginate(options, self.settings.clock, "memories.search", None)
        mark: Mark | None = None
        last: Memory | None = None
        while not paginator.ended:
            rows = yield from paginator.next_page()
            if rows:
                last = rows[-1]
                mark = yield from self._take(target, rows, mark)
                note = partial(self._local.note_seen, self._owner, survey, rows)
                if mark is None or not (yield from self.blocking(note)):
                    return False, None
                yield from told()
        return True, last

    # ---- reading newer memories

    def _read_on(self, asked: IndexQuery, told: Callable[[], Workflow[None]] | None) -> Workflow[Target | None]:
        """Read newer memories into the index. Returns the target that was read, or None if there are no memories."""
        targets = _targets(asked)
        for _ in range(_MOST_RESTARTS):
            target, mark = yield from self.blocking(lambda: self._local.begun(self._owner, targets))
            is_whole, mark = yield from self._read_after(target, mark, told)
            if is_whole:
                return None if mark is None else target
        raise _unsteady()

    def _read_after(
        self, target: Target, mark: Mark | None, told: Callable[[], Workflow[None]] | None
    ) -> Workflow[tuple[bool, Mark | None]]:
        """Read memories newer than a mark. Returns whether the index is complete, and the new mark.

        The memory of the mark is read again. A server that does not give it has lost its data, or is another one.
        """
        clock = self.settings.clock
        began = clock.wall()
        since = None if mark is None else beside(mark.settled, -_MICROSECOND)
        options = ListOptions(agent_id=target.agent_id, session_id=target.session_id, since=since, order="asc")
        paginator = paginate(options, clock, "memories.search", None)
        waiting: list[Memory] = []
        unseen = mark
        while True:
            waiting += yield from paginator.next_page()
            has_ended = paginator.ended
            if unseen is not None and any(map(unseen.is_of, waiting)):
                unseen = None
            if unseen is not None and (has_ended or (waiting and waiting[-1].time > unseen.time)):
                yield from self.blocking(lambda: self._local.clear(self._owner))
                return False, None
            if unseen is None and waiting:
                mark = yield from self._take(target, waiting, mark)
                if mark is None:
                    return False, None
                waiting = []
                if told is not None:
                    yield from told()
            if has_ended:
                yield from self._settle(target, mark, began)
                return True, mark

    def _take(self, target: Target, rows: list[Memory], mark: Mark | None) -> Workflow[Mark | None]:
        seen = self.settings.clock.wall()
        return self.blocking(lambda: self._local.take(self._owner, target, rows, mark, seen))

    def _settle(self, target: Target, mark: Mark | None, began: float) -> Workflow[None]:
        """Note that everything visible when the reading began is read, so that it is not read again."""
        if mark is None or mark.settled == mark.time:
            return
        settled = mark.after_reading(began)
        if settled.settled > mark.settled:
            yield from self.blocking(lambda: self._local.settle(self._owner, target, settled))


def _unsteady() -> ResponseDecodeError:
    return ResponseDecodeError(
        "the server gives other memories each time that they are read into the search index",
        hint="is something between the client and the server answering for several servers or organisations?",
    )


def _targets(asked: IndexQuery) -> list[Target]:
    """The targets that serve a query, smallest first."""
    if asked.session_id is not None:
        return [Target(session_id=asked.session_id), Target()]
    return [Target()] if asked.agent_id is None else [Target(agent_id=asked.agent_id), Target()]


def _status(answer: IndexAnswer) -> IndexStatus:
    return IndexStatus(answer.memories, answer.vectors, answer.latest)


def _hits(found: list[IndexHit]) -> SearchHits:
    return SearchHits(SearchHit(hit.memory, hit.score, hit.count, hit.previous, hit.next) for hit in found)


# ---- arguments ------------------------------------------------------------------------------------------------------


def index_query(
    settings: Settings,
    *,
    query: object,
    agent_id: str | None = None,
    session_id: str | None = None,
    since: TimeBound | None = None,
    until: TimeBound | None = None,
    tags: str | Sequence[str] | None = None,
    tags_match: TagsMatch | None = None,
    memory_types: str | Sequence[str] | None = None,
    event_types: str | Sequence[str] | None = None,
    min_importance: float | None = None,
    limit: int = 10,
    newest: int = 0,
) -> IndexQuery:
    """Check the filters of a search. Raises `InvalidRequestError`, naming the field."""
    check_query(query)
    check_hits(limit)
    _check_owner(agent_id, "agent_id")
    _check_owner(session_id, "session_id")
    types, events = text_list(memory_types, "memory_types"), text_list(event_types, "event_types")
    check_types(types, "memory_types")
    check_types(events, "event_types")
    wanted = split_tags(tags) if isinstance(tags, str) else [trim_tag(tag) for tag in text_list(tags, "tags") or ()]
    check_tags(wanted)
    if tags_match not in (None, *get_args(TagsMatch)):
        raise invalid("tags_match", "'substring' or 'exact'", "there is no other")
    check_importance(min_importance)
    return IndexQuery(
        agent_id=agent_id,
        session_id=session_id,
        since=to_moment(since, "since", settings.clock),
        until=to_moment(until, "until", settings.clock),
        tags=[tag for tag in wanted if tag] or None,
        tags_match=tags_match or "exact",
        memory_types=types,
        event_types=events,
        min_importance=min_importance,
        limit=limit,
        newest=newest,
    )


def _check_owner(value: str | None, field: str) -> None:
    if value == "":
        raise invalid(field, "None or a string that is not empty", "an empty one would not filter")
    check_id(value, field)
