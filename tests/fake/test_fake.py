"""The fake server as an object: organisations, seeds, isolation, threads."""

from __future__ import annotations

import copy
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from memtrace.clock import SystemClock
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock, Organisation
from tests.fake.caller import API, Caller


def test_an_organisation_is_made_at_its_first_mention(fake: FakeMemtrace) -> None:
    acme = fake.organisation("acme")
    assert re.fullmatch("org_[0-9a-f]{24}", acme.org_id)
    assert re.fullmatch("mtk_[A-Za-z0-9_=-]{44}", acme.api_key)
    assert fake.organisation("acme") == acme
    assert fake.organisation().name == "default"
    assert fake.organisation() != acme
    assert repr(fake) == "<FakeMemtrace, 2 organisations>"


def test_the_repr_of_an_organisation_hides_its_key(fake: FakeMemtrace) -> None:
    acme = fake.organisation("acme")
    assert acme.api_key not in repr(acme)


def test_one_seed_gives_the_same_identifiers() -> None:
    one, two, other = FakeMemtrace(seed=1), FakeMemtrace(seed=1), FakeMemtrace(seed=2)
    assert one.organisation() == two.organisation()
    assert one.organisation() != other.organisation()
    assert one.seed_agent("default", "bob") == two.seed_agent("default", "bob")


def test_two_fakes_never_meet() -> None:
    one, two = FakeMemtrace(), FakeMemtrace()
    api, twin = Caller(one, one.organisation()), Caller(two, two.organisation())
    api.add()
    assert twin.contents() == []
    other = FakeMemtrace(seed=1)
    with pytest.raises(ValueError, match="belongs to another fake") as caught:
        other.set_storage(one.organisation(), "down")
    assert one.organisation().api_key not in str(caught.value)


USES = {
    "set_storage": lambda fake, org: fake.set_storage(org, "down"),
    "seed": lambda fake, org: fake.seed(org, []),
    "seed_agent": lambda fake, org: fake.seed_agent(org, "bob"),
    "seed_session": lambda fake, org: fake.seed_session(org, "bob"),
    "add_key": lambda fake, org: fake.add_key(org),
    "client": lambda fake, org: fake.client(org),
    "async_client": lambda fake, org: fake.async_client(org),
}


@pytest.mark.parametrize("use", USES)
def test_an_organisation_of_a_twin_is_refused_though_its_name_and_id_are_the_same(use: str) -> None:
    fake, twin = FakeMemtrace(), FakeMemtrace()
    own, other = fake.organisation("acme"), twin.organisation("acme", api_key="of_the_twin")
    assert (other.name, other.org_id) == (own.name, own.org_id)
    with pytest.raises(ValueError, match="belongs to another fake") as caught:
        USES[use](fake, other)
    assert "of_the_twin" not in str(caught.value)


def test_a_plan_and_a_log_refuse_an_organisation_of_a_twin() -> None:
    fake, twin = FakeMemtrace(), FakeMemtrace()
    own, other = fake.organisation(), twin.organisation()
    assert own == other
    with pytest.raises(ValueError, match="belongs to another fake"):
        fake.faults.add(Fault("refused"), Fault("refused", org=other))
    assert len(fake.faults) == 0
    fake.client().agents.list()
    for log in (fake.calls, fake.calls[:], fake.calls.filter()):
        with pytest.raises(ValueError, match="belongs to another fake"):
            log.assert_not_called("agents.list", org=other)
        log.assert_called("agents.list", org=own)


def test_an_organisation_is_its_fakes_own_after_a_copy_and_when_made_by_hand(fake: FakeMemtrace) -> None:
    org = fake.organisation("acme", api_key="key")
    by_hand = Organisation(org.name, org.org_id, org.api_key)
    for given in (org, copy.deepcopy(org), pickle.loads(pickle.dumps(org)), by_hand):
        fake.client(given).agents.list()
    fake.calls.assert_called("agents.list", org=by_hand, times=4)


@pytest.mark.parametrize("use", [*USES, "organisation"])
def test_an_id_that_no_organisation_has_is_refused_and_makes_none(use: str) -> None:
    fake, org_id = FakeMemtrace(), FakeMemtrace(seed=7).organisation().org_id
    with pytest.raises(ValueError, match=f"there is no organisation with the id {org_id}"):
        USES.get(use, FakeMemtrace.organisation)(fake, org_id)
    assert repr(fake) == "<FakeMemtrace, 0 organisations>"


def test_an_id_resolves_to_its_organisation(fake: FakeMemtrace) -> None:
    acme = fake.organisation("acme")
    assert fake.organisation(acme.org_id) == acme
    assert fake.organisation(acme.org_id, api_key="another").name == "acme"
    fake.client(acme.org_id).remember("bot", "x")
    assert fake.client("acme").recall("bot").count == 1
    assert fake.organisation("org_of_the_test").name == "org_of_the_test"


def test_an_organisation_from_before_a_reset_is_refused(fake: FakeMemtrace) -> None:
    acme = fake.organisation("acme")
    fake.reset()
    with pytest.raises(ValueError, match="or a reset or a restore came after it"):
        fake.client(acme)


def test_its_clock_is_the_machines_unless_another_is_given(fake: FakeMemtrace, clock: ManualClock) -> None:
    assert fake.clock is clock
    assert isinstance(FakeMemtrace().clock, SystemClock)


def test_any_key_makes_an_organisation_where_that_is_wanted() -> None:
    fake = FakeMemtrace(any_key=True)
    api = Caller(fake, fake.organisation())
    one, again, two = (
        api.send(
            "POST", API + "/agents", b'{"name": "a"}', headers={"x-api-key": key, "content-type": "application/json"}
        )
        for key in ("k1", "k1", "k2")
    )
    assert (one.status, again.status, two.status) == (201, 409, 201)
    assert one.json["org_id"] != two.json["org_id"]


# seeds


def test_seeded_rows_lie_in_the_past_and_can_be_read_at_once(late: Caller) -> None:
    row = {"agent_id": "a", "content": "x", "age_s": 90.5, "tags": ["t"], "metadata": {"n": 1}, "importance": 0.5}
    assert late.fake.seed(late.org, [row]) == 1
    memory = late.get("/memories").json["memories"][0]
    assert memory["time"] == "2025-12-31T23:58:29.499999Z"
    assert (memory["tags"], memory["metadata"], memory["importance"]) == (["t"], {"n": 1}, 0.5)
    assert late.add("x", agent_id="a").status == 409


def test_a_seed_is_a_moment_older_than_its_age(api: Caller) -> None:
    api.fake.seed("default", [{"agent_id": "a", "content": "x", "age_s": 3600}])
    assert api.contents("/memories?since=1h") == []
    assert api.contents("/memories?until=1h") == ["x"]


def test_rows_of_one_age_keep_their_order_and_have_times_of_their_own(api: Caller) -> None:
    rows = [{"agent_id": "a", "content": f"{n}", "age_s": 10} for n in range(5)]
    api.fake.seed("default", rows[:3])
    api.fake.seed("default", [rows[3], {"agent_id": "a", "content": "older", "age_s": 20}, rows[4]])
    memories = api.get("/memories?order=asc").json["memories"]
    assert [memory["content"] for memory in memories] == ["older", "3", "4", "0", "1", "2"]
    assert len({memory["time"] for memory in memories}) == 6


def test_seeds_are_no_duplicates_of_each_other(api: Caller) -> None:
    api.fake.seed("default", [{"agent_id": "a", "content": "x", "age_s": 10}] * 2)
    assert api.contents() == ["x", "x"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"content": "x"}, "agent_id is required"),
        ({"agent_id": "a", "content": "x", "memory_type": "nope"}, "invalid memory_type"),
        ({"agent_id": "a", "content": 1}, "cannot unmarshal number"),
        ({"agent_id": "a", "content": "x", "age_s": -1}, "age_s is"),
        ({"agent_id": "a", "content": "x", "age_s": 1e10}, "age_s is"),
        ({"agent_id": "a", "content": "x", "age_s": float("nan")}, "looking for beginning of value"),
    ],
)
def test_a_seed_that_the_server_would_not_take_is_refused_and_nothing_is_stored(
    api: Caller, row: dict[str, object], message: str
) -> None:
    good = {"agent_id": "a", "content": "good", "age_s": 1}
    with pytest.raises(ValueError, match=message):
        api.fake.seed("default", [good, row])
    assert api.contents() == []


def test_nothing_is_shared_with_the_caller(api: Caller) -> None:
    tags, metadata = ["t"], {"list": [1]}
    api.fake.seed("default", [{"agent_id": "a", "content": "x", "age_s": 1, "tags": tags, "metadata": metadata}])
    tags.append("changed")
    metadata["list"].append(2)
    memory = api.get("/memories").json["memories"][0]
    assert (memory["tags"], memory["metadata"]) == (["t"], {"list": [1]})


def test_a_seeded_agent_is_registered(api: Caller) -> None:
    made = api.fake.seed_agent("default", "bob", description="d", config={"a": 1})
    assert re.fullmatch("agent_[0-9a-f]{24}", made)
    assert api.get("/agents/bob").json | {"created_at": ""} == {
        "id": made,
        "org_id": api.org.org_id,
        "name": "bob",
        "description": "d",
        "config": {"a": 1},
        "created_at": "",
    }
    assert api.fake.seed_agent(api.org, "eve", id="agent_eve") == "agent_eve"
    for name, id_, message in (("bob", None, "already exists"), ("x", "agent_eve", "the id"), ("", None, "required")):
        with pytest.raises(ValueError, match=message):
            api.fake.seed_agent("default", name, id=id_)


# threads


def test_times_rise_with_the_requests_of_many_threads() -> None:
    fake = FakeMemtrace()
    api = Caller(fake, fake.organisation())
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: api.add(f"{n}").json["time"], range(200)))
    times = [memory["time"] for memory in api.get("/memories?limit=1000&order=asc").json["memories"]]
    assert len(set(times)) == 200
    assert times == sorted(times, key=lambda text: text.rstrip("Z").ljust(29, "0"))
    assert len(set(answers)) == 200


class BackwardsClock(SystemClock):
    """A machine whose wall clock is set back again and again."""

    def __init__(self) -> None:
        self._wall = 1_767_225_600.0

    __slots__ = ("_wall",)

    def wall(self) -> float:
        self._wall -= 1
        return self._wall


def test_times_rise_even_when_the_clock_goes_back() -> None:
    fake = FakeMemtrace(clock=BackwardsClock())
    api = Caller(fake, fake.organisation())
    for name in "abc":
        api.add(name)
    assert api.contents() == ["a", "b", "c"]
