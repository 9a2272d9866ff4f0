"""The contract of a transport that offers an index, as a class that pytest runs: subclass it, connect clients, and see what yours breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import pytest

from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.exceptions import MemtraceError
from memtrace.models import AddMemoryRequest, Memory
from memtrace.ranking import IndexStatus, SearchHit, SearchHits
from memtrace.testing._create_fixture import check_is_fixture

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from typing_extensions import Self

    from memtrace.context import PromptContext
    from memtrace.outcomes import BatchResult

Forget = Callable[[str, str], object]


Connect = Callable[..., Memtrace | AsyncMemtrace]
"""Makes a client of the organisation of this name, with further arguments of `Memtrace`."""

_BEGUN = datetime(2024, 3, 1, 9, tzinfo=timezone.utc)
_TEXTS = (
    "User drinks green tea in the morning",
    "Which teapot does the user have?",
    "Yes.",
    "Die Geschwindigkeitsbegrenzung auf der Autobahn wurde aufgehoben",
    "東京都に行きます 🍵",
    "The operations of the factory went well",
    "User cooperates with the factory in Lisbon",
    "Yes.",
    "tea tea tea",
    'A quoted "tea" AND NEAR(milk) * : -',
    "User asked about the weather in Lisbon, twice. " * 40,
)
_QUERIES = {
    "a word": "tea",
    "a question": "What does the user drink in the morning?",
    "a part of a word": "Geschwindigkeit",
    "another script": "東京",
    "operators": '"tea" AND NEAR(milk) * : - ^ {x}',
    "an unknown word": "quaternion",
    "no letters": "\N{PARTY POPPER} \0 ?!",
    "half a character": "tea \ud800",
}
_OWNERS: Sequence[dict[str, Any]] = (
    {},
    {"agent_id": "a"},
    {"session_id": "s1"},
    {"agent_id": "a", "session_id": "s0"},
    {"agent_id": "nobody"},
)
_FILTERS: dict[str, dict[str, Any]] = {
    "since": {"since": _BEGUN - timedelta(hours=3)},
    "until": {"until": _BEGUN - timedelta(hours=3)},
    "a tag": {"tags": ["drink"]},
    "two tags": {"tags": ["drink", "hot"]},
    "types": {"memory_types": ["decision", "entity"]},
    "events": {"event_types": ["note", "message"]},
    "importance": {"min_importance": 0.5},
    "all of them": {"tags": ["drink"], "memory_types": ["episodic"], "min_importance": 0.2, "until": _BEGUN},
}
_queries = pytest.mark.parametrize("query", _QUERIES.values(), ids=_QUERIES)


class IndexedTransportContract:
    """Test a transport that offers an index: it must find what the client's own index finds, of this tenant only.

    ::

        class TestMyIndex(IndexedTransportContract):
            @pytest.fixture
            def connect(self, my_server):
                return lambda organisation, **settings: Memtrace(
                    my_server.url, my_server.key_of(organisation), transport="mine", **settings
                )

    Override the fixture `connect`. It returns a function that creates a client of an organisation, a `Memtrace` or an
    `AsyncMemtrace`. The contract closes the client. Each test needs empty organisations. If memories can be removed, override the
    fixture `forget` too.
    """

    knows_neighbours: ClassVar[bool] = True
    """Set it to False if hits have no `previous` and `next`. Prompts then mark fewer gaps."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        check_is_fixture(cls, "connect")
        check_is_fixture(cls, "forget")

    @pytest.fixture
    def connect(self) -> Connect:
        """Return a function that creates a client of an organisation. Each subclass overrides this."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture `connect` that returns a function making a client of an organisation"
        )

    @pytest.fixture
    def forget(self) -> Forget | None:
        """Return a function that removes an agent's memories, given the organisation and the agent. Default: nothing can be removed."""
        return None

    @pytest.fixture
    def client(self, connect: Connect, tmp_path: Path) -> Iterator[_Make]:
        """Create clients that the tests call as blocking ones, and close them at the end."""
        with ExitStack() as stack:
            yield lambda organisation="one", **settings: stack.enter_context(_Client(connect, organisation, settings))

    def test_the_transport_offers_an_index(self, client: _Make) -> None:
        """It has `search_path`, a path, beside what every transport has; a client then keeps no index."""
        path = client().search_path
        assert path is not None, "the transport has no search_path, so that the client keeps its own index"
        assert path.startswith("/"), "search_path is a path from the base URL on, as /index/search"
        assert not set(path) & set("?# \t\n"), "search_path has a query, a fragment or white space"

    @_queries
    def test_hits_are_those_of_the_client_s_index(self, client: _Make, tmp_path: Path, query: str) -> None:
        """The same memories in the same order, with the same counts; and the neighbours, where it knows them."""
        theirs, ours = _both(client, tmp_path)
        for owner in _OWNERS:
            for limit in (1, 4, 100):
                hits, expected = (each.search(query, **owner, limit=limit) for each in (theirs, ours))
                self._check_hits(hits, expected)

    def test_a_query_of_100_kb_is_one_like_others(self, client: _Make, tmp_path: Path) -> None:
        """A body of any size that a client sends."""
        theirs, ours = _both(client, tmp_path)
        found, expected = (each.search("green tea in Lisbon " * 5000).memories for each in (theirs, ours))
        assert [memory.content for memory in found] == [memory.content for memory in expected]

    @pytest.mark.parametrize("filters", _FILTERS.values(), ids=_FILTERS)
    def test_filters_hold(self, client: _Make, tmp_path: Path, filters: dict[str, Any]) -> None:
        """Bounds of time are exclusive and for when a memory occurred; tags must all match, of types one."""
        theirs, ours = _both(client, tmp_path)
        for owner in ({}, {"agent_id": "a"}, {"session_id": "s0"}):
            hits, expected = (each.search("tea user", **owner, **filters) for each in (theirs, ours))
            assert expected, "the rule itself finds nothing"
            self._check_hits(hits, expected)

    def _check_hits(self, hits: SearchHits, expected: SearchHits) -> None:
        assert _shown(hits) == _shown(expected), "other memories, another order or other counts than the client's index"
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True), "scores rise"
        assert all(score > 0 for score in scores), "a score is not above 0"
        if self.knows_neighbours:
            beside = [(hit.previous, hit.next) for hit in hits]
            assert beside == [(hit.previous, hit.next) for hit in expected], "other neighbours than the client's index"

    def test_prompts_have_the_newest_and_what_is_relevant(self, client: _Make, tmp_path: Path) -> None:
        """A prompt asks for the newest memories too, in the same request."""
        theirs, ours = _both(client, tmp_path)
        for owner in _OWNERS:
            for budget in (200, 1000):
                found, expected = (
                    each.prompt("tea in Lisbon", **owner, recent=2, max_tokens=budget) for each in (theirs, ours)
                )
                contents = [memory.content for memory in found.memories]
                newest = [memory.content for memory in expected.memories][-2:]
                assert contents[len(contents) - len(newest) :] == newest, "the newest memories are not in the prompt"
                if self.knows_neighbours:
                    assert found.text == expected.text, "another prompt than with the client's index"

    def test_the_order_of_storing_changes_nothing(self, client: _Make) -> None:
        """Of two organisations that have the same memories, stored the other way round."""
        one, two = client("one"), client("two")
        one.store(_rows())
        two.store(_rows()[::-1])
        for query in ("tea", "the user in Lisbon"):
            for owner in ({}, {"agent_id": "a"}, {"session_id": "s1"}):
                found = [[hit.memory.content for hit in each.search(query, **owner, limit=100)] for each in (one, two)]
                assert found[0] == found[1], "the order of storing decided"

    def test_ties_are_settled_by_when_it_occurred_and_was_stored(self, client: _Make) -> None:
        """Of equal scores the later one comes first."""
        theirs = client()
        minutes = (30, 10, 20, 10, 10)
        rows = [
            AddMemoryRequest(
                agent_id="a", session_id=f"t{n}", content=f"tea {n}", occurred_at=_BEGUN + timedelta(minutes=minute)
            )
            for n, minute in enumerate(minutes)
        ]
        for row in rows:
            theirs.store([row])
        hits = theirs.search("tea", agent_id="a")
        assert len({hit.score for hit in hits}) == 1, "equal memories have different scores"
        assert [hit.memory.content for hit in hits] == ["tea 0", "tea 2", "tea 4", "tea 3", "tea 1"]

    def test_what_can_be_read_is_found(self, client: _Make) -> None:
        """Also what was stored after a search, and by another client."""
        one, other = client(), client()
        for number in range(3):
            (one, other)[number % 2].store([AddMemoryRequest(agent_id="a", content=f"tea number {number}")])
            for each in (one, other):
                assert len(each.search("tea")) == number + 1, "what was stored last is not found"

    def test_a_hit_is_the_memory_that_is_read(self, client: _Make) -> None:
        """Every field of it."""
        theirs = client()
        theirs.store(_rows())
        known = {(memory.time, memory.content): memory for memory in theirs.memories()}
        for hit in theirs.search("tea Yes", limit=100):
            assert hit.memory == known[hit.memory.time, hit.memory.content]

    def test_another_organisation_is_never_found_and_changes_no_score(self, client: _Make) -> None:
        """Its words do not count either: not how rare a word is, and not how long memories are."""
        one, two = client("one"), client("two")
        one.store(_rows())
        before = [one.search(query) for query in ("tea", "the user in Lisbon")]
        assert not two.search("tea"), "an empty organisation finds something"
        two.store(AddMemoryRequest(agent_id="a", session_id=f"s{n}", content=f"tea in Lisbon {n}") for n in range(60))
        after = [one.search(query) for query in ("tea", "the user in Lisbon")]
        assert [_scored(hits) for hits in after] == [_scored(hits) for hits in before], (
            "the other one changed something"
        )
        assert all("tea in Lisbon" in hit.memory.content for hit in two.search("tea", limit=100))
        assert one.status().memories == len(_rows())

    def test_it_counts_what_it_has(self, client: _Make, tmp_path: Path) -> None:
        """`memories.index_status` of all, and of an agent."""
        theirs, ours = _both(client, tmp_path)
        for owner in ((), ("a",), ("nobody",)):
            ours.sync(*owner)
            assert theirs.status(*owner) == ours.status(*owner) == theirs.sync(*owner)

    def test_vectors_are_kept_and_each_memory_is_embedded_once(self, client: _Make, tmp_path: Path) -> None:
        """By all clients together; the hits are those of the client's index with the same embedder."""
        embedder = _Embedder("small", 3)
        theirs = client(embedder=embedder)
        theirs.store(_rows())
        assert theirs.sync().vectors == len(_rows()), "not every memory has a vector"
        made = len(embedder.texts)
        again = client(embedder=_Embedder("small", 3, embedder.texts))
        assert again.sync().vectors == len(_rows())
        assert len(embedder.texts) == made == len(_rows()), "a vector is computed twice"
        ours = client(search_index=tmp_path / "index", embedder=_Embedder("small", 3))
        for query in ("something to drink", "tea"):
            self._check_hits(theirs.search(query, limit=100), ours.search(query, limit=100))

    @pytest.mark.parametrize("dimensions", [3, 5], ids=["of the same length", "of another length"])
    def test_models_have_vectors_of_their_own(self, client: _Make, dimensions: int) -> None:
        """Those of two models stand beside each other, and are never compared."""
        one, other = client(embedder=_Embedder("small", 3)), client(embedder=_Embedder("large", dimensions))
        one.store(_rows())
        one.sync()
        before = _scored(one.search("something to drink"))
        assert other.status().vectors == 0, "the vectors of another model count"
        assert other.sync().vectors == one.status().vectors == len(_rows())
        assert _scored(one.search("something to drink")) == before, "the vectors of another model changed the hits"
        assert client().status().vectors == 0, "vectors count for a client without an embedder"

    def test_a_rebuild_leaves_what_is_right(self, client: _Make) -> None:
        """The same hits and vectors afterwards; vectors of other embedders are gone."""
        one, other = client(embedder=_Embedder("small", 3)), client(embedder=_Embedder("large", 3))
        one.store(_rows())
        other.sync()
        one.sync()
        before = _scored(one.search("tea"))
        assert one.rebuild().memories == one.status().vectors == len(_rows())
        assert _scored(one.search("tea")) == before
        assert other.status().vectors == 0, "the vectors of the other embedder are still there"

    @pytest.mark.parametrize("body", [b"no JSON", b"[]", b'{"limit": "many"}', b'{"query": " "}'])
    def test_what_is_no_query_is_an_error_of_the_request(self, client: _Make, body: bytes) -> None:
        """A status of 400 to 499; what comes after it is answered."""
        theirs = client()
        theirs.store(_rows())
        with pytest.raises(MemtraceError) as caught:
            theirs.post(body)
        assert 400 <= (getattr(caught.value, "status_code", 0) or 0) < 500, (
            "the error has another status than 400 to 499"
        )
        assert theirs.search("tea")

    def test_what_is_forgotten_is_found_no_more(self, client: _Make, forget: Forget | None) -> None:
        """Neither it nor its words, and its vectors do not count."""
        if forget is None:
            pytest.skip("no fixture `forget`: nothing can be removed")
        one, alone = client("one", embedder=_Embedder("small", 3)), client("two", embedder=_Embedder("small", 3))
        one.store(_rows())
        one.sync()
        forget("one", "a")
        alone.store(row for row in _rows() if row.agent_id != "a")
        alone.sync()
        for query in ("tea", "something to drink"):
            found, expected = (each.search(query, limit=100) for each in (one, alone))
            assert [(hit.memory.content, hit.count, hit.score) for hit in found] == [
                (hit.memory.content, hit.count, hit.score) for hit in expected
            ], "what was forgotten is found, or still counts"
        assert (one.status().memories, one.status().vectors) == (alone.status().memories, alone.status().vectors)
        assert one.status("a").memories == 0


class _Make(Protocol):
    def __call__(self, organisation: str = "one", /, **settings: object) -> _Client: ...


class _Client:
    """A client of either kind, whose calls are waited for."""

    def __init__(self, connect: Connect, organisation: str, settings: dict[str, Any]) -> None:
        self._stack = ExitStack()
        self._client = connect(organisation, **settings)
        self._portal: BlockingPortal | None = None
        if not isinstance(self._client, (Memtrace, AsyncMemtrace)):
            pytest.fail(
                f"the fixture connect gives a function that makes a client; it made {type(self._client).__name__}"
            )

    def __enter__(self) -> Self:
        if isinstance(self._client, AsyncMemtrace):
            from anyio.from_thread import start_blocking_portal

            self._portal = self._stack.enter_context(start_blocking_portal())
        return self

    def __exit__(self, *raised: object) -> None:
        with self._stack:
            self._done(self._client.close)

    def _done(self, call: Callable[[], object]) -> Any:  # what the call gives
        if self._portal is not None:
            return self._portal.call(call)
        result = call()
        assert not isawaitable(result)
        return result

    @property
    def search_path(self) -> str | None:
        return self._client._dispatcher.searching.search_path()  # noqa: SLF001  # of this package

    def store(self, rows: Iterable[AddMemoryRequest]) -> None:
        """Store memories, and wait until they can be read."""
        memories = self._client.memories
        result = cast("BatchResult", self._done(lambda: memories.add_many(rows)))
        result.raise_for_failures()
        assert not result.duplicates, "the organisation has such memories already: each test needs empty ones"
        self._done(lambda: memories.wait_until_visible(result.stored[-1]))

    def memories(self) -> list[Memory]:
        return cast("list[Memory]", self._done(lambda: self._client.memories.list(limit=1000)).memories)

    def search(self, query: str, **fields: Any) -> SearchHits:  # the filters of a search
        return cast("SearchHits", self._done(lambda: self._client.memories.search(query, **fields)))

    def prompt(self, query: str, **fields: Any) -> PromptContext:  # the fields of a prompt
        return cast("PromptContext", self._done(lambda: self._client.memories.prompt_context(query, **fields)))

    def status(self, agent_id: str | None = None) -> IndexStatus:
        return cast("IndexStatus", self._done(lambda: self._client.memories.index_status(agent_id)))

    def sync(self, agent_id: str | None = None) -> IndexStatus:
        return cast("IndexStatus", self._done(lambda: self._client.memories.index_sync(agent_id)))

    def rebuild(self) -> IndexStatus:
        return cast("IndexStatus", self._done(lambda: self._client.memories.index_sync(rebuild=True)))

    def post(self, body: bytes) -> object:
        """Ask the index with this body."""
        path = self.search_path or "/"
        return self._done(lambda: self._client.request("POST", path, content=body, operation="memories.search"))


class _Embedder:
    """Vectors that follow from the texts; notes what it was given."""

    def __init__(self, model: str, dimensions: int, texts: list[str] | None = None) -> None:
        self.model = model
        self.dimensions = dimensions
        self.texts: list[str] = [] if texts is None else texts

    def __call__(self, texts: list[str]) -> list[list[float]]:
        self.texts += [text for text in texts if text.endswith(_TEXTS)]
        return [[1.0 + (ord(text[n % len(text)]) * (n + 1)) % 7 for n in range(self.dimensions)] for text in texts]


def _rows() -> list[AddMemoryRequest]:
    """Memories of two agents, in sessions and without, which occurred in another order than they are stored."""
    return [
        AddMemoryRequest(
            agent_id="ab"[number // 2 % 2],
            session_id=f"s{number % 4}" if number % 4 < 3 else None,
            content=_TEXTS[number % len(_TEXTS)],
            memory_type="decision" if number % 5 == 1 else "episodic",
            event_type=("general", "message", "note")[number % 3],
            tags=[[], ["drink"], ["drink", "hot"]][number % 3],
            importance=None if number % 2 else number / 40,
            metadata={"by": {"name": "Ines"}, "seen": [number, 0.5]} if number % 7 == 0 else None,
            occurred_at=_BEGUN - timedelta(minutes=number * 37 % 500),
            dedup_key=f"row {number}",
        )
        for number in range(40)
    ]


def _both(client: _Make, tmp_path: Path) -> tuple[_Client, _Client]:
    """A client of the transport's index, and one with its own index of the same memories."""
    theirs = client()
    theirs.store(_rows())
    return theirs, client(search_index=tmp_path / "index")


def _shown(hits: SearchHits) -> list[tuple[Memory, int]]:
    return [(hit.memory, hit.count) for hit in hits]


def _scored(hits: Iterable[SearchHit]) -> list[tuple[Memory, int, float]]:
    return [(hit.memory, hit.count, hit.score) for hit in hits]
