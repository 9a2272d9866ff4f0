"""Any sequence of commands, by several tools on one server, against a plain dict of files."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.integrations.anthropic_memory_tool.faces import Tool, fake_server
from tests.sampling import is_whole

pytestmark = pytest.mark.framework

ROOT = "/memories"
NAMES = st.sampled_from(["a", "b", ".c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(lambda names: "/".join([ROOT, *names]))
TEXTS = st.text(st.sampled_from("xy\n"), max_size=6)
WRITERS = st.sampled_from(["first", "second", "new"])


def within(path, directory):
    return path == directory or path.startswith(directory + "/")


def parents(path):
    parts = path.split("/")
    return {"/".join(parts[:count]) for count in range(2, len(parts))}


class DictOfFiles:
    """What the memory tool is by its documentation: texts by path, and directories. Methods say whether they did it."""

    def __init__(self):
        self.files = {}
        self.directories = {ROOT}

    def _exists(self, path):
        return path in self.files or path in self.directories

    def create(self, path, text):
        if self._exists(path) or parents(path) & set(self.files):
            return False
        self.files[path] = text
        self.directories |= parents(path)
        return True

    def str_replace(self, path, old, new):
        text = self.files.get(path)
        if not old or text is None or sum(text.startswith(old, i) for i in range(len(text))) != 1:
            return False
        self.files[path] = text.replace(old, new)
        return True

    def insert(self, path, line, text):
        if path not in self.files:
            return False
        lines = self.files[path].splitlines()
        if not 0 <= line <= len(lines):
            return False
        lines[line:line] = [text.rstrip("\n")]
        joined = "\n".join(lines)
        self.files[path] = joined if joined.endswith("\n") else joined + "\n"
        return True

    def delete(self, path):
        if not self._exists(path):
            return False
        self.files = {name: text for name, text in self.files.items() if not within(name, path)}
        self.directories = {name for name in self.directories if not within(name, path)}
        return True

    def rename(self, path, to):
        if self._exists(to) or not self._exists(path) or within(to, path) or parents(to) & set(self.files):
            return False
        self.files = {to + n[len(path) :] if within(n, path) else n: text for n, text in self.files.items()}
        self.directories = {to + n[len(path) :] if within(n, path) else n for n in self.directories} | parents(to)
        return True


class MemoryFiles(RuleBasedStateMachine):
    @initialize(visibility=st.sampled_from(["immediate", "server"]))
    def start(self, visibility):
        self.fake = fake_server(visibility)
        self.model = DictOfFiles()
        self.tools = {"first": Tool(self.fake), "second": Tool(self.fake)}
        Tool(self.fake, agent_id="somebody-else").create(f"{ROOT}/a", "of somebody else")

    def tool(self, who):
        return self.tools.get(who) or Tool(self.fake)

    @rule(who=WRITERS, path=PATHS, text=TEXTS)
    def create(self, who, path, text):
        _, is_error = self.tool(who).told("create", path=path, file_text=text)
        assert is_error is not self.model.create(path, text)

    @rule(who=WRITERS, path=PATHS, old=TEXTS, new=TEXTS)
    def str_replace(self, who, path, old, new):
        _, is_error = self.tool(who).told("str_replace", path=path, old_str=old, new_str=new)
        assert is_error is not self.model.str_replace(path, old, new)

    @rule(who=WRITERS, path=PATHS, line=st.integers(-1, 4), text=TEXTS)
    def insert(self, who, path, line, text):
        _, is_error = self.tool(who).told("insert", path=path, insert_line=line, insert_text=text)
        assert is_error is not self.model.insert(path, line, text)

    @rule(who=WRITERS, path=PATHS)
    def delete(self, who, path):
        _, is_error = self.tool(who).told("delete", path=path)
        assert is_error is not self.model.delete(path)

    @rule(who=WRITERS, path=PATHS, to=PATHS)
    def rename(self, who, path, to):
        _, is_error = self.tool(who).told("rename", old_path=path, new_path=to)
        assert is_error is not self.model.rename(path, to)

    @rule(who=WRITERS)
    def clear(self, who):
        self.tool(who).clear()
        self.model = DictOfFiles()

    @rule(seconds=st.sampled_from([0.05, 1, 3000, 7200]))
    def wait(self, seconds):
        self.fake.clock.advance(seconds)

    @rule(who=WRITERS, path=PATHS | st.just(ROOT))
    def view(self, who, path):
        answer, is_error = self.tool(who).told("view", path=path)
        if path in self.model.files:
            lines = self.model.files[path].split("\n")
            assert answer.split("\n")[1:] == [f"{number:6}\t{line}" for number, line in enumerate(lines, 1)]
        elif path in self.model.directories:
            below = {n[len(path) + 1 :]: "" for n in self.model.files if within(n, path)}
            below |= {n[len(path) + 1 :]: "/" for n in self.model.directories if within(n, path) and n != path}
            seen = {n + end for n, end in below.items() if n.count("/") < 2 and not n.startswith(".") and "/." not in n}
            assert {line.split("\t")[1] for line in answer.split("\n")[2:]} == {f"{path}/{name}" for name in seen}
        else:
            assert is_error

    @invariant()
    def every_file_is_what_it_should_be_for_everybody(self):
        for tool in [*self.tools.values(), Tool(self.fake)][::2]:
            for path, text in self.model.files.items():
                assert tool.text(path) == text


def test_any_sequence_of_commands_does_what_a_dict_of_files_does():
    examples = min(settings().max_examples, 60 if is_whole() else 10)
    run_state_machine_as_test(MemoryFiles, settings=settings(max_examples=examples, stateful_step_count=25))


@pytest.mark.parametrize("text", ["", "x"])
def test_equal_changes_are_all_kept(text):
    fake = fake_server("server")
    tool = Tool(fake)
    for _ in range(3):
        tool.create(f"{ROOT}/a", text)
        tool.call("delete", path=f"{ROOT}/a")
    rows = fake.client("acme").memories.list(agent_id="assistant", event_type="memory_file").memories
    assert [row.metadata["change"] for row in rows] == ["deleted", "written"] * 3
