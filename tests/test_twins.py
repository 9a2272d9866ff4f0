"""Both clients come from one source: the sync modules are generated, and a check notices when they are not current."""

import subprocess
import sys

import pytest


def unasync(checkout, *arguments):
    return subprocess.run(
        [sys.executable, checkout / "scripts" / "unasync.py", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_the_generated_modules_are_current(checkout):
    done = unasync(checkout, "--check")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_an_edited_generated_module_fails_the_check_until_it_is_written_anew(checkout):
    generated = checkout / "memtrace" / "resources" / "_memories.py"
    before = generated.read_text(encoding="utf-8")
    assert before.startswith("# Generated from _async_memories.py by scripts/unasync.py")
    generated.write_text(
        before.replace("wait_timeout: float = _WAIT_TIMEOUT", "wait_timeout: float = 6.0"), encoding="utf-8"
    )
    done = unasync(checkout, "--check")
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        ["memtrace/resources/_memories.py is not current: run python scripts/unasync.py"],
    )
    assert unasync(checkout).returncode == 0
    assert generated.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_a_change_of_the_async_source_reaches_the_sync_module(checkout):
    source = checkout / "memtrace" / "async_client.py"
    with source.open("a", encoding="utf-8") as file:
        file.write(
            "\n\nclass AsyncPlanted:\n"
            '    """Planted.\n\n    >>> import asyncio\n    >>> async def main() -> int:\n'
            "    ...     async with AsyncPlanted() as one:\n    ...         return await one.read()\n"
            '    >>> asyncio.run(main())\n    """\n\n'
            "    async def __aenter__(self) -> AsyncPlanted:\n        return self\n\n"
            "    async def read(self) -> list[int]:\n        return [each async for each in self.async_source]\n"
        )
    assert unasync(checkout, "--check").returncode == 1
    assert unasync(checkout).returncode == 0
    written = (checkout / "memtrace" / "client.py").read_text(encoding="utf-8")
    assert written.partition("class Planted:\n")[2] == (
        '    """Planted.\n\n    >>> with Planted() as one:\n    ...     one.read()\n    """\n\n'
        "    def __enter__(self) -> Planted:\n        return self\n\n"
        "    def read(self) -> list[int]:\n        return [each for each in self.source]\n"
    )
