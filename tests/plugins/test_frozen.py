"""Frozen applications: what PyInstaller is told, and what is said where a freezer has left a transport out.

`nox -s frozen` builds such applications and runs them.
"""

from __future__ import annotations

import runpy
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest
import tomlkit

from memtrace import AsyncMemtrace, Memtrace, TransportNotAvailableError
from memtrace.plugins import middleware_registry, ranker_registry, transport_registry
from memtrace_transports._pyinstaller import get_hook_dirs


class HookApi:
    """What PyInstaller hands to a hook."""

    def __init__(self):
        self.datas, self.imports = [], []

    def add_datas(self, datas):
        self.datas += datas

    def add_imports(self, *names):
        self.imports += names


def told_by_the_hook(monkeypatch, *, installed):
    """What the hook collects; PyInstaller's functions are played."""
    hooks = types.ModuleType("PyInstaller.utils.hooks")
    hooks.collect_data_files = lambda package: [(f"{package}/data", package)]
    hooks.collect_entry_point = lambda group: (
        [(f"metadata of {group}", ".")],
        [entry.module for entry in metadata.entry_points(group=group)],
    )
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "PyInstaller.utils.hooks", hooks)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: installed)
    (folder,) = get_hook_dirs()
    api = HookApi()
    hook = runpy.run_path(str(Path(folder) / "hook-memtrace.py"), run_name="memtrace_transports._pyinstaller.hook")
    hook["hook"](api)
    return api


@pytest.mark.parametrize("installed", [None, object()], ids=["without mcp", "with mcp"])
def test_pyinstaller_is_told_of_every_module_that_is_chosen_by_name(monkeypatch, installed):
    told = told_by_the_hook(monkeypatch, installed=installed)
    registries = (transport_registry, middleware_registry, ranker_registry)
    assert {module for registry in registries for module in registry._builtin.values()} <= {*told.imports}
    assert ("memtrace.integrations.mcp" in told.imports) is (installed is not None)
    assert told.datas == [
        ("memtrace/data", "memtrace"),
        *((f"metadata of {registry._group}", ".") for registry in registries),
    ]


@pytest.mark.parametrize("client", [Memtrace, AsyncMemtrace])
@pytest.mark.parametrize(
    ("url", "transport", "missing"),
    [
        ("memory://", None, "memtrace_transports"),
        ("http://server", "httpx", "memtrace_transports"),
        ("http://server", None, "memtrace_transports"),
        ("http://server", None, "memtrace_transports._pool.lazy_clients"),
    ],
)
def test_a_transport_that_a_freezer_left_out_is_told_with_the_options_that_include_it(
    monkeypatch, client, url, transport, missing
):
    for name in [name for name in sys.modules if name.partition(".")[0] == "memtrace_transports"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(transport_registry, "_specs", {})
    with pytest.raises(TransportNotAvailableError, match=f"cannot be loaded: ModuleNotFoundError.*{missing}") as caught:
        client(url, "any key", transport=transport)
    assert "PyInstaller by --collect-submodules memtrace_transports" in caught.value.hint
    assert "anywhere else reinstall memtrace-sdk" in caught.value.hint


def test_pyinstaller_finds_the_hooks_by_the_entry_point_that_it_asks_for():
    project = tomlkit.parse((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")).unwrap()
    reference = project["project"]["entry-points"]["pyinstaller40"]["hook-dirs"]
    assert metadata.EntryPoint("hook-dirs", reference, "pyinstaller40").load() is get_hook_dirs
