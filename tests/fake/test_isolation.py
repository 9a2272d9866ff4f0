"""State of one organisation is never reachable from another, whatever is done to the fake."""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from memtrace.transport import Headers, Request, TransportError
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from tests.sampling import is_whole

API = "/api/v1"
ORGS = st.sampled_from(["acme", "globex", "initech"])
NAMES = st.sampled_from(["bot", "a1"])
READS = ("/memories?limit=1000", "/agents", "/sessions", "/agents/bot/memories?since=365d", "/agents/bot/stats")


class Isolation(RuleBasedStateMachine):
    """Each text that is stored carries the name of its organisation, so that an answer shows whose it is.

    `keys` is whose each key is by the machine's own books, None once it is revoked.
    """

    snapshots = Bundle("snapshots")

    @initialize(visibility=st.sampled_from(["immediate", "server"]), any_key=st.booleans())
    def begin(self, visibility, any_key):
        self.clock = ManualClock()
        self.any_key = any_key
        self.fake = FakeMemtrace(clock=self.clock, visibility=visibility, any_key=any_key)
        self.keys: dict[str, str | None] = {}
        self.sharing: set[str] = set()
        self.count = 0
        for org in ("acme", "globex", "initech"):
            self.keys[self.fake.organisation(org).api_key] = org

    def send(self, key, method, path, value=None):
        headers = Headers({"x-api-key": key, "content-type": "application/json"})
        body = None if value is None else json.dumps(value).encode()
        return self.fake.handle(Request(method, "", API + path, headers, body))

    def some_key(self, org, number):
        own = sorted(key for key, owner in self.keys.items() if owner == org)
        return own[number % len(own)] if own else None

    def mark(self, org):
        self.count += 1
        return f"secret-of-{org}-{self.count}"

    @rule(org=ORGS, agent=NAMES, number=st.integers(0, 3), dedup=st.sampled_from(["", "shared"]))
    def write(self, org, agent, number, dedup):
        key = self.some_key(org, number)
        if key:
            item = {"agent_id": agent, "content": self.mark(org), "dedup_key": dedup, "session_id": "s1"}
            status = self.send(key, "POST", "/memories", item).status
            assert status == 201 or (status == 409 and dedup and org in self.sharing)
            if dedup:
                self.sharing.add(org)

    @rule(org=ORGS, number=st.integers(0, 3))
    def register(self, org, number):
        key = self.some_key(org, number)
        if key:
            answer = self.send(key, "POST", "/agents", {"name": self.mark(org), "description": org})
            agent = json.loads(answer.body)["id"]
            body = {"agent_id": agent, "metadata": {"mark": self.mark(org)}}
            assert self.send(key, "POST", "/sessions", body).status == 201

    @rule(org=ORGS, age=st.integers(0, 5))
    def seed(self, org, age):
        self.fake.seed(org, [{"agent_id": "bot", "content": self.mark(org), "session_id": "s1", "age_s": age}])

    @rule(org=ORGS)
    def seed_session(self, org):
        agent = self.fake.seed_agent(org, self.mark(org))
        self.fake.seed_session(org, agent, metadata={"mark": self.mark(org)})

    @rule(org=ORGS)
    def add_key(self, org):
        self.keys[self.fake.add_key(org)] = org

    @rule(org=ORGS, number=st.integers(0, 3))
    def revoke_key(self, org, number):
        key = self.some_key(org, number)
        if key:
            self.fake.revoke_key(key)
            self.keys[key] = None

    @rule(org=ORGS, other=ORGS)
    def give_a_revoked_key_to_another(self, org, other):
        gone = sorted(key for key, owner in self.keys.items() if owner is None)
        if gone:
            self.fake.organisation(other, api_key=gone[0])
            self.keys[gone[0]] = other

    @rule(org=ORGS, storage=st.sampled_from(["up", "none", "down"]))
    def set_storage(self, org, storage):
        self.fake.set_storage(org, storage)
        key = self.some_key(org, 0)
        if key and storage == "none":
            assert self.send(key, "GET", "/memories").status == 503
            self.fake.set_storage(org, "up")

    @rule(org=ORGS, seconds=st.sampled_from([0.5, 3]))
    def plan_storage_down(self, org, seconds):
        self.fake.faults.add(Fault("storage_down", org=org, seconds=seconds))

    @rule(org=ORGS)
    def plan_reset(self, org):
        self.fake.faults.clear()
        self.fake.faults.add(Fault("reset", org=org, applied=True))
        key = self.some_key(org, 0)
        if key:
            try:
                self.send(key, "POST", "/memories", {"agent_id": "bot", "content": self.mark(org)})
            except TransportError:
                self.fake.faults.assert_all_used()
        self.fake.faults.clear()

    @rule(seconds=st.sampled_from([0.05, 0.3, 2]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def flush(self):
        self.fake.flush()

    @rule(target=snapshots)
    def snapshot(self):
        return self.fake.snapshot(), dict(self.keys)

    @rule(taken=snapshots)
    def restore(self, taken):
        self.put_back(*taken)

    @rule(taken=consumes(snapshots))
    def restore_for_the_last_time(self, taken):
        self.put_back(*taken)

    def put_back(self, state, keys):
        self.fake.restore(state)
        self.keys = {**dict.fromkeys(self.keys), **keys}
        if self.any_key:  # a key that was not there yet is nobody's, and free to make an organisation
            self.keys = dict(keys)

    @rule()
    def reset(self):
        self.fake.reset()
        self.keys = {} if self.any_key else dict.fromkeys(self.keys)
        for org in ("acme", "globex", "initech"):
            self.keys[self.fake.organisation(org).api_key] = org

    @invariant()
    def every_key_sees_its_own_organisation_alone(self):
        for key, owner in self.keys.items():
            for path in READS:
                answer = self.send(key, "GET", path)
                assert owner is not None or answer.status == 401
                text = answer.body.decode()
                for org in ("acme", "globex", "initech"):
                    assert org == owner or f"secret-of-{org}-" not in text, (path, owner)
            found = self.send(key, "POST", "/search", {"content_contains": "secret-of-", "limit": 1000})
            assert all(f"secret-of-{owner}-" in row["content"] for row in json.loads(found.body).get("results", []))

    @invariant()
    def an_unknown_key_sees_nothing(self):
        answer = self.send("unknown", "GET", "/memories")
        assert answer.status == 401 if not self.any_key else b"secret-of-" not in answer.body


TestIsolation = Isolation.TestCase
TestIsolation.settings = settings(stateful_step_count=30 if is_whole() else 15, deadline=None)


def test_ids_and_names_of_another_organisation_find_nothing(fake, face):
    acme, globex = face.of(fake, "acme"), face.of(fake, "globex")
    agent = acme.agents.register(name="bot").id
    session = acme.sessions.create(agent_id=agent).id
    acme.memories.add(agent_id=agent, content="x", session_id=session, dedup_key="k")
    assert acme.agents.memories(agent).count == 1
    assert globex.agents.memories(agent).count == 0
    assert globex.sessions.memories(session).count == 0
    assert globex.sessions.context(session).memory_count == 0
    assert globex.agents.stats(agent).memory_count == 0
    assert globex.memories.filter(content_contains="x").count == 0
    assert globex.sessions.list(agent_id=agent).count == 0
    assert globex.memories.add(agent_id=agent, content="x", dedup_key="k").content == "x"
