"""What an import loads, what the packages export, and which way the arrows point."""

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
import types
from functools import cache
from pathlib import Path

import pytest

import memtrace
import memtrace_transports
from tests.sampling import sample

HEAVY = {
    "httpx",
    "httpcore",
    "httpx2",
    "httpcore2",
    "requests",
    "urllib3",
    "aiohttp",
    "pluggy",
    "pydantic",
    "trio",
    "anyio",
    "importlib.metadata",
}
HTTP = {"httpx", "httpcore", "httpx2", "httpcore2", "requests", "urllib3", "aiohttp", "http.client"}


def loaded_by(code):
    return loaded_after(code) - loaded_after("")


@cache
def loaded_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return frozenset(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import memtrace") & HEAVY == set()


def test_importing_the_transports_package_loads_nothing_heavy():
    assert loaded_by("import memtrace_transports") & HEAVY == set()


def test_importing_a_client_and_a_model_loads_no_http_library():
    assert loaded_by("from memtrace import Memtrace, AsyncMemtrace, AddMemoryRequest") & HTTP == set()


def test_a_client_loads_batches_prompts_and_buffers_where_they_are_used():
    later = {
        f"memtrace.{name}"
        for name in (
            "outcomes",
            "_runtime.write_buffer",
            "context",
            "_runtime.workflows.batches",
            "_runtime.workflows.prompt_context",
        )
    }
    loaded = loaded_by(
        "from memtrace import Memtrace, AsyncMemtrace\nMemtrace('memory://', 'key').remember('assistant', 'tea')"
    )
    assert "memtrace.resources._memories" in loaded
    assert loaded & later == set()


def test_making_a_client_and_naming_the_httpx_transport_loads_no_http_library():
    code = "from memtrace import Memtrace\nMemtrace('http://server', 'key')\nfrom memtrace_transports import HttpxTransport\nHttpxTransport()"
    assert loaded_by(code) & HTTP == set()


@pytest.mark.network
@pytest.mark.parametrize("transport", sample(["httpx", "requests"], 1))
def test_a_blocking_call_loads_no_event_loop(transport):
    call = f"Memtrace('http://127.0.0.1:1', 'key', transport={transport!r}, retry=RetryPolicy(max_attempts=1)).health()"
    code = f"import contextlib\nfrom memtrace import APIConnectionError, Memtrace, RetryPolicy\nwith contextlib.suppress(APIConnectionError): {call}"
    loaded = loaded_by(f"import sys\nsys.modules['trio'] = None\n{code}")  # which httpcore imports where it is there
    assert {"memtrace.plugins", "memtrace_transports._pool.lazy_clients", "memtrace_transports._checks.tls"} <= loaded
    assert (
        loaded & {"asyncio", "memtrace_transports._pool.deadline", "memtrace_transports._pool.async_client_pool"}
        == set()
    )


def test_errors_alone_load_nothing_heavy():
    assert loaded_by("from memtrace import NotFoundError\nimport memtrace.exceptions") & HEAVY == set()


def test_submodules_resolve_without_being_imported():
    code = (
        "import memtrace\nassert memtrace.models.Memory.__name__ == 'Memory'\nassert memtrace.exceptions.NotFoundError"
    )
    assert "memtrace.models" in loaded_by(code)


# ---- exports


def modules(package):
    """The names of all modules of a package, none of which is imported for it."""
    root = Path(package.__file__).parent
    places = [(package.__name__, *path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.py")]
    return sorted(".".join(place).removesuffix(".__init__") for place in places if place[-1] != "__main__")


def constants_then_classes(name):
    """The order that ruff holds, which is that of imports."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def test_the_exports_of_both_packages_are_in_plain_order():
    for package in (memtrace, memtrace_transports):
        assert package.__all__ == sorted(set(package.__all__))


def integration_of(name):
    """`mcp` for a module of that integration; empty for what needs no framework."""
    return name.removeprefix("memtrace.integrations.").partition(".")[0] if ".integrations." in name else ""


@pytest.mark.parametrize("package", [memtrace, memtrace_transports])
def test_all_is_sorted_and_true_in_every_module(package):
    wrong = {name: mistakes_of_all(name) for name in modules(package) if not integration_of(name)}
    assert {name: mistakes for name, mistakes in wrong.items() if mistakes} == {}


@pytest.mark.framework
@pytest.mark.parametrize("integration", sample(sorted({*map(integration_of, modules(memtrace))} - {""}), 2))
def test_all_is_sorted_and_true_in_the_integrations(integration):
    wrong = {name: mistakes_of_all(name) for name in modules(memtrace) if integration_of(name) == integration}
    assert wrong
    assert {name: mistakes for name, mistakes in wrong.items() if mistakes} == {}


def mistakes_of_all(name):
    """What is wrong with the `__all__` of a module."""
    try:
        module = importlib.import_module(name)
    except ImportError:  # a framework, of which the lowest versions are tested without
        if not name.startswith("memtrace.integrations."):
            raise
        return []
    exported = list(getattr(module, "__all__", []))
    mistakes = []
    if exported != sorted(set(exported), key=constants_then_classes):
        mistakes.append("is not in order, or has a name twice")
    mistakes += [f"has {each}, which is not there" for each in sorted(set(exported)) if not hasattr(module, each)]
    mistakes += [f"has {each}, which dir() has not" for each in sorted(set(exported) - set(dir(module)))]
    return mistakes


def test_a_mistake_in_all_is_really_seen(monkeypatch):
    module = types.ModuleType("mistaken")
    module.__all__ = ["b", "A", "A"]
    module.b = 1
    monkeypatch.setitem(sys.modules, "mistaken", module)
    assert mistakes_of_all("mistaken") == [
        "is not in order, or has a name twice",
        "has A, which is not there",
        "has A, which dir() has not",
    ]


@pytest.mark.parametrize("package", [memtrace, memtrace_transports])
def test_the_lazy_root_names_each_export_once_and_at_its_place(package):
    eager = {"__version__"}
    assert set(package._PLACES) == set(package.__all__) - eager
    for name, place in package._PLACES.items():
        assert getattr(package, name) is getattr(importlib.import_module(place), name)
    checked = _names_for_type_checkers(package)
    assert checked == {(place, name) for name, place in package._PLACES.items()}


def _names_for_type_checkers(package):
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {(node.module, alias.name) for node in block.body for alias in node.names}


@pytest.mark.parametrize("package", [memtrace, memtrace_transports])
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nope'"):
        _ = package.nope


def test_each_submodule_of_the_root_resolves():
    for name in memtrace._SUBMODULES:
        assert memtrace.__getattr__(name) is importlib.import_module(f"memtrace.{name}")
        assert name in dir(memtrace)
    public = {info.name for info in pkgutil.iter_modules(memtrace.__path__) if not info.name.startswith("_")}
    assert public >= memtrace._SUBMODULES


def test_a_name_is_looked_up_once():
    memtrace.__dict__.pop("Memtrace", None)
    found = memtrace.Memtrace
    assert vars(memtrace)["Memtrace"] is found


def test_the_version_is_the_packages():
    from memtrace._version import __version__

    assert memtrace.__version__ == __version__


# ---- arrows

CORE_MAY_LEAVE = ("testing", "_cli")  # these two may import memtrace_transports
FOR_TRANSPORTS = {
    "transport",
    "plugins",
    "ranking",
    "exceptions",
    "models",
    "clock",
    "_support",
}


def sources(package):
    root = Path(package.__file__).parent
    return [
        (path.relative_to(root), ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(root.rglob("*.py"))
    ]


def imported(tree, *, module_level=False):
    """The full names that a module imports; at module level only those that run when it is imported."""
    found = set()
    stack = [tree]
    while stack:
        for node in ast.iter_child_nodes(stack.pop()):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, "imports are absolute"
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif not (module_level and _runs_later(node)):
                stack.append(node)
    return found


def _runs_later(node):
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


@pytest.mark.slow
def test_the_core_never_imports_the_transports_nor_an_http_library():
    forbidden = {"memtrace_transports", "httpx", "httpx2", "requests", "aiohttp", "httpcore", "httpcore2", "urllib3"}
    core = [(path, tree) for path, tree in sources(memtrace) if path.parts[0] not in CORE_MAY_LEAVE]
    found = {str(path): {name.partition(".")[0] for name in imported(tree)} & forbidden for path, tree in core}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_transports_import_only_what_a_transports_author_needs():
    found = {}
    for path, tree in sources(memtrace_transports):
        names = imported(tree, module_level=True)
        found[str(path)] = {name.split(".")[1] for name in names if name.startswith("memtrace.")} - FOR_TRANSPORTS
        assert "memtrace" not in names, path
    assert {path: names for path, names in found.items() if names} == {}


def test_the_arrows_are_really_looked_at():
    tree = ast.parse(
        "import a\nif x:\n    from b import c\nif TYPE_CHECKING:\n    import d\ndef f():\n    import e.f\n"
    )
    assert imported(tree, module_level=True) == {"a", "b.c"}
    assert imported(tree) == {"a", "b.c", "d", "e.f"}
