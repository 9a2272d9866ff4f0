"""What `.ci/run` leaves out: other Pythons, lowest versions, the wheel by itself, long runs, benchmarks."""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.sessions = ["tests"]

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"), max_version="3.13")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests against the built wheel, with branch coverage."""
    session.install("build")
    wheel = _wheel(session)
    session.install(f"{wheel}[dev]")
    session.chdir("tests")  # so that the source tree is not imported
    session.run(
        "coverage",
        "run",
        "--rcfile=../pyproject.toml",
        "-m",
        "pytest",
        "-c",
        "../pyproject.toml",
        "--rootdir=..",
        *session.posargs,
    )


@nox.session(python="3.10", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The tests on the lowest allowed version of every direct dependency."""
    session.install("--resolution=lowest-direct", "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def readme(session: nox.Session) -> None:
    """The wheel in an empty environment: the demo, and what the README says first."""
    session.install("build")
    wheel = _wheel(session)
    session.install(f"{wheel}[cli]")
    session.chdir("tests")
    session.run("memtrace-sdk", "demo")
    session.run("python", "-c", "from memtrace import Memtrace; Memtrace('memory://', 'k').remember('a', 'b')")


@nox.session(python="3.11")
def long(session: nox.Session) -> None:
    """Tests that take minutes."""
    session.install("-e", ".[dev]")
    session.run("pytest", "--long", *session.posargs)


@nox.session(python="3.11")
def bench(session: nox.Session) -> None:
    """Benchmarks, as ratios against peers in the same run; the earlier SDK in an environment of its own."""
    session.install("-e", ".", "requests")
    earlier = session.create_tmp()
    session.run("python", "-m", "venv", f"{earlier}/earlier")
    session.run(f"{earlier}/earlier/bin/pip", "install", "--quiet", "memtrace-sdk==0.2.0", external=True)
    session.run("python", "benchmarks/call_overhead.py", "--earlier", f"{earlier}/earlier/bin/python", *session.posargs)


def _wheel(session: nox.Session) -> str:
    folder = session.create_tmp()
    session.run("python", "-m", "build", "--wheel", "--outdir", folder, silent=True)
    found = sorted(__import__("pathlib").Path(folder).glob("*.whl"))
    return str(found[-1].resolve())
