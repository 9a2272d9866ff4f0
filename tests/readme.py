"""What the nox session `readme` runs where nothing but the wheel is installed: python -m tests.readme README.md"""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path


def main(page):
    """Run the page's Python, block by block in one namespace, as a reader would who types it in."""
    text = page.read_text(encoding="utf-8")
    names = {"__name__": "__main__"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) == text.count("```python") > 5
    for block in blocks:
        line = text.count("\n", 0, block.start(1))
        with redirect_stdout(StringIO()):
            exec(compile("\n" * line + block[1], str(page), "exec"), names)  # our own page
    print(f"{len(blocks)} examples of {page.name} ran on {sys.version.split()[0]}")  # noqa: T201  # what the session shows


if __name__ == "__main__":
    main(Path(sys.argv[1]))
