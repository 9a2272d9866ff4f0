"""How far a long command is, in a terminal; nothing is written where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress

from memtrace._cli.terminal import make_console


@contextmanager
def measuring(
    doing: str, size: int | None, *, told: str = "", silent: bool = False
) -> Iterator[Callable[[int, str], None]]:
    """Show a bar over a file's bytes, of `size` if known. Yields a function of the bytes so far and a label.

    `silent` is for input that a person types in the same terminal.
    """
    with _shown(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(show_speed=False),
        silent=silent,
    ) as shown:
        task = shown.add_task(doing, total=size, told=told)
        yield lambda done, text: shown.update(task, completed=done, told=text)


@contextmanager
def counting(doing: str) -> Iterator[Callable[[str], None]]:
    """A spinner; gives what takes the text beside it."""
    with _shown(progress.SpinnerColumn(), progress.TextColumn("{task.description}")) as shown:
        task = shown.add_task(doing, total=None, told="")
        yield lambda text: shown.update(task, told=text)


def is_shown() -> bool:
    """Whether progress is written at all: to a terminal."""
    return make_console(stderr=True).is_interactive


def _shown(*columns: progress.ProgressColumn, silent: bool = False) -> progress.Progress:
    console = make_console(stderr=True)
    return progress.Progress(
        *columns,
        progress.TextColumn("{task.fields[told]}"),
        progress.TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_interactive or silent,
    )
