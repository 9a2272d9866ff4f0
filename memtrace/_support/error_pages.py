"""The documentation's pages about errors, as the package has them: Markdown, one file a code."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def page_text(code: str) -> str:
    """The page about a code, as Markdown. Raises `LookupError` for a code that has none.

    >>> page_text("timeout").splitlines()[0]
    '# timeout: no response in time'
    """
    name = f"{code}.md"
    for folder in (files("memtrace") / "_error_pages", Path(__file__).parents[2] / "docs" / "errors"):
        page = folder / name
        if code.isidentifier() and page.is_file():
            return page.read_text(encoding="utf-8")
    raise LookupError(f"no page is about {code!r}")
