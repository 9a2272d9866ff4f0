"""A batch on its way: its requests a chunks at a time, and nothing left running while an outcome is looked at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import TYPE_CHECKING

from memtrace._runtime.workflows.batches import Batch, ChunkResult, send_chunk
from memtrace._support.concurrency import run_concurrently, run_concurrently_async

if TYPE_CHECKING:
    from memtrace._runtime.dispatch import AsyncDispatcher, Dispatcher
    from memtrace.outcomes import Outcome


def send(dispatcher: Dispatcher, batch: Batch) -> Generator[Outcome, None, None]:
    """The outcome of each item, as it is known. Any exception except `MemtraceError` is raised after the rest."""
    for chunks in batch.rounds():
        results = run_concurrently([partial(dispatcher.run, send_chunk(chunk)) for chunk in chunks])
        raised = _take(batch, results)
        yield from batch.outcomes()
        batch.tell()
        if raised is not None:
            raise raised


async def send_async(dispatcher: AsyncDispatcher, batch: Batch) -> AsyncGenerator[Outcome, None]:
    """As `send`, awaiting."""
    for chunks in batch.rounds():
        results = await run_concurrently_async([partial(dispatcher.run, send_chunk(chunk)) for chunk in chunks])
        raised = _take(batch, results)
        for outcome in batch.outcomes():
            yield outcome
        await batch.tell_async()
        if raised is not None:
            raise raised


def _take(batch: Batch, results: list[ChunkResult | Exception]) -> Exception | None:
    raised = None
    for result in results:
        if isinstance(result, ChunkResult):
            batch.record(result)
        else:
            raised = raised or result
    return raised
