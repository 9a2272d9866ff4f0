"""The counts of all watched buffers, by their attributes: open ones asked, ended ones added up."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import astuple
from functools import cache
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider

from memtrace import AsyncWriteBuffer, BufferCounts, WriteBuffer
from memtrace.integrations.opentelemetry._spans import meter_of

Attributes = tuple[tuple[str, str | int | bool], ...]

_OUTCOMES = ("stored", "duplicate", "failed", "dropped", "unknown")


class BufferMetrics:
    """Those of one provider of meters, whose instruments read them."""

    def __init__(self, provider: MeterProvider | None) -> None:
        self._guard = threading.Lock()
        self._open: dict[int, tuple[WriteBuffer | AsyncWriteBuffer, Attributes]] = {}
        self._ended: dict[Attributes, BufferCounts] = {}
        meter = meter_of(provider)
        meter.create_observable_counter(
            "memtrace.client.buffer.accepted",
            [self._observed(_accepted)],
            "{memory}",
            "Memories that write buffers accepted.",
        )
        meter.create_observable_counter(
            "memtrace.client.buffer.outcomes",
            [self._observed(_outcomes)],
            "{memory}",
            "What became of memories that write buffers accepted.",
        )
        meter.create_observable_up_down_counter(
            "memtrace.client.buffer.pending",
            [self._observed(_pending)],
            "{memory}",
            "Memories that wait in write buffers, or are under way.",
        )

    @contextmanager
    def recorded(self, buffer: WriteBuffer | AsyncWriteBuffer, attributes: Attributes) -> Iterator[None]:
        """Ask this buffer while the block lasts, and keep its last counts."""
        with self._guard:
            self._open[id(buffer)] = (buffer, attributes)
        try:
            yield
        finally:
            with self._guard:
                del self._open[id(buffer)]
                self._ended[attributes] = _sum((self._ended.get(attributes, BufferCounts()), buffer.counts))

    def counts(self) -> dict[Attributes, BufferCounts]:
        """The counts of this moment."""
        with self._guard:
            found: defaultdict[Attributes, list[BufferCounts]] = defaultdict(list)
            for attributes, counts in self._ended.items():
                found[attributes].append(counts)
            for buffer, attributes in self._open.values():
                found[attributes].append(buffer.counts)
        return {attributes: _sum(counts) for attributes, counts in found.items()}

    def _observed(
        self, observations: Callable[[BufferCounts, Attributes], Iterable[Observation]]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            return [each for attributes, counts in self.counts().items() for each in observations(counts, attributes)]

        return observe


def _accepted(counts: BufferCounts, attributes: Attributes) -> Iterable[Observation]:
    return [Observation(counts.accepted, dict(attributes))]


def _pending(counts: BufferCounts, attributes: Attributes) -> Iterable[Observation]:
    return [Observation(counts.pending, dict(attributes))]


def _outcomes(counts: BufferCounts, attributes: Attributes) -> Iterable[Observation]:
    return [
        Observation(getattr(counts, outcome), {**dict(attributes), "memtrace.outcome": outcome})
        for outcome in _OUTCOMES
    ]


def _sum(counts: Iterable[BufferCounts]) -> BufferCounts:
    return BufferCounts(*map(sum, zip(*map(astuple, counts), strict=True)))


# ---- one for each provider ------------------------------------------------------------------------------------------

# Of a second instrument of one name, what it observes is dropped:
# https://github.com/open-telemetry/opentelemetry-python/issues/4120

_making = threading.Lock()
_buffer_metrics: WeakKeyDictionary[MeterProvider, BufferMetrics] = WeakKeyDictionary()


@cache
def _global_metrics() -> BufferMetrics:
    return BufferMetrics(None)


def metrics_of(provider: MeterProvider | None) -> BufferMetrics:
    """The metrics of this provider; of the global one, also of one that is set later, for None."""
    with _making:
        if provider is None or provider is get_meter_provider():
            return _global_metrics()
        found = _buffer_metrics.get(provider)
        if found is None:
            found = _buffer_metrics[provider] = BufferMetrics(provider)
        return found


@contextmanager
def record_buffer(buffer: WriteBuffer, metrics: BufferMetrics, attributes: Attributes) -> Iterator[WriteBuffer]:
    """The buffer's own block, counted from its beginning until its last outcome is known."""
    with metrics.recorded(buffer, attributes), buffer:
        yield buffer


@asynccontextmanager
async def record_async_buffer(
    buffer: AsyncWriteBuffer, metrics: BufferMetrics, attributes: Attributes
) -> AsyncIterator[AsyncWriteBuffer]:
    """The same, awaiting."""
    with metrics.recorded(buffer, attributes):
        async with buffer:
            yield buffer
