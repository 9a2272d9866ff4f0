"""The page's example of each framework, with the real package and a scripted model: what it stores is found after a restart."""

from contextlib import nullcontext
from importlib.util import find_spec

import pytest

from memtrace import Memtrace
from memtrace.integrations.tools import MemoryTools
from tests.docs import pages
from tests.integrations.functions import scripted

TEXT = (pages.ROOT / "docs" / "integrations" / "functions.md").read_text(encoding="utf-8")
FRAMEWORKS = {
    "smolagents": ("smolagents", scripted.smolagents),
    "DSPy": ("dspy", scripted.dspy),
    "Haystack": ("haystack", scripted.haystack),
    "Agno": ("agno", scripted.agno),
    "Gemini": ("google.genai", scripted.gemini),
    "Ollama": ("ollama", scripted.ollama),
}


def is_installed(package):
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "made"),
    [
        pytest.param(name, made, marks=pytest.mark.skipif(not is_installed(package), reason="nox -s functions has it"))
        for name, (package, made) in FRAMEWORKS.items()
    ],
)
def test_a_framework_calls_the_functions(name, made, tmp_path):
    (example,) = pages.blocks(pages.section(TEXT, name), "py")
    model = made()
    serving = model if hasattr(model, "__enter__") else nullcontext(model)
    with Memtrace(tmp_path / "agent.db") as client, serving as model:
        names = {"tools": MemoryTools(client, agent_id="assistant"), "model": model}
        exec(example, names)
    assert names["answer"] == scripted.NOTED
    with Memtrace(tmp_path / "agent.db") as client:
        (memory,) = client.recall("assistant", query="what does the user like to drink?")
        assert (memory.content, memory.tags) == ("User likes tea", ["drinks"])


def test_each_section_of_a_framework_is_tested():
    titles = [title for title in pages.headings(TEXT) if title in FRAMEWORKS]
    assert titles == [*FRAMEWORKS]
    assert TEXT.count("```py\n") == len(FRAMEWORKS)
