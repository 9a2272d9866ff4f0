import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.anthropic_memory_tool.faces import Tool, fake_server
from tests.lazily import Lazily
from tests.sampling import crossed

pytestmark = pytest.mark.framework

paths = Lazily("memtrace.integrations.anthropic_memory_tool._paths")
tools = Lazily("anthropic.lib.tools")


ELSEWHERE = [
    "/memories/../etc/passwd",
    "/memories/..",
    "/memories/a/../../b",
    "/memories/a/../b",
    "/memories/a/..\\..\\b",
    "/memories\\..\\b",
    "/memories/%2e%2e/b",
    "/memories/%2E%2e%2fb",
    "/memories/%252e%252e/b",
    "/memories/..%2fb",
    "/memories/%2e%2e%5cb",
    "/etc/passwd",
    "/memoriesx/a",
    "/Memories/a",
    "memories/a",
    "../memories/a",
    "",
    "/",
    "~/memories",
    "/memories/a\nb",
    "/memories/a\tb",
    "/memories/a\x00b",
    "/memories/a\u2028b",
    "/memories/\udcff",
    "/memories/" + "x" * 1015,
]
COMMANDS = ["view", "create", "str_replace", "insert", "delete", "rename", "rename to"]


@pytest.mark.parametrize(("command", "path"), crossed(COMMANDS, ELSEWHERE))
def test_a_path_that_leads_elsewhere_is_refused_and_nothing_is_sent(command, path):
    fake = fake_server()
    fields = {"path": path, "old_path": path, "new_path": "/memories/a"}
    if command == "rename to":
        fields = {"old_path": "/memories/a", "new_path": path}
    fields |= {"file_text": "", "old_str": "a", "new_str": "b", "insert_line": 0, "insert_text": "a"}
    with pytest.raises(tools.ToolError):
        Tool(fake).call(command.split()[0], **fields)
    assert len(fake.calls) == 0


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/memories", "/memories"),
        ("/memories/", "/memories"),
        ("//memories//a/./b/", "/memories/a/b"),
        ("/memories/...", "/memories/..."),
        ("/memories/a..b", "/memories/a..b"),
        ("/memories/100%25.md", "/memories/100%25.md"),
        ("/memories/Grüße, 世界.md", "/memories/Grüße, 世界.md"),
        ("/memories/" + "x" * 1014, "/memories/" + "x" * 1014),
    ],
)
def test_a_path_has_one_form(path, normal):
    assert paths.normal_path(path) == normal


@given(st.lists(st.sampled_from(["memories", "..", ".", "", "a", "%2e", "%2E%2e", "\\", "é", "\n"])).map("/".join))
def test_whatever_passes_is_below_the_root_and_stays_as_it_is(path):
    try:
        normal = paths.normal_path(path)
    except tools.ToolError:
        return
    assert normal == "/memories" or normal.startswith("/memories/")
    assert not {"..", ".", ""} & set(normal.split("/")[1:])
    assert paths.normal_path(normal) == normal
