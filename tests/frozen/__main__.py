"""Build applications of the SDK as their tools build them by default, and run them: `python -m tests.frozen WHEEL`.

It needs PyInstaller and shiv beside the wheel and every HTTP library; `nox -s frozen` has them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipapp
from pathlib import Path

from memtrace_transports.memory import FakeMemtrace
from memtrace_transports.memory.server import LiveServer

HERE = Path(__file__).parent
TRANSPORTS = ("aiohttp", "httpx", "httpx2", "requests")
EXPECTED = [
    "memory 1",
    "aiohttp async ok",
    "httpx sync ok",
    "httpx async ok",
    "httpx2 sync ok",
    "httpx2 async ok",
    "requests sync ok",
]


def run(*command, **options):
    return subprocess.run([*map(str, command)], check=True, text=True, **{"stdout": subprocess.PIPE, **options}).stdout


def with_pyinstaller(folder, program):
    options = ["--onefile", "--noconfirm", "--log-level=ERROR"]
    run(sys.executable, "-m", "PyInstaller", *options, HERE / f"{program}.py", cwd=folder)
    return [folder / "dist" / program]


def with_shiv(folder, program, wheel):
    """All within one file, which shiv unpacks when it runs."""
    site, made = folder / f"{program}-site", folder / f"{program}.pyz"
    site.mkdir()
    shutil.copy(HERE / f"{program}.py", site / f"packed_{program}.py")
    wanted = f"{wheel}[aiohttp,cli,httpx2,requests]"
    run("shiv", "-q", "--site-packages", site, "-e", f"packed_{program}:main", "-o", made, wanted)
    return [sys.executable, made]


def with_zipapp(folder, program, wheel):
    """The SDK in a zip file; the compiled part of pydantic has to be installed beside it."""
    site = folder / f"{program}-zipped"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel)
    shutil.copy(HERE / f"{program}.py", site / "__main__.py")
    made = folder / f"{program}-zip.pyz"
    zipapp.create_archive(site, made)
    return [sys.executable, made]


def check_application(command, environment):
    fake = FakeMemtrace(any_key=True)
    with LiveServer(fake) as server:
        shown = run(*command, server.url, "mtk_any", *TRANSPORTS, env=environment).splitlines()
    assert shown == EXPECTED, shown


def check_console(command, environment):
    assert "Exit statuses:" in run(*command, "--help", env=environment)
    assert "memory://" in run(*command, "demo", env=environment)
    listed = json.loads(run(*command, "transports", "--json", env=environment))
    assert {"aiohttp", "httpx", "httpx2", "memory", "requests"} <= {each["name"] for each in listed}
    assert [each for each in listed if each["status"] != "ok"] == []


def main(wheel):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEMTRACE_", "PYTHON"))}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        environment |= {
            "NO_PROXY": "*",
            "SHIV_ROOT": str(folder / "shiv"),
            "MEMTRACE_CONFIG": str(folder / "none.toml"),
        }
        check_application(with_pyinstaller(folder, "application"), environment)
        check_console(with_pyinstaller(folder, "console"), environment)
        check_application(with_zipapp(folder, "application", wheel), environment)
        check_console(with_zipapp(folder, "console", wheel), environment)
        check_application(with_shiv(folder, "application", wheel), environment)
        check_console(with_shiv(folder, "console", wheel), environment)
    print("frozen, zipped and packed by shiv: all applications ran")  # noqa: T201  # what the session shows


if __name__ == "__main__":
    main(*sys.argv[1:])
