"""export and import together: everything of one place in another, once, whatever breaks into it."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest

from memtrace import Memtrace
from memtrace._cli.transfer import importer, resumable_file, run
from memtrace._cli.transfer.importer import ImportPlan, ImportReport, import_lines
from memtrace._cli.transfer.registrations import ORIGIN, RegisteredCounts, Registrar, registered_lines
from memtrace.models import ListOptions
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.cli.test_import import Stop, stopping

pytestmark = pytest.mark.network
FORMATS = ["all.jsonl", "all.jsonl.gz"]


@pytest.fixture(autouse=True)
def folder(environment, tmp_path, at_once):
    """Where the commands run; time passes at once there."""
    environment.chdir(tmp_path)
    environment.setattr(run, "SystemClock", ManualClock)
    return tmp_path


def fill(client):
    """Two agents, one of them with a name that no path can have; sessions between them; memories of all kinds."""
    bot = client.agents.register(name="bot", description="Answers", config={"model": "m", "t": 0.5})
    odd = client.agents.register(name="Ínes / billing")
    first = client.sessions.create(agent_id=bot.id, metadata={"topic": "pay", "n": 1})
    second = client.sessions.create(agent_id=odd.id)
    third = client.sessions.create(agent_id=bot.id)
    fourth = client.sessions.create(agent_id=bot.id)
    said = [
        {"agent_id": bot.id, "session_id": first.id, "tags": ["a"], "importance": 0.5, "metadata": {"k": [1, None]}},
        {"agent_id": odd.id, "session_id": second.id, "memory_type": "decision"},
        {"agent_id": bot.id, "session_id": "of_my_own", "event_type": "error"},
        {"agent_id": "never_registered", "session_id": third.id, "dedup_key": "mine", "parent_id": "p"},
        {"agent_id": "bot"},
        {"agent_id": bot.id, "session_id": third.id},
    ]
    for number, fields in enumerate(said):
        client.memories.add(content=f"Row {number} é", **fields)
    client.sessions.close(first.id)
    client.sessions.update(fourth.id, status="paused")


def picture(client):
    """Everything that a client can see, without what another server sets: ids by what they stand for, and no times."""
    agents = client.agents.list().agents
    names = {agent.id: agent.name for agent in agents}
    sessions = client.sessions.list().sessions[::-1]
    places = {session.id: f"session {number}" for number, session in enumerate(sessions)}
    return {
        "agents": sorted((agent.name, agent.description, str(agent.config)) for agent in agents),
        "sessions": [
            (
                names[session.agent_id],
                session.status,
                session.closed_at is not None,
                {name: value for name, value in (session.metadata or {}).items() if name != ORIGIN},
            )
            for session in sessions
        ],
        "memories": [
            (
                names.get(memory.agent_id, memory.agent_id),
                places.get(memory.session_id, memory.session_id),
                memory.model_dump(exclude={"time", "org_id", "agent_id", "session_id", "dedup_key"}),
            )
            for memory in client.memories.iter(order="asc")
        ],
    }


@pytest.fixture
def file(folder):
    """A store in a file, and a client of it."""
    with Memtrace("sqlite:///agent.db", dedup="server") as client:
        yield client


@pytest.fixture
def exported(invoke, file, environment):
    """The lines of such a store with everything in it."""
    fill(file)
    result = invoke("export", "all.jsonl", "--base-url", "sqlite:///agent.db", "--json")
    assert json.loads(result.stdout) == {"file": "all.jsonl", "exported": 6, "resumed": 0, "agents": 2, "sessions": 4}


def counts(result):
    told = json.loads(result.stdout)
    return {name: told[name] for name in ("agents", "sessions", "read", "stored", "present", "rejected", "unknown")}


def exactly(agents, sessions, memories, rejected=0):
    """What is stored and what was there already, of each."""
    (stored, present), kinds = memories, ("stored", "present")
    return {
        "agents": dict(zip(kinds, agents, strict=True)),
        "sessions": dict(zip(kinds, sessions, strict=True)),
        "read": stored + present + rejected,
        "stored": stored,
        "present": present,
        "rejected": rejected,
        "unknown": 0,
    }


class TestExport:
    @pytest.mark.parametrize("name", [*FORMATS, "-", "/dev/stdout"])
    def test_agents_and_sessions_stand_before_the_memories_and_the_oldest_first(self, invoke, file, folder, name):
        fill(file)
        result = invoke("export", name, "--base-url", "sqlite:///agent.db")
        opened = gzip.open if name.endswith(".gz") else open
        if name in FORMATS:
            assert result.stdout == f"Exported 2 agents, 4 sessions and 6 memories to {name}\n"
            with opened(folder / name, "rt", encoding="utf-8") as stream:
                lines = [json.loads(line) for line in stream]
        else:
            lines = [json.loads(line) for line in result.stdout.splitlines()]
        sessions = file.sessions.list().sessions[::-1]
        assert {line["agent"]["name"] for line in lines[:2]} == {"bot", "Ínes / billing"}
        assert [line["session"]["id"] for line in lines[2:6]] == [session.id for session in sessions]
        assert [line["content"] for line in lines[6:]] == [f"Row {number} é" for number in range(6)]

    def test_a_line_has_all_that_the_server_gives(self, invoke, client, memtrace_fake):
        fill(client)
        lines = [json.loads(line) for line in invoke("export", "-").stdout.splitlines()]
        for agent in client.agents.list().agents:
            assert {"agent": json.loads(agent.model_dump_json(exclude_unset=True))} in lines
        for session in client.sessions.list().sessions:
            assert {"session": json.loads(session.model_dump_json(exclude_unset=True))} in lines

    @pytest.mark.parametrize(
        "options",
        [
            ["--agent", "never_registered"],
            ["--session", "of_my_own"],
            ["--type", "decision"],
            ["--event-type", "error"],
            ["--tag", "a"],
            ["--since", "2020-01-01"],
            ["--until", "2999-01-01"],
        ],
    )
    def test_with_a_filter_there_are_memories_alone(self, invoke, client, options):
        fill(client)
        result = invoke("export", "out.jsonl", "--json", *options)
        assert json.loads(result.stdout).keys() == {"file", "exported", "resumed"}
        lines = [json.loads(line) for line in invoke("export", "-", *options).stdout.splitlines()]
        assert lines
        assert all("content" in line for line in lines)

    @pytest.mark.parametrize("name", FORMATS)
    def test_what_is_opened_during_an_interrupted_export_is_in_the_file(
        self, invoke, client, memtrace_fake, folder, name
    ):
        fill(client)
        memtrace_fake.faults.add(Fault("status", status=401, body=b'{"error":"invalid API key"}', on="agents.list"))
        first = invoke("export", name)
        assert (first.exit_code, (folder / name).exists()) == (5, False)
        assert f"6 memories so far are kept in {name}." in first.stderr
        agent = client.agents.register(name="late")
        session = client.sessions.create(agent_id=agent.id)
        client.memories.add(agent_id=agent.id, session_id=session.id, content="late")
        told = json.loads(invoke("export", name, "--json").stdout)
        assert told == {"file": name, "exported": 7, "resumed": 6, "agents": 3, "sessions": 5}
        assert [path.name for path in folder.iterdir() if ".part" in path.name] == []
        assert counts(invoke("import", name, "--json")) == exactly((0, 3), (0, 5), (0, 7))

    @pytest.mark.parametrize("name", FORMATS)
    @pytest.mark.parametrize("raised", [KeyboardInterrupt, OSError])
    def test_what_fails_while_the_file_is_put_together_leaves_what_was_read(
        self, invoke, client, folder, environment, name, raised
    ):
        fill(client)

        def fail(*streams):
            raise raised(28, "No space left on device")

        with environment.context() as broken:
            broken.setattr(resumable_file.shutil, "copyfileobj", fail)
            first = invoke("export", name)
        assert first.exit_code == (130 if raised is KeyboardInterrupt else 1)
        assert len([path for path in folder.iterdir() if ".part" in path.name]) == 1
        assert json.loads(invoke("export", name, "--json").stdout)["resumed"] == 6
        assert counts(invoke("import", name, "--json")) == exactly((0, 2), (0, 4), (0, 6))

    def test_the_file_is_its_owners_alone(self, invoke, client, folder):
        fill(client)
        invoke("export", "all.jsonl")
        assert (folder / "all.jsonl").stat().st_mode & 0o777 == 0o600

    @pytest.mark.slow
    def test_a_hundred_thousand_sessions_need_less_than_a_kilobyte_each(self):
        source = FakeMemtrace(clock=ManualClock()).client()
        agents = [source.agents.register(name=name).id for name in "abcd"]
        for number in range(1000):
            for agent_id in agents:
                source.sessions.create(agent_id=agent_id, metadata={"n": number})
        tracemalloc.start()
        try:
            lines = registered_lines(source).lines
            registrar = Registrar(source, RegisteredCounts(), RegisteredCounts())
            for line in lines:
                registrar.take(json.loads(line))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert registrar.sessions.present == 4000
        assert peak < 4000 * 2000


class TestImport:
    def test_everything_of_a_file_is_on_the_server_with_order_sessions_and_agents(
        self, invoke, client, file, exported, memtrace_fake
    ):
        result = invoke("import", "all.jsonl", "--json")
        assert (result.exit_code, counts(result)) == (0, exactly((2, 0), (4, 0), (6, 0)))
        assert picture(client) == picture(file)

    def test_it_is_told_to_people(self, invoke, client, exported):
        assert invoke("import", "all.jsonl").stdout.splitlines() == [
            "2 agents of all.jsonl: 2 registered, 0 there already",
            "4 sessions of all.jsonl: 4 opened, 0 there already",
            "6 lines of all.jsonl: 6 stored, 0 there already, 0 rejected",
        ]

    @pytest.mark.parametrize("later", [0, 48 * 3600])
    def test_running_it_again_changes_nothing(self, invoke, client, exported, memtrace_fake, later):
        invoke("import", "all.jsonl")
        before = (client.agents.list(), client.sessions.list(), list(client.memories.iter()))
        memtrace_fake.clock.advance(later)
        assert counts(invoke("import", "all.jsonl", "--json")) == exactly((0, 2), (0, 4), (0, 6))
        assert (client.agents.list(), client.sessions.list(), list(client.memories.iter())) == before

    def test_a_move_there_and_back_again_and_one_to_where_it_is_make_nothing_twice(
        self, invoke, client, file, exported
    ):
        invoke("import", "all.jsonl")
        invoke("export", "back.jsonl")
        reopened = file.sessions.list().sessions[-1]
        file.sessions.update(reopened.id, status="active")
        before = picture(file)
        for name in ("all.jsonl", "back.jsonl"):
            result = invoke("import", name, "--base-url", "sqlite:///agent.db", "--json")
            assert counts(result) == exactly((0, 2), (0, 4), (0, 6))
        assert picture(file) == before

    def test_a_session_that_was_opened_again_stays_open(self, invoke, client, exported):
        invoke("import", "all.jsonl")
        closed = next(session for session in client.sessions.list().sessions if session.closed_at)
        client.sessions.update(closed.id, status="active")
        invoke("import", "all.jsonl")
        assert client.sessions.get(closed.id).status == "active"

    def test_an_agent_that_is_there_stays_as_it_is(self, invoke, client, exported):
        there = client.agents.register(name="bot", description="mine")
        assert counts(invoke("import", "all.jsonl", "--json")) == exactly((1, 1), (4, 0), (6, 0))
        assert client.agents.get("bot") == client.agents.get(there.id)
        assert client.agents.get("bot").description == "mine"

    def test_memories_that_an_import_without_their_agents_stored_are_found(self, invoke, client, exported, folder):
        lines = (folder / "all.jsonl").read_text().splitlines(keepends=True)
        (folder / "old.jsonl").write_text("".join(lines[6:]))
        assert counts(invoke("import", "old.jsonl", "--json")) == exactly((0, 0), (0, 0), (6, 0))
        assert counts(invoke("import", "all.jsonl", "--json")) == exactly((2, 0), (4, 0), (0, 6))

    def test_a_dry_run_counts_the_same_and_makes_nothing(self, invoke, client, exported):
        result = invoke("import", "all.jsonl", "--dry-run", "--json")
        assert counts(result) == exactly((2, 0), (4, 0), (6, 0))
        assert "4 sessions of all.jsonl: 4 would be opened" in invoke("import", "all.jsonl", "--dry-run").stdout
        assert (client.agents.list().count, client.sessions.list().count, client.memories.list().count) == (0, 0, 0)
        invoke("import", "all.jsonl")
        before = picture(client)
        assert counts(invoke("import", "all.jsonl", "--dry-run", "--json")) == exactly((0, 2), (0, 4), (0, 6))
        assert picture(client) == before

    def test_the_time_of_a_line_is_kept_where_it_is_asked_for(self, invoke, client, file, exported):
        invoke("import", "all.jsonl", "--keep-time-as", "was")
        kept = [memory.metadata["was"] for memory in client.memories.iter(order="asc")]
        times = [json.loads(memory.model_dump_json())["time"] for memory in file.memories.iter(order="asc")]
        assert kept == times

    def test_a_failure_among_the_agents_says_how_far_it_came(self, invoke, client, memtrace_fake, exported):
        denied = Fault("status", status=401, body=b'{"error":"invalid API key"}', on="sessions.create", nth=3)
        memtrace_fake.faults.add(denied)
        result = invoke("import", "all.jsonl")
        assert result.exit_code == 5
        told = "2 agents and 2 sessions are there. Of 0 lines read 0 are stored"
        assert result.stderr.splitlines()[1].startswith(told)
        assert counts(invoke("import", "all.jsonl", "--json")) == exactly((0, 2), (2, 2), (6, 0))


@pytest.mark.parametrize("after", [False, True])
def test_an_import_may_end_at_any_request_and_be_run_again(after):
    source = FakeMemtrace(clock=ManualClock()).client()
    fill(source)
    rows = [line.encode() for line in registered_lines(source).lines]
    rows += [memory.model_dump_json(exclude_unset=True).encode() for memory in source.memories.iter(order="asc")]
    ended, number = 0, 0
    while ended == number:
        number += 1
        clock = ManualClock()
        fake = FakeMemtrace(clock=clock, visibility="server")
        with fake.client("acme", attempt_middleware=[stopping(number, after, Stop())]) as client:
            try:
                import_lines(client, rows, ImportPlan(name="f"), ImportReport(), clock=clock, on_chunk=lambda: None)
            except Stop:
                ended += 1
        with fake.client("acme") as client:
            import_lines(client, rows, ImportPlan(name="f"), ImportReport(), clock=clock, on_chunk=lambda: None)
            fake.flush()
            assert picture(client) == picture(source)
    assert ended > 12


class TestLines:
    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ({"agent": "secret"}, 'line 1, field "agent": must be a JSON object'),
            ({"agent": {"id": "a"}}, 'line 1, field "agent.name": is missing or empty; each such line needs it'),
            ({"agent": {"name": "a", "id": ""}}, 'line 1, field "agent.id": is missing or empty'),
            ({"agent": {"name": 5, "id": "a"}}, 'line 1, field "agent.name": must be a string, not int'),
            ({"agent": {"name": "a", "id": "a", "config": {"x": "x" * 4_200_000}}}, "line 1: cannot be stored: the request body has"),
            ({"session": []}, 'line 1, field "session": must be a JSON object'),
            ({"session": {"id": "s"}}, 'line 1, field "session.agent_id": is missing or empty'),
            ({"session": {"id": "s", "agent_id": "a"}}, 'line 1, field "session.agent_id": is the id of no agent, neither of a line'),
            ({"session": {"id": "s", "agent_id": "a"}, "agent": {}}, 'line 1, field "session": is not a field of a memory'),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("options", [[], ["--dry-run"]])
    def test_one_that_cannot_be_taken_is_told_and_the_rest_is_stored(self, invoke, client, folder, line, told, options):
        rest = {"agent_id": "a", "content": "kept"}
        (folder / "in.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(rest)}\n", encoding="utf-8")
        result = invoke("import", "in.jsonl", "--json", *options)
        assert result.exit_code == 8
        assert counts(result) == exactly((0, 0), (0, 0), (1, 0), rejected=1)
        assert told in result.stderr
        assert "secret" not in result.stderr

    def test_one_may_name_an_agent_that_is_registered_here(self, invoke, client, folder):
        agent = client.agents.register(name="here")
        line = {"session": {"id": "s", "agent_id": agent.id, "metadata": None}}
        rows = [line, line, {"agent_id": agent.id, "session_id": "s", "content": "c"}]
        (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly((0, 0), (1, 1), (1, 0))
        (session,) = client.sessions.list().sessions
        assert client.memories.list().memories[0].session_id == session.id

    def test_many_of_them_move_the_bar_too(self):
        moved = []
        rows = [json.dumps({"agent": {"id": f"a{n}", "name": f"a{n}"}}).encode() for n in range(250)]
        clock = ManualClock()
        report = ImportReport()
        with FakeMemtrace(clock=clock).client() as client:
            import_lines(
                client,
                rows,
                ImportPlan(name="f"),
                report,
                clock=clock,
                on_chunk=lambda: moved.append(report.agents.stored),
            )
        assert moved == [100, 200]


def test_only_an_export_without_a_filter_is_whole():
    assert run.is_whole(ListOptions(tags_match="exact"))
    assert not run.is_whole(ListOptions(agent_id="a"))
    assert importer.BATCH_SIZE == 100
