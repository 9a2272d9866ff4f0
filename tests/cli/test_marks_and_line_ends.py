"""Byte order marks and line ends: editors add them, and no text that the console reads is another one for it."""

from __future__ import annotations

import gzip
import json

import keyring
import pytest

from memtrace._cli.transfer import run
from memtrace_transports import ManualClock
from tests.cli.conftest import turn
from tests.cli.test_profiles import Keys

pytestmark = pytest.mark.network
MARK = b"\xef\xbb\xbf"
FORMS = {
    "plain": lambda data: data,
    "with a mark": lambda data: MARK + data,
    "with CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "with both": lambda data: MARK + data.replace(b"\n", b"\r\n"),
    "without a line end at its end": lambda data: MARK + data.rstrip(b"\n"),
}
LINES = b'{"agent_id": "a", "content": "one"}\n\n{"agent_id": "a", "content": "two"}\n'
PROFILES = b'# mine\n[profiles.local]\nbase_url = "http://a"\n\n'


@pytest.fixture(params=FORMS)
def written(request):
    """What an editor makes of a text."""
    return FORMS[request.param]


@pytest.fixture(autouse=True)
def folder(environment, tmp_path, at_once):
    environment.chdir(tmp_path)
    environment.setattr(run, "SystemClock", ManualClock)
    return tmp_path


@pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz", "-"])
def test_an_import_stores_the_same(invoke, client, folder, written, name):
    data = written(LINES)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    told = json.loads(invoke("import", name, "--json", stdin=data if name == "-" else None).stdout)
    assert (told["stored"], told["rejected"]) == (2, 0)
    assert sorted(memory.content for memory in client.memories.iter()) == ["one", "two"]


@pytest.mark.parametrize("name", ["chat.jsonl", "-"])
def test_a_conversation_has_the_same_turns(invoke, folder, written, name):
    data = written(turn() + b"\n" + turn(id="1:2", text="Hello!"))
    (folder / name).write_bytes(data)
    result = invoke("demo", "--conversation", name, stdin=data if name == "-" else None)
    assert result.exit_code == 0
    assert "turns read  2" in result.stdout


def test_a_content_of_the_standard_input_is_the_same(invoke, client, written):
    assert invoke("remember", "a", "-", stdin=written(b"User prefers tea\n")).exit_code == 0
    assert client.recall("a").memories[0].content == "User prefers tea"


def test_only_the_mark_at_the_beginning_is_none_of_the_content(invoke, client):
    invoke("remember", "a", "-", stdin=MARK + MARK + b"one\r\n" + MARK + b"two\r\n\r\n")
    assert client.recall("a").memories[0].content == "\ufeffone\r\n\ufefftwo\r\n"


def test_a_key_of_the_standard_input_is_the_same(invoke, folder, environment, written):
    environment.setenv("MEMTRACE_CONFIG", str(folder / "config.toml"))
    (folder / "config.toml").write_bytes(PROFILES)
    before, keys = keyring.get_keyring(), Keys()
    keyring.set_keyring(keys)
    try:
        assert invoke("profiles", "set-key", "local", stdin=written(b"mtk_x\n")).exit_code == 0
    finally:
        keyring.set_keyring(before)
    assert list(keys.kept.values()) == ["mtk_x"]


def test_profiles_are_the_same_and_can_be_changed(invoke, folder, environment, written):
    environment.setenv("MEMTRACE_CONFIG", str(folder / "config.toml"))
    (folder / "config.toml").write_bytes(written(PROFILES))
    listed = json.loads(invoke("profiles", "list", "--json").stdout)["profiles"]
    assert [each["base_url"] for each in listed] == ["http://a"]
    assert invoke("profiles", "use", "local").exit_code == 0
    assert (folder / "config.toml").read_bytes().startswith(b'default = "local"\n# mine\n')


def test_a_json_object_of_an_option_is_the_same(invoke, client, written):
    metadata = written(b'{"a":\n 1}\n').decode()
    assert invoke("remember", "a", "text", "--metadata", metadata).exit_code == 0
    assert client.recall("a").memories[0].metadata == {"a": 1}
