"""What a write buffer accepted and what became of it, as metrics."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, overload

from memtrace import AsyncWriteBuffer, WriteBuffer
from memtrace._support.lazy_modules import LazyModule

if TYPE_CHECKING:
    from opentelemetry import metrics
else:
    metrics = LazyModule("opentelemetry.metrics")


@overload
def watch_buffer(
    buffer: WriteBuffer,
    *,
    meter_provider: metrics.MeterProvider | None = None,
    attributes: Mapping[str, str | int | bool] | None = None,
) -> AbstractContextManager[WriteBuffer]: ...
@overload
def watch_buffer(
    buffer: AsyncWriteBuffer,
    *,
    meter_provider: metrics.MeterProvider | None = None,
    attributes: Mapping[str, str | int | bool] | None = None,
) -> AbstractAsyncContextManager[AsyncWriteBuffer]: ...
def watch_buffer(
    buffer: WriteBuffer | AsyncWriteBuffer,
    *,
    meter_provider: metrics.MeterProvider | None = None,
    attributes: Mapping[str, str | int | bool] | None = None,
) -> AbstractContextManager[WriteBuffer] | AbstractAsyncContextManager[AsyncWriteBuffer]:
    """Record a write buffer's counts as metrics. Use it in place of the buffer's own ``with`` block.

    ``memtrace.client.buffer.accepted`` counts accepted memories.
    ``memtrace.client.buffer.outcomes`` counts outcomes by ``memtrace.outcome``.
    ``memtrace.client.buffer.pending`` is the number of waiting and sending memories. Counters keep
    their values after the block ends.

    Args:
        buffer: The buffer, not entered yet.
        meter_provider: Records the metrics. Default: the global provider.
        attributes: Attributes of the metrics. Buffers with equal attributes are added up.

    Returns:
        A context manager that opens and closes the buffer.

    Example:
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
