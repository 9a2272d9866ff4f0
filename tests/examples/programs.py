"""The programs in `examples/`, run as a reader runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
_SETTINGS = ("ANTHROPIC", "GEMINI", "GOOGLE", "MEMTRACE", "OLLAMA", "OPENAI")


def run_example(name, folder, question, *flags, **settings):
    """Run a program in a folder with a question, without the keys and servers of this process. It has to end well."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(_SETTINGS)} | settings
    command = [sys.executable, *flags, str(EXAMPLES / name), question]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done
