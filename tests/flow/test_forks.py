"""What a process does not share with the children that it forks."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import runpy
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest

import memtrace
import memtrace_transports
from memtrace._support import forks
from memtrace._support.forks import PerProcess, current_process
from tests.forked import in_child

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


class Value:
    """What a process makes, from what it inherited."""

    def __init__(self, inherited=None):
        self.inherited = inherited


def run(script, **settings):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=60, check=False, **settings,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_value_is_made_when_it_is_first_asked_for_and_once():
    made = []
    values = PerProcess(lambda inherited: made.append(inherited) or object())
    assert made == []
    assert values.get() is values.get()
    assert made == [None]


@needs_fork
def test_each_process_has_a_value_made_from_that_of_its_nearest_ancestor_that_has_one():
    values = PerProcess(Value)
    parents = values.get()

    def child():
        return in_child(lambda: in_child(grandchild) or values.get() is parents)  # one between them asks afterwards

    def grandchild():
        own = values.get()
        assert own is not parents
        assert own.inherited is parents
        assert values.get() is own
        return in_child(lambda: values.get().inherited is not own)

    assert in_child(child) == 0
    assert values.get() is parents


@needs_fork
def test_threads_of_a_child_that_ask_at_once_get_one_value():
    def make(inherited):
        both.wait(10)
        return Value(inherited)

    def child():
        threads = [threading.Thread(target=lambda: got.append(values.get())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len({id(value) for value in got}) != 1 or len(got) != 2

    both, got = threading.Barrier(1), []
    values = PerProcess(make)
    values.get()
    both = threading.Barrier(2)  # each of them makes one
    assert in_child(child) == 0


@needs_fork
def test_a_lock_that_another_thread_holds_at_the_fork_is_free_in_the_child():
    def hold():
        with locks.get():
            held.set()
            done.wait(10)

    locks, held, done = PerProcess(lambda _: threading.Lock()), threading.Event(), threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    assert in_child(lambda: not locks.get().acquire(timeout=5)) == 0
    assert locks.get().locked()
    done.set()
    thread.join()


@pytest.mark.slow
@needs_fork
def test_a_child_keeps_what_it_inherited():
    values = PerProcess(lambda _: Value())
    parents = weakref.ref(values.get())

    def child():
        values.get()
        gc.collect()
        return parents() is None

    assert in_child(child) == 0


@needs_fork
def test_a_child_that_was_forked_in_c_without_pythons_hooks_has_its_own_value():
    values = PerProcess(Value)
    parents = values.get()
    assert in_child(lambda: values.get() is parents, fork=ctypes.PyDLL(None).fork) == 0


def test_a_child_with_the_process_id_of_an_ancestor_is_another_process(monkeypatch):
    monkeypatch.setattr(forks, "_uses", forks._uses.copy())
    before = current_process()
    forks._note_child()
    assert current_process()[0] == before[0]
    assert current_process() != before


@pytest.mark.skipif(sys.platform != "linux", reason="needs PID namespaces")
def test_the_first_processes_of_nested_pid_namespaces_are_two():
    """Both have the process ID 1, as in a container that starts another."""
    output = run(
        """
        import ctypes, os
        from memtrace._support.forks import PerProcess

        def in_namespace(function, flags):
            if ctypes.CDLL(None).unshare(flags):
                return 77
            child = os.fork()
            if child == 0:
                code = 99
                try:
                    code = function()
                finally:
                    os._exit(code)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        def outer():
            assert os.getpid() == 1
            outers.append(values.get())
            return in_namespace(inner, 0x20000000)

        def inner():
            assert os.getpid() == 1
            return values.get() is outers[0]

        values, outers = PerProcess(lambda _: object()), []
        print(in_namespace(outer, 0x10000000 | 0x20000000))  # CLONE_NEWUSER, CLONE_NEWPID
        """
    )
    if output == "77":
        pytest.skip("this system does not allow PID namespaces")
    assert output == "0"


@needs_fork
def test_a_value_that_another_hook_asked_for_is_the_childs():
    """The hooks of `os.register_at_fork` run in the order of registration: one may run before the SDK's."""
    output = run(
        """
        import os
        os.register_at_fork(after_in_child=lambda: early.append(values.get()))
        from memtrace._support.forks import PerProcess
        values, early = PerProcess(lambda _: object()), []
        parents = values.get()
        child = os.fork()
        if child == 0:
            os._exit(not (values.get() is early[0] is not parents))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert output == "0"


def test_a_system_without_fork_needs_no_hook(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    module = runpy.run_path(forks.__file__)
    values = module["PerProcess"](lambda _: object())
    assert values.get() is values.get()


def test_only_one_module_looks_for_forks():
    packages = [Path(package.__file__).parent for package in (memtrace, memtrace_transports)]
    sources = {path: path.read_text("utf-8") for package in packages for path in package.rglob("*.py")}
    asking = [path for path, text in sources.items() if re.search(r"\b(getpid|getppid|register_at_fork)\b", text)]
    assert asking == [Path(forks.__file__)]
