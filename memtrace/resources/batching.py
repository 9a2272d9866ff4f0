"""A batch on its way: its requests a wave at a time, and nothing left running while an outcome is looked at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import TYPE_CHECKING

from memtrace.fan_out import run_all, run_all_async
from memtrace.procedures.batches import Batch, Sent, send_chunk

if TYPE_CHECKING:
    from memtrace.batch import Outcome
    from memtrace.dispatch import AsyncDispatcher, Dispatcher

__all__ = ["send", "send_async"]


def send(dispatcher: Dispatcher, batch: Batch) -> Generator[Outcome, None, None]:
    """The outcome of each item, as it is known. What is no `MemtraceError` comes out after the others' outcomes."""
    for wave in batch.waves():
        results = run_all([partial(dispatcher.run, send_chunk(chunk)) for chunk in wave])
        raised = _take(batch, results)
        yield from batch.outcomes()
        if raised is not None:
            raise raised


async def send_async(dispatcher: AsyncDispatcher, batch: Batch) -> AsyncGenerator[Outcome, None]:
    """As `send`, awaiting."""
    for wave in batch.waves():
        results = await run_all_async([partial(dispatcher.run, send_chunk(chunk)) for chunk in wave])
        raised = _take(batch, results)
        for outcome in batch.outcomes():
            yield outcome
        if raised is not None:
            raise raised


def _take(batch: Batch, results: list[Sent | Exception]) -> Exception | None:
    raised = None
    for result in results:
        if isinstance(result, Sent):
            batch.take(result)
        else:
            raised = raised or result
    return raised
