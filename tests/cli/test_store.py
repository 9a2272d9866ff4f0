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
        assert "looks after a sqlite:/// store" in result.stderr

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
        assert result.stdout.startswith(f"{path}: schema version 1, ")
        assert "1 memory, 1 agent, 1 session and 1 key\n  default: 1 memory\nfrom 20" in result.stdout

    def test_it_is_told_to_programs(self, store, filled, path):
        told = json.loads(store("info", "--json").stdout)
        assert (told["path"], told["memories"], told["organisations"][0]["name"]) == (str(path), 1, "default")
        assert told["oldest"].endswith("Z")

    def test_an_empty_one_has_no_times(self, store):
        store("keys", "create", "acme")
        assert json.loads(store("info", "--json").stdout)["newest"] is None
        assert "from" not in store("info").stdout


class TestCheck:
    def test_a_whole_one_is_status_0(self, store, filled):
        assert store("check").stdout == "The store is whole\n"
        assert json.loads(store("check", "--json").stdout) == {"ok": True, "problems": []}

    def test_a_damaged_one_is_status_1(self, store, filled, path):
        connection = sqlite3.connect(path)
        connection.execute("DELETE FROM memories")
        connection.commit()
        connection.close()
        result = store("check")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "has 1 of 0 memories" in result.stderr
        assert store("check", "--json").exit_code == 1


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
        assert f"this removes for good 1 memory of {filled} and 1 session and its registration" in result.stderr
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
        told = json.loads(store("forget", "--agent", filled, "--yes", "--json").stdout)
        assert told == {"agent_id": filled, "memories": 0, "sessions": 0, "registered": 0}

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
            run_forget("sqlite:///agent.db", filled, before="", organisation="default", yes=True, as_json=True)

    def test_an_organisation_that_is_not_there_is_status_2(self, store, filled):
        assert store("forget", "--agent", filled, "--organisation", "acme", "--yes").exit_code == 2


class TestKeys:
    def test_the_whole_life_of_a_key(self, store):
        store("keys", "create", "acme")
        created = json.loads(store("keys", "create", "phone", "--organisation", "acme", "--json").stdout)
        assert created["api_key"].startswith("mtk_")
        listed = json.loads(store("keys", "list", "--json").stdout)
        assert [(key["name"], key["organisation"]) for key in listed["keys"]] == [("acme", "acme"), ("phone", "acme")]
        assert "phone" in store("keys", "list").stdout
        assert store("keys", "revoke", "phone").stdout == "The key phone is refused from now on\n"
        assert json.loads(store("keys", "revoke", "acme", "--json").stdout) == {"revoked": "acme"}
        assert all(key["revoked"] for key in json.loads(store("keys", "list", "--json").stdout)["keys"])
        assert store("keys", "revoke", "acme").exit_code == 2

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


def test_the_doctor_finds_a_file_well_without_a_key(invoke, path, filled):
    result = invoke("doctor", "--base-url", f"sqlite:///{path}", "--json")
    told = {check["name"]: check["found"] for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 0
    assert "without a key, which it does not need" in told["configuration"]
    assert told["key"] == "none is needed"


def test_a_profile_of_a_file_needs_no_key(invoke, path, filled):
    assert invoke("profiles", "add", "laptop", "--base-url", f"sqlite:///{path}").exit_code == 0
    assert "User prefers dark mode" in invoke("recall", filled, "--profile", "laptop").stdout
