"""The first example of each command's help runs as it is printed, where what it names is there."""

from __future__ import annotations

import re
import shlex

import keyring
import pytest
from typer.main import get_command

from memtrace import AddMemoryRequest, Memtrace
from memtrace._cli.app import app
from memtrace._runtime.write_buffer.admission import prepare
from memtrace._runtime.write_buffer.spool_delivery import Outbox
from memtrace_transports.memory import Fault
from tests.cli.test_profiles import Keys

pytestmark = pytest.mark.network
SESSION = "sess_0123456789abcdef01234567"
#: How those end that no exit status 0 can end here, and with which words.
ENDS = {"tail": (5, "invalid API key"), "store forget": (2, "add --yes")}
#: They serve until a signal comes; tests/cli/test_serve.py and tests/cli/test_view.py run them.
ENDLESS = {"serve-fake", "view"}


def first_examples(command, words=()):
    """Each command's words, and the first line below the examples of its help."""
    if found := re.search(r"Examples:\n  (memtrace-sdk .*)", command.epilog or ""):
        yield " ".join(words), found[1]
    for name, each in getattr(command, "commands", {}).items():
        yield from first_examples(each, (*words, name))


EXAMPLES = dict(first_examples(get_command(app)))


@pytest.fixture
def prepared(client, environment, tmp_path, memtrace_fake, invoke):
    """A folder, a server and a keyring with what the examples name."""
    environment.chdir(tmp_path)
    client.memories.add(agent_id="someone", session_id=SESSION, content="User likes dark mode")
    client.memories.add(agent_id="assistant", content="User likes tea")
    assert invoke("export", "all.jsonl.gz").exit_code == 0
    (tmp_path / "all.jsonl.gz").rename(tmp_path / "kept")
    with environment.context() as alone:
        alone.delenv("MEMTRACE_API_KEY")
        with Memtrace("sqlite:///agent.db") as local:
            local.remember("assistant", "User likes dark mode")
    backend = keyring.get_keyring()
    keyring.set_keyring(Keys())
    yield tmp_path
    keyring.set_keyring(backend)


def put_what_it_names(invoke, client, folder, name, fake):
    if name == "import":
        (folder / "kept").rename(folder / "all.jsonl.gz")
    if name in ("profiles remove", "profiles use", "profiles set-key"):
        invoke("profiles", "add", "local", "--base-url", "http://localhost:9100")
    if name == "store keys revoke":
        invoke("store", "keys", "create", "acme", "--store", "sqlite:///agent.db")
    if name.startswith("spool"):
        with Memtrace() as sender:
            outbox = Outbox(str(folder / "outbox.db"), sender._dispatcher.settings)
            outbox.add(prepare(AddMemoryRequest(agent_id="a", content="waits"), "per_call")[0])
            outbox.spool.close()
    if name == "tail":
        fake.faults.add(Fault("status", status=401, body=b'{"error":"invalid API key"}', on="memories.list", nth=4))


@pytest.mark.parametrize("name", sorted({*EXAMPLES} - ENDLESS))
def test_it_runs_as_it_is_printed(invoke, client, prepared, memtrace_fake, at_once, environment, name):
    if name == "mcp":
        pytest.importorskip("mcp")
    environment.setattr("memtrace.clock.SystemClock", type(memtrace_fake.clock))
    environment.setattr("memtrace._cli.transfer.run.SystemClock", type(memtrace_fake.clock))
    put_what_it_names(invoke, client, prepared, name, memtrace_fake)
    program, *arguments = shlex.split(EXAMPLES[name].partition(" > ")[0])
    assert program == "memtrace-sdk"
    result = invoke(*arguments, stdin="mtk_of_local\n" if name == "profiles set-key" else "")
    status, told = ENDS.get(name, (0, ""))
    assert (result.exit_code, told in result.output) == (status, True), result.output


def test_each_command_has_one():
    named = {name for name in EXAMPLES if " " not in name}
    assert named == {"", *get_command(app).commands}
