"""What names a store in a file, whose organisation a key is, and what of a key is kept."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

import pytest

from memtrace import AuthenticationError, ConfigurationError, Memtrace
from memtrace_transports import AsyncSqliteTransport, SqliteTransport
from memtrace_transports.memory import FakeMemtrace
from memtrace_transports.sqlite.asgi import StoreApp
from memtrace_transports.sqlite.maintenance import StoreFile, check_store


def contents(client, agent="assistant"):
    return [memory.content for memory in client.recall(agent).memories]


def test_what_was_remembered_is_there_for_the_next_client(face, tmp_path):
    with face.client(f"sqlite:///{tmp_path}/agent.db") as client:
        client.remember("assistant", "User prefers dark mode")
    with face.client(f"sqlite:///{tmp_path}/agent.db") as client:
        assert contents(client) == ["User prefers dark mode"]


def test_folders_are_made_and_the_file_is_its_owners_alone(face, tmp_path):
    path = tmp_path / "new" / "folder" / "agent.db"
    client = face.client(path)
    assert not path.parent.exists()  # a client that is only made touches nothing
    client.remember("assistant", "User prefers dark mode")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client.close()


@pytest.mark.parametrize(
    "name", ["my agent.db", "größe.db", "100%.db", "what?.db", "a#b.db", "me@home.db", "a+b&c=d.db"]
)
def test_a_path_may_hold_any_character_and_its_url_names_the_same_file(name, tmp_path):
    path = tmp_path / name
    with Memtrace(path) as client:
        client.remember("assistant", name)
        url = client._dispatcher.settings.base_url
    assert path.exists()
    with Memtrace(str(url)) as client:
        assert contents(client) == [name]


def test_spaces_and_letters_beyond_ascii_stand_in_a_url_as_they_are(tmp_path):
    with Memtrace(f"sqlite:///{tmp_path}/my größe.db") as client:
        client.remember("assistant", "here")
    assert (tmp_path / "my größe.db").exists()


def test_a_relative_path_counts_from_where_the_client_was_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with Memtrace("sqlite:///agent.db") as client:
        monkeypatch.chdir(tmp_path / "elsewhere")
        client.remember("assistant", "here")
    assert (tmp_path / "agent.db").exists()


def test_the_environment_names_a_store_as_well(tmp_path, monkeypatch, face):
    monkeypatch.setenv("MEMTRACE_BASE_URL", f"sqlite:///{tmp_path}/agent.db")
    with face.client() as client:
        client.remember("assistant", "here")
    assert (tmp_path / "agent.db").exists()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite://agent.db", "three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite:///:memory:", "memory:// is the store that ends with its client"),
        ("sqlite:///agent.db#x", "%23"),
        ("sqlite:///100%.db", "%25"),
        ("sqlite:///agent.db?mode=ro", "no option 'mode'"),
        ("sqlite:///agent.db?durability=none", "durability is normal or full"),
        ("sqlite:///agent.db?durability=full&mode=ro", "no option 'mode'"),
        ("sqlite:///agent.db?mode=ro&durability=full", "no option 'mode'"),
        ("sqlite:///agent.db?durability=full&durability=normal", "durability is given twice"),
        ("sqlite:///agent.db?durability=full&durability=full", "durability is given twice"),
        ("sqlite:///agent.db?durability=full&durability=none", "durability is normal or full"),
        ("sqlite:///agent.db?durability", "durability is normal or full"),
        ("sqlite:///agent.db?durability=FULL", "durability is normal or full"),
        ("sqlite:///%ff.db", "not UTF-8"),
        ("sqlite:///a%00b.db", "NUL"),
        ("sqlite:///\ud800.db", "half of a Unicode character"),
    ],
)
def test_an_address_that_names_no_file_is_refused_when_the_client_is_made(url, problem, face):
    with pytest.raises(ConfigurationError, match=r"the base URL is not a valid address: .*") as caught:
        face.client(url)
    assert problem in caught.value.message
    assert "sqlite:///agent.db" in caught.value.hint


@pytest.mark.parametrize("path", [Path("a\0b"), Path("\ud800")])
def test_a_path_that_no_file_can_have_is_refused_when_the_client_is_made(path):
    with pytest.raises(ConfigurationError, match="the base URL is not a valid address"):
        Memtrace(path)


def test_a_path_of_bytes_is_refused():
    with pytest.raises(ConfigurationError, match="must be a string, not bytes"):
        Memtrace(InBytes())


def test_a_transport_may_be_made_of_a_path_or_of_an_address(tmp_path, transport_to):
    for store in (str(tmp_path / "agent.db"), f"sqlite:///{tmp_path}/agent.db"):
        with Memtrace("memory://", transport=transport_to(store)) as client:
            client.remember("assistant", store)
            assert store in contents(client)
    with pytest.raises(ConfigurationError, match="the store is not a valid address"):
        SqliteTransport("sqlite://agent.db")


@pytest.mark.parametrize("name", ["agent.db", "100% of mine?.db", "sqlite:"])
def test_whatever_takes_a_store_takes_a_path_object(tmp_path, monkeypatch, transport_to, name):
    monkeypatch.chdir(tmp_path)
    with Memtrace("memory://", transport=transport_to(Path(name))) as client:
        client.remember("assistant", "here")
    assert (tmp_path / name).exists()
    with StoreFile(Path(name)) as store:
        assert store.info().memories == 1
    assert repr(AsyncSqliteTransport(Path(name))) == repr(SqliteTransport(tmp_path / name)).replace("Sq", "AsyncSq", 1)
    fake = FakeMemtrace(store=Path(name))
    assert contents(fake.client("default")) == ["here"]
    assert isinstance(StoreApp(Path(name)), StoreApp)


class InBytes(os.PathLike):
    def __fspath__(self):
        return b"agent.db"


@pytest.mark.parametrize("made", [SqliteTransport, AsyncSqliteTransport, StoreFile, StoreApp, check_store])
def test_what_names_no_store_is_refused(made):
    for store in (5, None, b"agent.db", InBytes()):
        with pytest.raises(ConfigurationError, match=r"the store must be a string or a pathlib\.Path"):
            made(store)
    for store in (Path("a\0b"), Path("\ud800")):
        with pytest.raises(ConfigurationError, match="the store is not a valid path"):
            made(store)


def test_a_full_durability_is_part_of_the_address(tmp_path, transport_to):
    for durability, pragma in (("normal", 1), ("full", 2)):
        transport = transport_to(f"sqlite:///{tmp_path}/agent.db?durability={durability}")
        with Memtrace("memory://", transport=transport) as client:
            client.remember("assistant", durability)
            opened = transport._process.get().opened
            assert opened.connection.execute("PRAGMA synchronous").fetchone() == (pragma,)
    assert repr(transport).endswith("agent.db?durability=full')")


# ---- keys -----------------------------------------------------------------------------------------------------------


def test_without_a_key_it_is_the_organisation_default(face, tmp_path):
    with face.client(tmp_path / "agent.db") as client:
        client.remember("assistant", "here")
    with face.client(tmp_path / "agent.db", "default") as client:
        assert contents(client) == ["here"]


def test_without_a_key_a_fake_in_memory_has_an_organisation_too(face):
    with face.client("memory://") as client:
        client.remember("assistant", "here")
        assert contents(client) == ["here"]


def test_the_key_of_the_environment_counts_where_none_is_given(face, tmp_path, monkeypatch):
    monkeypatch.setenv("MEMTRACE_API_KEY", "mtk_mine")
    with face.client(tmp_path / "agent.db") as client:
        client.remember("assistant", "mine")
    monkeypatch.setenv("MEMTRACE_API_KEY", "")
    with face.client(tmp_path / "agent.db") as client:
        assert contents(client) == []


def test_a_server_still_needs_a_key(face):
    with pytest.raises(ConfigurationError, match="the API key is missing"):
        face.client("http://localhost:9100")


def test_nothing_at_all_stays_an_error_that_names_the_store_first(face):
    with pytest.raises(ConfigurationError, match="the base URL is missing") as caught:
        face.client()
    assert caught.value.hint.startswith("to begin without a server, take sqlite:///agent.db")


def test_another_key_is_another_organisation(face, tmp_path):
    path = tmp_path / "agent.db"
    with face.client(path, "mtk_one") as one, face.client(path, "mtk_two") as two:
        one.remember("assistant", "of one")
        agent = one.agents.register(name="assistant")
        assert contents(two) == []
        assert two.agents.list().agents == []
        two.remember("assistant", "of two")
        assert two.agents.register(name="assistant").id != agent.id
        assert (contents(one), contents(two)) == (["of one"], ["of two"])


def test_a_key_is_kept_as_a_hash_alone(tmp_path):
    with Memtrace(tmp_path / "agent.db", "mtk_planted") as client:
        client.remember("assistant", "of one")
        for file in tmp_path.iterdir():
            assert b"mtk_planted" not in file.read_bytes()


def test_a_reading_call_of_a_new_key_leaves_nothing_behind(tmp_path, transport_to):
    transport = transport_to(str(tmp_path / "agent.db"))
    with Memtrace("memory://", "mtk_new", transport=transport) as client:
        assert contents(client) == []
        assert client.sessions.list().sessions == []
        directory = transport._process.get().opened.directory
        assert directory.organisations() == []
        client.remember("assistant", "first")
        (org,) = directory.organisations()
        assert client.recall("assistant").memories[0].org_id == org.org_id


@pytest.mark.parametrize("key", ["default", "chosen-by-a-client", "mtk_unknown"])
def test_where_keys_are_issued_no_other_one_is_let_in(tmp_path, transport_to, key):
    path = tmp_path / "agent.db"
    for chosen in (None, "chosen-by-a-client"):
        with Memtrace(path, chosen) as client:
            client.remember("assistant", "of a client without a server")
    transport = transport_to(str(path), any_key=False)
    with Memtrace("memory://", key, transport=transport) as client:
        for call in (partial(client.recall, "assistant"), partial(client.remember, "assistant", "x")):
            with pytest.raises(AuthenticationError):
                call()


def test_a_key_of_the_organisation_default_opens_that_of_clients_without_a_key(tmp_path, transport_to):
    path = tmp_path / "agent.db"
    with StoreFile(path.as_posix(), create=True) as store:
        key = store.create_key("laptop", organisation="default")
    with Memtrace(path) as client:
        client.remember("assistant", "without a key")
    with Memtrace("memory://", key, transport=transport_to(str(path), any_key=False)) as client:
        assert contents(client) == ["without a key"]


@pytest.mark.parametrize("store", ["https://example.com/agent.db", "memory://", "sqlite3://agent.db"])
def test_the_address_of_something_else_is_no_path(store, transport_to):
    with pytest.raises(ConfigurationError, match="it is an address of (https|memory|sqlite3), and no path of a file"):
        transport_to(store)
