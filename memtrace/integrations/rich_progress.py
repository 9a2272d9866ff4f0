"""A bar of rich for a batch: give it as ``progress=``. Needs the extra ``rich``."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from memtrace._support.characters import whole_characters

if TYPE_CHECKING:
    from typing_extensions import Self

    from memtrace.outcomes import BatchProgress

__all__ = ["RichProgress"]


class RichProgress:
    """Show a batch's progress in the terminal: items done, and their outcomes. Use one for each batch.

    Args:
        description: The text before the bar.
        console: Where it is shown. Default: standard output.

    Example:
        >>> import io
        >>> from rich.console import Console
        >>> from memtrace import AddMemoryRequest, Memtrace
        >>> requests = [AddMemoryRequest(agent_id="importer", content=f"row {n}") for n in range(3)]
        >>> shown = io.StringIO()
        >>> with Memtrace("memory://", "any key") as client, RichProgress(console=Console(file=shown, width=100)) as bar:
        ...     result = client.memories.add_many(requests, progress=bar)
        >>> "3/3" in shown.getvalue(), "3 stored" in shown.getvalue()
        (True, True)
    """

    def __init__(self, description: str = "Storing memories", *, console: Console | None = None) -> None:
        """`description` is shown before the bar. `console` is where it is drawn, standard output by default."""
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task(whole_characters(description), total=None, told="")

    def __call__(self, progress: BatchProgress) -> None:
        """Draw this state."""
        statuses = ("stored", "duplicate", "failed", "unknown")
        counts = [f"{getattr(progress, status)} {status}" for status in statuses if getattr(progress, status)]
        self._bar.update(self._task, completed=progress.done, total=progress.total, told=", ".join(counts))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
