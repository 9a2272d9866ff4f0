"""Write the sync half of each pair of modules from its async half: python scripts/unasync.py [--check].

With ``--check`` nothing is written: the exit status is 1, and the names are shown, if a file is not current.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PAIRS = {
    "memtrace/async_client.py": "memtrace/client.py",
    "memtrace/_runtime/dispatch/_async_dispatcher.py": "memtrace/_runtime/dispatch/_dispatcher.py",
    "memtrace/resources/_async_active_session.py": "memtrace/resources/_active_session.py",
    "memtrace/resources/_async_agents.py": "memtrace/resources/_agents.py",
    "memtrace/resources/_async_memories.py": "memtrace/resources/_memories.py",
    "memtrace/resources/_async_sessions.py": "memtrace/resources/_sessions.py",
    "memtrace/resources/_async_write_buffer.py": "memtrace/resources/_write_buffer.py",
    "memtrace/integrations/anthropic_memory_tool/_async_tool.py": "memtrace/integrations/anthropic_memory_tool/_tool.py",
    "memtrace/integrations/tools/_async_memory_tools.py": "memtrace/integrations/tools/_memory_tools.py",
}
"""The async source of each generated file."""

NAMES = {
    "AsyncioWorker": "ThreadWorker",
    "BetaAsyncAbstractMemoryTool": "BetaAbstractMemoryTool",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "asyncio": "concurrent.futures",  # a source imports nothing but Future from it
    "asyncio_worker": "thread_worker",
}
_ASYNC_NAME = re.compile(r"\bAsync(?=[A-Z])|(?<![A-Za-z0-9])async_(?=[a-z])|(?<=[a-z])_async\b")
_GENERATOR = re.compile(r"\bGenerator\[([\w.]+), None\]")  # three arguments before Python 3.13
_PHRASES = {
    "for asyncio and trio": "blocking",
    "the awaiting client": "the blocking client",
    "The awaiting client": "The blocking client",
    "(await future)": "future.result()",
    "A task sends": "Many threads may use it. A daemon thread sends",
    "\n    A buffer belongs to one event loop, of asyncio: under trio it raises `ConfigurationError`.": "",
    "many tasks": "many threads",
    "several tasks": "several threads",
    "\n    It runs on asyncio and on trio.": "",
    "asynchronous": "synchronous",
}
"""What a docstring says of the async half, and what it says of the sync one."""

_EXAMPLE = re.compile(
    r"(?P<indent>^[ \t]*)>>> import asyncio\n(?P<before>(?:(?P=indent)>>> (?!async def).*\n)*)"
    r"(?P=indent)>>> async def main\(\).*:\n(?P<body>(?:(?P=indent)\.\.\. .*\n)+)(?P=indent)>>> asyncio\.run\(main\(\)\)\n",
    re.MULTILINE,
)


def main(arguments: list[str]) -> int:
    """Write every sync file, or with ``--check`` look whether each is current."""
    stale = []
    for source, target in PAIRS.items():
        text = to_sync(source, target)
        path = ROOT / target
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(target)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    for target in stale:
        print(f"{target} {'is not current: run python scripts/unasync.py' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


def to_sync(source: str, target: str) -> str:
    """The sync text of an async module, formatted."""
    text = "".join(_tokens((ROOT / source).read_text(encoding="utf-8")))
    text = _GENERATOR.sub(r"Generator[\1, None, None]", text)
    _check_sync(text, source)
    name = Path(source).name
    head = f"# Generated from {name} by scripts/unasync.py: change that file and run the script.\n"
    return _formatted(head + text, target)


def _tokens(text: str) -> list[str]:
    """The pieces of the sync text: what stands between two tokens is kept, but for the space after a dropped one."""
    lines = text.splitlines(keepends=True)
    pieces: list[str] = []
    row, column = 1, 0
    dropped = False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        between = _between(lines, (row, column), token.start)
        pieces.append(between.removeprefix(" ") if dropped else between)
        dropped = token.type == tokenize.NAME and token.string in ("async", "await")
        pieces.append("" if dropped else _replaced(token))
        row, column = token.end
    return pieces


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]] if start[0] <= len(lines) else ""
    middle = "".join(lines[start[0] : end[0] - 1])
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return lines[start[0] - 1][start[1] :] + middle + last


def _replaced(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME:
        return NAMES.get(token.string) or _ASYNC_NAME.sub("", token.string)
    if token.type in (tokenize.STRING, tokenize.COMMENT):
        return _prose(token.string)
    return token.string


def _prose(text: str) -> str:
    """A docstring or a comment: its examples without an event loop, its words those of the sync half."""
    text = _EXAMPLE.sub(_sync_example, text)
    for said, instead in _PHRASES.items():
        text = text.replace(said, instead)
    text = re.sub(r"\(await ((?:[^()]|\([^()]*\))*)\)(?=\.)", r"\1", text)
    text = re.sub(r"\b(async|await) (?=\w)", "", text)
    return _ASYNC_NAME.sub("", text)


def _sync_example(found: re.Match[str]) -> str:
    indent = found["indent"]
    lines = [line.removeprefix(f"{indent}... ").removeprefix("    ") for line in found["body"].splitlines()]
    body = []
    for line in lines:
        prompt = "..." if line.startswith((" ", ")", "]", "}")) else ">>>"
        shown = re.sub(r"^( *)return ", r"\1", line)  # at a prompt the value is shown
        body.append(f"{indent}{prompt} {shown}\n")
    return found["before"] + "".join(body)


def _check_sync(text: str, source: str) -> None:
    """Raise where something async is left."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.AsyncFunctionDef, ast.AsyncWith, ast.AsyncFor, ast.Await)):
            raise SystemExit(f"{source}:{node.lineno} stays async")


def _formatted(text: str, target: str) -> str:
    for command in (["check", "--quiet", "--select", "I,F401", "--fix", "--exit-zero"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", target, "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, encoding="utf-8", check=True, cwd=ROOT).stdout
    return text


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
