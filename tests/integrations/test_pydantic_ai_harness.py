"""The memory store for the harness of Pydantic AI, against that harness and the fake."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import (
    APIConnectionError,
    AsyncMemtrace,
    ConfigurationError,
    InvalidRequestError,
    MemtraceError,
    PayloadTooLargeError,
    ResponseDecodeError,
)
from memtrace.integrations import _records as records
from memtrace.integrations._versions import VersionedFiles
from memtrace.testing import FakeMemtrace, Fault
from memtrace_transports import ManualClock
from tests.integrations.values import TEXTS, VISIBILITIES, fake_of, run
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

pydantic_ai = Lazily("pydantic_ai")
messages = Lazily("pydantic_ai.messages")
function = Lazily("pydantic_ai.models.function")
memory = Lazily("pydantic_ai_harness.memory")
ours = Lazily("memtrace.integrations.pydantic_ai_harness")
changes = Lazily("memtrace.integrations.pydantic_ai_harness._changes")


def store_of(fake, **settings):
    return ours.MemtraceMemoryStore(fake.async_client(), **{"agent_id": "assistant", **settings})


def operation(name, fingerprint="same"):
    return memory.MemoryOperation(id=name, fingerprint=fingerprint)


BOUNDS = {"limit": 10, "max_files": 10, "max_chars": 200, "max_file_chars": 1000}


# ---- versions


def test_it_is_a_store_of_the_harness(fake):
    assert isinstance(store_of(fake), memory.MemoryStore)
    assert isinstance(store_of(fake), memory.SearchableMemoryStore)


@given(st.lists(TEXTS, min_size=1, max_size=4), VISIBILITIES)
def test_a_file_has_the_content_that_was_written_last(contents, visibility):
    async def program():
        store = store_of(fake_of(visibility))
        version = None
        for content in contents:
            version = (await store.write("ines/main/MEMORY.md", content, expected_version=version)).version
        return await store.read("ines/main/MEMORY.md", max_chars=1000), version

    file, version = run(program)
    assert (file.content, file.version, file.truncated) == (contents[-1], version, False)


def test_a_write_needs_the_version_that_was_read(fake):
    async def program():
        store = store_of(fake)
        first = await store.write("a.md", "one", expected_version=None)
        second = await store.write("a.md", "two", expected_version=first.version)
        assert (first.existed, second.existed) == (False, True)
        for stale in (None, first.version, "other"):
            with pytest.raises(memory.MemoryConflictError, match="another version"):
                await store.write("a.md", "three", expected_version=stale)
            with pytest.raises(memory.MemoryConflictError):
                await store.delete("a.md", expected_version=stale)
        assert (await store.read("a.md", max_chars=10)).content == "two"

    run(program)


def test_versions_of_a_file_that_was_deleted_and_created_again_differ(fake):
    async def program():
        store = store_of(fake)
        first = await store.write("a.md", "same", expected_version=None)
        deleted = await store.delete("a.md", expected_version=first.version)
        assert (deleted.version, deleted.existed) == (None, True)
        assert await store.read("a.md", max_chars=10) is None
        again = await store.write("a.md", "same", expected_version=None)
        assert (again.version != first.version, again.existed) == (True, False)
        with pytest.raises(memory.MemoryConflictError):
            await store.delete("a.md", expected_version=first.version)

    run(program)


def test_deleting_what_is_not_there_stores_nothing(fake):
    async def program():
        return await store_of(fake).delete("a.md", expected_version=None)

    assert not run(program).existed
    assert fake.client().memories.list().memories == []


def test_a_file_is_read_at_the_cost_of_its_newest_versions(fake):
    async def program():
        store = store_of(fake)
        version = None
        for n in range(30):
            version = (await store.write("a.md", f"version {n}", expected_version=version)).version
        before = len(fake.calls)
        assert (await store.read("a.md", max_chars=100)).content == "version 29"
        return len(fake.calls) - before

    assert run(program) == 1


def interrupted(fake, write, **other):
    """What a write becomes if another store writes the same file after the write has read, and before it is sent."""
    store = store_of(fake)
    files = store._files
    replace = files.replace

    def replace_later(*args, **kwargs):
        files.replace = replace
        form = records.RecordCodec("pydantic-ai-harness", "assistant", memory_type="entity")
        theirs = changes.Changes(VersionedFiles(form, 5.0), fake.clock)
        fake.client()._dispatcher.run(theirs.change("a.md", **other))
        return (yield from replace(*args, **kwargs))

    async def program():
        files.replace = replace_later
        return await write(store)

    return run(program)


def other_write(content, expected=None, operation=None):
    return {"value": {"content": content, "metadata": None}, "expected": expected, "operation": operation}


def lost(fake, operation=None):
    """Two first versions of one file, the later of which does not count."""

    async def write(store):
        with pytest.raises(memory.MemoryConflictError, match="another version"):
            await store.write("a.md", "second", expected_version=None, operation=operation)

    interrupted(fake, write, **other_write("first"))
    assert len(fake.client().memories.list().memories) == 2
    return store_of(fake)


def test_of_two_writers_at_the_same_moment_the_first_succeeds_and_the_second_has_a_conflict(fake):
    store = lost(fake)

    async def program():
        file = await store.read("a.md", max_chars=100)
        assert file.content == "first"
        await store.write("a.md", "third", expected_version=file.version)
        return (await store.read("a.md", max_chars=100)).content

    assert run(program) == "third"


def test_a_version_that_lost_is_in_no_listing_and_no_search(fake):
    store = lost(fake)

    async def program():
        found = await store.search("", "first second", **BOUNDS)
        return await store.list_paths(limit=10), [match.snippet for match in found.matches]

    assert run(program) == (["a.md"], ["first"])


def test_a_deletion_that_lost_deletes_nothing(fake):
    async def program():
        return (await store_of(fake).write("a.md", "first", expected_version=None)).version

    version = run(program)

    async def delete(store):
        with pytest.raises(memory.MemoryConflictError):
            await store.delete("a.md", expected_version=version)
        return (await store.read("a.md", max_chars=100)).content

    assert interrupted(fake, delete, **other_write("second", expected=version)) == "second"


def test_many_writers_that_retry_lose_no_line(fake):
    async def append(store, line):
        while True:
            file = await store.read("a.md", max_chars=1000)
            content, version = ("", None) if file is None else (file.content, file.version)
            try:
                return await store.write("a.md", f"{content}{line}", expected_version=version)
            except memory.MemoryConflictError:
                continue

    async def program():
        stores = [store_of(fake) for _ in range(3)]
        await asyncio.gather(*(append(store, f"{n}{line}\n") for n, store in enumerate(stores) for line in "ab"))
        return (await stores[0].read("a.md", max_chars=1000)).content

    assert sorted(run(program).split()) == ["0a", "0b", "1a", "1b", "2a", "2b"]


# ---- operations


def test_an_operation_is_done_once(fake):
    async def program():
        store = store_of(fake)
        first = await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        again = await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        assert (first.replayed, again.replayed, again.version, again.existed) == (False, True, first.version, False)
        assert await store.get_operation(operation("run-1")) == again
        assert await store.get_operation(operation("run-2")) is None
        assert (await store.read("a.md", max_chars=10)).operation_id == "run-1"
        missing = await store.delete("b.md", expected_version=None, operation=operation("run-3"))
        replayed = await store.delete("b.md", expected_version=None, operation=operation("run-3"))
        assert (missing.existed, missing.replayed, replayed.existed, replayed.replayed) == (False, False, False, True)

    run(program)


def test_an_operation_that_was_done_before_others_is_still_known(fake):
    async def program():
        store = store_of(fake)
        done = await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        version = done.version
        for n in range(5):
            version = (await store.write("a.md", f"later {n}", expected_version=version)).version
        again = await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        assert (again.replayed, again.version) == (True, done.version)

    run(program)


def test_another_operation_of_the_same_id_is_refused(fake):
    async def program():
        store = store_of(fake)
        await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        with pytest.raises(memory.MemoryOperationConflictError, match="run-1"):
            await store.get_operation(operation("run-1", "other"))
        with pytest.raises(memory.MemoryOperationConflictError):
            await store.write("b.md", "one", expected_version=None, operation=operation("run-1", "other"))
        assert await store.list_paths(limit=10) == ["a.md"]

    run(program)


def test_one_operation_at_the_same_moment_twice_is_one_change_for_both(fake):
    async def write(store):
        written = await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        return written, await store.read("a.md", max_chars=100)

    written, file = interrupted(fake, write, **other_write("one", operation=operation("run-1")))
    assert (written.replayed, written.version) == (True, file.version)


def test_an_operation_that_lost_was_not_done(fake):
    store = lost(fake, operation("run-1"))

    async def program():
        assert await store.get_operation(operation("run-1")) is None
        file = await store.read("a.md", max_chars=100)
        again = await store.write("a.md", "third", expected_version=file.version, operation=operation("run-1"))
        assert not again.replayed
        assert (await store.get_operation(operation("run-1"))).version == again.version

    run(program)


def test_a_write_whose_response_was_lost_is_done_once_by_its_retry(fake):
    async def program():
        store = store_of(fake)
        fake.faults.add(
            Fault("reset", on="memories.add_many", applied=True), Fault("refused", nth=3, times=None)
        )  # two reads, then the write; afterwards the server does not answer
        with pytest.raises(MemtraceError) as caught:
            await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        assert caught.value.maybe_applied
        fake.faults.clear()
        fake.flush()
        again = await store.write("a.md", "one", expected_version=None, operation=operation("run-1"))
        return again, await store.read("a.md", max_chars=10)

    again, file = run(program)
    assert (file.content, file.version, again.replayed) == ("one", again.version, True)
    assert len(fake.client().memories.list().memories) == 1


# ---- metadata


def test_metadata_says_who_wrote_the_version(fake):
    if not hasattr(memory, "MetadataMemoryStore"):
        pytest.skip("this version of the harness has no metadata")

    async def program():
        store = store_of(fake)
        assert isinstance(store, memory.MetadataMemoryStore)
        first = await store.write_with_metadata("a.md", "one", expected_version=None, metadata={"by": "Ines"})
        assert (await store.read("a.md", max_chars=10)).metadata == {"by": "Ines"}
        await store.write("a.md", "two", expected_version=first.version)
        assert (await store.read("a.md", max_chars=10)).metadata is None

    run(program)


@pytest.mark.parametrize(
    ("metadata", "error", "said"),
    [
        ({"by": 1}, TypeError, "strings"),
        ({"by": "a\0"}, ValueError, "NUL"),
        ({"by": "a" * 5000}, ValueError, "4096"),
    ],
)
def test_metadata_that_other_stores_would_refuse_is_refused(fake, metadata, error, said):
    async def program():
        with pytest.raises(error, match=said):
            await store_of(fake).write_with_metadata("a.md", "one", expected_version=None, metadata=metadata)

    run(program)
    assert fake.client().memories.list().memories == []


# ---- reading, listing, searching


def test_a_long_file_is_cut_and_keeps_the_version_of_the_whole(fake):
    async def program():
        store = store_of(fake)
        written = await store.write("a.md", "0123456789", expected_version=None)
        file = await store.read("a.md", max_chars=4)
        assert (file.content, file.version, file.truncated) == ("0123", written.version, True)
        assert not (await store.read("a.md", max_chars=10)).truncated
        assert await store.read("b.md", max_chars=4) is None

    run(program)


async def filled(fake):
    store = store_of(fake)
    files = {
        "ines/main/drinks.md": "Ines drinks tea, and more tea",
        "ines/main/home.md": "Ines lives in Lisbon, where tea is sold",
        "ines/main/work.md": "Ines writes programs",
        "ines/other/tea.md": "tea",
        "tom/main/drinks.md": "Tom drinks tea tea tea",
    }
    for path, content in files.items():
        await store.write(path, content, expected_version=None)
    return store


def test_paths_are_listed_by_what_they_begin_with(fake):
    async def program():
        store = await filled(fake)
        assert await store.list_paths("ines/main/", limit=2) == ["ines/main/drinks.md", "ines/main/home.md"]
        assert len(await store.list_paths("ines", limit=10)) == 4
        assert len(await store.list_paths(limit=10)) == 5
        assert await store.list_paths("ines/main/h", limit=10) == ["ines/main/home.md"]
        assert await store.list_paths("nobody/", limit=10) == []

    run(program)


def test_a_search_finds_the_files_of_a_folder_by_relevance(fake):
    async def program():
        return await (await filled(fake)).search("ines/main/", "tea", **BOUNDS)

    found = run(program)
    assert [match.path for match in found.matches] == ["ines/main/drinks.md", "ines/main/home.md"]
    assert (found.scanned, found.truncated) == (3, False)
    assert found.matches[0].score > found.matches[1].score > 0


BOUNDED = [
    ({"limit": 1}, ["ines/main/drinks.md"], True),
    ({"max_files": 1}, ["ines/main/drinks.md"], True),
    ({"max_chars": 1}, [], True),
    ({"max_chars": 20}, ["ines/main/drinks.md"], True),
    ({"max_file_chars": 4}, [], True),
    ({"limit": 0}, [], False),
    ({"max_file_chars": -1}, [], False),
]


@pytest.mark.parametrize(("bounds", "paths", "truncated"), BOUNDED)
def test_a_search_keeps_its_bounds(fake, bounds, paths, truncated):
    bounds = {**BOUNDS, **bounds}

    async def program():
        return await (await filled(fake)).search("ines/main/", "tea", **bounds)

    found = run(program)
    assert ([match.path for match in found.matches], found.truncated) == (paths, truncated)
    names = [match.path.removeprefix("ines/main/") for match in found.matches]
    assert sum(map(len, names)) + sum(len(match.snippet) for match in found.matches) <= max(0, bounds["max_chars"])


def test_a_search_for_nothing_finds_nothing(fake):
    async def program():
        return await store_of(fake).search("", " ", **BOUNDS)

    assert run(program) == memory.MemorySearchResult(matches=[], scanned=0, truncated=False)


@pytest.mark.parametrize(
    ("room", "snippet"),
    [(20, "...89 tea 0123456789"), (200, "0123456789 tea 0123456789"), (12, "... tea 0..."), (2, "..")],
)
def test_a_snippet_is_what_stands_around_the_word(fake, room, snippet):
    async def program():
        store = store_of(fake)
        await store.write("a", "0123456789 tea 0123456789", expected_version=None)
        return await store.search("", "tea", **{**BOUNDS, "max_chars": room + 1})

    (match,) = run(program).matches
    assert len(match.snippet) <= room
    assert match.snippet == snippet


# ---- bad input


@pytest.mark.parametrize(
    "path", ["", "../a.md", "/a.md", "a//b.md", "a/./b.md", "a/../b.md", "a b.md", "a\0.md", "é.md"]
)
def test_paths_that_could_name_another_file_are_refused(fake, path):
    async def program():
        store = store_of(fake)
        for call in (
            store.read(path, max_chars=10),
            store.write(path, "a", expected_version=None),
            store.delete(path, expected_version=None),
        ):
            with pytest.raises(ValueError, match="invalid memory path"):
                await call

    run(program)
    assert not fake.calls


def test_numbers_below_1_and_invalid_prefixes_are_refused(fake):
    async def program():
        store = store_of(fake)
        with pytest.raises(ValueError, match="max_chars"):
            await store.read("a.md", max_chars=0)
        with pytest.raises(ValueError, match="limit"):
            await store.list_paths(limit=0)
        with pytest.raises(ValueError, match="invalid memory path"):
            await store.list_paths("../", limit=1)
        with pytest.raises(ValueError, match="invalid memory path"):
            await store.search("..", "", **BOUNDS)

    run(program)


def test_a_content_that_is_too_large_is_refused_before_anything_is_stored(fake):
    async def program():
        with pytest.raises(PayloadTooLargeError):
            await store_of(fake).write("a.md", "a" * 5_000_000, expected_version=None)

    run(program)
    assert fake.client().memories.list().memories == []


def test_a_store_that_is_down_raises_and_nothing_is_there_twice_afterwards(fake):
    async def program():
        store = store_of(fake)
        fake.faults.add(Fault("refused", times=None))
        with pytest.raises(APIConnectionError):
            await store.write("a.md", "one", expected_version=None)
        fake.faults.clear()
        await store.write("a.md", "one", expected_version=None)

    run(program)
    fake.flush()
    assert len(fake.client().memories.list().memories) == 1


def test_a_record_of_another_program_is_an_error_that_says_so():
    fake = FakeMemtrace(clock=ManualClock())

    async def program():
        store = store_of(fake)
        await store.write("a.md", "one", expected_version=None)
        (ours_,) = fake.client().memories.list().memories
        fake.client().memories.add(
            agent_id="assistant", content="x", tags=ours_.tags, metadata={"record": "put", "item": "[1]", "sequence": 1}
        )
        with pytest.raises(ResponseDecodeError, match="holds no path"):
            await store.read("a.md", max_chars=10)

    run(program)


def test_settings_are_checked_when_a_store_is_made(fake):
    with pytest.raises(InvalidRequestError, match="agent_id"):
        store_of(fake, agent_id="4f5b")
    with pytest.raises(InvalidRequestError, match="wait_timeout"):
        store_of(fake, wait_timeout=-1)
    with pytest.raises(ConfigurationError, match="accepts an AsyncMemtrace"):
        ours.MemtraceMemoryStore(fake.client(), agent_id="a")


# ---- with the harness


def test_an_agent_finds_its_notebook_after_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path}/memories.db"

    async def session(prompt, *turns):
        left, sent = list(turns), []

        def answer(history, info):
            sent.append(str(history))
            turn = left.pop(0)
            part = messages.TextPart(turn) if isinstance(turn, str) else messages.ToolCallPart(*turn)
            return messages.ModelResponse(parts=[part])

        async with AsyncMemtrace(url) as client:
            metadata = {"write_metadata": {"by": "the model"}} if hasattr(memory, "MetadataMemoryStore") else {}
            store = ours.MemtraceMemoryStore(client, agent_id="assistant")
            notebook = memory.Memory(store, namespace="ines", **metadata)
            agent = pydantic_ai.Agent(function.FunctionModel(answer), capabilities=[notebook])
            await agent.run(prompt)
        return sent

    run(
        session,
        "I drink tea.",
        ("write_memory", {"content": "Drinks tea."}),
        ("write_memory", {"content": "Drinks green tea.", "old_text": "Drinks tea."}),
        ("search_memory", {"query": "tea"}),
        "Noted.",
    )
    first, *_ = run(session, "What do I drink?", "Green tea.")
    assert "Drinks green tea." in first
