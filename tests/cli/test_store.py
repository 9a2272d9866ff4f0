"""store: what a file holds, its copies, its keys, and forgetting; and the other commands on such a file."""

from __future__ import annotations

import json
import sqlite3

import pytest

from memtrace import Memtrace
from memtrace._cli.exit_status import CommandError
from memtrace._cli.store import run_forget


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.db"


@pytest.fixture
def filled(path):
    with Memtrace(path) as client:
        agent = client.agents.register(name="assistant")
        client.sessions.create(agent_id=agent.id)
        client.memories.add(agent_id=agent.id, content="User prefers dark mode")
    return agent.id


@pytest.fixture
def store(invoke, path):
    """Run a command on the file."""

    def run(*arguments, stdin=None):
        return invoke("store", *arguments, "--store", f"sqlite:///{path}", stdin=stdin)

    return run


class TestWhichFile:
    def test_the_environment_names_it_too(self, invoke, path, filled, environment):
        environment.setenv("MEMTRACE_BASE_URL", f"sqlite:///{path}")
        assert "1 memory" in invoke("store", "info").stdout

    def test_none_is_status_2(self, invoke):
        result = invoke("store", "info")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "no store is named: add --store sqlite:///agent.db" in result.stderr

    def test_a_server_is_none(self, invoke):
        result = invoke("store", "info", "--store", "http://localhost:9100")
        assert result.exit_code == 2
        assert "maintains a sqlite:/// store" in result.stderr

    def test_a_missing_file_is_status_2_and_not_made(self, store, path):
        result = store("info")
        assert result.exit_code == 2
        assert f"the store {path} does not exist" in result.stderr
        assert "(from --store" in result.stderr
        assert not path.exists()


class TestInfo:
    def test_it_is_told_to_people(self, store, filled, path):
        result = store("info")
        assert result.exit_code == 0
        first, *others = result.stdout.splitlines()
        assert first.startswith(f"{path}: schema version 2, ")
        assert first.endswith(" and a log of 0")
        assert others[:2] == ["1 memory, 1 agent, 1 session and 0 keys", "  default: 1 memory"]
        assert others[2].startswith("from 20")

    def test_it_is_told_to_programs(self, store, filled, path):
        told = json.loads(store("info", "--json").stdout)
        assert (told["path"], told["memories"], told["organisations"][0]["name"]) == (str(path), 1, "default")
        assert told["oldest"].endswith("Z")

    def test_the_log_is_that_of_the_file_where_a_link_leads_to_it(self, invoke, filled, path):
        link = path.with_name("link.db")
        link.symlink_to(path)
        with Memtrace(path) as client:
            client.remember("assistant", "in the log")
            told = json.loads(invoke("store", "info", "--store", f"sqlite:///{link}", "--json").stdout)
            assert told["log_bytes"] == path.with_name("agent.db-wal").stat().st_size > 0

    def test_an_empty_one_has_no_times(self, store):
        store("keys", "create", "acme")
        assert json.loads(store("info", "--json").stdout)["newest"] is None
        assert "from" not in store("info").stdout


class TestCheck:
    def test_a_whole_one_is_status_0(self, store, filled):
        assert store("check").stdout == "The store is intact\n"
        assert json.loads(store("check", "--json").stdout) == {"ok": True, "problems": []}

    def test_a_damaged_one_is_status_1(self, store, filled, path):
        connection = sqlite3.connect(path)
        connection.execute("DELETE FROM memories")
        connection.commit()
        connection.close()
        result = store("check")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "has memories that are not stored: 1" in result.stderr
        assert "memtrace-sdk store compact" in result.stderr
        assert store("check", "--json").exit_code == 1
        assert store("compact").exit_code == 0
        assert store("check").exit_code == 0

    def test_one_that_cannot_be_opened_any_more_is_status_1_too(self, store, filled, path):
        with path.open("r+b") as file:
            file.seek(100)
            file.write(b"\xff" * 3996)
        result = store("check")
        assert (result.exit_code, result.stdout) == (1, "")
        assert (
            "the store is damaged\nthe file cannot be opened: database disk image is malformed\ngo back"
            in result.stderr
        )
        assert "store check" not in result.stderr  # which is what was run
        told = store("check", "--json")
        assert (told.exit_code, json.loads(told.stdout)["ok"]) == (1, False)


class TestBackupAndCompact:
    def test_a_backup_is_a_file_of_its_own(self, store, filled, path, tmp_path):
        assert f"Copied the store to {tmp_path}/copy.db, " in store("backup", str(tmp_path / "copy.db")).stdout
        told = json.loads(store("backup", str(tmp_path / "other.db"), "--json").stdout)
        assert told["bytes"] == (tmp_path / "other.db").stat().st_size
        again = store("backup", str(tmp_path / "copy.db"))
        assert again.exit_code == 2
        assert "File exists" in again.stderr

    def test_compacting_tells_both_sizes(self, store, filled):
        assert "it had" in store("compact").stdout
        assert set(json.loads(store("compact", "--json").stdout)) == {"bytes_before", "bytes_after"}


class TestForget:
    def test_nobody_who_can_be_asked_removes_nothing(self, store, filled):
        result = store("forget", "--agent", filled)
        assert result.exit_code == 2
        assert f"this removes for good 1 memory of {filled}, 1 session and its registration\n" in result.stderr
        assert "add --yes" in result.stderr
        assert json.loads(store("info", "--json").stdout)["memories"] == 1

    @pytest.mark.parametrize(("answer", "status", "left"), [("n\n", 1, 1), ("y\n", 0, 0)])
    def test_who_is_asked_decides(self, store, filled, environment, answer, status, left):
        environment.setattr("memtrace._cli.store._can_be_asked", lambda: True)
        result = store("forget", "--agent", filled, stdin=answer)
        assert result.exit_code == status
        assert json.loads(store("info", "--json").stdout)["memories"] == left

    def test_yes_asks_nobody(self, store, filled):
        assert store("forget", "--agent", filled, "--yes").stdout.startswith("Forgot 1 memory of")

    def test_programs_are_told_by_json(self, store, filled):
        told = json.loads(store("forget", "--agent", "assistant", "--yes", "--json").stdout)
        assert told == {
            "agent_id": filled,
            "memories": 1,
            "sessions": 1,
            "registered": 1,
            "known": True,
            "namesake": None,
            "unfinished": False,
        }

    def test_a_registered_agent_is_named_too(self, store, filled):
        done = store("forget", "--agent", "assistant", "--yes")
        assert done.stdout == f"Forgot 1 memory of {filled}, 1 session and its registration\n"

    def test_a_namesake_is_told(self, store, filled, path):
        with Memtrace(path) as client:
            client.remember("assistant", "of the id")
        done = store("forget", "--agent", "assistant", "--yes")
        assert done.stdout == "Forgot 1 memory of assistant\n"
        assert f"another agent is registered under the name 'assistant', and stays: {filled}" in done.stderr

    @pytest.mark.parametrize("agent", ["nobody", " "])
    def test_who_is_not_known_is_status_3(self, store, filled, agent):
        result = store("forget", "--agent", agent, "--yes")
        assert (result.exit_code, result.stdout) == (3, "")
        assert f"the store has no agent {agent!r} of the organisation 'default'" in result.stderr
        assert store("forget", "--agent", agent, "--yes", "--json").exit_code == 3

    def test_nobody_is_asked_where_nothing_goes(self, store, filled):
        result = store("forget", "--agent", filled, "--before", "90d")
        assert (result.exit_code, result.stdout) == (0, f"Forgot 0 memories of {filled}\n")

    def test_what_a_reader_held_back_is_status_6_and_erased_by_the_next_run(self, store, filled, path):
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM memories").fetchone()
        result = store("forget", "--agent", filled, "--yes", "--timeout", "0.05")
        assert (result.exit_code, result.stdout) == (6, "")
        assert f"memories of {filled} are removed from the store {path}, and not yet erased" in result.stderr
        assert "run it again, which erases them" in result.stderr
        reader.close()
        again = store("forget", "--agent", filled, "--yes")
        assert again.stdout == "Erased from the file what an earlier run had removed\n"
        assert store("forget", "--agent", filled, "--yes").exit_code == 3

    @pytest.mark.parametrize(("before", "removed"), [("90d", 0), ("2026-01-01", 0), ("2100-01-01", 1)])
    def test_a_time_keeps_what_is_newer(self, store, filled, before, removed):
        told = json.loads(store("forget", "--agent", filled, "--before", before, "--yes", "--json").stdout)
        assert told["memories"] == removed

    @pytest.mark.parametrize("before", ["yesterday", " ", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
    def test_a_time_that_cannot_be_read_is_status_2_and_removes_nothing(self, store, filled, before):
        result = store("forget", "--agent", filled, "--before", before, "--yes")
        assert result.exit_code == 2
        assert "--before must be a time such as 90d" in result.stderr
        assert json.loads(store("info", "--json").stdout)["memories"] == 1

    def test_a_time_that_an_unset_variable_left_empty_removes_nothing(self, store, filled):
        result = store("forget", "--agent", filled, "--before", "", "--yes")
        assert result.exit_code == 2
        assert "'--before': it is empty" in result.stderr
        assert json.loads(store("info", "--json").stdout)["memories"] == 1
        with pytest.raises(CommandError, match="--before must be a time"):
            run_forget(
                "sqlite:///agent.db", filled, before="", organisation="default", yes=True, timeout=1.0, as_json=True
            )

    def test_an_organisation_that_is_not_there_is_status_2(self, store, filled):
        assert store("forget", "--agent", filled, "--organisation", "acme", "--yes").exit_code == 2

    @pytest.mark.parametrize(
        "command", [("compact",), ("forget", "--agent", "assistant", "--yes"), ("keys", "create", "phone")]
    )
    def test_how_long_others_are_waited_for_is_said(self, store, filled, path, command):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        result = store(*command, "--timeout", "0")
        other.close()
        assert result.exit_code == 6
        assert "was locked by another process for longer than the timeout" in result.stderr


class TestKeys:
    def test_the_whole_life_of_a_key(self, store):
        store("keys", "create", "acme")
        created = json.loads(store("keys", "create", "phone", "--organisation", "acme", "--json").stdout)
        assert created["api_key"].startswith("mtk_")
        listed = json.loads(store("keys", "list", "--json").stdout)
        assert [(key["name"], key["organisation"]) for key in listed["keys"]] == [("acme", "acme"), ("phone", "acme")]
        assert "phone" in store("keys", "list").stdout
        assert store("keys", "revoke", "phone").stdout == "The key phone is rejected from now on\n"
        assert json.loads(store("keys", "revoke", "acme", "--json").stdout) == {"revoked": "acme"}
        assert all(key["revoked_at"] for key in json.loads(store("keys", "list", "--json").stdout)["keys"])
        assert store("keys", "revoke", "acme").exit_code == 2

    @pytest.mark.parametrize("name", ["", " "])
    def test_a_key_without_a_name_is_status_2(self, store, name):
        result = store("keys", "create", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "a key needs a name" in result.stderr

    def test_a_new_key_is_all_that_is_printed(self, store):
        assert len(store("keys", "create", "acme").stdout) == len("mtk_") + 44 + 1

    def test_none_is_told(self, store, filled):
        assert "there is no key; issue one with" in store("keys", "list").stderr


def test_the_other_commands_work_on_a_file_without_a_key(invoke, path, environment):
    environment.setenv("MEMTRACE_BASE_URL", f"sqlite:///{path}")
    assert invoke("remember", "assistant", "User prefers dark mode").exit_code == 0
    assert "User prefers dark mode" in invoke("recall", "assistant").stdout
    assert invoke("export", str(path.with_name("all.jsonl"))).exit_code == 0
    assert "User prefers dark mode" in path.with_name("all.jsonl").read_text()


READING = [
    ("recall", "assistant"),
    ("search", "tea"),
    ("context", "sess_1"),
    ("context", "sess_1", "--prompt"),
    ("tail",),
    ("agents",),
    ("sessions",),
    ("stats",),
    ("export", "-"),
    ("export", "all.jsonl"),
    ("export", "/dev/stderr"),
]


@pytest.mark.parametrize("command", READING)
def test_a_command_that_only_reads_makes_no_file_of_a_mistyped_address(invoke, tmp_path, environment, command):
    environment.chdir(tmp_path)
    result = invoke(*command, "--base-url", "sqlite:///new/typo.db")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"the store {tmp_path}/new/typo.db does not exist: check the path; " in result.stderr
    assert "(from --base-url)" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_makes_none_either(invoke, path):
    result = invoke("doctor", "--base-url", f"sqlite:///{path}", "--json")
    told = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1
    assert told["reachable"]["found"] == f"the store {path} does not exist"
    assert "check the path" in told["reachable"]["advice"]
    assert not path.exists()


def test_a_command_that_writes_makes_the_file(invoke, path):
    assert invoke("remember", "assistant", "tea", "--base-url", f"sqlite:///{path}").exit_code == 0
    assert path.exists()


@pytest.mark.slow
def test_a_dry_run_of_an_import_makes_none_and_counts_all_the_same(invoke, path, at_once):
    line = json.dumps({"agent_id": "assistant", "content": "tea"})
    for arguments, is_made in ((("--dry-run",), False), ((), True), (("--dry-run",), True)):
        result = invoke("import", "-", "--base-url", f"sqlite:///{path}", *arguments, "--json", stdin=line)
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["stored" if arguments == () or not is_made else "present"] == 1
        assert path.exists() is is_made


@pytest.mark.parametrize("url", ["sqlite://typo.db", "sqlite:///{path}/a"])
def test_an_address_that_no_file_can_have_is_told_by_the_client(invoke, path, url):
    path.write_text("a file, and no folder")
    result = invoke("recall", "assistant", "--base-url", url.format(path=path))
    assert result.exit_code == 2
    assert "not a valid address" in result.stderr or "cannot be reached: Not a directory" in result.stderr


def test_the_demo_counts_what_earlier_runs_left(invoke, path):
    counts = []
    for _ in range(2):
        result = invoke("demo", "--store", f"sqlite:///{path}")
        assert result.exit_code == 0
        counts.append(next(line for line in result.stdout.splitlines() if "memories (" in line))
    assert counts[0].endswith("3 memories (1 decision, 2 episodic), 1 session")
    assert counts[1].endswith("6 memories (2 decision, 4 episodic), 2 sessions")


def test_the_doctor_finds_a_file_well_without_a_key(invoke, path, filled):
    result = invoke("doctor", "--base-url", f"sqlite:///{path}", "--json")
    told = {check["name"]: check["found"] for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 0
    assert "without a key, which it does not need" in told["configuration"]
    assert told["key"] == "none is needed"


def test_a_profile_of_a_file_needs_no_key(invoke, path, filled):
    assert invoke("profiles", "add", "laptop", "--base-url", f"sqlite:///{path}").exit_code == 0
    assert "User prefers dark mode" in invoke("recall", filled, "--profile", "laptop").stdout
