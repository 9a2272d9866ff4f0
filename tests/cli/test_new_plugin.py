"""new: the names that a plugin may have, and files that are written whole or not at all."""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memtrace._cli.commands.new_plugin import PluginKind
from memtrace._cli.exit_status import CommandError
from memtrace._cli.new_plugin.kinds import KINDS
from memtrace._cli.new_plugin.names import plugin_names
from memtrace._cli.new_plugin.rendering import rendered_files
from memtrace._cli.new_plugin.writing import write_files
from memtrace.plugins import middleware_registry, ranker_registry, transport_registry
from tests.permissions import as_a_plain_user
from tests.plugins.conftest import place, write_project

TEMPLATES = resources.files("memtrace._cli.new_plugin").joinpath("templates")
WRITTEN = {
    "middleware": [
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/memtrace_audit/__init__.py",
        "src/memtrace_audit/py.typed",
        "tests/test_middleware.py",
    ],
    "ranker": [
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/memtrace_audit/__init__.py",
        "src/memtrace_audit/py.typed",
        "tests/test_ranker.py",
    ],
    "transport": [
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/memtrace_audit/__init__.py",
        "src/memtrace_audit/_transport.py",
        "src/memtrace_audit/py.typed",
        "tests/test_transport.py",
    ],
}


@pytest.fixture
def new(invoke, tmp_path, monkeypatch):
    """Run the command in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return lambda *arguments: invoke("new", *arguments)


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


class TestKinds:
    def test_each_kind_has_its_templates_and_a_word_of_the_command(self):
        folders = {entry.name for entry in TEMPLATES.iterdir()} - {"every_kind"}
        assert set(get_args(PluginKind)) == set(KINDS) == folders == set(WRITTEN)

    @pytest.mark.parametrize(
        "registry", [middleware_registry, ranker_registry, transport_registry], ids=lambda registry: registry.kind
    )
    def test_a_kind_is_written_for_the_group_that_is_searched(self, registry):
        kind = KINDS[registry.kind]
        assert (kind.registry, kind.group) == (registry, registry._group)

    def test_no_template_looks_like_code_to_a_tool(self):
        root = Path(str(TEMPLATES))
        assert {path.suffix for path in root.rglob("*") if path.is_file()} == {".template"}

    def test_another_kind_is_refused_with_those_that_there_are(self, new):
        result = new("rankr", "memtrace-audit")
        assert result.exit_code == 2
        assert "'middleware', 'ranker', 'transport'" in result.stderr


@pytest.mark.parametrize("kind", KINDS)
class TestWritten:
    def test_a_folder_of_the_name_has_what_the_command_lists(self, new, kind):
        result = new(kind, "memtrace-audit")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.splitlines() == [
            f"Wrote the {kind} audit to memtrace-audit:",
            *(f"  {name}" for name in WRITTEN[kind]),
            "Next:",
            "  cd memtrace-audit",
            '  python -m pip install -e ".[dev]"',
            "  python -m pytest",
        ]
        assert written(Path("memtrace-audit")) == WRITTEN[kind]
        assert sorted(path.name for path in Path().iterdir()) == ["memtrace-audit"]

    def test_programs_are_told_every_name(self, new, kind):
        result = new(kind, "memtrace-audit", "--directory", "somewhere", "--json")
        assert json.loads(result.stdout) == {
            "kind": kind,
            "distribution": "memtrace-audit",
            "name": "audit",
            "package": "memtrace_audit",
            "class_name": f"Audit{kind.capitalize()}",
            "directory": "somewhere",
            "files": WRITTEN[kind],
        }
        assert written(Path("somewhere")) == WRITTEN[kind]

    def test_no_placeholder_is_left_and_every_module_compiles(self, kind):
        for path, content in rendered_files(plugin_names(kind, "memtrace-audit")).items():
            assert "$" not in content.decode()
            assert b"package_name" not in content
            if path.suffix == ".py":
                compile(content, str(path), "exec")


class TestNames:
    @pytest.mark.parametrize(
        ("distribution", "name", "package", "class_name"),
        [
            ("memtrace-audit", "audit", "memtrace_audit", "AuditMiddleware"),
            ("acme-memtrace-audit", "acme-memtrace-audit", "acme_memtrace_audit", "AcmeMemtraceAuditMiddleware"),
            ("memtrace-h2-log", "h2-log", "memtrace_h2_log", "H2LogMiddleware"),
            ("memtrace-none", "none", "memtrace_none", "NoneMiddleware"),
            ("audit2", "audit2", "audit2", "Audit2Middleware"),
        ],
    )
    def test_all_follow_from_what_pip_installs(self, distribution, name, package, class_name):
        assert plugin_names("middleware", distribution) == ("middleware", distribution, name, package, class_name)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "told"),
        [
            ("Memtrace_Audit", "a letter first; did you mean memtrace-audit?"),
            ("memtrace.audit", "did you mean memtrace-audit?"),
            ("memtrace--audit", "did you mean memtrace-audit?"),
            ("audit-", "did you mean audit?"),
            ("my audit", "did you mean my-audit?"),
            ("2fast", "a letter first, as in memtrace-audit"),
            ("memtrace-größe", "lower-case letters of a to z"),
            ("memtrace-аudit", "lower-case letters of a to z"),  # a Cyrillic letter
            ("memtrace-２", "lower-case letters of a to z"),
            ("../audit", "lower-case letters of a to z"),
            ("audit\n", "did you mean audit?"),
            ("", "lower-case letters of a to z"),
            ("memtrace-2fast", "gives users the name 2fast, which does not begin with a letter"),
            ("lambda", "makes the package lambda, which is a word of the language; did you mean memtrace-lambda?"),
            ("json", "is a module of Python's standard library; did you mean memtrace-json?"),
            ("memtrace", "in use by memtrace-sdk"),
            ("memtrace-sdk", "in use by memtrace-sdk"),
            ("memtrace-transports", "makes the package memtrace_transports, which is in use by memtrace-sdk"),
            ("tests", "by the tests of the new package; did you mean memtrace-tests?"),
            ("pytest", "makes the package pytest, which is a package of pytest, installed here"),
        ],
    )
    def test_one_that_cannot_be_used_is_told_and_nothing_is_written(self, new, name, told):
        result = new("middleware", "--", name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert re.match(r"memtrace-sdk: NAME (must be|gives|makes)", result.stderr)
        assert told in result.stderr
        assert sorted(path.name for path in Path().iterdir()) == []

    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            ("transport", "memtrace-httpx"),
            ("transport", "sqlite"),
            ("middleware", "memtrace-retry"),
            ("middleware", "memtrace-opentelemetry"),
            ("ranker", "memtrace-lexical"),
        ],
    )
    def test_one_of_the_sdks_own_is_told(self, new, kind, name):
        result = new(kind, name)
        assert result.exit_code == 2
        short = name.removeprefix("memtrace-")
        assert f"gives users the name {short}, which is that of the built-in {kind} of memtrace-sdk" in result.stderr

    @pytest.mark.parametrize("kind", ["middleware", "ranker"])
    def test_a_built_in_name_of_another_kind_is_free(self, kind):
        assert plugin_names(kind, "memtrace-sqlite").name == "sqlite"

    @pytest.fixture
    def installed(self, tmp_path, monkeypatch):
        """A plugin audit of the distribution memtrace-audit."""
        project = write_project(tmp_path, "memtrace-audit", "audit", "", group="memtrace.middleware")
        monkeypatch.syspath_prepend(place(tmp_path, [project]))
        monkeypatch.setattr(middleware_registry, "_found", None)

    def test_one_of_another_installed_plugin_is_told(self, installed, new):
        result = new("middleware", "audit")
        assert result.exit_code == 2
        assert "which is that of a middleware of memtrace-audit 1.0" in result.stderr

    def test_an_installed_plugin_can_be_written_anew(self, installed, new, monkeypatch):
        owners = {"memtrace_audit": ["memtrace-audit"]}  # pip's records name its packages, which `place` leaves out
        monkeypatch.setattr("memtrace._cli.new_plugin.names.metadata.packages_distributions", lambda: owners)
        assert new("middleware", "memtrace-audit").exit_code == 0

    @given(name=st.from_regex(r"\A[a-zA-Z0-9._-]{1,12}\Z") | st.text(max_size=12), kind=st.sampled_from(sorted(KINDS)))
    @example(name="memtrace-", kind="middleware")
    @example(name="memtrace-class", kind="transport")
    def test_what_is_not_refused_can_be_published_imported_and_asked_for(self, name, kind):
        try:
            names = plugin_names(kind, name)
        except CommandError:
            return
        assert re.sub(r"[-_.]+", "-", names.distribution).lower() == names.distribution == name
        assert names.package.isidentifier()
        assert names.package not in sys.stdlib_module_names
        assert names.class_name.isidentifier()
        assert re.fullmatch(r"[a-z][a-z0-9+.-]*", names.name)


class TestPlaces:
    def test_a_folder_that_has_other_things_keeps_them(self, new):
        Path(".git").mkdir()
        Path("notes.txt").write_text("mine", encoding="utf-8")
        assert new("middleware", "memtrace-audit", "--directory", ".").exit_code == 0
        assert Path("notes.txt").read_text(encoding="utf-8") == "mine"
        assert written(Path()) == sorted([*WRITTEN["middleware"], "notes.txt"])

    @pytest.mark.parametrize("name", ["pyproject.toml", "src", ".gitignore"])
    @pytest.mark.parametrize("make", ["file", "folder", "link to nothing", "link out"])
    def test_what_is_there_is_never_replaced(self, new, tmp_path, name, make):
        target, outside = Path("memtrace-audit"), tmp_path / "outside"
        target.mkdir()
        outside.mkdir()
        place = target / name
        {
            "file": lambda: place.write_text("mine", encoding="utf-8"),
            "folder": place.mkdir,
            "link to nothing": lambda: place.symlink_to(tmp_path / "nothing"),
            "link out": lambda: place.symlink_to(outside),
        }[make]()
        result = new("middleware", "memtrace-audit")
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"memtrace-audit has {name} already, and nothing is replaced" in result.stderr
        assert everything(target) == [name]
        assert everything(outside) == []
        assert not (tmp_path / "nothing").exists()

    @pytest.mark.parametrize("leads", ["to a folder", "nowhere"])
    def test_a_link_of_the_folders_name_is_not_followed(self, new, tmp_path, leads):
        outside = tmp_path / "outside"
        if leads == "to a folder":
            outside.mkdir()
        Path("memtrace-audit").symlink_to(outside)
        result = new("middleware", "memtrace-audit")
        assert result.exit_code == 2
        assert "memtrace-audit is a link: name the folder that it leads to" in result.stderr
        assert everything(tmp_path) == sorted(
            ["here", "here/memtrace-audit", *(["outside"] if outside.exists() else [])]
        )

    def test_a_file_of_the_folders_name_stays(self, new):
        Path("memtrace-audit").write_text("mine", encoding="utf-8")
        result = new("middleware", "memtrace-audit")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "cannot be written: Not a directory" in result.stderr
        assert Path("memtrace-audit").read_text(encoding="utf-8") == "mine"

    def test_folders_around_it_are_made(self, new):
        assert new("transport", "memtrace-audit", "--directory", "one/two/three").exit_code == 0
        assert written(Path("one/two/three")) == WRITTEN["transport"]

    def test_any_name_of_a_folder_will_do(self, new):
        result = new("middleware", "memtrace-audit", "--directory", "größe und 東京")
        assert "  cd 'größe und 東京'\n" in result.stdout
        assert written(Path("größe und 東京")) == WRITTEN["middleware"]

    def test_an_empty_name_of_a_folder_is_refused(self, new):
        result = new("middleware", "memtrace-audit", "--directory", "")
        assert result.exit_code == 2
        assert "it is empty, as an unset variable leaves it" in result.stderr


class TestFailures:
    def test_a_folder_that_cannot_be_written_to_is_told(self, new, tmp_path):
        (tmp_path / "here").chmod(0o500)
        try:
            with as_a_plain_user():
                result = new("middleware", "memtrace-audit")
        finally:
            (tmp_path / "here").chmod(0o700)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "memtrace-audit cannot be written: Permission denied" in result.stderr
        assert sorted(path.name for path in Path().iterdir()) == []

    def test_a_name_that_is_too_long_for_a_file_is_told(self, new):
        result = new("middleware", "a" * 300)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "cannot be written: File name too long" in result.stderr
        assert sorted(path.name for path in Path().iterdir()) == []

    @pytest.mark.parametrize("target", ["one/memtrace-audit", "."])
    def test_where_the_disk_is_full_nothing_is_left(self, new, target):
        Path("notes.txt").write_text("mine", encoding="utf-8")
        before, action = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # .gitignore fits, LICENSE does not
        try:
            result = new("middleware", "memtrace-audit", "--directory", target)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, action)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"{target} cannot be written: File too large" in result.stderr
        assert everything(Path()) == ["notes.txt"]

    def test_an_interruption_leaves_nothing_but_what_others_have_put_there(self, tmp_path):
        class Interrupted(dict):
            def items(self):
                yield from super().items()
                (tmp_path / "new" / "src" / "theirs").touch()
                raise KeyboardInterrupt

        files = Interrupted({PurePosixPath("src/one"): b"1", PurePosixPath("tests/two"): b"2"})
        with pytest.raises(KeyboardInterrupt):
            write_files(tmp_path / "new", files)
        assert everything(tmp_path) == ["new", "new/src", "new/src/theirs"]
