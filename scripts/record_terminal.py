"""Record what the console prints as a picture: python scripts/record_terminal.py.

docs/_static/demo.svg is `memtrace-sdk demo`, as a terminal of 88 columns shows it. It needs no font of another host.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "_static" / "demo.svg"
COLUMNS = 88

_THEME = TerminalTheme(
    (30, 38, 52),
    (236, 240, 246),
    [
        (30, 38, 52),
        (255, 138, 138),
        (152, 224, 140),
        (255, 214, 120),
        (140, 184, 255),
        (226, 170, 255),
        (112, 216, 236),
        (236, 240, 246),
    ],
)
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>A terminal: memtrace-sdk demo stores three memories in a session, then searches and recalls them</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def recorded() -> Text:
    """What the demo prints, with its colours, after the prompt that starts it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MEMTRACE_", "NO_COLOR"))}
    printed = subprocess.run(
        [sys.executable, "-m", "memtrace", "demo"],
        env={**environment, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout
    return Text.from_ansi(f"\x1b[1m$ memtrace-sdk demo\x1b[0m\n{printed}")


def picture(text: Text) -> str:
    """The text as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(text)
    return console.export_svg(title="memtrace-sdk", theme=_THEME, code_format=_FORMAT, unique_id="demo")


if __name__ == "__main__":
    PICTURE.write_text(picture(recorded()), encoding="utf-8")
