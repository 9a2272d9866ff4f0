"""What the store keeps beyond the published contracts."""

from __future__ import annotations

import asyncio
import json

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import BatchError, DeadlineExceededError, InvalidRequestError
from memtrace.middleware import call
from memtrace_transports.memory import Fault
from tests.dealing import VISIBILITIES, by_visibility
from tests.integrations.claude_agent_sdk.stores import KEY, entry, fake_server, run, store_on
from tests.lazily import Lazily
from tests.sampling import is_whole, sample

pytestmark = pytest.mark.framework

ours = Lazily("memtrace.integrations.claude_agent_sdk")
sdk = Lazily("claude_agent_sdk")

SESSION = "7f3c1a52-8a1e-4f6e-9d0b-2f1f6a1c9e10"


# ---- entries


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), min_size=1, max_size=4))
def test_every_entry_comes_back_as_it_was(values):
    entries = [{"type": "x", "value": value} for value in values]

    async def round_trip():
        fake = fake_server()
        await store_on(fake).append(KEY, entries)
        return await store_on(fake).load(KEY)

    assert asyncio.run(round_trip()) == entries


def test_half_a_character_comes_back(fake):
    halves = [entry(0, text="\ud83d"), entry(1, text="\ude00 and é")]

    async def round_trip():
        await store_on(fake).append(KEY, halves)
        return await store_on(fake).load(KEY)

    assert run(round_trip) == halves


@pytest.mark.slow
@pytest.mark.parametrize("fake", sample(VISIBILITIES, 1), indirect=True)
def test_an_entry_larger_than_a_request_comes_back(fake):
    large = entry(1, text='é"\\😀' * (1_100_000 if is_whole() else 600_000))

    async def round_trip():
        await store_on(fake).append(KEY, [entry(0), large, entry(2)])
        return await store_on(fake).load(KEY)

    assert run(round_trip) == [entry(0), large, entry(2)]


@pytest.mark.parametrize("fake", sample(VISIBILITIES, 1), indirect=True)
def test_an_append_of_which_a_part_is_missing_never_happened(fake):
    async def append():
        store = store_on(fake)
        await store.append(KEY, [entry(0)])
        fake.faults.add(Fault("status", on="memories.add_many", status=500, nth=2))
        with pytest.raises(BatchError):
            await store.append(KEY, [entry(1, text="x" * 9_000_000)])
        fake.faults.assert_all_used()
        await store.append(KEY, [entry(2)])
        assert fake.client("acme").memories.list().count > 2
        return await store_on(fake).load(KEY)

    assert run(append) == [entry(0), entry(2)]


def test_equal_entries_without_a_uuid_are_all_kept_and_with_one_the_first(fake):
    async def append():
        store = store_on(fake)
        for _ in range(2):
            await store.append(KEY, [entry(0), entry(0), entry(1, uuid="u"), entry(2, uuid=3)])
        return await store.load(KEY)

    once = [entry(0), entry(0), entry(1, uuid="u"), entry(2, uuid=3)]
    assert run(append) == once + [entry(0), entry(0), entry(2, uuid=3)]


def test_an_append_whose_answer_is_lost_is_stored_once(fake):
    async def append():
        fake.faults.add(Fault("reset", on="memories.add*", applied=True))
        await store_on(fake).append(KEY, [entry(0)])
        return await store_on(fake).load(KEY)

    assert run(append) == [entry(0)]


def test_what_cannot_be_read_in_time_is_an_error_and_appended_again_kept_once():
    fake = fake_server("server")

    async def append():
        entries = [entry(0, uuid="a")]
        with pytest.raises(DeadlineExceededError):
            await store_on(fake, wait_timeout=0).append(KEY, entries)
        await store_on(fake).append(KEY, entries)
        return await store_on(fake).load(KEY)

    assert run(append) == [entry(0, uuid="a")]


@by_visibility("entries", [[{"type": "x", "n": {1}}], [{"type": "x", "n": object()}]])
def test_what_is_no_json_is_refused_and_nothing_stored(fake, entries):
    async def append():
        with pytest.raises(TypeError):
            await store_on(fake).append(KEY, entries)
        return await store_on(fake).load(KEY)

    assert run(append) is None


def test_nothing_appended_makes_no_call():
    fake = fake_server()
    run(lambda: store_on(fake).append(KEY, []))
    assert len(fake.calls) == 0


def test_memories_of_somebody_else_in_the_session_are_passed_over(fake):
    async def append():
        store = store_on(fake)
        await store.append(KEY, [entry(0)])
        session = fake.client("acme").sessions.list().sessions[0]
        fields = {"agent_id": session.agent_id, "session_id": session.id, "content": "hello"}
        fake.client("acme").memories.add(**fields)
        fake.client("acme").memories.add(wait=True, **fields, event_type="transcript")
        return await store.load(KEY)

    assert run(append) == [entry(0)]


def test_the_order_of_one_writer_holds_whatever_the_servers_clocks_say():
    fake = fake_server()

    async def append():
        store = store_on(fake)
        await store.append(KEY, [entry(0)])
        session = fake.client("acme").sessions.list().sessions[0]
        row = fake.client("acme").memories.list().memories[0]
        later = {**row.metadata, "append": "later", "number": 1}
        place = {"agent_id": session.agent_id, "session_id": session.id, "event_type": "transcript"}
        content = '{"type":"x","n":1}'
        fake.seed("acme", [{**place, "content": content, "metadata": later, "dedup_key": "later", "age_s": 5}])
        return await store.load(KEY)

    assert run(append) == [entry(0), entry(1)]


# ---- several at once


def waiting(request, call_next):
    """Lets other tasks run before each call, as a network does."""
    yield from call(anyio.sleep, 0)
    return (yield from call_next(request))


def test_appends_at_the_same_time_lose_neither_entries_nor_titles(fake, backend):
    async def append():
        store = ours.MemtraceSessionStore(fake.async_client("acme", middleware=[waiting]))
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(store.append, KEY, [entry(number, **{"customTitle" if number % 2 else "tag": "t"})])
        (summary,) = await store.list_session_summaries("proj")
        return await store.load(KEY), summary["data"]["custom_title"], len(fake.client("acme").sessions.list().sessions)

    entries, title, sessions = run(append, backend)
    assert sorted(each["n"] for each in entries) == list(range(8))
    assert (title, sessions) == ("t", 1)


def test_two_processes_that_begin_one_transcript_at_the_same_time_are_read_together(fake):
    async def append():
        first, second = store_on(fake), store_on(fake)
        transcript = await first._transcript_index.create(KEY)
        await second._transcript_index.create(KEY)
        first._written["proj", "sess", None] = transcript.id
        other = await second._transcript_index.find(KEY)
        assert other[0].id == transcript.id  # where a third process would write
        second._written["proj", "sess", None] = other[1].id
        await first.append(KEY, [entry(0)])
        await second.append(KEY, [entry(1)])
        await first.append(KEY, [entry(2)])
        third = store_on(fake)
        assert [each["session_id"] for each in await third.list_sessions("proj")] == ["sess"]
        assert await third.list_session_summaries("proj") == []
        loaded = await third.load(KEY)
        await third.delete(KEY)
        assert await first.load(KEY) is None
        return loaded

    assert run(append) == [entry(0), entry(1), entry(2)]


def test_a_transcript_that_another_process_has_deleted_begins_anew(fake):
    async def append():
        store, other = store_on(fake), store_on(fake)
        await store.append(KEY, [entry(0, customTitle="old")])
        await other.delete(KEY)
        assert await store.load(KEY) is None
        await store.append(KEY, [entry(1)])
        (summary,) = await other.list_session_summaries("proj")
        assert "custom_title" not in summary["data"]
        return await other.load(KEY)

    assert run(append) == [entry(1)]


def test_a_session_that_has_no_entries_yet_is_listed_without_a_summary(fake):
    async def listed():
        store = store_on(fake)
        await store._transcript_index.create(KEY)
        assert await store.load(KEY) is None
        return await store.list_sessions("proj"), await store.list_session_summaries("proj")

    sessions, summaries = run(listed)
    assert ([each["session_id"] for each in sessions], summaries) == (["sess"], [])


def test_sessions_and_agents_of_others_are_none_of_the_stores(fake):
    async def listed():
        client = fake.client("acme")
        await store_on(fake).append(KEY, [entry(0)])
        client.sessions.create(agent_id=client.agents.list().agents[0].id)
        client.agents.register(name="proj")
        other = store_on(fake, prefix="other:")
        assert await other.load(KEY) is None
        return [each["session_id"] for each in await store_on(fake).list_sessions("proj")]

    assert run(listed) == ["sess"]


def test_a_store_remembers_where_it_writes_for_a_bounded_number_of_transcripts(fake, monkeypatch):
    monkeypatch.setattr("memtrace.integrations.claude_agent_sdk._session_store._KNOWN", 2)

    async def append():
        store = store_on(fake)
        for _ in range(2):
            for number in range(4):
                await store.append({**KEY, "session_id": str(number)}, [entry(number)])
        assert len(store._written) == 2
        return [await store.load({**KEY, "session_id": str(number)}) for number in range(4)]

    assert run(append) == [[entry(number)] * 2 for number in range(4)]


@pytest.mark.parametrize(("field", "settings"), [("prefix", {"prefix": ""}), ("wait_timeout", {"wait_timeout": -1})])
def test_settings_are_checked_when_a_store_is_made(field, settings):
    with pytest.raises(InvalidRequestError) as caught:
        store_on(fake_server(), **settings)
    assert caught.value.field == field


# ---- with the SDK's own functions


def message(uuid, parent, text, role="user"):
    return {
        "type": role,
        "uuid": uuid,
        "parentUuid": parent,
        "sessionId": SESSION,
        "timestamp": "2026-01-01T00:00:00.000Z",
        "message": {"role": role, "content": text},
    }


def test_the_sdks_functions_find_name_tag_fork_and_delete_a_session(fake, tmp_path, backend):
    key = {"project_key": sdk.project_key_for_directory(tmp_path), "session_id": SESSION}
    where = {"directory": str(tmp_path)}
    first = "11111111-1111-4111-8111-111111111111"
    second = "22222222-2222-4222-8222-222222222222"

    async def use():
        store = store_on(fake)
        await store.append(key, [message(first, None, "Remember that I like tea")])
        await store.append(key, [message(second, first, "Noted.", "assistant")])
        await store.append({**key, "subpath": "subagents/agent-a1"}, [entry(0)])
        messages = await sdk.get_session_messages_from_store(store, SESSION, **where)
        assert [each.message["content"] for each in messages] == ["Remember that I like tea", "Noted."]
        assert await sdk.list_subagents_from_store(store, SESSION, **where) == ["a1"]
        await sdk.rename_session_via_store(store, SESSION, "Tea", **where)
        await sdk.tag_session_via_store(store, SESSION, "drinks", **where)
        (info,) = await sdk.list_sessions_from_store(store, **where)
        assert (info.summary, info.tag, info.first_prompt) == ("Tea", "drinks", "Remember that I like tea")
        forked = await sdk.fork_session_via_store(store, SESSION, **where)
        assert len(await sdk.get_session_messages_from_store(store, forked.session_id, **where)) == 2
        await sdk.delete_session_via_store(store, SESSION, **where)
        return [each.session_id for each in await sdk.list_sessions_from_store(store, **where)] == [forked.session_id]

    assert run(use, backend)


def test_a_session_on_the_disk_is_imported_and_importing_it_again_changes_nothing(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    project = tmp_path / "config" / "projects" / sdk.project_key_for_directory(tmp_path)
    project.mkdir(parents=True)
    lines = [message(f"{n:08}-1111-4111-8111-111111111111", None, f"Step {n}") for n in range(5)]
    (project / f"{SESSION}.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")

    async def twice():
        store = store_on(fake)
        for _ in range(2):
            await sdk.import_session_to_store(SESSION, store, directory=str(tmp_path), batch_size=2)
        return await store_on(fake).load({"project_key": project.name, "session_id": SESSION})

    assert run(twice) == lines
