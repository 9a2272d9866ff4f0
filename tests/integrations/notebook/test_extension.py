"""In IPython itself: models show themselves, and plain lists of them once the extension is loaded."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from memtrace import MemoryList
from memtrace_transports import FakeMemtrace

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # its history may stay open


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance(history_length=0)
    made.history_manager.enabled = False
    yield made
    made.history_manager.end_session()
    InteractiveShell.clear_instance()


@pytest.fixture
def rows():
    client = FakeMemtrace().client(org="acme")
    client.remember("assistant", "User likes tea")
    return client.recall("assistant")


def html(shell, shown):
    return shell.display_formatter.format(shown)[0].get("text/html")


def test_a_model_shows_itself_without_the_extension(shell, rows):
    assert isinstance(rows, MemoryList)
    assert html(shell, rows) == rows._repr_html_()
    assert html(shell, rows.memories) is None


def test_plain_lists_of_models_are_tables_once_it_is_loaded(shell, rows):
    shell.extension_manager.load_extension("memtrace.integrations.notebook")
    assert type(rows.memories) is list
    assert "User likes tea" in html(shell, rows.memories)
    assert ">1 memory</caption>" in html(shell, rows.memories)
    for other in ([], [1, 2], [*rows.memories, 1], ["a"]):
        assert html(shell, other) is None


def test_lists_look_as_before_once_it_is_unloaded(shell, rows):
    shell.extension_manager.load_extension("memtrace.integrations.notebook")
    shell.extension_manager.reload_extension("memtrace.integrations.notebook")
    assert "User likes tea" in html(shell, rows.memories)
    shell.extension_manager.unload_extension("memtrace.integrations.notebook")
    assert html(shell, rows.memories) is None


def test_what_showed_lists_before_still_does_and_comes_back(shell, rows):
    shell.display_formatter.formatters["text/html"].for_type(list, lambda shown: f"<p>{len(shown)}</p>")
    shell.extension_manager.load_extension("memtrace.integrations.notebook")
    assert html(shell, [1, 2]) == "<p>2</p>"
    assert "User likes tea" in html(shell, rows.memories)
    shell.extension_manager.unload_extension("memtrace.integrations.notebook")
    assert html(shell, rows.memories) == "<p>1</p>"


def test_it_is_loaded_twice_and_unloaded_without_harm(shell, rows):
    from memtrace.integrations import notebook

    notebook.load_ipython_extension(shell)
    notebook.load_ipython_extension(shell)
    assert html(shell, [1]) is None
    assert "User likes tea" in html(shell, rows.memories)
    notebook.unload_ipython_extension(shell)
    notebook.unload_ipython_extension(shell)
    assert html(shell, rows.memories) is None


def test_unloading_leaves_what_somebody_else_has_set_since(shell, rows):
    shell.extension_manager.load_extension("memtrace.integrations.notebook")
    shell.display_formatter.formatters["text/html"].for_type(list, lambda shown: "<p>mine</p>")
    shell.extension_manager.unload_extension("memtrace.integrations.notebook")
    assert html(shell, rows.memories) == "<p>mine</p>"
