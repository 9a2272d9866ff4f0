"""import: every line once, whatever breaks into it and however often it is run."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memtrace._cli.transfer import importer, run
from memtrace._cli.transfer.dedup_keys import DedupKeys
from memtrace._cli.transfer.importer import ImportPlan, ImportReport, import_lines
from memtrace.clock import SystemClock
from memtrace_transports import FakeMemtrace, ManualClock
from memtrace_transports.memory import Fault
from tests.sampling import crossed, sample

pytestmark = pytest.mark.network
DAY = 24 * 3600
GO_ON = "run the same command again to go on, nothing is stored twice."


@pytest.fixture(autouse=True)
def folder(environment, tmp_path, at_once):
    """Where the commands run; time passes at once there."""
    environment.chdir(tmp_path)
    environment.setattr(run, "SystemClock", ManualClock)
    return tmp_path


def lines(count, **fields):
    return [json.dumps({"agent_id": "a", "content": f"Line {number}", **fields}) + "\n" for number in range(count)]


def write(path, rows):
    path.write_text("".join(rows), encoding="utf-8")


def stored(client):
    return sorted(memory.content for memory in client.memories.iter())


def counts(result):
    told = json.loads(result.stdout)
    return {name: told[name] for name in ("read", "stored", "present", "rejected", "unknown")}


def exactly(read, stored, present=0, rejected=0, unknown=0):
    return {"read": read, "stored": stored, "present": present, "rejected": rejected, "unknown": unknown}


class TestOnce:
    @pytest.mark.parametrize("later", [0, 2, 2 * DAY])
    def test_running_it_again_stores_nothing(self, invoke, client, memtrace_fake, folder, later):
        write(folder / "in.jsonl", lines(250))
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(250, 250)
        memtrace_fake.clock.advance(later)
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(250, 0, 250)
        assert len(stored(client)) == 250

    def test_lines_that_were_added_are_stored(self, invoke, client, memtrace_fake, folder):
        write(folder / "in.jsonl", lines(3))
        invoke("import", "in.jsonl")
        memtrace_fake.clock.advance(2 * DAY)
        write(folder / "in.jsonl", lines(5)[::-1])
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(5, 2, 3)

    def test_equal_lines_are_as_many_memories_each_time(self, invoke, client, folder):
        write(folder / "in.jsonl", lines(1) * 3)
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(3, 3)
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(3, 0, 3)
        write(folder / "in.jsonl", lines(1) * 4)
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(4, 1, 3)

    def test_contents_that_are_equal_for_200_bytes_are_all_stored(self, invoke, client, folder):
        write(
            folder / "in.jsonl", [json.dumps({"agent_id": "a", "content": "x" * 300 + str(n)}) + "\n" for n in range(3)]
        )
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(3, 3)

    def test_what_was_exported_is_found_in_its_own_organisation(self, invoke, client, memtrace_fake, folder):
        memtrace_fake.seed("acme", [{"agent_id": "a", "content": "same", "age_s": 3} for _ in range(3)])
        client.memories.add(agent_id="b", content="é", metadata={"a": None, "b": 1.5, "c": [2**53]}, importance=0.3)
        invoke("export", "out.jsonl")
        assert counts(invoke("import", "out.jsonl", "--json")) == exactly(4, 0, 4)

    def test_a_move_there_and_back_again_stores_nothing_twice(self, invoke, client, memtrace_fake, folder, environment):
        memtrace_fake.organisation("globex", api_key="mtk_of_globex")
        memtrace_fake.seed("acme", [{"agent_id": "a", "content": f"Row {n}", "age_s": 9 - n} for n in range(5)])
        invoke("export", "acme.jsonl.gz")
        environment.setenv("MEMTRACE_API_KEY", "mtk_of_globex")
        assert counts(invoke("import", "acme.jsonl.gz", "--keep-time-as", "was", "--json")) == exactly(5, 5)
        invoke("export", "globex.jsonl")
        assert counts(invoke("import", "globex.jsonl", "--json")) == exactly(5, 0, 5)
        environment.setenv("MEMTRACE_API_KEY", "mtk_of_acme")
        assert counts(invoke("import", "globex.jsonl", "--json")) == exactly(5, 0, 5)
        assert len(stored(client)) == 5

    def test_the_order_of_the_file_is_the_order_of_the_memories(self, invoke, client, folder):
        write(folder / "in.jsonl", lines(150))
        invoke("import", "in.jsonl")
        found = [memory.content for memory in client.memories.iter(order="asc")]
        assert found == [f"Line {number}" for number in range(150)]

    def test_lines_that_another_import_stored_meanwhile_count_as_there(self, invoke, client, memtrace_fake, folder):
        write(folder / "in.jsonl", lines(3))
        theirs = DedupKeys().key_for(json.loads(lines(3)[1]))
        client.memories.add(agent_id="elsewhere", content="the same key", dedup_key=theirs)
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(3, 2, 1)


class Stop(BaseException):
    """Ends a process at once, as far as its own code can tell."""


def stopping(moment, after, error):
    """A middleware that ends the run around the nth request: before it leaves, or once it was answered."""
    seen = 0

    def middleware(request, call_next):
        nonlocal seen
        seen += 1
        if seen == moment and not after:
            raise error
        response = yield from call_next(request)
        if seen == moment:
            raise error
        return response

    return middleware


@pytest.mark.parametrize(
    ("moment", "visibility", "pause"),
    crossed(["before it is sent", "before its answer is read"], ["immediate", "server"], ["at once", "two days later"]),
)
def test_an_import_may_end_at_any_request_and_be_run_again(moment, visibility, pause):
    after = moment == "before its answer is read"
    rows = [line.encode() for line in lines(350)]
    ended = 0
    for number in range(1, 12):
        clock = ManualClock()
        fake = FakeMemtrace(clock=clock, visibility=visibility)
        report = ImportReport()
        with fake.client("acme", attempt_middleware=[stopping(number, after, Stop())]) as client:
            try:
                import_lines(client, rows, ImportPlan(name="f"), report, clock=clock, on_chunk=lambda: None)
            except Stop:
                ended += 1
                assert report.stored + report.unknown <= report.read
        clock.advance(0 if pause == "at once" else 2 * DAY)
        with fake.client("acme") as client:
            second = ImportReport()
            import_lines(client, rows, ImportPlan(name="f"), second, clock=clock, on_chunk=lambda: None)
            fake.flush()
            assert stored(client) == sorted(f"Line {number}" for number in range(350))
            assert second.stored + second.present == 350
            assert second.present >= report.stored
    assert ended > 5


def test_a_server_that_lost_what_it_had_taken_gets_it_again(memtrace_fake):
    client = memtrace_fake.client("acme")
    before = memtrace_fake.snapshot()
    rows = [line.encode() for line in lines(150)]
    for _ in range(2):
        report = ImportReport()
        import_lines(client, rows, ImportPlan(name="f"), report, clock=memtrace_fake.clock, on_chunk=lambda: None)
        assert report.stored == 150
        memtrace_fake.restore(before)


line_texts = st.dictionaries(
    st.sampled_from(["agent_id", "content", "tags", "importance", "metadata", "dedup_key", "time", "odd"]),
    st.one_of(
        st.none(), st.text(max_size=3), st.sampled_from(["a", "b"]), st.floats(allow_nan=False, allow_infinity=False),
        st.lists(st.sampled_from(["t", "u v"]), max_size=2), st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    ),
).map(json.dumps) | st.text(max_size=5)  # fmt: skip


@given(st.lists(line_texts, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_line_is_stored_once_or_refused_whatever_stands_in_it(texts):
    clock = ManualClock()
    with FakeMemtrace(clock=clock).client() as client:
        data = "\n".join(texts).encode("utf-8", "surrogatepass")
        reports = []
        for _ in range(2):
            report = ImportReport()
            import_lines(client, io.BytesIO(data), ImportPlan(name="f"), report, clock=clock, on_chunk=lambda: None)
            reports.append(report)
        first, second = reports
        assert first.read == first.stored + first.present + first.rejected
        assert (second.stored, second.rejected) == (0, first.rejected)
        assert len(stored(client)) == first.stored


class TestLines:
    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("{secret", "line 2: not JSON: Expecting property name enclosed in double quotes at column 2"),
            ('["secret"]', "line 2: not a JSON object; each line is one, written as {...}"),
            ('{"agent_id": "a"}', 'line 2, field "content": is missing or empty; each line needs it'),
            ('{"content": "secret"}', 'line 2, field "agent_id": is missing or empty; each line needs it, or give --agent'),
            ('{"agent_id": "a", "content": 5}', 'line 2, field "content": must be a string, not int'),
            ('{"agent_id": "a", "content": "secret", "tag": 1}', 'line 2, field "tag": is not a field of a memory; there are agent_id,'),
            ('{"agent_id": "a", "content": "secret", "importance": 2}', 'field "importance": must be at most 1'),
            ('{"agent_id": "a b", "content": "secret"}', "line 2: cannot be stored: agent_id must be a letter, then"),
            ('{"agent_id": "a", "content": "secret", "tags": ["a b"]}', "line 2: cannot be stored: tags[0] must be letters"),
            ('{"agent_id": "a", "content": "' + "x" * 5_000_000 + '"}', "line 2: cannot be stored: the request body has"),
        ],
    )  # fmt: skip
    def test_one_that_cannot_be_stored_is_told_and_the_rest_is_stored(self, invoke, client, folder, line, told):
        one, two = lines(2)
        write(folder / "in.jsonl", [one, line + "\n", "\n", two])
        result = invoke("import", "in.jsonl", "--json")
        assert (result.exit_code, counts(result)) == (8, exactly(3, 2, rejected=1))
        assert told in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert "secret" not in result.output

    def test_one_that_the_server_alone_refuses_is_told_as_well(self, invoke, client, memtrace_fake, folder):
        write(folder / "in.jsonl", lines(3))
        body = b'{"error":"failed to create memory 1: too odd"}'
        memtrace_fake.faults.add(Fault("status", on="memories.add_many", status=500, body=body))
        result = invoke("import", "in.jsonl", "--json")
        assert result.exit_code in (1, 7, 8)
        again = invoke("import", "in.jsonl", "--json")
        assert (again.exit_code, stored(client)) == (0, [f"Line {number}" for number in range(3)])

    def test_many_that_are_refused_for_one_reason_are_one_message(self, invoke, client, folder):
        write(folder / "in.jsonl", ["nonsense\n"] * 30)
        result = invoke("import", "in.jsonl")
        assert (result.exit_code, result.stdout) == (
            8,
            "30 lines of in.jsonl: 0 stored, 0 there already, 30 rejected\n",
        )
        assert result.stderr == (
            "memtrace-sdk: in.jsonl, lines 1, 2, 3, 4, 5 and 25 more: not JSON: Expecting value at column 1\n"
        )

    def test_reasons_that_differ_in_numbers_alone_are_one_and_others_are_not(self, invoke, client, folder):
        texts = ['{"a" 1}', '{"content": "c", "x": 1}', '{"abc" 1}', '{"content": "c", "x": 1}', '{"content": "c"}']
        write(folder / "in.jsonl", [text + "\n" for text in texts])
        first, second, third = invoke("import", "in.jsonl").stderr.splitlines()
        assert first.startswith("memtrace-sdk: in.jsonl, lines 1, 3: not JSON: Expecting ':' delimiter at column 6")
        assert second.startswith('memtrace-sdk: in.jsonl, lines 2, 4, field "x": is not a field of a memory')
        assert third.startswith('memtrace-sdk: in.jsonl, line 5, field "agent_id": is missing or empty')

    def test_only_the_first_of_many_reasons_are_told(self, invoke, client, folder):
        names = [chr(ord("a") + n) for n in range(25)]
        write(folder / "in.jsonl", [f'{{"agent_id": "a", "content": "c", "{name}": 1}}\n' for name in names])
        told = invoke("import", "in.jsonl").stderr.splitlines()
        assert len(told) == 21
        assert told[-1] == "memtrace-sdk: and 5 more were rejected"

    def test_lines_that_keep_their_own_agent_are_told_of(self, invoke, client, folder):
        write(folder / "in.jsonl", ['{"content": "mine"}\n', '{"agent_id": "notes", "content": "too"}\n', *lines(2)])
        result = invoke("import", "in.jsonl", "--agent", "notes", "--dry-run")
        assert result.stderr == (
            "memtrace-sdk: 2 lines have their own agent_id, which counts; --agent notes is for lines without one\n"
        )
        assert invoke("import", "in.jsonl", "--dry-run").stderr.count("agent_id of their own") == 0

    def test_lines_without_an_agent_get_the_one_that_is_given(self, invoke, client, folder):
        write(folder / "in.jsonl", ['{"content": "mine"}\n', '{"agent_id": "b", "content": "theirs"}\n'])
        invoke("import", "in.jsonl", "--agent", "notes")
        assert {memory.agent_id: memory.content for memory in client.memories.iter()} == {
            "notes": "mine",
            "b": "theirs",
        }

    def test_the_time_of_a_line_is_kept_where_it_is_asked_for(self, invoke, client, folder):
        write(folder / "in.jsonl", [*lines(1, time="2020-01-01T00:00:00Z", metadata={"x": 1}), *lines(2)[1:]])
        invoke("import", "in.jsonl", "--keep-time-as", "was")
        found = {memory.content: memory.metadata for memory in client.memories.iter()}
        assert found == {"Line 0": {"was": "2020-01-01T00:00:00Z", "x": 1}, "Line 1": None}

    def test_a_dry_run_counts_the_same_and_stores_nothing(self, invoke, client, folder):
        write(folder / "in.jsonl", [*lines(2), '{"agent_id": "a b", "content": "c"}\n'])
        result = invoke("import", "in.jsonl", "--dry-run", "--json")
        assert (counts(result), stored(client)) == (exactly(3, 2, rejected=1), [])
        assert "2 would be stored" in invoke("import", "in.jsonl", "--dry-run").stdout


class TestFiles:
    def test_gzip_goes_by_the_name(self, invoke, client, folder):
        (folder / "in.jsonl.gz").write_bytes(gzip.compress("".join(lines(250)).encode()))
        assert counts(invoke("import", "in.jsonl.gz", "--json")) == exactly(250, 250)

    def test_the_standard_input_is_read(self, invoke, client):
        result = invoke("import", "-", stdin="".join(lines(3)))
        assert result.stdout == "3 lines of the standard input: 3 stored, 0 there already, 0 rejected\n"

    @pytest.mark.parametrize("cut", [0, 30])
    def test_a_gzip_file_that_is_none_or_cut_short_is_told_with_what_is_stored(self, invoke, client, folder, cut):
        whole = gzip.compress("".join(lines(5000, metadata={"n": "x"})).encode())
        (folder / "in.jsonl.gz").write_bytes(whole[: -len(whole) // 3] if cut else b"no gzip")
        result = invoke("import", "in.jsonl.gz")
        assert result.exit_code == 2
        assert result.stderr.startswith("memtrace-sdk: in.jsonl.gz: is not a complete gzip file")
        told = f" {len(stored(client)):,} are stored"
        assert told in result.stderr if cut else len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize("name", ["in.jsonl", "in.jsonl.gz", "-"])
    @pytest.mark.parametrize("blank", [b"x", b" "])
    def test_a_line_longer_than_any_memory_is_told_and_the_rest_is_stored(self, invoke, client, folder, name, blank):
        one, two = [line.encode() for line in lines(2)]
        data = one + b'{"agent_id": "a", "content": "' + blank * 30_000_000 + b'"}\n' + two
        (folder / name).write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
        result = invoke("import", name, "--json", stdin=data if name == "-" else None)
        assert (result.exit_code, counts(result)) == (8, exactly(3, 2, rejected=1))
        assert "line 2: has more than 25,559,040 bytes: no memory is as long" in result.stderr

    def test_a_long_line_at_the_end_is_told_too(self, invoke, client, folder):
        (folder / "in.jsonl").write_bytes(lines(1)[0].encode() + b"x" * 30_000_000)
        result = invoke("import", "in.jsonl", "--json")
        assert (result.exit_code, counts(result)) == (8, exactly(2, 1, rejected=1))

    @pytest.mark.parametrize("written", ["\\u0041", "\\u00e9", "\\ud834\\udd1e", "é"])
    def test_a_memory_whose_characters_are_escaped_may_have_a_line_longer_than_its_request(
        self, invoke, client, folder, written
    ):
        size = len(json.loads(f'"{written}"').encode())
        line = f'{{"agent_id": "a", "content": "{written * (4_000_000 // size)}"}}\n'
        (folder / "in.jsonl").write_text(line, encoding="utf-8")
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(1, 1)

    @pytest.mark.slow
    def test_long_lines_make_requests_of_fewer(self, invoke, client, memtrace_fake, folder):
        write(folder / "in.jsonl", lines(12, metadata={"text": "x" * 1_500_000}))
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(12, 12)
        sent = [call for call in memtrace_fake.calls if call.operation in ("memories.add", "memories.add_many")]
        assert len(sent) >= 4

    def test_a_file_that_is_not_there_is_told(self, invoke, server):
        result = invoke("import", "nowhere.jsonl")
        assert (result.exit_code, result.stderr) == (
            2,
            "memtrace-sdk: nowhere.jsonl: cannot be read: No such file or directory; give a file of JSON lines\n",
        )

    def test_two_processes_do_not_import_one_file(self, invoke, server, folder):
        write(folder / "in.jsonl", lines(1))
        with (folder / "in.jsonl").open("rb") as held:
            assert run.lock(held.fileno())
            result = invoke("import", "in.jsonl")
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert "is being imported by another process" in result.stderr

    def test_a_pipe_can_be_a_file(self, invoke, client, folder):
        os.mkfifo(folder / "pipe")
        writer = subprocess.Popen(["bash", "-c", 'echo \'{"agent_id":"a","content":"b"}\' > pipe'], cwd=folder)
        assert invoke("import", "pipe").exit_code == 0
        assert writer.wait() == 0
        assert stored(client) == ["b"]


class TestFailures:
    def test_a_server_that_fails_ends_it_with_what_is_stored(self, invoke, client, memtrace_fake, folder):
        write(folder / "in.jsonl", [*lines(250), "nonsense\n"])
        memtrace_fake.faults.add(
            Fault("status", on="memories.add_many", nth=3, status=401, body=b'{"error":"invalid API key"}')
        )
        result = invoke("import", "in.jsonl")
        assert result.exit_code == 5
        assert result.stderr.splitlines()[1:] == [
            "in.jsonl, line 251: not JSON: Expecting value at column 1",
            f"Of 251 lines read 200 are stored, 0 were there already, 1 rejected: {GO_ON}",
        ]
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(251, 50, 200, 1)

    def test_an_outcome_that_nobody_knows_is_told_and_found_out_by_the_next_run(
        self, invoke, client, memtrace_fake, folder
    ):
        write(folder / "in.jsonl", lines(150))
        faults = memtrace_fake.faults
        faults.add(
            Fault("reset", on="memories.add_many", nth=2, applied=True, times=None),
            Fault("status", on="memories.list", nth=4, status=500, times=None),
        )
        result = invoke("import", "in.jsonl")
        assert result.exit_code == 7
        assert "100 are stored, 0 were there already, 0 rejected, 50 more may be stored" in result.stderr
        faults.clear()
        assert counts(invoke("import", "in.jsonl", "--json")) == exactly(150, 0, 150)

    def test_an_organisation_that_cannot_be_read_is_told_at_once(self, invoke, memtrace_fake, server, folder):
        write(folder / "in.jsonl", lines(1))
        memtrace_fake.set_storage("acme", "none")
        result = invoke("import", "in.jsonl")
        assert (result.exit_code, len(result.stderr.splitlines())) == (6, 1)

    def test_what_reading_the_file_raises_comes_after_the_lines_before(self, client):
        def broken():
            yield lines(1)[0].encode()
            raise OSError(5, "Input/output error")

        report = ImportReport()
        with pytest.raises(importer.LineError, match="f: cannot be read: Input/output error"):
            import_lines(client, broken(), ImportPlan(name="f"), report, clock=ManualClock(), on_chunk=lambda: None)
        assert (report.stored, stored(client)) == (1, ["Line 0"])


RUN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import memtrace._cli as c; c.main()"
AT_ONCE = "import memtrace_transports as m, memtrace._cli.transfer.run as r; r.SystemClock = m.ManualClock; "


def start(folder, *arguments, code=RUN):
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def delayed(environment, serving):
    """A server with the real one's delays, and its fake; `clock` is what both go by."""

    def serve(clock):
        fake = FakeMemtrace(clock=clock, visibility="server")
        fake.organisation("acme", api_key="mtk_of_acme")
        environment.setenv("MEMTRACE_BASE_URL", serving(fake))
        environment.setenv("MEMTRACE_API_KEY", "mtk_of_acme")
        environment.setenv("NO_PROXY", "127.0.0.1")
        environment.setattr(run, "SystemClock", lambda: fake.clock)
        return fake

    return serve


def wait_for(fake, process, adds):
    while sum(call.operation == "memories.add_many" for call in fake.calls) < adds:
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)


def check_that_none_is_lost_and_none_there_twice(fake, told, count, adds):
    assert told["stored"] + told["present"] == count
    assert told["present"] >= 100 * (adds - 1)
    fake.flush()
    with fake.client("acme") as client:
        assert stored(client) == sorted(f"Line {number}" for number in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("adds", sample([1, 7], 1))
def test_a_killed_process_leaves_nothing_lost_and_nothing_twice(delayed, invoke, folder, adds):
    fake = delayed(ManualClock())
    write(folder / "in.jsonl", lines(1500))
    process = start(folder, "import", "in.jsonl", code=AT_ONCE + RUN)
    wait_for(fake, process, adds)
    process.kill()
    process.communicate()
    told = json.loads(invoke("import", "in.jsonl", "--json").stdout)
    check_that_none_is_lost_and_none_there_twice(fake, told, 1500, adds)


@pytest.mark.slow
@pytest.mark.parametrize("adds", [1, 7])
def test_by_the_real_clock_the_process_after_a_killed_one_waits_long_enough(delayed, folder, adds):
    fake = delayed(SystemClock())
    write(folder / "in.jsonl", lines(3000))
    process = start(folder, "import", "in.jsonl")
    wait_for(fake, process, adds)
    process.kill()
    process.communicate()
    again = start(folder, "import", "in.jsonl", "--json")
    told = json.loads(again.communicate(timeout=120)[0])
    check_that_none_is_lost_and_none_there_twice(fake, told, 3000, adds)


@pytest.mark.slow
def test_ctrl_c_says_what_is_stored(delayed, folder):
    fake = delayed(ManualClock())
    write(folder / "in.jsonl", lines(5000))
    process = start(folder, "import", "in.jsonl", code=AT_ONCE + RUN)
    wait_for(fake, process, 3)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, len(errors.splitlines())) == (130, "", 2)
    assert errors.splitlines()[0] == "memtrace-sdk: interrupted"
    told = errors.splitlines()[1]
    assert told.startswith("Of ")
    sure = int(told.split(" read ")[1].split()[0].replace(",", ""))
    fake.flush()
    with fake.client("acme") as client:
        assert sure <= len(stored(client)) <= sure + 100


class TestKeys:
    def test_a_key_is_of_what_is_said_and_not_of_how_it_is_written(self):
        one = DedupKeys().key_for({"agent_id": "a", "content": "b", "org_id": "x", "tags": None})
        assert one == DedupKeys().key_for({"content": "b", "agent_id": "a"})
        assert one != DedupKeys().key_for({"content": "b", "agent_id": "a", "time": "2020-01-01T00:00:00Z"})

    def test_a_key_stays_what_it_is_in_every_version(self):
        keys = DedupKeys()
        fields = {"agent_id": "a", "content": "é", "importance": 0.5}
        assert [keys.key_for(fields), keys.key_for(fields)] == [
            "import-a997bacb411323a6c340207bfebe820b",
            "import-a6cda97575b67c8e2bfe391425f12471",
        ]
