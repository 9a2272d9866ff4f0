"""Profiles: one file, no keys in it, and no key that goes to another's server."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import keyring
import keyring.backend
import keyring.errors
import platformdirs
import pytest

from memtrace._cli import files, profiles
from memtrace._cli.connection import Choice, choose
from memtrace._cli.exit_status import CommandError
from memtrace._cli.options import profile_names
from memtrace._cli.profiles import Profile
from tests.cli.conftest import KEY


class Keys(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]


class Locked(Keys):
    """One that nobody can open."""

    def get_password(self, service, username):
        raise keyring.errors.KeyringLocked("secret")

    def set_password(self, service, username, password):
        raise keyring.errors.KeyringLocked("secret")


class NoKeys(Keys):
    """What keyring uses where it finds no other."""

    def get_password(self, service, username):
        raise keyring.errors.NoKeyringError("none")


@pytest.fixture(autouse=True)
def keys():
    before = keyring.get_keyring()
    keyring.set_keyring(Keys())
    yield keyring.get_keyring()
    keyring.set_keyring(before)


@pytest.fixture
def config():
    """Writes the file, and gives its path."""

    def write(text):
        path = Path(os.environ["MEMTRACE_CONFIG"])
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


class TestCommands:
    def test_a_file_that_an_editor_began_with_a_byte_order_mark_is_read(self, invoke, config):
        config('\ufeff[profiles.a]\nbase_url = "http://a"\napi_key_env = "A_KEY"\n')
        listed = invoke("profiles", "list", "--json")
        assert json.loads(listed.stdout)["profiles"][0]["base_url"] == "http://a"

    def test_the_whole_life_of_a_profile(self, invoke, keys, server, environment):
        assert "there is no profile" in invoke("profiles", "list").stderr
        added = invoke("profiles", "add", "local", "--base-url", server, "--timeout", "5", "--transport", "httpx")
        assert added.exit_code == 0, added.output
        assert added.stdout.splitlines()[1] == "Store its key with: memtrace-sdk profiles set-key local"
        assert invoke("profiles", "set-key", "local", stdin=KEY + "\n").stdout == "The key of local is in the keyring\n"
        assert keys.kept == {("memtrace-sdk", "local"): KEY}
        for name in ("MEMTRACE_BASE_URL", "MEMTRACE_API_KEY"):
            environment.delenv(name)
        assert invoke("remember", "a", "b").exit_code == 0  # the first one is the default
        assert invoke("recall", "a", "-p", "local").exit_code == 0
        assert invoke("profiles", "remove", "local").exit_code == 0
        assert keys.kept == {}
        assert profiles.load() == profiles.Config({})

    @pytest.mark.parametrize("scheme", ["sqlite", "SQLite"])
    def test_a_relative_file_is_stored_with_its_absolute_path(self, invoke, environment, tmp_path, scheme):
        (tmp_path / "my work").mkdir()
        environment.chdir(tmp_path / "my work")
        added = invoke("profiles", "add", "notes", "--base-url", f"{scheme}:///a%20b.db?durability=full")
        assert added.exit_code == 0, added.output
        stored = profiles.load().profiles["notes"].base_url
        assert stored == f"{scheme}:///{tmp_path}/my%20work/a%20b.db?durability=full"
        invoke("profiles", "add", "notes", "--base-url", "sqlite:////data/a%2eb.db")
        assert profiles.load().profiles["notes"].base_url == "sqlite:////data/a%2eb.db"

    def test_a_read_only_file_is_not_replaced(self, invoke, config):
        path = config("# mine\n")
        path.chmod(0o444)
        result = invoke("profiles", "add", "a", "--base-url", "memory://")
        assert result.exit_code == 1
        assert "cannot be written: it is read-only" in result.output.replace("\n", " ")
        assert path.read_text(encoding="utf-8") == "# mine\n"

    def test_the_list_shows_the_default_and_no_key(self, invoke, keys):
        keys.kept["memtrace-sdk", "a"] = KEY
        invoke("profiles", "add", "a", "--base-url", "http://a")
        invoke("profiles", "add", "b", "--base-url", "http://b", "--timeout", "2.5", "--api-key-env", "B_KEY")
        assert invoke("profiles", "use", "b").exit_code == 0
        lines = invoke("profiles", "list").stdout.splitlines()
        assert [line.split() for line in lines[1:]] == [
            ["a", "http://a", "the", "keyring"],
            ["*", "b", "http://b", "2.5", "B_KEY"],
        ]
        told = json.loads(invoke("profiles", "list", "--json").stdout)
        assert told == {
            "default": "b",
            "profiles": [
                {"name": "a", "base_url": "http://a"},
                {"name": "b", "base_url": "http://b", "timeout": 2.5, "api_key_env": "B_KEY"},
            ],
        }

    def test_the_path_is_shown(self, invoke, environment):
        assert invoke("profiles", "path").stdout == f"{os.environ['MEMTRACE_CONFIG']}\n"
        environment.delenv("MEMTRACE_CONFIG")
        told = Path(invoke("profiles", "path").stdout.strip())
        assert told == platformdirs.user_config_path("memtrace", appauthor=False) / "config.toml"

    @pytest.mark.parametrize(
        "arguments",
        [
            ["a", "--base-url", "nonsense"],
            ["a", "--base-url", "http://a", "--timeout", "-1"],
            ["a", "--base-url", "http://a", "--transport", "htpx"],
            ["", "--base-url", "http://a"],
        ],
    )
    def test_what_no_client_could_be_made_from_is_refused(self, invoke, arguments):
        result = invoke("profiles", "add", *arguments)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert profiles.load().profiles == {}

    @pytest.mark.parametrize("command", ["remove", "use", "set-key"])
    def test_an_unknown_profile_is_told_with_those_that_there_are(self, invoke, config, command):
        config('[profiles.local]\nbase_url = "http://a"\n')
        result = invoke("profiles", command, "locl")
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert "there is no profile 'locl'" in result.stderr
        assert "(there: local)" in result.stderr

    def test_a_key_that_cannot_be_sent_is_refused_unseen(self, invoke, config, keys):
        config('[profiles.local]\nbase_url = "http://a"\n')
        for key in ("mtk_se cret é", "", "\n\n"):
            result = invoke("profiles", "set-key", "local", stdin=key)
            assert (result.exit_code, keys.kept) == (2, {})
            assert "cret" not in result.output
            assert "the API key" in result.stderr

    def test_a_key_of_a_variable_is_not_stored(self, invoke, config):
        config('[profiles.a]\nbase_url = "http://a"\napi_key_env = "A_KEY"\n')
        result = invoke("profiles", "set-key", "a", stdin=KEY)
        assert (result.exit_code, result.stderr) == (
            2,
            "memtrace-sdk: the profile 'a' has its key in A_KEY: set that\n",
        )

    def test_on_a_terminal_the_key_is_asked_for(self, invoke, config, environment, keys):
        config('[profiles.local]\nbase_url = "http://a"\n')
        asked = []

        def prompt(text, **options):
            asked.append((text, options["hide_input"]))
            return KEY

        environment.setattr("typer.prompt", prompt)
        environment.setattr(
            "memtrace._cli.commands.profiles.sys", type("", (), {"stdin": type("", (), {"isatty": lambda: True})})
        )
        assert invoke("profiles", "set-key", "local").exit_code == 0
        assert (asked, keys.kept) == ([("Key of local", True)], {("memtrace-sdk", "local"): KEY})

    @pytest.mark.parametrize("command", ["list", "add", "remove", "use", "set-key", "path"])
    def test_the_help_has_examples(self, invoke, command):
        assert f"memtrace-sdk profiles {command}" in invoke("profiles", command, "--help").output


class TestKeyrings:
    @pytest.mark.parametrize("command", [["recall", "a", "-p", "a"], ["profiles", "set-key", "a"]])
    def test_one_that_is_locked_is_one_line(self, invoke, config, command):
        config('[profiles.a]\nbase_url = "http://a"\n')
        keyring.set_keyring(Locked())
        result = invoke(*command, stdin=KEY)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert "the keyring cannot be used here (KeyringLocked)" in result.stderr
        assert KEY not in result.output
        assert "secret" not in result.output

    def test_without_the_package_it_says_what_to_install(self, invoke, config, environment):
        config('[profiles.a]\nbase_url = "http://a"\n')
        environment.setitem(sys.modules, "keyring", None)
        result = invoke("recall", "a", "-p", "a")
        assert result.exit_code == 2
        assert 'pip install "memtrace-sdk[keyring]"' in result.stderr

    def test_a_profile_can_be_removed_where_there_is_none(self, invoke, config, environment):
        text = '[profiles.a]\nbase_url = "http://a"\n'
        config(text)
        keyring.set_keyring(NoKeys())
        assert invoke("profiles", "remove", "a").exit_code == 0
        config(text + 'api_key_env = "A_KEY"\n')
        assert invoke("profiles", "remove", "a").exit_code == 0
        config(text)
        environment.setattr("importlib.util.find_spec", lambda name: None)
        assert invoke("profiles", "remove", "a").exit_code == 0

    def test_a_profile_without_a_key_can_be_removed(self, invoke, config):
        config('[profiles.a]\nbase_url = "http://a"\n')
        assert invoke("profiles", "remove", "a").exit_code == 0


class TestTheFile:
    def test_comments_and_order_stay(self, invoke, config):
        path = config("# my servers\n\n[profiles.a] # at home\nbase_url = 'http://a'\n\n# the end\n")
        invoke("profiles", "add", "b", "--base-url", "http://b", "--default")
        invoke("profiles", "use", "a")
        invoke("profiles", "remove", "b")
        text = path.read_text(encoding="utf-8")
        assert text.startswith("default = \"a\"\n# my servers\n\n[profiles.a] # at home\nbase_url = 'http://a'\n")
        assert "# the end" in text

    def test_removing_the_default_leaves_none(self, invoke, config):
        config('default = "a"\n[profiles.a]\nbase_url = "http://a"\n[profiles.b]\nbase_url = "http://b"\n')
        invoke("profiles", "remove", "a")
        assert profiles.load() == profiles.Config({"b": Profile("http://b")})

    def test_it_is_replaced_whole_and_keeps_its_mode(self, config):
        path = config("")
        path.chmod(0o600)
        profiles.save("a", Profile("http://a"), default=False)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [each.name for each in path.parent.iterdir()] == [path.name]

    def test_a_write_that_fails_leaves_the_old_one(self, invoke, config, environment):
        path = config("# mine\n")

        def full(descriptor):
            raise OSError(28, "No space left on device")

        environment.setattr(files.os, "fsync", full)
        result = invoke("profiles", "add", "a", "--base-url", "http://a")
        assert (result.exit_code, path.read_text(encoding="utf-8")) == (1, "# mine\n")
        assert result.stderr == f"memtrace-sdk: {path} cannot be written: No space left on device\n"
        assert [each.name for each in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("nonsense", "is not TOML in line 1; correct it"),
            ("a = 1\na = 2\n", "is not TOML"),
            ("other = 1", "other: is not known; there are default and [profiles.NAME]"),
            ("profiles = 1", "profiles: must be a table"),
            ("profiles.a = 1", "profiles.a: must be a table"),
            ('default = "b"\n[profiles.a]\nbase_url = "x"', "default: must be the name of one of the profiles"),
            ("[profiles.a]", "profiles.a.base_url: is missing"),
            ("[profiles.a]\nbase_url = 1", "profiles.a.base_url: must be a string"),
            ("[profiles.a]\ntimeout = true", "profiles.a.timeout: must be a number of seconds"),
            ('[profiles.a]\nurl = "x"', "profiles.a.url: is not known; there are base_url, transport, timeout, api_key_env"),
            ('[profiles.a]\napi_key = "mtk_secret"', "profiles.a.api_key: keys do not stand in this file"),
        ],
    )  # fmt: skip
    def test_what_it_cannot_mean_is_told_with_its_place_and_without_its_value(self, invoke, config, text, told):
        config(text)
        result = invoke("profiles", "list")
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert told in result.stderr
        assert "mtk_secret" not in result.output

    def test_one_that_is_too_large_for_profiles_is_not_parsed(self, invoke, config, environment):
        config("#" * (256 * 1024 + 1))
        result = invoke("profiles", "list")
        assert (result.exit_code, "has more than 262,144 characters" in result.stderr) == (2, True)

    @pytest.mark.slow
    def test_a_profile_that_would_make_it_too_large_is_not_added(self, invoke, config):
        path = config("#" * (256 * 1024 - 10))
        result = invoke("profiles", "add", "a", "--base-url", "http://a")
        assert (result.exit_code, "has more than 262,144 characters" in result.stderr) == (2, True)
        assert path.stat().st_size == 256 * 1024 - 10

    def test_one_that_is_no_text_or_no_file_is_told(self, invoke, config):
        path = config("")
        path.write_bytes(b"\xff")
        assert "is not UTF-8" in invoke("profiles", "list").stderr
        path.unlink()
        path.mkdir()
        assert "cannot be read: Is a directory" in invoke("profiles", "list").stderr


class TestTheChoice:
    BOTH = '[profiles.a]\nbase_url = "http://a"\napi_key_env = "A_KEY"\ntimeout = 3\n[profiles.b]\nbase_url = "http://b"\napi_key_env = "B_KEY"\ntransport = "requests"\n'

    @pytest.fixture(autouse=True)
    def both(self, config, environment):
        config(f'default = "a"\n{self.BOTH}')
        environment.setenv("A_KEY", "mtk_a")
        environment.setenv("B_KEY", "mtk_b")

    def chosen(self, **options):
        found = choose(Choice(**options))
        return found.url, found.api_key

    def test_the_default_is_for_where_nothing_else_is_said(self, environment):
        assert self.chosen() == ("http://a", "mtk_a")
        environment.setenv("MEMTRACE_API_KEY", "mtk_env")
        assert self.chosen() == (None, "mtk_env")

    def test_a_profile_is_used_whole_and_wins_over_the_environment(self, environment):
        environment.setenv("MEMTRACE_BASE_URL", "http://env")
        environment.setenv("MEMTRACE_API_KEY", "mtk_env")
        assert self.chosen() == ("http://env", "mtk_env")
        assert self.chosen(profile="b") == ("http://b", "mtk_b")
        environment.setenv("MEMTRACE_PROFILE", "b")
        assert self.chosen() == ("http://b", "mtk_b")
        assert self.chosen(profile="a") == ("http://a", "mtk_a")

    def test_an_address_of_its_own_never_gets_the_key_of_a_profile(self, environment):
        environment.setenv("MEMTRACE_PROFILE", "b")
        assert self.chosen(base_url="http://else") == ("http://else", None)
        with pytest.raises(CommandError, match="--profile and --base-url do not go together"):
            choose(Choice(profile="a", base_url="http://else"))

    def test_options_win_over_what_a_profile_says_of_the_way(self):
        assert (choose(Choice()).timeout, choose(Choice(timeout=9.0)).timeout) == (3, 9.0)
        assert choose(Choice(profile="b")).transport == "requests"
        assert choose(Choice(profile="b", transport="httpx")).transport == "httpx"

    def test_no_key_is_in_the_repr(self):
        assert "mtk_a" not in repr(choose(Choice()))

    def test_a_variable_that_is_not_set_is_told(self, environment, invoke):
        environment.delenv("A_KEY")
        result = invoke("recall", "x")
        assert (result.exit_code, result.stderr) == (
            2,
            "memtrace-sdk: the profile 'a' has its key in A_KEY, which is not set: set it\n",
        )

    def test_a_profile_without_a_key_says_how_to_store_one(self, config, invoke):
        config('[profiles.c]\nbase_url = "http://c"\n')
        assert "memtrace-sdk profiles set-key c" in invoke("recall", "x", "-p", "c").stderr

    def test_a_refusal_names_the_profile_and_where_its_key_is(self, config, invoke, server, environment):
        config(f'[profiles.c]\nbase_url = "{server}"\napi_key_env = "C_KEY"\n')
        environment.setenv("C_KEY", "mtk_wrong")
        result = invoke("recall", "x", "-p", "c")
        assert (result.exit_code, "check the API key (from C_KEY; docs: " in result.stderr) == (5, True)
        assert "mtk_wrong" not in result.output

    def test_the_doctor_examines_a_profile(self, config, invoke, server, environment):
        config(f'[profiles.c]\nbase_url = "{server}"\napi_key_env = "C_KEY"\ntimeout = 7\n')
        environment.setenv("C_KEY", KEY)
        result = invoke("doctor", "-p", "c", "--json")
        assert result.exit_code == 0
        found = json.loads(result.stdout)["checks"][0]["found"]
        assert found == f"{server} from the profile 'c', key from C_KEY, 7 s an attempt"
        missing = invoke("doctor", "-p", "nope")
        assert (missing.exit_code, "there is no profile 'nope'" in " ".join(missing.stdout.split())) == (2, True)

    def test_a_shell_completes_names_and_shows_no_errors(self, config):
        assert profile_names() == ["a", "b"]
        config("nonsense")
        assert profile_names() == []


def test_stray_white_space_around_the_address_of_a_profile_is_named(invoke, environment):
    environment.setenv("ACME_KEY", "mtk_x")
    path = Path(invoke("profiles", "path").stdout.strip())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '[profiles.acme]\nbase_url = "http://localhost:9100\\n"\napi_key_env = "ACME_KEY"\n', encoding="utf-8"
    )
    told = invoke("recall", "assistant", "--profile", "acme")
    assert told.exit_code == 2
    assert "it has white space at an end" in told.stderr
    assert "(from the profile 'acme'" in told.stderr
