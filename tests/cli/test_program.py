"""The program as a whole: its help, its ends, its place in the package."""

from __future__ import annotations

import errno
import importlib.util
import inspect
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import memtrace
import memtrace._cli
from memtrace import ConfigurationError, ConflictError, MemtraceError
from memtrace._cli.app import app
from memtrace._cli.terminal import make_console
from tests.cli.conftest import locomo
from tests.sampling import is_whole, sample

COMMANDS = ("demo", "transports", "middleware", "rankers", "doctor", "serve-fake", "mcp", "new")


EVERY_HELP = """
from typer.main import get_command
from memtrace._cli.app import app

def show(command, name):
    with command.make_context(name, [], resilient_parsing=True) as context:
        print(command.get_help(context))
    for each in getattr(command, "commands", {}):
        show(command.commands[each], each)

show(get_command(app), "memtrace-sdk")
"""


def every_command(command):
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from every_command(each)


class TestHelp:
    def test_the_top_help_lists_commands_and_exit_statuses(self, execute):
        result = execute("--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert "Exit statuses:" in result.stdout
        assert "130  interrupted with Ctrl-C" in result.stdout
        assert all(f"  {command} " in result.stdout for command in COMMANDS)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_commands_help_has_an_example(self, invoke, command):
        result = invoke(command, "--help")
        assert result.exit_code == 0
        assert f"Examples:\n    memtrace-sdk {command}" in result.output

    @pytest.mark.slow
    def test_every_help_keeps_its_texts_where_python_drops_docstrings(self):
        shown = [
            subprocess.run(
                [sys.executable, *option, "-c", EVERY_HELP], capture_output=True, text=True, check=True
            ).stdout
            for option in ([], ["-OO"])
        ]
        assert "Show what an agent remembers: the newest, or with --query" in shown[0]
        assert shown[1] == shown[0]

    def test_every_help_says_what_the_docstring_of_its_command_says(self):
        commands = [command for command in every_command(get_command(app)) if command.callback]
        assert len(commands) > 20
        for command in commands:
            assert command.help == inspect.getdoc(command.callback)

    def test_every_command_stands_in_one_section_with_its_text_at_one_column(self, invoke):
        text = invoke("--help").output
        listed = text[text.index("\nMemories:") : text.index("\n  Examples:")]
        sections = re.findall(r"^(\S.*):$", listed, re.MULTILINE)
        assert sections == ["Memories", "Agents and sessions", "Store", "Servers", "Tools"]
        names = re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE)
        assert sorted(names) == sorted(get_command(app).commands)
        assert {len(match[0]) for match in re.finditer(r"^  [a-z-]+ +", listed, re.MULTILINE)} == {
            max(map(len, names)) + 4
        }
        assert text.index("Examples:") < text.index("Exit statuses:")

    def test_without_a_command_the_help_is_shown(self, invoke):
        assert "Memories:" in invoke().output

    def test_the_version_is_shown(self, invoke):
        result = invoke("--version")
        assert (result.exit_code, result.stdout) == (0, f"memtrace-sdk {memtrace.__version__}\n")

    def test_an_unknown_option_is_refused_with_status_2(self, invoke):
        result = invoke("demo", "--nonsense")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "--nonsense" in result.stderr


class TestWithoutTheExtra:
    def test_importing_the_package_loads_neither_typer_nor_rich(self):
        code = "import sys, memtrace._cli; print(sorted({'typer', 'rich', 'pydantic', 'httpx'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"

    def test_the_program_starts_without_pydantic_and_httpx(self):
        code = "import sys, memtrace._cli.app; print(sorted({'pydantic', 'httpx'} & set(sys.modules)))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"

    @pytest.mark.parametrize(("absent", "named"), [(["rich"], "rich"), (["rich", "typer"], "rich and typer")])
    def test_a_plain_message_says_how_to_install_it(self, environment, capsys, absent, named):
        for package in absent:
            environment.setitem(sys.modules, package, None)
        with pytest.raises(SystemExit) as caught:
            memtrace._cli.main()
        assert caught.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == (
            f'memtrace-sdk: the console needs {named}, not installed here. Run: pip install "memtrace-sdk[cli]"\n'
        )


def run_main_module(name):
    """Run it from its file, as `runpy` would: pytest's loader of plugins has no code to run. Gives its globals."""
    path = Path(memtrace.__file__).with_name("__main__.py")
    found = {"__name__": name, "__spec__": importlib.util.spec_from_file_location("memtrace.__main__", path)}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), found)
    return found


class TestEnds:
    def test_python_m_memtrace_is_the_program(self, environment, capsys):
        environment.setattr(sys, "argv", ["memtrace", "--version"])
        with pytest.raises(SystemExit) as caught:
            run_main_module("__main__")
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"memtrace-sdk {memtrace.__version__}\n"

    def test_importing_the_main_module_runs_nothing(self):
        assert run_main_module("memtrace.__main__")["main"] is memtrace._cli.main

    @pytest.mark.parametrize(
        ("error", "status", "told"),
        [
            (KeyboardInterrupt(), 130, "memtrace-sdk: interrupted\n"),
            (BrokenPipeError(), 141, ""),
            (
                OSError(errno.ENOSPC, "No space left"),
                1,
                "memtrace-sdk: the output could not be written: No space left\n",
            ),
            (MemtraceError("storage is full", 507), 1, "memtrace-sdk: storage is full\n"),
        ],
    )
    def test_no_command_ends_in_a_traceback(self, invoke, environment, error, status, told):
        def fail(store):
            raise error

        environment.setattr("memtrace._cli.demo.run_walkthrough", fail)
        result = invoke("demo")
        assert (result.exit_code, result.output) == (status, told)

    def test_ctrl_c_during_the_imports_exits_130(self, environment):
        def interrupt():
            raise KeyboardInterrupt

        environment.setattr("memtrace._cli.app.run", interrupt)
        with pytest.raises(SystemExit) as caught:
            memtrace._cli.main()
        assert caught.value.code == 130

    def test_a_process_without_output_works(self, environment):
        from memtrace._cli.app import run

        environment.setattr(sys, "stdout", None)
        environment.setattr(sys, "argv", ["memtrace-sdk", "demo"])
        with pytest.raises(SystemExit) as caught:
            run()
        assert caught.value.code == 0

    @pytest.mark.slow
    @pytest.mark.parametrize("arguments", sample([("demo",), ("--help",), ("transports", "--json")], 1))
    def test_a_broken_pipe_is_quiet(self, execute, arguments):
        reader, writer = os.pipe()
        os.close(reader)
        result = execute(*arguments, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert (result.returncode, result.stderr) == (141, "")

    @pytest.mark.slow
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
    @pytest.mark.parametrize("arguments", sample([("demo",), ("--version",)], 1))
    def test_a_full_disk_is_told(self, execute, arguments):
        with Path("/dev/full").open("w") as full:
            result = execute(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert result.returncode == 1
        assert "could not be written: No space left on device" in result.stderr
        assert len(result.stderr.splitlines()) == 1


class TestColoursInAPipe:
    ARGUMENTS = pytest.mark.parametrize(
        "arguments", [("demo",), ("transports",), ("doctor", "--base-url", "memory://")]
    )

    @ARGUMENTS
    def test_there_are_none(self, invoke, arguments):
        assert "\x1b" not in invoke(*arguments).stdout

    @ARGUMENTS
    def test_force_color_adds_them_and_leaves_each_line_as_it_is(self, invoke, environment, arguments):
        plain = invoke(*arguments).stdout.splitlines()
        environment.setenv("FORCE_COLOR", "1")
        coloured = invoke(*arguments).stdout
        assert "\x1b[" in coloured
        lines = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in coloured.splitlines()]
        assert len(lines) == len(plain)
        assert lines[0] == plain[0]

    def test_a_cell_keeps_the_colour_of_its_own(self, invoke, environment):
        environment.setenv("FORCE_COLOR", "1")
        assert "\x1b[36mhttpx\x1b[0m" in invoke("transports").stdout

    def test_no_color_wins(self, invoke, environment):
        environment.setenv("FORCE_COLOR", "1")
        environment.setenv("NO_COLOR", "1")
        assert "\x1b" not in invoke("transports").stdout

    def test_an_error_is_one_line(self, invoke, environment):
        environment.setenv("FORCE_COLOR", "1")
        assert len(invoke("recall", "a", "--base-url", "memory:x").stderr.splitlines()) == 1

    def test_an_output_that_is_closed_is_no_terminal(self, environment):
        stream = io.StringIO()
        stream.close()
        environment.setattr(sys, "stdout", stream)
        assert not make_console().is_terminal


pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")


class Terminal:
    """A pseudo-terminal: what a process wrote to it, read until a text appears or the process is gone."""

    def __init__(self):
        self.near, self.far = pty.openpty()
        self.seen = b""

    def read_until(self, text=None):
        while text is None or text not in self.seen:
            try:
                piece = os.read(self.near, 65536)
            except OSError:  # how Linux says that the other side is closed
                piece = b""
            if not piece:
                break
            self.seen += piece
        return self.seen

    def __enter__(self):
        return self

    def __exit__(self, *details):
        os.close(self.near)


class TestOnATerminal:
    def run(self, terminal, *arguments, status=0, **settings):
        process = subprocess.Popen(
            [sys.executable, "-m", "memtrace", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=terminal.far,
            stderr=terminal.far,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **settings},
        )
        os.close(terminal.far)
        seen = terminal.read_until()
        assert process.wait(60) == status
        return seen

    @pytest.mark.slow
    def test_there_is_colour(self):
        with Terminal() as terminal:
            assert b"\x1b[1;36mclient" in self.run(terminal, "demo")

    @pytest.mark.slow
    def test_an_error_has_its_cause_in_red_and_what_to_do_below(self):
        with Terminal() as terminal:
            seen = self.run(terminal, "recall", "a", "--base-url", "memory://", "--timeout", "-1", status=2)
        first, second, url = seen.decode().splitlines()
        assert first.startswith("memtrace-sdk: \x1b[31mthe timeout must be a number of seconds above 0")
        assert (second, url) == ("(from --timeout; docs:", f"{ConfigurationError('m').url})")

    @pytest.mark.slow
    def test_an_errors_hint_stands_above_the_request_and_words_are_whole(self, server, client):
        client.remember("assistant", "User likes tea")
        with Terminal() as terminal:
            seen = self.run(terminal, "remember", "assistant", "User likes tea", status=4, COLUMNS="60")
        lines = [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", seen.decode()).splitlines()]
        assert lines[0] == "memtrace-sdk: duplicate memory"
        url = ConflictError("m", code="duplicate_memory").url
        assert [line for line in lines if len(line) > 60] == [f"{url})"]  # a link that opens from the terminal
        text = " ".join(lines[1:])
        assert text.startswith("the same agent, event_type and first 200 bytes of content, or the same dedup_key, was")
        assert f"(docs: {url}) [memories.add: POST /api/v1/memories, HTTP 409" in text

    @pytest.mark.slow
    def test_a_note_keeps_its_words_whole(self, server, client):
        for number in range(3):
            client.remember("assistant", f"User likes tea {number}")
        with Terminal() as terminal:
            seen = self.run(terminal, "recall", "assistant", "--limit", "2", COLUMNS="60")
        *_, first, second = seen.decode().splitlines()
        assert first.rstrip() == "memtrace-sdk: these are the newest 2; for more: --limit N,"
        assert second.rstrip() == "or memtrace-sdk export"

    @pytest.mark.slow
    @pytest.mark.parametrize("arguments", [("demo",), ("transports",), ("recall", "a", "--base-url", "memory:x")])
    @pytest.mark.parametrize("settings", [{"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"TERM": "dumb"}])
    def test_a_terminal_without_colours_gets_none(self, arguments, settings):
        with Terminal() as terminal:
            seen = self.run(terminal, *arguments, status=2 if "recall" in arguments else 0, **settings)
        assert seen
        assert b"\x1b" not in seen

    @pytest.mark.slow
    def test_no_color_is_obeyed(self, environment):
        environment.setenv("NO_COLOR", "1")
        with Terminal() as terminal:
            assert b"\x1b" not in self.run(terminal, "demo")

    @pytest.mark.slow
    def test_a_progress_bar_appears_and_is_taken_away(self, tmp_path):
        turns = locomo().read_bytes().splitlines(keepends=True)
        turns = turns if is_whole() else turns[:1200]
        (tmp_path / "chat.jsonl").write_bytes(b"".join(turns))
        with Terminal() as terminal:
            seen = self.run(terminal, "demo", "--conversation", str(tmp_path / "chat.jsonl"))
        assert b"Loading" in seen
        assert f"{len(turns):,}".encode() in seen
        assert b"\x1b[2K" in seen.rpartition(b"turns read")[0]

    @pytest.mark.slow
    def test_ctrl_c_while_loading_exits_130_and_gives_the_cursor_back(self):
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import memtrace._cli as c; c.main()"
        with Terminal() as terminal:
            process = subprocess.Popen(
                [sys.executable, "-c", code, "demo", "--conversation", "-"],
                stdin=subprocess.PIPE,
                stdout=terminal.far,
                stderr=terminal.far,
                env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
            )
            os.close(terminal.far)
            terminal.read_until(b"Loading")
            process.send_signal(signal.SIGINT)
            seen = terminal.read_until()
            process.stdin.close()
            assert process.wait(60) == 130
        assert b"Traceback" not in seen
        assert seen.rstrip().endswith(b"\x1b[2K") or b"\x1b[?25h" in seen
