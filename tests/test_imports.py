"""What an import loads, what the packages export, and which way the arrows point."""

import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import memtrace
import memtrace_transports

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
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    before = subprocess.run(
        [sys.executable, "-c", "import sys, json\nprint(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout)) - set(json.loads(before.stdout))


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import memtrace") & HEAVY == set()


def test_importing_the_transports_package_loads_nothing_heavy():
    assert loaded_by("import memtrace_transports") & HEAVY == set()


def test_importing_a_client_and_a_model_loads_no_http_library():
    assert loaded_by("from memtrace import Memtrace, AsyncMemtrace, AddMemoryRequest") & HTTP == set()


def test_a_client_loads_batches_prompts_raw_access_and_buffers_where_they_are_used():
    later = {
        f"memtrace.{name}"
        for name in ("batch", "buffer", "context", "procedures.batches", "procedures.prompting", "raw")
    }
    loaded = loaded_by(
        "from memtrace import Memtrace, AsyncMemtrace\nMemtrace('memory://', 'key').remember('assistant', 'tea')"
    )
    assert "memtrace.resources.memories" in loaded
    assert loaded & later == set()


def test_making_a_client_and_naming_the_httpx_transport_loads_no_http_library():
    code = "from memtrace import Memtrace\nMemtrace('http://server', 'key')\nfrom memtrace_transports import HttpxTransport\nHttpxTransport()"
    assert loaded_by(code) & HTTP == set()


@pytest.mark.parametrize("transport", ["httpx", "requests"])
def test_a_blocking_call_loads_no_event_loop(transport):
    call = f"Memtrace('http://127.0.0.1:1', 'key', transport={transport!r}, retry=RetryPolicy(max_attempts=1)).health()"
    code = f"import contextlib\nfrom memtrace import ConnectionFailedError, Memtrace, RetryPolicy\nwith contextlib.suppress(ConnectionFailedError): {call}"
    loaded = loaded_by(f"import sys\nsys.modules['trio'] = None\n{code}")  # which httpcore imports where it is there
    assert {"memtrace.plugins", "memtrace_transports.pools", "memtrace_transports.tls"} <= loaded
    assert loaded & {"asyncio", "memtrace_transports.async_exchange", "memtrace_transports.async_lending"} == set()


def test_errors_alone_load_nothing_heavy():
    assert loaded_by("from memtrace import NotFoundError\nimport memtrace.exceptions") & HEAVY == set()


def test_submodules_resolve_without_being_imported():
    code = (
        "import memtrace\nassert memtrace.models.Memory.__name__ == 'Memory'\nassert memtrace.exceptions.NotFoundError"
    )
    assert "memtrace.models" in loaded_by(code)


# ---- exports


def modules(package):
    return [package.__name__] + [
        info.name
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not info.name.endswith("__main__")
    ]


def constants_then_classes(name):
    """The order that ruff holds, which is that of imports."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def test_the_exports_of_both_packages_are_in_plain_order():
    for package in (memtrace, memtrace_transports):
        assert package.__all__ == sorted(set(package.__all__))


@pytest.mark.parametrize("name", [*modules(memtrace), *modules(memtrace_transports)])
def test_all_is_sorted_and_true(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # a framework, of which the lowest versions are tested without
        if not name.startswith("memtrace.integrations."):
            raise
        pytest.skip(f"needs a framework: {error}")
    exported = getattr(module, "__all__", [])
    assert list(exported) == sorted(set(exported), key=constants_then_classes)
    for each in exported:
        assert getattr(module, each) is not None or each in vars(module)
    assert set(exported) <= set(dir(module))


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

CORE_MAY_LEAVE = ("testing", "cli")  # these two may import memtrace_transports
FOR_TRANSPORTS = {
    "transport",
    "transport_options",
    "plugins",
    "exceptions",
    "models",
    "clock",
    "addresses",
    "event_loops",
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


CORE = [(path, tree) for path, tree in sources(memtrace) if path.parts[0] not in CORE_MAY_LEAVE]


@pytest.mark.parametrize(("path", "tree"), CORE, ids=[str(path) for path, _ in CORE])
def test_the_core_never_imports_the_transports_nor_an_http_library(path, tree):
    roots = {name.partition(".")[0] for name in imported(tree)}
    assert (
        roots & {"memtrace_transports", "httpx", "httpx2", "requests", "aiohttp", "httpcore", "httpcore2", "urllib3"}
        == set()
    )


TRANSPORTS = sources(memtrace_transports)


@pytest.mark.parametrize(("path", "tree"), TRANSPORTS, ids=[str(path) for path, _ in TRANSPORTS])
def test_the_transports_import_only_what_a_transports_author_needs(path, tree):
    ours = {name.split(".")[1] for name in imported(tree, module_level=True) if name.startswith("memtrace.")}
    assert ours <= FOR_TRANSPORTS
    assert "memtrace" not in imported(tree, module_level=True)


def test_the_arrows_are_really_looked_at():
    tree = ast.parse(
        "import a\nif x:\n    from b import c\nif TYPE_CHECKING:\n    import d\ndef f():\n    import e.f\n"
    )
    assert imported(tree, module_level=True) == {"a", "b.c"}
    assert imported(tree) == {"a", "b.c", "d", "e.f"}
