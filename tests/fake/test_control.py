"""The control routes: what each does, and what it says of a wrong request."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtrace.transport import Headers, Request
from memtrace_transports.memory import FakeMemtrace, Fault, ManualClock
from memtrace_transports.memory._control_routes import Controls
from memtrace_transports.memory._controls.call_log import OPERATIONS
from tests.fake.caller import Caller


class Console:
    """The control routes of one fake, said shortly."""

    def __init__(self, fake: FakeMemtrace) -> None:
        self.fake = fake
        self.controls = Controls(fake)

    def send(self, method, path, body=None):
        answer = self.controls.answer(Request(method, "http://fake", f"/_fake/{path}", body=body))
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.body)

    def post(self, path, value=None):
        status, answer = self.send("POST", path, json.dumps(value or {}).encode())
        assert status == 200, answer
        return answer

    def organisation(self, **settings):
        made = self.post("orgs", settings)
        return self.fake.organisation_by_id(made["org_id"])

    def caller(self, **settings):
        return Caller(self.fake, self.organisation(**settings))


@pytest.fixture
def console(fake):
    return Console(fake)


class TestOrganisations:
    def test_each_is_new_with_an_id_and_a_key_of_the_servers_form(self, console):
        one, two = console.post("orgs"), console.post("orgs", {"arc": "up"})
        assert one.keys() == {"org_id", "api_key"}
        assert one["org_id"] != two["org_id"]
        assert (len(one["org_id"]), one["org_id"][:4]) == (28, "org_")
        assert (len(one["api_key"]), one["api_key"][:4]) == (48, "mtk_")

    @pytest.mark.parametrize(("arc", "status"), [("up", 200), ("none", 503), ("down", 500)])
    def test_its_storage_is_as_asked(self, console, arc, status):
        assert console.caller(arc=arc).get("/memories").status == status

    def test_its_visibility_is_as_asked(self, console):
        for visibility, count in (("immediate", 1), ("server", 0), (None, 1)):
            caller = console.caller(visibility=visibility)
            caller.add()
            assert caller.get("/memories").json["count"] == count

    def test_storage_changes(self, console):
        caller = console.caller()
        path = f"orgs/{caller.org.org_id}/arc"
        for state, status in (("down", 500), ("none", 503), ("up", 200)):
            assert console.post(path, {"state": state}) == {}
            assert caller.get("/memories").status == status

    def test_the_servers_settings_change_for_all(self, console):
        caller = console.caller()
        settings = {"dedup_enabled": False, "write_batch_size": 50, "dedup_window_hours": None}
        assert console.post("settings", settings) == {}
        caller.add()
        caller.add()
        assert caller.get("/memories").json["count"] == 2

    def test_rows_are_seeded(self, console):
        caller = console.caller()
        rows = [{"agent_id": "bot", "content": text, "age_s": 60} for text in ("one", "two")]
        assert console.post(f"orgs/{caller.org.org_id}/seed", {"memories": rows}) == {"count": 2}
        assert caller.contents() == ["one", "two"]


def test_settling_makes_late_writes_visible(console):
    caller = console.caller(visibility="server")
    caller.add()
    assert console.post("settle") == {}
    assert caller.get("/memories").json["count"] == 1


class TestTheClock:
    def test_it_moves_and_tells_the_time(self, console, clock):
        before = clock.wall()
        assert console.post("clock/advance", {"seconds": 1.5}) == {"time": before + 1.5}

    def test_a_real_one_cannot_be_moved(self):
        status, answer = Console(FakeMemtrace()).send("POST", "clock/advance", b'{"seconds": 1}')
        assert (status, "--clock manual" in answer["error"]) == (400, True)

    def test_it_does_not_go_where_dates_end(self, console):
        body = json.dumps({"seconds": 9 * 365 * 86_400}).encode()
        answers = [console.send("POST", "clock/advance", body) for _ in range(400)]
        assert answers[0][0] == 200
        status, answer = answers[-1]
        assert (status, answer["error"].partition(":")[0]) == (400, "the clock goes no further than the year 5000")
        caller = console.caller()
        assert caller.add().status == 201
        assert caller.get("/memories?since=24h").json["count"] == 1


class TestFaults:
    def test_a_plan_is_added_used_and_shown(self, console):
        caller = console.caller()
        fault = {
            "kind": "status",
            "on": "memories.add",
            "org": caller.org.org_id,
            "nth": 2,
            "times": 2,
            "status": 429,
            "body": "slow down, é",
            "headers": {"Retry-After": "2"},
        }
        assert console.post("faults", {"faults": [fault]}) == {}
        told = [f"status 429, on memories.add, of {caller.org.org_id}, calls 2 to 3"]
        assert console.send("GET", "faults") == (200, {"unused": told})
        answers = [caller.add(str(number)) for number in range(4)]
        assert [answer.status for answer in answers] == [201, 429, 429, 201]
        assert (answers[1].text, answers[1].headers["retry-after"]) == ("slow down, é", "2")
        assert console.send("GET", "faults") == (200, {"unused": []})

    def test_one_of_a_list_that_is_wrong_adds_none(self, console, fake):
        body = json.dumps({"faults": [{"kind": "reset"}, {"kind": "rest"}]}).encode()
        assert console.send("POST", "faults", body)[0] == 400
        assert len(fake.faults) == 0

    def test_null_is_what_is_left_out(self, console):
        fault = {"kind": "delay", "seconds": 1, "on": None, "org": None, "times": None}
        console.post("faults", {"faults": [fault]})
        assert console.send("GET", "faults")[1] == {"unused": ["delay, on any call, calls 1 and all that follow"]}

    def test_deleting_clears_them(self, console, fake):
        console.post("faults", {"faults": [{"kind": "reset", "times": None}]})
        assert console.send("DELETE", "faults") == (200, {})
        assert len(fake.faults) == 0

    def test_storage_goes_down_for_a_time_and_comes_back(self, console, clock):
        caller = console.caller()
        console.post("faults", {"faults": [{"kind": "storage_down", "on": "memories.list", "seconds": 60}]})
        assert [caller.get("/memories").status for _ in range(2)] == [500, 500]
        clock.advance(60)
        assert caller.get("/memories").status == 200


def test_the_calls_are_told_without_contents_and_keys(console):
    caller = console.caller()
    caller.add("a planted content")
    caller.send("GET", "/nope", headers={})
    text = json.dumps(console.send("GET", "calls"))
    answered = json.loads(text)[1]
    assert answered["calls"][0].pop("headers")["x-api-key"] == "***"
    assert answered["calls"][1].pop("headers") == {}
    assert answered == {
        "calls": [
            {
                "operation": "memories.add",
                "method": "POST",
                "path": "/api/v1/memories",
                "status": 201,
                "org_id": caller.org.org_id,
                "fault": None,
            },
            {"operation": "unknown", "method": "GET", "path": "/nope", "status": 404, "org_id": None, "fault": None},
        ]
    }
    assert "planted" not in text
    assert caller.org.api_key not in text


class TestSnapshots:
    def test_rows_organisations_and_keys_come_back(self, console):
        caller = console.caller()
        caller.add("before")
        taken = console.post("snapshot")
        caller.add("after")
        other = console.caller()
        assert console.post("restore", taken) == {}
        assert caller.contents() == ["before"]
        assert other.get("/memories").status == 401

    def test_each_can_be_restored_again(self, console):
        caller = console.caller()
        names = []
        for text in ("one", "two"):
            caller.add(text)
            names.append(console.post("snapshot")["id"])
        found = []
        for name in (names[0], names[1], names[0]):
            console.post("restore", {"id": name})
            found.append(caller.contents())
        assert found == [["one"], ["one", "two"], ["one"]]

    def test_only_the_newest_thousand_are_kept(self, console):
        names = [console.post("snapshot")["id"] for _ in range(1002)]
        assert len(set(names)) == 1002
        assert console.send("POST", "restore", json.dumps({"id": names[1]}).encode())[0] == 404
        assert console.post("restore", {"id": names[2]}) == {}

    def test_reset_forgets_all_and_the_clock_stays(self, console, fake, clock):
        caller = console.caller()
        caller.add()
        clock.advance(5)
        fake.faults.add(Fault("reset"))
        assert console.post("reset") == {}
        assert caller.get("/memories").status == 401
        assert (len(fake.faults), clock.monotonic()) == (0, 5.0)
        assert [call.status for call in fake.calls] == [401]


BAD = [
    ("GET", "nope", None, 404, "there is no control route /_fake/nope"),
    ("POST", "", None, 404, "there is no control route /_fake/"),
    ("POST", "orgs/x/y", None, 404, "there is no control route /_fake/orgs/x/y"),
    ("POST", "orgs/<org>/seed/x", None, 404, "there is no control route"),
    ("GET", "orgs", None, 405, "Method Not Allowed"),
    ("PUT", "calls", None, 405, "Method Not Allowed"),
    ("HEAD", "calls", None, 405, "Method Not Allowed"),
    ("GET", "orgs/<org>/seed", None, 405, "Method Not Allowed"),
    ("DELETE", "orgs/nobody/arc", None, 405, "Method Not Allowed"),
    ("POST", "orgs/nobody/arc", {"state": "up"}, 404, "there is no organisation nobody"),
    ("POST", "orgs", b"{", 400, "the body is not JSON"),
    ("POST", "orgs", b"\xff", 400, "the body is not JSON"),
    ("POST", "orgs", b"[" * 100_000, 400, "the body is not JSON"),
    ("POST", "orgs", b"1" * 5_000, 400, "the body"),
    ("POST", "orgs", [], 400, "the body must be an object"),
    ("POST", "orgs", {"storage": "down"}, 400, "unknown field 'storage'; known: arc, visibility"),
    ("POST", "orgs", {"arc": "upp"}, 400, "arc must be one of up, none, down"),
    ("POST", "orgs", {"arc": []}, 400, "arc must be one of"),
    ("POST", "orgs", {"arc": None}, 400, "arc must be one of"),
    ("POST", "orgs", {"visibility": "late"}, 400, "visibility must be one of immediate, server"),
    ("POST", "orgs/<org>/arc", None, 400, "state must be one of up, none, down"),
    ("POST", "orgs/<org>/arc", {"state": "off"}, 400, "state must be one of up, none, down"),
    ("POST", "orgs/<org>/seed", None, 400, "memories must be a list of objects"),
    ("POST", "orgs/<org>/seed", {"memories": ["x"]}, 400, "memories must be a list of objects"),
    ("POST", "orgs/<org>/seed", {"memories": [{}]}, 400, "agent_id is required"),
    ("POST", "orgs/<org>/seed", {"memories": [{"agent_id": 1}]}, 400, "cannot unmarshal number"),
    ("POST", "orgs/<org>/seed", {"memories": [{"agent_id": "a", "content": "b", "age_s": -1}]}, 400, "age_s"),
    ("POST", "orgs/<org>/seed", b'{"memories": [{"agent_id": "a", "content": "b", "age_s": Infinity}]}', 400, "'I'"),
    ("POST", "settings", {"dedup": False}, 400, "unknown field 'dedup'; known: dedup_enabled, dedup_window_hours,"),
    ("POST", "settings", {"dedup_enabled": "no"}, 400, "dedup_enabled must be true or false"),
    ("POST", "settings", {"dedup_window_hours": 1.5}, 400, "dedup_window_hours must be a whole number from 0 to 8760"),
    ("POST", "settings", {"write_flush_interval_ms": 10**30}, 400, "must be a whole number from 1 to 3600000"),
    ("GET", "settings", None, 405, "Method Not Allowed"),
    ("POST", "clock/advance", None, 400, "seconds must be a number"),
    ("POST", "clock/advance", {"seconds": "1"}, 400, "seconds must be a number"),
    ("POST", "clock/advance", {"seconds": True}, 400, "seconds must be a number"),
    ("POST", "clock/advance", {"seconds": -1}, 400, "seconds must be a number"),
    ("POST", "clock/advance", b'{"seconds": NaN}', 400, "seconds must be a number"),
    ("POST", "clock/advance", {"seconds": 1e10}, 400, "seconds must be a number"),
    ("POST", "clock/advance", {"seconds": 10**400}, 400, "seconds must be a number"),
    ("POST", "faults", None, 400, "faults must be a list of objects"),
    ("POST", "faults", {"faults": {}}, 400, "faults must be a list of objects"),
    ("POST", "faults", {"faults": [1]}, 400, "faults[0] must be an object with a kind"),
    ("POST", "faults", {"faults": [{"on": "health"}]}, 400, "faults[0] must be an object with a kind"),
    ("POST", "faults", {"faults": [{"kind": "reset"}, {"kind": "rest"}]}, 400, "faults[1]: kind must be one of"),
    ("POST", "faults", {"faults": [{"kind": "reset", "when": "x"}]}, 400, "unknown field when; known: kind, on,"),
    ("POST", "faults", {"faults": [{"kind": 1}]}, 400, "kind must be a string"),
    ("POST", "faults", {"faults": [{"kind": "reset", "on": 5}]}, 400, "on must be a string or null"),
    ("POST", "faults", {"faults": [{"kind": "reset", "on": "memory.add"}]}, 400, "did you mean 'memories.add'?"),
    ("POST", "faults", {"faults": [{"kind": "reset", "org": {}}]}, 400, "org must be an organisation's name or id"),
    ("POST", "faults", {"faults": [{"kind": "reset", "nth": 1.5}]}, 400, "nth must be a whole number"),
    ("POST", "faults", {"faults": [{"kind": "reset", "nth": 0}]}, 400, "counted from 1"),
    ("POST", "faults", {"faults": [{"kind": "reset", "times": True}]}, 400, "times must be a whole number or null"),
    ("POST", "faults", {"faults": [{"kind": "reset", "applied": "yes"}]}, 400, "applied must be true or false"),
    ("POST", "faults", {"faults": [{"kind": "delay", "applied": True, "seconds": 1}]}, 400, "applied is for"),
    ("POST", "faults", {"faults": [{"kind": "status", "status": 200.5}]}, 400, "status must be a whole number"),
    (
        "POST",
        "faults",
        {"faults": [{"kind": "status", "status": 100}]},
        400,
        "status must be a whole number from 200 to 599",
    ),
    ("POST", "faults", {"faults": [{"kind": "status", "body": {}}]}, 400, "body must be a string"),
    ("POST", "faults", {"faults": [{"kind": "status", "headers": ["x"]}]}, 400, "headers must be an object of strings"),
    ("POST", "faults", {"faults": [{"kind": "status", "headers": {"a": 1}}]}, 400, "headers must be an object"),
    ("POST", "faults", {"faults": [{"kind": "status", "headers": {"a b": "x"}}]}, 400, "headers must be an object"),
    ("POST", "faults", {"faults": [{"kind": "status", "headers": {"a": "x\r\nb: y"}}]}, 400, "that HTTP can carry"),
    ("POST", "faults", {"faults": [{"kind": "delay"}]}, 400, "seconds is for delay, slow_body, storage_down"),
    ("POST", "faults", {"faults": [{"kind": "delay", "seconds": "1"}]}, 400, "from 0 to 10 years, or null"),
    ("POST", "faults", b'{"faults": [{"kind": "delay", "seconds": NaN}]}', 400, "seconds must be a number"),
    ("POST", "restore", None, 400, "id must be the id of a snapshot"),
    ("POST", "restore", {"id": 1}, 400, "id must be the id of a snapshot"),
    ("POST", "restore", {"id": "snapshot_1"}, 404, "there is no snapshot 'snapshot_1'"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "told"), BAD)
def test_a_bad_request_is_told_what_is_wrong(console, fake, method, path, body, status, told):
    org = fake.organisation()
    sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    got, answer = console.send(method, path.replace("<org>", org.org_id), sent)
    assert (got, list(answer)) == (status, ["error"])
    assert told in answer["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def objects(**members):
    """Objects with any of these members, of the right form or of any."""
    return st.fixed_dictionaries({}, optional={name: form | JSON for name, form in members.items()})


FAULTS = objects(
    kind=st.sampled_from(["status", "delay", "refused", "reset", "truncated", "garbled", "slow_body", "storage_down"]),
    on=st.sampled_from([*OPERATIONS, "GET /*", "* *", "memories.*"]),
    org=st.just("default"),
    nth=st.integers(0, 3),
    times=st.integers(0, 3),
    applied=st.booleans(),
    status=st.integers(190, 610),
    body=st.text(max_size=5),
    headers=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    seconds=st.floats(-1, 1e9),
)
ROWS = objects(
    agent_id=st.just("bot"),
    content=st.text(max_size=5),
    age_s=st.floats(-1, 1e10),
    tags=st.lists(st.text(max_size=3), max_size=2),
    metadata=st.dictionaries(st.text(max_size=3), JSON, max_size=2),
)
REQUESTS = (
    st.tuples(st.just("orgs"), objects(arc=st.sampled_from(["up", "none", "down"]), visibility=st.just("server")))
    | st.tuples(st.just("orgs/<org>/seed"), objects(memories=st.lists(ROWS | JSON, max_size=3)))
    | st.tuples(st.just("orgs/<org>/arc"), objects(state=st.sampled_from(["up", "none", "down"])))
    | st.tuples(st.just("clock/advance"), objects(seconds=st.floats(-1, 1e9)))
    | st.tuples(st.just("faults"), objects(faults=st.lists(FAULTS | JSON, max_size=3)))
    | st.tuples(st.just("restore"), objects(id=st.sampled_from(["snapshot_1", "snapshot_2"])))
    | st.tuples(st.sampled_from(["settle", "snapshot", "reset", "calls", "nope", "orgs/x/seed"]), JSON)
)


@given(st.lists(REQUESTS, max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_makes_a_control_route_crash_or_the_server_after_it(requests):
    fake = FakeMemtrace(clock=ManualClock())
    console = Console(fake)
    for path, body in requests:
        org = fake.organisation()
        status, answer = console.send("POST", path.replace("<org>", org.org_id), json.dumps(body).encode())
        assert status in {200, 400, 404, 405}
        assert isinstance(answer, dict)
        assert status == 200 or answer["error"]
        caller = Caller(fake, fake.organisation())  # a reset or a restore may have forgotten the other
        planned = fake.exchange(
            Request("GET", "http://fake", "/api/v1/memories", Headers({"x-api-key": caller.org.api_key}))
        )
        assert planned.failure is not None or 200 <= planned.response.status <= 599
        fake.faults.clear()
        assert caller.get("/memories").status in {200, 500, 503}


@given(st.sampled_from(["orgs", "settle", "clock/advance", "faults", "restore", "snapshot"]), st.binary(max_size=30))
@settings(deadline=None)
def test_no_bytes_make_a_control_route_crash(path, body):
    status, _ = Console(FakeMemtrace()).send("POST", path, body)
    assert status in {200, 400, 404}
