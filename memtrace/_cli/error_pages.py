"""The pages about errors, which the wheel brings along: one for each code."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

import memtrace
from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._support.error_text import closed, did_you_mean
from memtrace.exceptions import CODES

# the wheel has them in the package, a checkout in docs/
_FOLDERS: Final = (resources.files("memtrace._cli") / "error_pages", Path(__file__).parents[2] / "docs" / "errors")


def page_of(name: str) -> str:
    """The Markdown of the page about `name`: a code, a page as errors name it, or the name of a class, with its other codes.

    Raises `CommandError` where there is none.
    """
    of_class = getattr(getattr(memtrace, name, None), "_code", None)
    code = of_class or name.rpartition("/")[2].removesuffix(".md")
    if code not in CODES:
        text = closed(f"no error has the code {name}", ";") + did_you_mean(name, CODES)
        raise CommandError(f"{text} memtrace-sdk explain lists them", ExitStatus.USAGE)
    others = _others_of(name, code) if of_class else []
    more = f"\n## Other codes of {name}\n\n{''.join(others)}" if others else ""
    return f"{_read(code)}{more}"


def _others_of(class_name: str, code: str) -> list[str]:
    """The other codes of a class, which their pages name first, each as an item of a list."""
    pages = {each: _read(each) for each in sorted(CODES) if each != code}
    return [
        f"- `{each}`: {_title(page)}\n"
        for each, page in pages.items()
        if page.partition("\n\n")[2].startswith(f"`{class_name}`")
    ]


def titles() -> dict[str, str]:
    """What each code means, in one line."""
    return {code: _title(_read(code)) for code in sorted(CODES)}


def _title(page: str) -> str:
    return page.partition("\n")[0].partition(": ")[2]


def _read(code: str) -> str:
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return (folder / f"{code}.md").read_text(encoding="utf-8")
