"""A conversation in records: what both the session of the OpenAI Agents SDK and LangChain's history stand on."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memtrace import BatchError, InvalidRequestError, Memtrace
from memtrace.integrations._history import History, HistoryItem
from memtrace_transports.memory import Fault
from memtrace_transports.sqlite.maintenance import StoreFile
from tests.faces import ONCE
from tests.integrations.values import VISIBILITIES, fake_of


class Talk:
    """A history on a client, blocking."""

    def __init__(self, client, session_id="thread", wait_timeout=5.0):
        self.client = client
        self.history = History("test-format", "assistant", session_id, wait_timeout)

    def _run(self, workflow):
        return self.client._dispatcher.run(workflow)

    @property
    def clock(self):
        return self.client._dispatcher.settings.clock

    def add(self, *items):
        self._run(self.history.add([HistoryItem(json.dumps(item), "text", "note") for item in items], self.clock))

    def items(self, limit=None):
        return self._run(self.history.items(limit, self.clock))

    def pop(self):
        return self._run(self.history.pop(self.clock))

    def clear(self):
        self._run(self.history.clear(self.clock))


def test_items_are_given_oldest_first_and_a_limit_takes_the_newest(fake):
    talk = Talk(fake.client())
    talk.add("a", "b", "b", "c")
    talk.add("d")
    assert talk.items() == ["a", "b", "b", "c", "d"]
    assert talk.items(2) == ["c", "d"]
    assert talk.items(0) == []
    assert talk.items(100) == ["a", "b", "b", "c", "d"]


def test_a_limit_below_0_is_refused(fake):
    with pytest.raises(InvalidRequestError, match="limit must be 0 or more"):
        Talk(fake.client()).items(-1)


def test_the_last_item_is_taken_back_and_then_the_one_before(fake):
    talk = Talk(fake.client())
    talk.add("a", "a", "b")
    assert [talk.pop(), talk.pop()] == ["b", "a"]
    talk.add("c")
    assert talk.items() == ["a", "c"]
    assert [talk.pop(), talk.pop(), talk.pop()] == ["c", "a", None]


def test_clearing_takes_back_what_was_there_and_nothing_later(fake):
    talk = Talk(fake.client())
    talk.clear()
    talk.add("a", "b")
    talk.clear()
    assert talk.items() == []
    talk.add("c")
    assert talk.items() == talk.items(5) == ["c"]


def test_what_was_taken_back_stays_on_the_server_with_a_record_that_says_so(fake):
    talk = Talk(fake.client())
    talk.add("a", "b")
    talk.pop()
    talk.clear()
    rows = talk.client.sessions.memories("thread", order="asc").memories
    assert [row.event_type for row in rows] == ["note", "note", "item_removed", "history_cleared"]
    assert json.loads(rows[2].metadata["item"]) == rows[1].dedup_key


def test_histories_of_two_sessions_do_not_meet(fake):
    client = fake.client()
    one, two = Talk(client, "one"), Talk(client, "two")
    one.add("a")
    two.add("b")
    two.clear()
    assert (one.items(), two.items()) == (["a"], [])


def test_more_items_than_a_page_has_are_read(fake):
    talk = Talk(fake.client())
    talk.add(*range(1050))
    talk.pop()
    assert talk.items() == list(range(1049))
    assert talk.items(1040) == list(range(9, 1049))


def test_items_of_several_requests_are_added_all_or_none(fake):
    talk = Talk(fake.client(retry=ONCE))
    talk.add("before")
    fake.faults.add(Fault("refused", on="memories.add_many", nth=2))
    with pytest.raises(BatchError):
        talk.add(*range(150))
    assert talk.items() == ["before"]
    talk.add(*range(150))
    assert talk.items() == ["before", *range(150)]
    fake.faults.assert_all_used()


def test_an_item_that_another_took_back_in_the_same_moment_is_not_given_twice():
    fake = fake_of("immediate")
    talk = Talk(fake.client())
    talk.add("a", "b")
    last = talk.client.sessions.memories("thread", limit=1).memories[0]

    class Late:
        """Another process takes the item back between our read and our write."""

        def __call__(self, request, call_next):
            if request.operation == "memories.add" and not self.done:
                self.done = True
                Talk(fake.client()).pop()
            return (yield from call_next(request))

        done = False

    talk.client = talk.client.with_options(middleware=[Late()])
    assert talk.pop() == "a"
    assert talk.items() == []
    assert last.metadata["item"] == '"b"'


class Between:
    """Somebody does something before the first removal of a client is sent; it can be read at once."""

    def __init__(self, action):
        self.action = action
        self.is_done = False

    def __call__(self, request, call_next):
        if request.operation == "memories.add" and not self.is_done:
            self.is_done = True
            self.action()
        return (yield from call_next(request))


def between(talk, action):
    talk.client = talk.client.with_options(middleware=[Between(action)])


def test_what_was_cleared_before_its_removal_is_given_to_nobody(fake):
    talk, other = Talk(fake.client()), Talk(fake.client())
    talk.add("a", "b")
    between(talk, other.clear)
    assert talk.pop() is None
    assert other.items() == []


def test_clearing_after_a_removal_does_not_take_the_item_from_its_caller(fake):
    talk, other = Talk(fake.client()), Talk(fake.client())
    talk.add("a", "b")

    class After:
        """Somebody clears the conversation once a removal is stored."""

        def __call__(self, request, call_next):
            response = yield from call_next(request)
            if request.operation == "memories.add":
                other.clear()
            return response

    talk.client = talk.client.with_options(middleware=[After()])
    assert talk.pop() == "b"


def test_what_is_gone_when_its_removal_is_read_is_given_to_nobody(tmp_path):
    with Memtrace(tmp_path / "agent.db") as client:
        talk = Talk(client)
        talk.add("a")

        class Forgotten:
            """Somebody has the agent forgotten once a removal is stored."""

            def __call__(self, request, call_next):
                response = yield from call_next(request)
                if request.operation == "memories.list" and is_stored:
                    with StoreFile(f"sqlite:///{tmp_path / 'agent.db'}") as file:
                        file.forget("assistant")
                if request.operation == "memories.add":
                    is_stored.append(True)
                return response

        is_stored = []
        talk.client = client.with_options(middleware=[Forgotten()])
        assert talk.pop() is None


def test_callers_at_once_on_one_history_get_different_items(fake):
    talk = Talk(fake.client())
    talk.add(*range(12))
    with ThreadPoolExecutor(4) as pool:
        popped = [*pool.map(lambda _: talk.pop(), range(8))]
    assert sorted(popped) == [*range(4, 12)]
    assert talk.items() == [*range(4)]


def test_callers_at_once_of_several_processes_get_different_items(fake):
    talks = [Talk(fake.client()) for _ in range(4)]  # which share nothing but the server
    talks[0].add(*range(8))
    with ThreadPoolExecutor(4) as pool:
        popped = [*pool.map(lambda talk: talk.pop(), talks)]
    assert len({*popped}) == 4
    assert sorted([*popped, *talks[0].items()]) == [*range(8)]


def test_an_item_that_another_caller_takes_between_reading_and_removing_is_passed_over(fake):
    talk = Talk(fake.client())
    talk.add("a", "b")
    read = talk.history._newest
    others = []

    def newest(*args):
        found = yield from read(*args)
        if not others:
            others.append(None)
            others[0] = talk.pop()
        return found

    talk.history._newest = newest
    assert (talk.pop(), others) == ("a", ["b"])


def test_a_removal_that_names_no_item_removes_none(fake):
    talk = Talk(fake.client())
    talk.add("a")
    talk.client.memories.add(
        wait=True,
        agent_id="assistant",
        session_id="thread",
        content="odd",
        tags=["test-format"],
        metadata={"record": "removed", "item": "[1]", "sequence": 1},
    )
    assert talk.items() == ["a"]


def test_a_removal_whose_answer_was_lost_removes_one_item(fake):
    talk = Talk(fake.client())
    talk.add("a", "b", "c")
    fake.faults.add(Fault("reset", on="memories.add", applied=True))
    assert talk.pop() == "c"
    assert talk.items() == ["a", "b"]
    fake.faults.assert_all_used()


def test_a_removal_that_did_not_happen_leaves_the_item(fake):
    talk = Talk(fake.client(retry=ONCE))
    talk.add("a", "b")
    fake.faults.add(Fault("refused", on="memories.add"))
    with pytest.raises(Exception, match="connection"):
        talk.pop()
    assert talk.items() == ["a", "b"]


@pytest.mark.parametrize("field", ["agent_id", "session_id"])
def test_an_id_that_the_server_does_not_take_is_refused(field):
    ids = {"agent_id": "a", "session_id": "s", field: "user:42"}
    with pytest.raises(InvalidRequestError, match=f"{field} must be a letter"):
        History("test-format", ids["agent_id"], ids["session_id"], 5.0)


@pytest.mark.parametrize("seconds", [-1, "5", float("inf")])
def test_a_wait_that_is_none_is_refused(seconds):
    with pytest.raises(InvalidRequestError, match="wait_timeout must be a number of seconds"):
        History("test-format", "a", "s", seconds)


def test_without_waiting_reads_see_a_write_later():
    fake = fake_of("server")
    talk = Talk(fake.client(), wait_timeout=None)
    talk.add("a", "b")
    assert talk.items() == []
    fake.flush()
    assert talk.pop() == "b"
    assert talk.items() == ["a", "b"]
    assert talk.pop() == "a"
    fake.flush()
    assert talk.items() == []


class Conversation(RuleBasedStateMachine):
    """A history does what a list does, whoever of two clients writes."""

    @initialize(visibility=VISIBILITIES)
    def start(self, visibility):
        fake = fake_of(visibility)
        self.talks = [Talk(fake.client()), Talk(fake.client())]
        self.model = []

    @rule(items=st.lists(st.integers(0, 3), max_size=4), who=st.integers(0, 1))
    def add(self, items, who):
        self.talks[who].add(*items)
        self.model += items

    @rule(who=st.integers(0, 1))
    def pop(self, who):
        assert self.talks[who].pop() == (self.model.pop() if self.model else None)

    @rule(who=st.integers(0, 1))
    def clear(self, who):
        self.talks[who].clear()
        self.model.clear()

    @rule(limit=st.integers(0, 6), who=st.integers(0, 1))
    def newest(self, limit, who):
        assert self.talks[who].items(limit) == self.model[max(len(self.model) - limit, 0) :]

    @invariant()
    def reads_all(self):
        if hasattr(self, "model"):
            assert self.talks[0].items() == self.model


TestConversation = Conversation.TestCase
TestConversation.settings = settings(stateful_step_count=20)
