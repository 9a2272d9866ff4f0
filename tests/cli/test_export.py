"""export: what is in the file, and that an interruption at any moment harms nothing."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from memtrace._cli import files
from memtrace._cli.recent_rows import LATE, RecentMemories, line_of
from memtrace._cli.transfer import exporter, streams
from memtrace._cli.transfer.exporter import FileExport
from memtrace.models import ListOptions
from memtrace_transports.memory import Fault
from tests.sampling import crossed
from tests.transports.scripted import Refuse

pytestmark = pytest.mark.network
FORMATS = ["out.jsonl", "out.jsonl.gz"]
NOBODY = {"agents": 0, "sessions": 0}


@pytest.fixture(autouse=True)
def folder(environment, tmp_path):
    """Where the commands run."""
    environment.chdir(tmp_path)
    return tmp_path


def fill(fake, count, *, apart=1.0):
    fake.seed(
        "acme",
        [
            {
                "agent_id": "a" if number % 2 else "b",
                "content": f"Row {number} é",
                "age_s": (count - number) * apart + 1,
            }
            for number in range(count)
        ],
    )


@pytest.mark.slow
def test_a_name_that_no_terminal_should_get_is_escaped(invoke, server, memtrace_fake):
    name = "red \x1b[31m half \udcff.jsonl"  # as Python has the arguments whose bytes are no UTF-8
    fill(memtrace_fake, 1)
    done = invoke("export", name)
    assert (done.exit_code, done.stdout) == (0, "Exported 1 memory to red \\x1b[31m half \\udcff.jsonl\n")
    done = invoke("import", name)
    assert "1 line of red \\x1b[31m half \\udcff.jsonl: 0 stored" in done.stdout


def contents(path):
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as stream:
        return [json.loads(line)["content"] for line in stream]


def rows(count):
    return [f"Row {number} é" for number in range(count)]


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("out."))


def plant(path, content, mode=0o600):
    """A partial file as an earlier run left it, or with another mode as somebody else would make it."""
    path.write_bytes(content)
    path.chmod(mode)


class TestToAFile:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", FORMATS)
    def test_every_memory_is_a_line_as_the_server_gives_it(self, invoke, client, memtrace_fake, folder, name):
        fill(memtrace_fake, 2500)
        result = invoke("export", name)
        assert (result.exit_code, result.stdout) == (0, f"Exported 2,500 memories to {name}\n")
        assert contents(folder / name) == rows(2500)
        assert left(folder) == [name]

    @pytest.mark.parametrize("name", FORMATS)
    def test_an_empty_organisation_gives_an_empty_file(self, invoke, client, folder, name):
        result = invoke("export", name, "--json")
        assert json.loads(result.stdout) == {"file": name, "exported": 0, "resumed": 0, **NOBODY}
        assert contents(folder / name) == []

    @pytest.mark.parametrize(("name", "moment", "raised"), crossed(FORMATS, range(1, 9), [KeyboardInterrupt, OSError]))
    def test_the_same_command_goes_on_after_an_interruption(
        self, invoke, client, memtrace_fake, folder, environment, name, moment, raised
    ):
        environment.setattr(exporter, "_BLOCK_ROWS", 10)
        fill(memtrace_fake, 60)
        left_over = moment

        def interrupted(part, block):
            nonlocal left_over
            left_over -= 1
            if not left_over:
                part._stream.write(b'{"half')  # the process dies while it writes
                part._stream.flush()
                raise raised(28, "No space left on device")
            append(part, block)

        append = exporter.PartialFile.append
        environment.setattr(exporter.PartialFile, "append", interrupted)
        first = invoke("export", name)
        if moment <= 6:
            kept = 10 * (moment - 1)
            assert first.exit_code == (130 if raised is KeyboardInterrupt else 1)
            assert first.stderr.splitlines()[1].startswith(f"{kept} memories so far are kept in {name}.")
            assert not (folder / name).exists()
            client.remember("a", "Row 60 é")
            second = invoke("export", name, "--json")
            assert json.loads(second.stdout) == {"file": name, "exported": 61, "resumed": kept, **NOBODY}
            assert contents(folder / name) == rows(61)
        else:
            assert first.exit_code == 0
            assert contents(folder / name) == rows(60)
        assert left(folder) == [name]

    @pytest.mark.parametrize("name", FORMATS)
    def test_a_failing_server_leaves_what_was_read(self, invoke, client, memtrace_fake, folder, name):
        fill(memtrace_fake, 2500)
        memtrace_fake.faults.add(
            Fault("status", status=500, body=b'{"error":"boom"}', on="memories.list", nth=4, times=None)
        )
        first = invoke("export", name)
        assert first.exit_code == 1
        assert "memories so far are kept in" in first.stderr.splitlines()[1]
        memtrace_fake.faults.clear()
        assert json.loads(invoke("export", name, "--json").stdout)["resumed"] > 900
        assert contents(folder / name) == rows(2500)


class TestPartialFiles:
    def interrupt(self, environment, part=exporter.PartialFile):
        def interrupted(part):
            raise KeyboardInterrupt

        finish = part.finish
        environment.setattr(part, "finish", interrupted)
        return lambda: environment.setattr(part, "finish", finish)

    def test_late_rows_come_and_equal_rows_stay_as_many(self, invoke, client, memtrace_fake, folder, environment):
        seed = lambda *rows: memtrace_fake.seed(  # noqa: E731
            "acme", [{"agent_id": "a", "content": text, "age_s": age} for text, age in rows]
        )
        seed(("1", 30), ("3", 5), ("3", 5))
        restore = self.interrupt(environment)
        assert "3 memories so far" in invoke("export", "out.jsonl").stderr
        restore()
        seed(("2", 6), ("3", 5))
        assert json.loads(invoke("export", "out.jsonl", "--json").stdout) == {
            "file": "out.jsonl",
            "exported": 5,
            "resumed": 3,
            **NOBODY,
        }
        assert sorted(contents(folder / "out.jsonl")) == ["1", "2", "3", "3", "3"]

    def test_another_choice_of_memories_begins_a_file_of_its_own(
        self, invoke, client, memtrace_fake, folder, environment
    ):
        fill(memtrace_fake, 4)
        restore = self.interrupt(environment)
        invoke("export", "out.jsonl")
        restore()
        assert json.loads(invoke("export", "out.jsonl", "--agent", "a", "--json").stdout)["exported"] == 2
        assert len(left(folder)) == 2

    def test_another_organisation_begins_a_file_of_its_own(self, invoke, client, memtrace_fake, folder, environment):
        fill(memtrace_fake, 4)
        memtrace_fake.organisation("globex", api_key="mtk_of_globex")
        memtrace_fake.client("globex").remember("a", "theirs")
        restore = self.interrupt(environment)
        invoke("export", "out.jsonl")
        restore()
        environment.setenv("MEMTRACE_API_KEY", "mtk_of_globex")
        invoke("export", "out.jsonl")
        assert contents(folder / "out.jsonl") == ["theirs"]

    @pytest.mark.parametrize("bound", [["--since", "24h"], ["--since", "+24h"], ["--until", "1m"]])
    def test_a_bound_that_counts_from_now_begins_anew(self, invoke, client, memtrace_fake, folder, environment, bound):
        client.remember("a", "here")
        restore = self.interrupt(environment)
        result = invoke("export", "out.jsonl", *bound)
        assert (result.exit_code, left(folder)) == (130, [])
        assert result.stderr.splitlines()[1].startswith("Nothing is kept")
        restore()

    def test_what_a_killed_process_left_of_such_an_export_is_not_used(self, client, folder):
        client.remember("a", "here")
        wanted = ListOptions(until="1m")
        killed = FileExport(client, wanted, folder / "out.jsonl", "server")
        plant(killed._part_path(), b'{"time":"2020-01-01T00:00:00Z","content":"old"}\n')
        killed.run(lambda count: None)
        assert "old" not in (folder / "out.jsonl").read_text()

    def test_two_processes_do_not_write_one_file(self, invoke, client, folder):
        client.remember("a", "here")
        export = FileExport(
            client, ListOptions(tags_match="exact"), folder / "out.jsonl", os.environ["MEMTRACE_BASE_URL"]
        )
        held = exporter.PartialFile(export._part_path(), folder / "out.jsonl", anew=False)
        result = invoke("export", "out.jsonl")
        held.close()
        assert (result.exit_code, result.stderr) == (
            1,
            f"memtrace-sdk: {folder / 'out.jsonl'} is being exported by another process; wait for it\n",
        )

    @pytest.mark.parametrize("junk", [b"\x00\x00\n", b'{"time": 5}\n', b"\xff\n", b"{}\n", b"[]\n"])
    def test_what_is_no_line_of_ours_is_cut_off(self, client, folder, junk):
        client.remember("a", "here")
        export = FileExport(client, ListOptions(), folder / "out.jsonl", "server")
        plant(export._part_path(), junk)
        assert (export.run(lambda count: None), export.resumed) == (1, 0)
        assert contents(folder / "out.jsonl") == ["here"]

    def test_a_bound_stays_when_an_export_goes_on(self, client, memtrace_fake, folder):
        memtrace_fake.seed("acme", [{"agent_id": "a", "content": str(age), "age_s": age} for age in (6, 4, 2)])
        since = client.memories.list(order="asc", limit=1).memories[0].time
        export = FileExport(client, ListOptions(since=since), folder / "out.jsonl", "server")
        written = line_of(client.memories.list(order="asc", offset=1, limit=1).memories[0])
        plant(export._part_path(), f"{written}\n".encode())
        assert (export.run(lambda count: None), export.resumed) == (2, 1)
        assert contents(folder / "out.jsonl") == ["4", "2"]

    def test_a_long_file_is_gone_on_with(self, client, memtrace_fake, folder):
        fill(memtrace_fake, 3000)
        lines = [line_of(memory) + "\n" for memory in client.memories.iter(order="asc", limit=2500)]
        export = FileExport(client, ListOptions(), folder / "out.jsonl", "server")
        plant(export._part_path(), "".join(lines).encode())
        assert (export.run(lambda count: None), export.resumed) == (3000, 2500)
        assert contents(folder / "out.jsonl") == rows(3000)

    def test_large_contents_make_more_blocks(self, client, folder, environment):
        environment.setattr(exporter, "_BLOCK_CHARACTERS", 10)
        for text in "abc":
            client.remember("a", text)
        counts = []
        FileExport(client, ListOptions(), folder / "out.jsonl.gz", "server").run(counts.append)
        assert counts == [1, 2, 3]


PLANTED = b'{"time":"2020-01-01T00:00:00Z","agent_id":"a","content":"planted"}\n'


@pytest.mark.skipif(os.name != "posix", reason="owners, modes and links are those of POSIX")
class TestFilesOfOthers:
    """At the name of the partial file there is one that the export did not make."""

    @pytest.fixture
    def export(self, client, folder):
        client.remember("a", "here")
        return FileExport(client, ListOptions(), folder / "out.jsonl", "server")

    def check(self, export, folder):
        """The export has what the server has, and nothing else was touched."""
        assert (export.run(lambda count: None), export.resumed) == (1, 0)
        assert contents(folder / "out.jsonl") == ["here"]

    @pytest.mark.parametrize("content", [b"mine\n", PLANTED])
    @pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
    def test_a_link_is_not_followed(self, export, folder, content, link):
        victim = folder / "victim"
        plant(victim, content)
        getattr(export._part_path(), link)(victim)
        self.check(export, folder)
        assert victim.read_bytes() == content

    def test_a_link_to_nowhere_makes_no_file(self, export, folder):
        export._part_path().symlink_to(folder / "victim")
        self.check(export, folder)
        assert not (folder / "victim").exists()

    @pytest.mark.parametrize("mode", [0o644, 0o666, 0o620, 0o602])
    def test_lines_that_others_could_have_written_are_not_taken(self, export, folder, mode):
        plant(export._part_path(), PLANTED, mode)
        self.check(export, folder)
        assert export._part_path().read_bytes() == PLANTED

    def test_lines_of_another_user_are_not_taken(self, export, folder, environment):
        plant(export._part_path(), PLANTED)
        mine = os.geteuid()
        environment.setattr(os, "geteuid", lambda: mine + 1)
        part = export.part = exporter.PartialFile(export._part_path(), export.target, anew=False)
        assert (part.count, part.path.name.endswith(".2.part")) == (0, True)
        export.close()
        assert export._part_path().read_bytes() == PLANTED

    @pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
    def test_what_is_no_file_is_passed_over(self, export, folder, make):
        make(export._part_path())
        self.check(export, folder)

    def test_an_export_beside_it_is_gone_on_with(self, invoke, client, memtrace_fake, folder, environment):
        fill(memtrace_fake, 3)
        restore = TestPartialFiles().interrupt(environment)
        invoke("export", "out.jsonl")
        (first,) = folder.glob("*.part")
        plant(first, PLANTED, 0o644)
        assert "3 memories so far are kept in" in invoke("export", "out.jsonl").stderr
        restore()
        told = json.loads(invoke("export", "out.jsonl", "--json").stdout)
        assert (told["resumed"], told["exported"]) == (3, 3)
        assert contents(folder / "out.jsonl") == rows(3)

    def test_with_every_name_taken_it_says_what_to_remove(self, invoke, client, memtrace_fake, folder, environment):
        fill(memtrace_fake, 3)
        TestPartialFiles().interrupt(environment)
        for _ in range(10):
            invoke("export", "out.jsonl")
            for path in folder.glob("*.part"):
                plant(path, PLANTED, 0o644)
        result = invoke("export", "out.jsonl")
        assert (result.exit_code, len(left(folder))) == (1, 10)
        assert "taken by files that this export did not make: remove them" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
class TestModes:
    def test_nobody_else_can_read_what_is_written(self, invoke, client, folder, environment):
        client.remember("a", "here")
        restore = TestPartialFiles().interrupt(environment)
        before = os.umask(0)
        try:
            invoke("export", "out.jsonl")
            (part,) = folder.glob("*.part")
            assert part.stat().st_mode & 0o777 == 0o600
            restore()
            invoke("export", "out.jsonl")
        finally:
            os.umask(before)
        assert (folder / "out.jsonl").stat().st_mode & 0o777 == 0o600

    def test_who_could_read_the_replaced_file_can_read_the_new_one(self, invoke, client, folder):
        client.remember("a", "here")
        plant(folder / "out.jsonl", b"mine", 0o640)
        assert invoke("export", "out.jsonl", "--force").exit_code == 0
        assert (folder / "out.jsonl").stat().st_mode & 0o777 == 0o640


def test_a_system_without_owners_takes_every_file_of_the_name(environment, tmp_path):
    plant(tmp_path / "file", PLANTED, 0o644)
    assert files.open_own(tmp_path / "file") is None
    environment.delattr(os, "geteuid")
    os.close(files.open_own(tmp_path / "file"))


class TestFiles:
    def test_a_link_to_nowhere_is_not_followed(self, invoke, client, folder):
        (folder / "out.jsonl").symlink_to(folder / "elsewhere")
        for options in ([], ["--force"]):
            result = invoke("export", "out.jsonl", *options)
            assert (result.exit_code, "is a link to a file that is not there" in result.stderr) == (2, True)
        assert not (folder / "elsewhere").exists()

    def test_one_that_is_there_is_replaced_only_by_force(self, invoke, client, folder):
        client.remember("a", "here")
        (folder / "out.jsonl").write_text("mine")
        result = invoke("export", "out.jsonl")
        assert (result.exit_code, (folder / "out.jsonl").read_text()) == (2, "mine")
        assert "--force to replace it" in result.stderr
        assert invoke("export", "out.jsonl", "--force").stdout == "Exported 1 memory to out.jsonl\n"

    def test_a_folder_is_no_file(self, invoke, server, folder):
        (folder / "out.jsonl").mkdir()
        assert "is not a regular file" in invoke("export", "out.jsonl", "--force").stderr

    def test_a_folder_that_is_not_there_is_told(self, invoke, server):
        result = invoke("export", "nowhere/out.jsonl")
        assert (result.exit_code, result.stderr) == (
            1,
            "memtrace-sdk: nowhere/out.jsonl cannot be written: No such file or directory\n",
        )

    @pytest.mark.memtrace(strict=False)  # which refuses to find gui where ui is asked for
    def test_every_filter_chooses(self, invoke, client, memtrace_fake):
        client.memories.add(agent_id="a", session_id="s", event_type="e", content="yes", tags=["ui"])
        client.memories.add(agent_id="a", session_id="s", event_type="e", content="no", tags=["gui"])
        options = ["--agent", "a", "--session", "s", "--type", "episodic", "--event-type", "e", "--tag", "ui"]
        result = invoke("export", "-", *options, "--since", "2020-01-01", "--until", "2999-01-01")
        assert [json.loads(line)["content"] for line in result.stdout.splitlines()] == ["yes"]

    def test_a_resumed_export_says_so_to_people(self, invoke, client, memtrace_fake, folder, environment):
        fill(memtrace_fake, 3)
        restore = TestPartialFiles().interrupt(environment)
        invoke("export", "out.jsonl")
        restore()
        assert invoke("export", "out.jsonl").stdout == "Exported 3 memories to out.jsonl, 3 of them in an earlier run\n"


class TestToTheStandardOutput:
    def test_the_lines_come_and_nothing_else(self, invoke, client, memtrace_fake):
        fill(memtrace_fake, 3)
        result = invoke("export", "-")
        assert (result.exit_code, result.stderr) == (0, "")
        assert [json.loads(line)["content"] for line in result.stdout.splitlines()] == rows(3)

    def test_a_summary_has_no_place_there(self, invoke, server):
        assert invoke("export", "-", "--json").exit_code == 2

    @pytest.mark.slow
    def test_its_names_of_the_system_mean_the_same(self, client, memtrace_fake, execute):
        fill(memtrace_fake, 3)
        for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            done = execute("export", name)
            assert (done.returncode, done.stderr) == (0, "")
            assert [json.loads(line)["content"] for line in done.stdout.splitlines()] == rows(3)
        assert execute("export", "/dev/stdout", "--json").returncode == 2

    @pytest.mark.slow
    def test_a_file_that_a_shell_has_opened_is_written_on_and_not_anew(self, client, memtrace_fake, folder):
        fill(memtrace_fake, 2)
        command = f"(echo first; {sys.executable} -m memtrace export /dev/stdout) > out.jsonl"
        subprocess.run(["bash", "-c", command], check=True)
        first, *lines = (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()
        assert first == "first"
        assert [json.loads(line)["content"] for line in lines] == rows(2)

    @pytest.mark.slow
    def test_a_reader_that_goes_ends_it_quietly(self, client, memtrace_fake):
        fill(memtrace_fake, 5000)
        command = f"{sys.executable} -m memtrace export - | head -1"
        done = subprocess.run(
            ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=True
        )
        assert (done.stdout.splitlines()[1], done.stderr) == ("141", "")


class TestRecent:
    def test_equal_rows_are_counted(self, memtrace_client):
        time = memtrace_client.remember("a", "b").time
        recent = RecentMemories()
        assert [recent.is_new("x", time), recent.is_new("x", time)] == [True, True]
        recent.begin()
        assert [recent.is_new("x", time) for _ in range(3)] == [False, False, True]

    def test_what_is_old_is_forgotten(self, memtrace_client):
        time = memtrace_client.remember("a", "b").time
        recent = RecentMemories()
        recent.note("x", time)
        recent.note("y", time + LATE + timedelta(seconds=1))
        recent.note("x", time)
        recent.begin()
        assert set(recent._times) == {"y"}


class TestLocks:
    def test_a_system_without_them_goes_without(self, environment, tmp_path):
        environment.setitem(sys.modules, "fcntl", None)
        with (tmp_path / "file").open("w") as stream:
            assert files.lock(stream.fileno())

    def test_a_file_system_without_them_goes_without(self):
        reader, writer = os.pipe()
        os.close(writer)
        os.close(reader)
        assert files.lock(reader)  # no such file: any error but "held by another"


@pytest.mark.slow
def test_a_killed_export_is_gone_on_with(invoke, client, memtrace_fake, folder):
    fill(memtrace_fake, 5000)
    command = [sys.executable, "-m", "memtrace", "export", "out.jsonl.gz", "--json"]
    held = threading.Event()

    def wait(request):
        if len(memtrace_fake.calls) >= 4:
            held.wait(60)
        return False

    memtrace_fake.faults.add(Fault("status", on="memories.list", times=None, when=wait))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while len(memtrace_fake.calls) < 4:
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    held.set()
    assert len(left(folder)) == 1
    memtrace_fake.faults.clear()
    told = json.loads(invoke("export", "out.jsonl.gz", "--json").stdout)
    assert told["exported"] == 5000
    assert told["resumed"] >= 1000
    assert contents(folder / "out.jsonl.gz") == rows(5000)


class TestToAStream:
    @pytest.fixture(autouse=True)
    def _only_where_there_are_pipes(self):
        if not hasattr(os, "mkfifo"):
            pytest.skip("the system has no named pipes")

    @pytest.mark.parametrize("name", ["pipe", "pipe.gz"])
    def test_a_named_pipe_gets_the_lines(self, invoke, client, memtrace_fake, folder, name):
        fill(memtrace_fake, 3)
        os.mkfifo(folder / name)
        with ThreadPoolExecutor() as threads:
            read = threads.submit((folder / name).read_bytes)
            result = invoke("export", name)
            data = read.result(60)
        assert (result.exit_code, result.stdout) == (0, f"Exported 3 memories to {name}\n")
        text = gzip.decompress(data) if name.endswith(".gz") else data
        assert [json.loads(line)["content"] for line in text.splitlines()] == rows(3)
        assert left(folder) == []

    @pytest.mark.slow
    def test_a_descriptor_of_the_shell_gets_the_lines(self, client, memtrace_fake, folder):
        fill(memtrace_fake, 2)
        command = f"{sys.executable} -m memtrace export /dev/fd/3 --json 3> out.jsonl"
        done = subprocess.run(["bash", "-c", command], check=True, capture_output=True, text=True)
        assert json.loads(done.stdout) == {"file": "/dev/fd/3", "exported": 2, "resumed": 0, **NOBODY}
        assert contents(folder / "out.jsonl") == rows(2)

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")  # noqa: PTH110
    def test_one_that_cannot_be_written_is_told(self, invoke, client, memtrace_fake):
        fill(memtrace_fake, 3)
        for name, problem in {"/dev/full": "No space left on device", "/dev/fd/999": "Bad file descriptor"}.items():
            result = invoke("export", name)
            assert (result.exit_code, result.stderr) == (1, f"memtrace-sdk: {name} cannot be written: {problem}\n")

    def test_a_name_that_no_file_can_have_is_no_stream(self):
        assert not streams.is_stream("nul\0")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.jsonl", "/dev/fd/2", "-"])
def test_a_server_that_does_not_answer_is_told_as_that_and_not_as_a_file_that_cannot_be_written(
    invoke, environment, name
):
    environment.setenv("MEMTRACE_API_KEY", "mtk_x")
    with Refuse() as address:
        result = invoke("export", name, "--base-url", address.url)
    assert result.exit_code == 6
    assert result.stderr.startswith(f"memtrace-sdk: no connection to {address.url}: ")
