"""What a write buffer accepted and what became of it, as metrics."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, overload

from memtrace import AsyncWriteBuffer, WriteBuffer

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider


@overload
def watch_buffer(
    buffer: WriteBuffer,
    *,
    meter_provider: MeterProvider | None = None,
    attributes: Mapping[str, str | int | bool] | None = None,
) -> AbstractContextManager[WriteBuffer]: ...
@overload
def watch_buffer(
    buffer: AsyncWriteBuffer,
    *,
    meter_provider: MeterProvider | None = None,
    attributes: Mapping[str, str | int | bool] | None = None,
) -> AbstractAsyncContextManager[AsyncWriteBuffer]: ...
def watch_buffer(
    buffer: WriteBuffer | AsyncWriteBuffer,
    *,
    meter_provider: MeterProvider | None = None,
    attributes: Mapping[str, str | int | bool] | None = None,
) -> AbstractContextManager[WriteBuffer] | AbstractAsyncContextManager[AsyncWriteBuffer]:
    """A block for this buffer, in place of its own, whose counts are observed as metrics while it lasts and kept after it.

    ``memtrace.client.buffer.accepted`` counts what it took, ``memtrace.client.buffer.outcomes`` what became of it, by
    ``memtrace.outcome``, and ``memtrace.client.buffer.pending`` is what waits or is under way. Buffers with equal `attributes`
    are added up, those of ended blocks among them. Without a provider the global one is used.

    >>> from memtrace import Memtrace
    >>> with Memtrace("memory://", "any key") as client, watch_buffer(client.memories.buffered()) as buffer:
    ...     future = buffer.add(agent_id="assistant", content="User prefers dark mode")
    >>> future.result().status
    'stored'
    """
    from memtrace.integrations.opentelemetry._buffer_metrics import metrics_of, record_async_buffer, record_buffer

    entry = metrics_of(meter_provider), tuple(sorted((attributes or {}).items()))
    if isinstance(buffer, AsyncWriteBuffer):
        return record_async_buffer(buffer, *entry)
    return record_buffer(buffer, *entry)
