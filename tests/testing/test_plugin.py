"""The pytest plugin: its fixtures, its marker, its report; and what loading it costs those who do not use it."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import weakref
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import memtrace
import memtrace.testing._plugin
from memtrace import Memtrace
from memtrace_transports.memory import FakeMemtrace
from memtrace_transports.memory.server import LiveServer

NAME = "memtrace.testing._plugin"
INSTALLED = any(point.value == NAME for point in entry_points(group="pytest11"))
pytestmark = pytest.mark.network
COVERAGE = "[run]\nbranch = true\nsource_pkgs = memtrace\n[report]\nexclude_also = if TYPE_CHECKING:\n"
SOURCE = str(Path(memtrace.__file__).parents[1])


@pytest.fixture(scope="module", autouse=True)
def _everything_is_imported():
    """What a run inside of this process imports first would be imported once more after it."""
    fake = FakeMemtrace()
    with LiveServer(fake) as server, Memtrace(server.url, fake.organisation().api_key) as client:
        client.remember("bot", "likes tea")
    fake.async_client()
    gc.freeze()  # and what was there before need not be looked through for garbage
    yield
    gc.unfreeze()


@pytest.fixture
def run(pytester, monkeypatch):
    """Run tests with the plugin and no other, whether it is installed or not."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")

    def run(source, *arguments):
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess(*arguments, plugins=[memtrace.testing._plugin])

    return run


def test_the_fixtures_belong_together_and_to_one_test(run):
    source = """
        import asyncio
        import pytest
        from memtrace import Memtrace

        seen = []

        @pytest.mark.parametrize("turn", range(3))
        def test_each_begins_empty(memtrace_fake, memtrace_client, turn):
            assert memtrace_client.recall("bot").count == 0
            memory = memtrace_client.remember("bot", "likes tea")
            assert memtrace_fake.client().recall("bot").memories == [memory]
            memtrace_fake.calls.assert_called("memories.add", agent_id="bot", times=1)
            seen.append((id(memtrace_fake), memory.org_id))

        def test_the_async_client_is_of_no_event_loop(async_memtrace_client, memtrace_client):
            for turn in range(2):
                asyncio.run(async_memtrace_client.remember("bot", f"likes tea {turn}"))
            assert memtrace_client.recall("bot").count == 2

        def test_the_server_is_the_same_fake(memtrace_server, memtrace_fake):
            with Memtrace(memtrace_server, memtrace_fake.organisation().api_key) as client:
                client.remember("bot", "likes tea")
            assert memtrace_fake.client().recall("bot").count == 1
    """
    run(source).assert_outcomes(passed=5)


def test_by_default_a_fake_is_strict_and_stands_still(run):
    source = """
        import pytest
        from memtrace_transports.memory import ManualClock, StrictModeError, StrictModeWarning

        def test_it(memtrace_fake, memtrace_client):
            assert isinstance(memtrace_fake.clock, ManualClock)
            with pytest.raises(StrictModeWarning):
                memtrace_client.memories.list(memory_type="dream")
    """
    result = run(source)
    result.assert_outcomes(passed=1)


def test_the_marker_sets_what_the_test_gets_and_the_nearest_wins(run):
    source = """
        import pytest
        from memtrace import NoArcInstanceError
        from memtrace.clock import SystemClock
        from memtrace_transports.memory import ManualClock

        pytestmark = pytest.mark.memtrace(org="acme", seed=7)

        @pytest.mark.memtrace(visibility="server", clock="real", strict=False)
        class TestIt:
            def test_of_the_class(self, memtrace_fake, memtrace_client):
                assert isinstance(memtrace_fake.clock, SystemClock)
                memtrace_client.remember("bot", "likes tea")
                assert memtrace_client.recall("bot").count == 0
                assert memtrace_fake.calls[0].org == "acme"

            @pytest.mark.memtrace(clock="manual", storage="none", org="globex")
            def test_of_its_own(self, memtrace_fake, memtrace_client):
                assert isinstance(memtrace_fake.clock, ManualClock)
                with pytest.raises(NoArcInstanceError):
                    memtrace_client.recall("bot")
                assert memtrace_fake.calls[0].org == "globex"

        @pytest.mark.memtrace(dedup_enabled=False, write_batch_size=5)
        def test_the_servers_settings(memtrace_client):
            assert [memtrace_client.remember("bot", "tea").content for _ in range(2)] == ["tea", "tea"]

        @pytest.mark.memtrace(storage="down")
        def test_storage_that_is_down(memtrace_client, async_memtrace_client):
            assert not memtrace_client.ready()

        found = []

        @pytest.mark.parametrize("turn", range(2))
        def test_one_seed_gives_one_set_of_ids(memtrace_fake, turn):
            found.append(memtrace_fake.organisation("acme"))
            assert set(found) == {found[0]}
    """
    run(source).assert_outcomes(passed=6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("'acme'", "the marker memtrace takes keywords only: memtrace("),
        ("organisation='acme'", "the marker memtrace does not know organisation: memtrace("),
        ("clock='fast'", "the marker memtrace takes clock as one of manual, real"),
        ("visibility=None", "the marker memtrace takes visibility as one of immediate, server"),
        ("storage='gone'", "the marker memtrace takes storage as one of up, none, down"),
        ("strict='no'", "the marker memtrace takes strict as bool"),
        ("seed=True", "the marker memtrace takes seed as int"),
        ("dedup_enabled=0", "the marker memtrace takes dedup_enabled as bool"),
        ("org=None", "the marker memtrace takes org as str"),
    ],
)
def test_a_wrong_marker_is_told(run, settings, told):
    source = f"""
        import pytest

        @pytest.mark.memtrace({settings})
        def test_it(memtrace_client):
            pass
    """
    result = run(source)
    result.assert_outcomes(errors=1)
    assert told in result.stdout.str()


def test_a_wrong_marker_is_told_of_a_test_without_a_fixture_too(run):
    source = """
        import pytest

        @pytest.mark.memtrace(visibilty="server")
        def test_it():
            pass

        @pytest.mark.memtrace(visibility="server")
        def test_right():
            pass
    """
    result = run(source)
    result.assert_outcomes(errors=1, passed=1)
    assert "the marker memtrace does not know visibilty: memtrace(" in result.stdout.str()


class TestARefusalOfStrictMode:
    MODULE = """
        from memtrace.transport import Headers, Request

        def ask(fake, target="/api/v1/memories?limit=5000"):
            key = Headers({"x-api-key": fake.organisation().api_key})
            fake.handle(Request("GET", "http://fake", target, key))

        def carefree(fake, target="/api/v1/memories?limit=5000"):
            try:
                ask(fake, target)
            except Exception:
                pass
    """

    @pytest.fixture
    def judge(self, run, pytester):
        """Run a test of code in a module of its own."""
        pytester.makepyfile(under_test=self.MODULE)

        def judge(source):
            return run(
                "import asyncio\nimport pytest\nimport unittest\nfrom under_test import *\n"
                + re.sub("^ {12}", "", source, flags=re.MULTILINE)
            )

        return judge

    def test_that_the_code_under_test_swallows_fails_the_test_at_its_end_with_the_rule(self, judge):
        source = """
            def test_it(memtrace_fake):
                for target in ("/api/v1/memories?limit=5000", "/api/v1/memories?limit=5000", "/api/v1/agents?limit=1"):
                    carefree(memtrace_fake, target)
        """
        result = judge(source)
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(
            [
                "strict mode refused requests, and the test did not see it:",
                "  memories.list: limit=5000 silently becomes 100, *",
                "  agents.list does not read the parameter 'limit', and ignores it; it reads none",
                "Where that is meant, say memtrace_fake.strict_errors.clear(), or mark the test with memtrace(strict=False).",
                "*calls of the fake Memtrace server (the last 3 of 3)*",
                "memories.list: GET /api/v1/memories -> no response (strict mode)",
            ]
        )

    @pytest.mark.parametrize(
        "body",
        [
            "with pytest.raises(AssertionError): ask(memtrace_fake)",
            "carefree(memtrace_fake); pytest.raises(AssertionError, ask, memtrace_fake)",
            "unittest.TestCase().assertRaises(AssertionError, ask, memtrace_fake)",
            "with pytest.raises(AssertionError): asyncio.run(asyncio.to_thread(ask, memtrace_fake))",
            "carefree(memtrace_fake); memtrace_fake.strict_errors.clear()",
            "carefree(memtrace_fake, '/api/v1/memories?limit=5')",
        ],
    )
    def test_that_the_test_sees_or_clears_fails_nothing(self, judge, body):
        judge(f"def test_it(memtrace_fake):\n    {body}\n").assert_outcomes(passed=1)

    def test_that_a_test_from_another_module_sees_fails_nothing(self, judge, pytester):
        shared = "class Shared:\n    def test_it(self, memtrace_fake):\n        with pytest.raises(AssertionError): ask(memtrace_fake)\n"
        pytester.makepyfile(shared="import pytest\nfrom under_test import ask\n" + shared)
        judge("from shared import Shared\nclass TestIt(Shared): pass\n").assert_outcomes(passed=1)

    def test_that_fails_the_test_itself_is_told_once(self, judge):
        judge("def test_it(memtrace_fake): ask(memtrace_fake)\n").assert_outcomes(failed=1)

    def test_that_was_answered_over_http_fails_the_test_as_well(self, judge):
        source = """
            from contextlib import closing
            from http.client import HTTPConnection

            def test_it(memtrace_fake, memtrace_server):
                with closing(HTTPConnection(memtrace_server.removeprefix("http://"))) as connection:
                    key = {"x-api-key": memtrace_fake.organisation().api_key}
                    connection.request("GET", "/api/v1/agents?limit=1", headers=key)
                    assert connection.getresponse().status == 400
        """
        judge(source).assert_outcomes(passed=1, errors=1)

    def test_that_a_doctest_shows_fails_nothing(self, judge, pytester):
        pytester.makefile(
            ".txt",
            test_page="""
            >>> from under_test import ask
            >>> ask(getfixture("memtrace_fake"))
            Traceback (most recent call last):
            memtrace_transports.memory._controls.strict.StrictModeError: memories.list: ...
            """,
        )
        pytester.syspathinsert()
        pytester.makeini("[pytest]\ndoctest_optionflags = ELLIPSIS\n")
        result = pytester.runpytest_inprocess("test_page.txt", plugins=[memtrace.testing._plugin])
        result.assert_outcomes(passed=1)


def test_the_marker_is_told_among_the_others(run):
    run("", "--markers").stdout.fnmatch_lines(["@pytest.mark.memtrace([*], org='default', clock='manual',*"])


class TestTheReport:
    FAILING = """
        from memtrace.transport import Headers, Request

        def test_it(memtrace_client, memtrace_fake):
            for turn in range(30):
                memtrace_client.remember("bot", f"a planted content {turn}")
            key = Headers({"x-api-key": memtrace_fake.organisation().api_key})
            memtrace_fake.handle(Request("GET", "http://fake", "/api/v1/memories/a planted content 7", key))
            memtrace_client.memories.filter(content_contains="planted")
            assert not "a failure"
    """

    def test_a_failed_test_shows_its_last_calls(self, run):
        result = run(self.FAILING, "--tb=short")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(
            [
                "*calls of the fake Memtrace server (the last 20 of 32)*",
                "memories.add: POST /api/v1/memories -> 201",
                "memories.find: GET /api/v1/memories/... -> 200",
                "memories.filter: POST /api/v1/search -> 200",
            ]
        )
        assert result.stdout.str().count("memories.add: POST") == 18

    def test_it_shows_no_contents_and_no_keys(self, run):
        result = run(self.FAILING, "--tb=no", "-rN")
        assert "calls of the fake" not in result.stdout.str(), "--tb=no shows no sections"
        shown = run(self.FAILING, "--tb=short").stdout.str()
        section = shown.partition("calls of the fake")[2].partition("====")[0]
        assert "planted" not in section
        assert "mtk_" not in shown

    def test_a_fault_and_a_call_without_an_answer_are_told(self, run):
        source = """
            import pytest
            from memtrace import APIConnectionError
            from memtrace_transports.memory import Fault

            def test_it(memtrace_client, memtrace_fake):
                memtrace_fake.faults.add(Fault("reset"))
                with pytest.raises(APIConnectionError):
                    memtrace_client.agents.list()
                assert not "a failure"
        """
        run(source, "--tb=short").stdout.fnmatch_lines(["agents.list: GET /api/v1/agents -> no response (reset)"])

    def test_a_failed_teardown_shows_them_too(self, run):
        source = """
            import pytest

            @pytest.fixture
            def ending(memtrace_client):
                yield memtrace_client
                assert not "a failure"

            def test_it(ending):
                ending.agents.list()
        """
        result = run(source)
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*(the last 1 of 1)*", "agents.list: GET /api/v1/agents -> 200"])

    @pytest.mark.parametrize(
        "source",
        [
            "def test_it(memtrace_client): memtrace_client.agents.list()",
            "def test_it(memtrace_client): assert 0",
            "def test_it(): assert 0",
        ],
        ids=["passed", "without calls", "without a fake"],
    )
    def test_there_is_none_where_there_is_nothing_to_tell(self, run, source):
        assert "calls of the fake" not in run(source, "-rA").stdout.str()

    def test_after_a_test_its_fake_is_garbage(self, run, monkeypatch):
        made = []
        init = FakeMemtrace.__init__

        def noted(fake, **settings):
            init(fake, **settings)
            made.append(weakref.ref(fake))

        monkeypatch.setattr(FakeMemtrace, "__init__", noted)
        source = """
            import gc

            def test_one(memtrace_client, memtrace_server):
                memtrace_client.agents.list()

            def test_two(pytestconfig):
                gc.collect()
                assert [fake() for fake in pytestconfig.made] == [None]
        """
        monkeypatch.setattr(pytest.Config, "made", made, raising=False)
        run(source).assert_outcomes(passed=2)
        gc.collect()


class TestTracebacks:
    @pytest.mark.parametrize(
        "line",
        [
            "memtrace_fake.calls.assert_called('memories.add', agent_id='nobody')",
            "memtrace_fake.calls.assert_not_called('memories.add')",
            "memtrace_fake.faults.assert_all_used()",
            "memtrace_client.request('GET', '/api/v1/memories', params={'limit': 5000})",
            "memtrace_client.memories.list(memory_type='dream')",
        ],
    )
    def test_a_failed_assertion_ends_at_the_line_of_the_test(self, run, line):
        source = f"""
            from memtrace_transports.memory import Fault

            def test_it(memtrace_client, memtrace_fake):
                memtrace_client.remember("bot", "likes tea")
                memtrace_fake.faults.add(Fault("reset", on="sessions.*"))
                {line}
        """
        shown = run(source)
        shown.assert_outcomes(failed=1)
        shown.stdout.fnmatch_lines([f">       {line}", "E *", "test_*.py:6: *"])
        assert SOURCE not in shown.stdout.str()

    def test_a_rule_of_a_contract_fails_at_the_rule(self, run):
        source = """
            import pytest
            from memtrace.testing import MiddlewareContract

            class TestMine(MiddlewareContract):
                @pytest.fixture
                def create(self):
                    return lambda: None
        """
        shown = run(source, "-k", "one_instance_serves_threads")
        assert shown.parseoutcomes()["failed"] == 1
        assert "it made NoneType" in shown.stdout.str()
        assert "def _made" not in shown.stdout.str()

    def test_a_refusal_shows_all_frames_on_demand(self, run):
        source = """
            def test_it(memtrace_client):
                memtrace_client.request("GET", "/api/v1/memories", params={"limit": 5000})
        """
        shown = run(source, "--full-trace")
        shown.assert_outcomes(failed=1)
        assert "_dispatcher.py" in shown.stdout.str()


class TestLoading:
    def test_importing_the_plugin_imports_neither_models_nor_http(self):
        code = f"""
            import sys, pytest
            before = set(sys.modules)
            import {NAME}
            print(sorted(name for name in set(sys.modules) - before if not name.startswith("memtrace.testing")))
        """
        done = subprocess.run(
            [sys.executable, "-c", re.sub(r"^ +", "", code, flags=re.MULTILINE)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        assert done.stdout == "['memtrace', 'memtrace._version']\n"

    def test_a_run_that_does_not_use_it_imports_no_fake(self, pytester, monkeypatch):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("PYTHONPATH", SOURCE)
        pytester.makepyfile(
            """
            import sys

            def test_it():
                loaded = {name.partition(".")[0] for name in sys.modules}
                assert loaded & {"httpx", "pydantic", "memtrace_transports", "uvicorn"} == set()
            """
        )
        pytester.runpytest_subprocess("-p", NAME).assert_outcomes(passed=1)

    @pytest.mark.slow
    def test_coverage_measures_the_package_from_its_first_line(self, pytester, monkeypatch):
        pytest.importorskip("coverage")
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("PYTHONPATH", SOURCE)
        for name in list(os.environ):
            if name.startswith(("COVERAGE_", "COV_")):
                monkeypatch.delenv(name)
        pytester.makepyfile("def test_it(memtrace_client):\n    assert memtrace_client.ready()\n")
        pytester.makefile(".ini", coverage=COVERAGE)
        run = [sys.executable, "-m", "coverage", "run", "--rcfile=coverage.ini", "-m", "pytest", "-p", NAME]
        done = pytester.run(*run)
        done.assert_outcomes(passed=1)
        assert "CoverageWarning" not in done.stderr.str()
        report = pytester.run(sys.executable, "-m", "coverage", "report", "--rcfile=coverage.ini", "-m").stdout.str()
        missed = re.search(r"memtrace/testing/_plugin\.py +\d+ .*?%(?P<lines>.*)", report)["lines"]
        first = int(re.search(r"\d+|$", missed)[0] or 0)
        assert first > 30, "the lines that run when it is imported are measured"

    @pytest.mark.slow
    @pytest.mark.skipif(not INSTALLED, reason="the entry point is not installed here")
    def test_once_installed_it_is_there_without_being_named(self, pytester, monkeypatch):
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
        pytester.makepyfile("def test_it(memtrace_client):\n    assert memtrace_client.ready()\n")
        others = {point.name for point in entry_points(group="pytest11") if point.value != NAME}  # some take seconds
        pytester.runpytest_subprocess(*(f"-pno:{name}" for name in others)).assert_outcomes(passed=1)

    def test_the_package_names_it_as_its_entry_point(self):
        text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
        assert f'[project.entry-points.pytest11]\nmemtrace = "{NAME}"\n' in text


def test_without_uvicorn_the_server_fixture_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run("def test_it(memtrace_server): pass")
    result.assert_outcomes(errors=1)
    assert "needs the package uvicorn" in result.stdout.str()
