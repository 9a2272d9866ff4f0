"""The session service and the memory service for Google's Agent Development Kit, against that kit and the fake."""

from __future__ import annotations

import asyncio
import traceback
from datetime import datetime, timezone

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memtrace import (
    APIConnectionError,
    AsyncMemtrace,
    ConfigurationError,
    InvalidRequestError,
    PayloadTooLargeError,
    ResponseDecodeError,
)
from memtrace_transports.memory import Fault
from tests.dealing import by_visibility
from tests.examples.programs import run_example
from tests.faces import ONCE
from tests.integrations.values import JSON, TEXTS, VISIBILITIES, fake_of, run
from tests.lazily import Lazily

# of opentelemetry, which these frameworks import, on Python 3.10
pytestmark = [pytest.mark.framework, pytest.mark.filterwarnings("ignore:SelectableGroups:DeprecationWarning")]

adk_agents = Lazily("google.adk.agents")
adk_errors = Lazily("google.adk.errors._stale_session_error")
adk_exists = Lazily("google.adk.errors.already_exists_error")
adk_missing = Lazily("google.adk.errors.session_not_found_error")
adk_events = Lazily("google.adk.events")
adk_factory = Lazily("google.adk.cli.utils.service_factory")
adk_memory = Lazily("google.adk.memory.memory_entry")
adk_models = Lazily("google.adk.models")
adk_runners = Lazily("google.adk.runners")
adk_sessions = Lazily("google.adk.sessions")
adk_config = Lazily("google.adk.sessions.base_session_service")
adk_tools = Lazily("google.adk.tools.preload_memory_tool")
google_adk = Lazily("memtrace.integrations.google_adk")
genai = Lazily("google.genai.types")

WHO = {"app_name": "tea shop", "user_id": "user:42"}


def sessions_of(fake, **options):
    more = {"retry": ONCE} if options.pop("once", False) else {}
    return google_adk.MemtraceSessionService(fake.async_client(**more), **options)


def memory_of(fake, **options):
    return google_adk.MemtraceMemoryService(fake.async_client(), **options)


def content(text, role="user"):
    return genai.Content(role=role, parts=[genai.Part(text=text)])


def event(text="Hello", author="user", **more):
    delta = more.pop("state", {})
    return adk_events.Event(
        invocation_id="i",
        author=author,
        content=content(text),
        actions=adk_events.EventActions(state_delta=delta),
        **more,
    )


def texts(events):
    return [each.content.parts[0].text for each in events]


# ---- sessions


class Visits(RuleBasedStateMachine):
    """The service does what the kit's own services do, whoever of two clients writes."""

    @initialize(visibility=VISIBILITIES)
    def start(self, visibility):
        fake = fake_of(visibility)
        self.ours = [sessions_of(fake), sessions_of(fake)]
        self.theirs = adk_sessions.InMemorySessionService()
        self.time = 1_800_000_000.0

    def both(self, who, method, **arguments):
        results = []
        for service in (self.ours[who], self.theirs):
            try:
                results.append(asyncio.run(getattr(service, method)(**arguments)))
            except adk_exists.AlreadyExistsError as error:
                results.append(str(error))
        return results

    @rule(
        who=st.integers(0, 1),
        user=st.sampled_from("ab"),
        name=st.sampled_from([" 1 ", "2"]),
        state=st.dictionaries(st.sampled_from(["app:x", "user:x", "temp:x", "x", "y"]), JSON, max_size=3),
    )
    def create(self, who, user, name, state):
        # the kit's in-memory service has them in the session that it gives, and no other has
        state = {key: value for key, value in state.items() if not key.startswith("temp:")}
        ours, theirs = self.both(who, "create_session", app_name="app", user_id=user, session_id=name, state=state)
        if isinstance(ours, str) or isinstance(theirs, str):
            assert ours == theirs
        else:
            assert (ours.id, ours.user_id, ours.state) == (theirs.id, theirs.user_id, theirs.state)

    @rule(
        who=st.integers(0, 1),
        user=st.sampled_from("ab"),
        name=st.sampled_from("12"),
        text=TEXTS,
        state=st.dictionaries(st.sampled_from(["app:x", "user:x", "temp:x", "x", "y"]), JSON, max_size=3),
    )
    def append(self, who, user, name, text, state):
        ours, theirs = self.both(who, "get_session", app_name="app", user_id=user, session_id=name)
        assert (ours is None) == (theirs is None)
        if ours is None:
            return
        self.time += 1000  # later than what was created
        made = event(text, state=state, timestamp=self.time)
        for service, session in ((self.ours[who], ours), (self.theirs, theirs)):
            given = asyncio.run(service.append_event(session, made.model_copy(deep=True)))
            assert "temp:x" not in given.actions.state_delta
            assert session.last_update_time == self.time
        assert ours.state == theirs.state
        assert ours.events == theirs.events

    @rule(who=st.integers(0, 1), user=st.sampled_from("ab"), name=st.sampled_from("12"))
    def delete(self, who, user, name):
        self.both(who, "delete_session", app_name="app", user_id=user, session_id=name)

    @invariant()
    def reads_the_same(self):
        if not hasattr(self, "ours"):
            return
        for user in "ab":
            for name in "12":
                ours, theirs = self.both(0, "get_session", app_name="app", user_id=user, session_id=name)
                assert (ours and (ours.state, ours.events)) == (theirs and (theirs.state, theirs.events))
            ours, theirs = self.both(1, "get_user_state", app_name="app", user_id=user)
            assert ours == theirs
        for user in ("a", None):
            ours, theirs = self.both(0, "list_sessions", app_name="app", user_id=user)
            assert {(each.user_id, each.id): (each.state, each.events) for each in ours.sessions} == {
                (each.user_id, each.id): (each.state, each.events) for each in theirs.sessions
            }


TestVisits = Visits.TestCase
TestVisits.settings = settings(stateful_step_count=8)


def test_sessions_are_listed_by_their_last_update(fake):
    async def program():
        service = sessions_of(fake)
        made = [await service.create_session(**WHO, session_id=name) for name in "abc"]
        await service.append_event(made[0], event(timestamp=made[2].last_update_time + 1))
        return [session.id for session in (await service.list_sessions(**WHO)).sessions]

    assert run(program) == ["b", "c", "a"]


def test_a_session_gets_a_unique_id(fake):
    async def program():
        service = sessions_of(fake)
        return [(await service.create_session(**WHO, session_id=name)).id for name in (None, "", "  ")]

    assert len(set(run(program))) == 3


def test_a_read_gives_the_events_that_are_asked_for(fake):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO, session_id="s")
        start = session.last_update_time
        for n in range(5):
            await service.append_event(session, event(str(n), timestamp=start + n, state={"n": n}))
        for config, found in (
            ({"num_recent_events": 2}, ["3", "4"]),
            ({"num_recent_events": 0}, []),
            ({"num_recent_events": 9}, ["0", "1", "2", "3", "4"]),
            ({"after_timestamp": start + 3}, ["3", "4"]),
            ({"after_timestamp": start + 2, "num_recent_events": 1}, ["4"]),
        ):
            read = await service.get_session(**WHO, session_id=" s ", config=adk_config.GetSessionConfig(**config))
            assert texts(read.events) == found
            assert read.state == {"n": 4}

    run(program)


def test_an_event_is_stored_in_one_memory_that_people_can_read(fake):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO, session_id="s")
        parts = [
            genai.Part(text="Let me look"),
            genai.Part(function_call=genai.FunctionCall(name="weather", args={"city": "Oslo"})),
            genai.Part(function_response=genai.FunctionResponse(name="weather", response={"result": "rain"})),
            genai.Part(inline_data=genai.Blob(data=b"\x89PNG", mime_type="image/png")),
        ]
        made = adk_events.Event(author="model", content=genai.Content(role="model", parts=parts))
        await service.append_event(session, made)
        await service.append_event(session, adk_events.Event(author="wai ter", timestamp=made.timestamp + 1))
        return made, await service.get_session(**WHO, session_id="s")

    made, read = run(program)
    assert read.events[0] == made
    rows = fake.client().memories.list(limit=10, order="asc").memories
    assert [row.event_type for row in rows] == ["session_created", "model_message", "item"]
    assert rows[1].content == "Let me look\nweather({'city': 'Oslo'})\nweather: {'result': 'rain'}"
    assert rows[2].content.startswith('{"session": "')
    assert {row.tags[0] for row in rows} == {"google-adk"}


def test_a_partial_event_is_not_stored(fake):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO, session_id="s")
        await service.append_event(session, event(partial=True))
        return (await service.get_session(**WHO, session_id="s")).events

    assert run(program) == []


# ---- bad input, other writers, failures


@by_visibility("bad", [object(), float("nan"), {1, object()}])
def test_a_state_that_json_cannot_hold_is_refused_before_anything_is_sent(fake, bad):
    async def program():
        service = sessions_of(fake)
        with pytest.raises(InvalidRequestError, match="state must be") as caught:
            await service.create_session(**WHO, session_id="s", state={"x": bad})
        assert isinstance(caught.value, ValueError)
        session = await service.create_session(**WHO, session_id="s")
        with pytest.raises(InvalidRequestError, match="event"):
            await service.append_event(session, event(state={"x": bad}))
        assert session.events == (await service.get_session(**WHO, session_id="s")).events == []

    run(program)


def test_a_state_may_have_what_the_kit_writes_as_json(fake):
    async def program():
        service = sessions_of(fake)
        state = {
            "day": datetime(2026, 5, 4, tzinfo=timezone.utc),
            "entry": adk_memory.MemoryEntry(content=content("a")),
        }
        session = await service.create_session(**WHO, session_id="s", state=state)
        await service.append_event(session, event(state=state))
        return (await service.get_session(**WHO, session_id="s")).state

    state = run(program)
    assert state["day"] == "2026-05-04T00:00:00Z"
    assert state["entry"]["content"]["parts"][0]["text"] == "a"


def test_an_output_that_json_cannot_hold_is_refused(fake):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO)
        with pytest.raises(InvalidRequestError, match="event must be values that JSON can hold"):
            await service.append_event(session, event(output=object()))

    run(program)


def test_an_event_of_5_mb_is_refused_before_anything_is_sent(fake):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO, session_id="s")
        with pytest.raises(PayloadTooLargeError):
            await service.append_event(session, event("b" * 5_000_000, state={"x": 1}))
        assert (session.events, session.state) == ([], {})
        assert (await service.get_session(**WHO, session_id="s")) == session

    run(program)


@pytest.mark.parametrize("text", ["a\x00b", "half \ud83d"])
def test_any_characters_come_back(fake, text):
    async def program():
        service = sessions_of(fake)
        names = {"app_name": f"app {text}", "user_id": text, "session_id": text}
        session = await service.create_session(**names, state={text: text})
        await service.append_event(session, event(text, state={"user:x": text}))
        read = await service.get_session(**names)
        return (
            read.id,
            texts(read.events),
            read.state,
            len((await service.list_sessions(app_name=f"app {text}")).sessions),
        )

    assert run(program) == (text, [text], {text: text, "user:x": text}, 1)


@pytest.mark.parametrize("name", ["app_name", "user_id", "session_id"])
def test_an_empty_name_is_refused(fake, name):
    names = {**WHO, "session_id": "s", name: ""}
    with pytest.raises(InvalidRequestError, match=name):
        run(lambda: sessions_of(fake).get_session(**names))


def test_a_session_that_is_gone_takes_no_event(fake):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO, session_id="s")
        await service.delete_session(**WHO, session_id="s")
        await service.delete_session(**WHO, session_id="never")
        with pytest.raises(adk_missing.SessionNotFoundError):
            await service.append_event(session, event())
        again = await service.create_session(**WHO, session_id="s")
        await service.append_event(again, event("again"))
        return texts((await service.get_session(**WHO, session_id="s")).events)

    assert run(program) == ["again"]


def test_a_writer_that_did_not_see_the_last_event_is_told(fake):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO, session_id="s")
        stale = await service.get_session(**WHO, session_id="s")
        await service.append_event(session, event("one", timestamp=session.last_update_time + 1))
        with pytest.raises(adk_errors.StaleSessionError):
            await service.append_event(stale, event("two", state={"x": 1}))
        assert (stale.events, stale.state) == ([], {})
        return texts((await service.get_session(**WHO, session_id="s")).events)

    assert run(program) == ["one"]


def test_two_that_create_one_session_at_once_get_one():
    async def program(visibility):
        fake = fake_of(visibility)
        made = await asyncio.gather(
            *(sessions_of(fake).create_session(**WHO, session_id="s", state={"by": n}) for n in range(4)),
            return_exceptions=True,
        )
        (session,) = [each for each in made if isinstance(each, adk_sessions.Session)]
        assert sum(isinstance(each, adk_exists.AlreadyExistsError) for each in made) == 3
        assert (await sessions_of(fake).get_session(**WHO, session_id="s")).state == session.state

    for visibility in ("immediate", "server"):
        run(program, visibility)


@pytest.mark.parametrize("seconds", [0, 5])
def test_an_event_that_is_appended_again_is_stored_once(fake, seconds):
    async def program():
        service = sessions_of(fake, once=True)
        session = await service.create_session(**WHO, session_id="s")
        made = event(state={"n": 1}, timestamp=session.last_update_time + 1)
        fake.faults.add(Fault("reset", on="memories.add_many", applied=True))
        with pytest.raises(APIConnectionError):
            await service.append_event(session, made)
        assert (session.events, session.state) == ([], {})
        fake.clock.sleep(seconds)
        await service.append_event(session, made)
        assert session == await service.get_session(**WHO, session_id="s")
        assert len(session.events) == 1

    run(program)
    fake.faults.assert_all_used()


def test_a_store_that_is_down_raises_and_stores_nothing(fake):
    async def program():
        service = sessions_of(fake, once=True)
        session = await service.create_session(**WHO, session_id="s")
        calls = [
            lambda: service.create_session(**WHO, session_id="t", state={"app:x": 1}),
            lambda: service.append_event(session, event(state={"app:x": 1})),
            lambda: service.get_session(**WHO, session_id="s"),
            lambda: service.list_sessions(**WHO),
            lambda: service.delete_session(**WHO, session_id="s"),
        ]
        for call in calls:
            fake.faults.add(Fault("refused"))
            with pytest.raises(APIConnectionError) as caught:
                await call()
            assert isinstance(caught.value, ConnectionError)
        assert (await service.list_sessions(**WHO)).sessions == [session]
        assert (session.events, session.state) == ([], {})

    run(program)


def test_a_cancelled_append_is_stored_or_not_and_can_be_tried_again(tmp_path):
    class Cancelling:
        """Cancels the task that writes."""

        done = False

        def __call__(self, request, call_next):
            if request.operation.startswith("memories.add") and not self.done:
                self.done = True
                asyncio.current_task().cancel()
            return (yield from call_next(request))

    async def program():
        async with AsyncMemtrace(f"sqlite:///{tmp_path / 'agent.db'}") as client:
            service = google_adk.MemtraceSessionService(client)
            session = await service.create_session(**WHO, session_id="s")
            made = event(state={"n": 1}, timestamp=session.last_update_time + 1)
            cancelled = google_adk.MemtraceSessionService(client.with_options(middleware=[Cancelling()]))
            with pytest.raises(asyncio.CancelledError):
                await asyncio.ensure_future(cancelled.append_event(session, made))
            assert (session.events, session.state) == ([], {})
            await service.append_event(session, made)
            return session, await service.get_session(**WHO, session_id="s")

    session, read = run(program)
    assert session == read
    assert len(read.events) == 1


ODD = [
    ("event", "[1]"),
    ("event", '{"event": {"actions": []}}'),
    ("event", '{"event": {"actions": {"state_delta": {}}}, "session": "s"}'),
    ("created", '{"user": "user:42"}'),
]


@by_visibility("kind, item", ODD)
def test_a_record_of_another_program_that_is_none_is_named(fake, kind, item):
    async def program():
        service = sessions_of(fake)
        session = await service.create_session(**WHO, session_id="s")
        (row,) = fake.client().memories.list(limit=1).memories
        metadata = {"record": kind, "item": item, "sequence": 10**9}
        place = {"agent_id": row.agent_id, "session_id": row.session_id, "tags": row.tags}
        fake.client().memories.add(**place, content="odd", metadata=metadata, wait=True)
        for call in (service.get_session(**WHO, session_id="s"), service.append_event(session, event())):
            if kind == "created" and call.__name__ == "get_session":
                call.close()  # the earlier one counts
                continue
            with pytest.raises(ResponseDecodeError, match="a record of google-adk"):
                await call

    run(program)


def test_an_event_of_another_program_that_is_none_is_named_without_its_content(fake):
    async def program():
        service = sessions_of(fake)
        await service.create_session(**WHO, session_id="s")
        (row,) = fake.client().memories.list(limit=1).memories
        odd = '{"session": "x", "event": {"timestamp": 1, "content": "secret"}}'
        place = {"agent_id": row.agent_id, "session_id": row.session_id, "tags": row.tags}
        metadata = {"record": "event", "item": odd, "sequence": 10**9}
        fake.client().memories.add(**place, content="odd", metadata=metadata, wait=True)
        with pytest.raises(ResponseDecodeError, match="a record of google-adk holds no event") as caught:
            await service.get_session(**WHO, session_id="s")
        assert "secret" not in "".join(traceback.format_exception(caught.value))

    run(program)


def test_without_waiting_a_session_is_given_at_once():
    fake = fake_of("server")

    async def program():
        service = sessions_of(fake, wait_timeout=None)
        session = await service.create_session(**WHO, session_id="s", state={"x": 1, "temp:y": 2})
        assert (session.id, session.state) == ("s", {"x": 1})
        fake.flush()
        await service.append_event(session, event())
        assert (await service.get_session(**WHO, session_id="s")).events == []
        fake.flush()
        return len((await service.get_session(**WHO, session_id="s")).events)

    assert run(program) == 1


def test_arguments_are_checked_when_a_service_is_made(fake):
    for make in (google_adk.MemtraceSessionService, google_adk.MemtraceMemoryService):
        with pytest.raises(ConfigurationError, match=f"{make.__name__} accepts an AsyncMemtrace"):
            make(fake.client())
        with pytest.raises(InvalidRequestError, match="wait_timeout"):
            make(fake.async_client(), wait_timeout=-1)
    with pytest.raises(InvalidRequestError, match="limit"):
        memory_of(fake, limit=0)


# ---- memory


async def found(service, query, **who):
    response = await service.search_memory(**{**WHO, **who}, query=query)
    return [memory.content.parts[0].text for memory in response.memories]


def test_what_a_session_says_is_found_by_relevance_once(fake):
    async def program():
        sessions, service = sessions_of(fake), memory_of(fake)
        session = await sessions.create_session(**WHO, session_id="s")
        for text in ("I like green tea", "My cat is called Mio"):
            await sessions.append_event(session, event(text))
        await sessions.append_event(session, adk_events.Event(author="model"))
        await service.add_session_to_memory(session)
        await sessions.append_event(session, event("I drink tea at night"))
        fake.clock.sleep(2 * 86400)  # longer than the server knows duplicates
        for _ in range(2):
            await service.add_session_to_memory(session)
        assert (await found(service, "Mio the cat"))[0] == "My cat is called Mio"
        assert sorted((await found(service, "which tea?"))[:2]) == ["I drink tea at night", "I like green tea"]
        assert await found(service, "which tea?", user_id="other") == []
        assert await found(service, "which tea?", app_name="other") == []
        assert await found(service, "  ") == await found(service, "zebra") == []
        memory = (await service.search_memory(**WHO, query="cat")).memories[0]
        assert (memory.id, memory.author) == (session.events[1].id, "user")
        assert memory.timestamp.endswith("+00:00")
        agent = google_adk.agent_id_for(**WHO)
        assert len(fake.client().memories.list(agent_id=agent)) == 3

    run(program)


def test_without_waiting_a_memory_is_found_later():
    fake = fake_of("server")

    async def program():
        service = memory_of(fake, wait_timeout=None)
        await service.add_events_to_memory(**WHO, events=[event("I like tea")])
        before = await found(service, "tea")
        fake.flush()
        return before, await found(service, "tea")

    assert run(program) == ([], ["I like tea"])


def test_a_search_gives_as_many_as_asked_for(fake):
    async def program():
        service = memory_of(fake, limit=3)
        await service.add_events_to_memory(**WHO, events=[event(f"tea {n}") for n in range(60)])
        for memory in (await service.search_memory(**WHO, query="tea")).memories:
            await service.delete_memory(**WHO, memory_id=memory.id)
        return len(await found(service, "tea"))

    assert run(program) == 3


def test_memories_can_be_added_and_deleted_by_id(fake):
    async def program():
        service = memory_of(fake)
        entry = adk_memory.MemoryEntry
        await service.add_memory(
            **WHO,
            memories=[
                entry(id="a", content=content("tea with milk"), author="Ines", custom_metadata={"own": 1}),
                entry(content=content("tea with honey")),
                entry(id="none", content=genai.Content(parts=[])),
            ],
            custom_metadata={"own": 2, "shared": 3},
        )
        await service.add_memory(**WHO, memories=[entry(id="a", content=content("tea with milk, again"))])
        await service.add_memory(**WHO, memories=[])
        memories = {
            each.content.parts[0].text: each for each in (await service.search_memory(**WHO, query="tea")).memories
        }
        assert memories.keys() == {"tea with milk", "tea with honey"}
        assert memories["tea with milk"].custom_metadata == {"own": 1, "shared": 3}
        assert memories["tea with honey"].id
        await service.delete_memory(**WHO, memory_id="a")
        await service.delete_memory(**WHO)
        await service.add_memory(**WHO, memories=[entry(id="a", content=content("tea with milk"))])
        return await found(service, "tea")

    assert run(program) == ["tea with honey"]
    types = {row.event_type for row in fake.client().memories.list(agent_id=google_adk.agent_id_for(**WHO))}
    assert types == {"Ines_message", "memory", "memory_deleted"}


def test_what_other_programs_remember_is_found_and_other_records_are_not(fake):
    async def program():
        service, agent = memory_of(fake), google_adk.agent_id_for(**WHO)
        memory = fake.client().remember(agent, "Prefers tea", metadata={"source": "form"})
        fake.client().memories.add(
            agent_id=agent,
            content="tea of a chat",
            tags=["langchain"],
            metadata={"record": "item", "item": "1", "sequence": 1},
        )
        fake.client().memories.add(
            agent_id=agent,
            content="tea deleted",
            tags=["google-adk-memory", "google-adk-removed"],
            metadata={"record": "removed", "item": "1", "sequence": 1},
        )
        fake.flush()
        (entry,) = (await service.search_memory(**WHO, query="tea")).memories
        assert (entry.content.parts[0].text, entry.custom_metadata) == ("Prefers tea", {"source": "form"})
        assert entry.timestamp == memory.occurred_at.isoformat()
        await service.delete_memory(**WHO, memory_id=entry.id)
        return await found(service, "tea")

    assert run(program) == []


def test_a_memory_of_another_program_that_is_none_is_named(fake):
    agent = google_adk.agent_id_for(**WHO)
    metadata = {"record": "memory", "item": "1", "sequence": 1}
    fake.client().memories.add(agent_id=agent, content="tea", tags=["google-adk-memory"], metadata=metadata)
    fake.flush()
    with pytest.raises(ResponseDecodeError, match="google-adk-memory"):
        run(lambda: memory_of(fake).search_memory(**WHO, query="tea"))


def test_metadata_that_json_cannot_hold_is_refused(fake):
    with pytest.raises(InvalidRequestError, match=r"memories\[0\]"):
        run(lambda: memory_of(fake).add_events_to_memory(**WHO, events=[event()], custom_metadata={"x": object()}))


# ---- by URI


def test_the_kit_makes_the_services_by_uri(tmp_path, monkeypatch):
    google_adk.register_services()
    url = f"memtrace+sqlite:///{tmp_path / 'agent.db'}"

    async def program(uri):
        sessions = adk_factory.create_session_service_from_options(base_dir=tmp_path, session_service_uri=uri)
        memory = adk_factory.create_memory_service_from_options(base_dir=tmp_path, memory_service_uri=uri)
        if not (await sessions.list_sessions(**WHO)).sessions:
            session = await sessions.create_session(**WHO, session_id="s")
            await sessions.append_event(session, event("I like tea"))
            await memory.add_session_to_memory(session)
        answer = await found(memory, "tea")
        await sessions.close()
        await memory.close()
        return answer

    assert run(program, url) == ["I like tea"]
    monkeypatch.setenv("MEMTRACE_BASE_URL", url.removeprefix("memtrace+"))
    assert run(program, "memtrace://") == ["I like tea"]


@pytest.mark.parametrize("uri", ["memtrace://host", "memtrace+ftp://host", "sqlite:///agent.db", "http://host"])
def test_a_uri_that_is_none_is_refused(uri):
    for make in (google_adk.session_service_from_uri, google_adk.memory_service_from_uri):
        with pytest.raises(ConfigurationError, match="a URI of Memtrace"):
            make(uri)


def test_an_option_that_a_service_has_not_is_refused():
    with pytest.raises(ConfigurationError, match="no option pool_size"):
        google_adk.session_service_from_uri("memtrace+memory://", agents_dir=".", pool_size=1)


# ---- with the kit's runner


def scripted(*parts):
    """A model that gives these parts, one a turn, and notes the texts that it was given."""
    left, requests = list(parts), []

    class Scripted(adk_models.BaseLlm):
        async def generate_content_async(self, llm_request, stream=False):  # noqa: FBT002  # the kit's signature
            requests.append(llm_request)
            yield adk_models.LlmResponse(content=genai.Content(role="model", parts=[left.pop(0)]))

    return Scripted(model="scripted"), requests


def weather(city: str) -> str:
    """The weather."""
    return f"rain in {city}"


@pytest.mark.filterwarnings("ignore:.EXPERIMENTAL:UserWarning")  # of the kit's older versions
def test_an_agent_remembers_after_a_restart(tmp_path):
    call = genai.Part(function_call=genai.FunctionCall(name="weather", args={"city": "Oslo"}))

    async def ask(question, session, *parts):
        """One process: another client, another runner."""
        model, requests = scripted(*parts)
        async with AsyncMemtrace(f"sqlite:///{tmp_path / 'agent.db'}") as client:
            memory = google_adk.MemtraceMemoryService(client)
            runner = adk_runners.Runner(
                app_name="app",
                agent=adk_agents.LlmAgent(
                    name="assistant", model=model, tools=[weather, adk_tools.PreloadMemoryTool()]
                ),
                session_service=google_adk.MemtraceSessionService(client),
                memory_service=memory,
                auto_create_session=True,
            )
            events = [
                each
                async for each in runner.run_async(user_id="ines", session_id=session, new_message=content(question))
            ]
            stored = await runner.session_service.get_session(app_name="app", user_id="ines", session_id=session)
            await memory.add_session_to_memory(stored)
        said = [part.text for each in requests[0].contents for part in each.parts if part.text]
        return events[-1].content.parts[0].text, said

    async def program():
        first, _ = await ask("How is the weather in Oslo?", "monday", call, genai.Part(text="Rain."))
        second, again = await ask("And what did I ask?", "monday", genai.Part(text="About Oslo."))
        third, other = await ask("Which weather did I ask about?", "tuesday", genai.Part(text="That of Oslo."))
        return [first, second, third], again, other

    answers, again, other = run(program)
    assert answers == ["Rain.", "About Oslo.", "That of Oslo."]
    assert {"How is the weather in Oslo?", "Rain.", "And what did I ask?"} <= set(again)
    assert "How is the weather in Oslo?" not in other
    assert any("How is the weather in Oslo?" in text for text in other)


@pytest.mark.slow
def test_the_example_remembers_from_one_run_to_the_next(tmp_path):
    def answer(question):
        return run_example("google_adk_agent.py", tmp_path, question).stdout

    assert answer("I am allergic to peanuts.") == "Noted.\n"
    assert "user: I am allergic to peanuts." in answer("May I eat peanuts?")
