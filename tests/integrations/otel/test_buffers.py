"""The counts of write buffers as metrics: while they are open, and after."""

import asyncio

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from memtrace import BufferDrainError
from memtrace.integrations.opentelemetry import _buffer_metrics as buffer_metrics
from memtrace.integrations.opentelemetry import watch_buffer
from memtrace_transports import FakeMemtrace
from memtrace_transports.memory import Fault
from tests.integrations.otel.conftest import Collected

pytestmark = pytest.mark.framework

ACCEPTED, OUTCOMES, PENDING = (f"memtrace.client.buffer.{name}" for name in ("accepted", "outcomes", "pending"))


def values(collected, name):
    return {tuple(sorted(point.attributes.items())): point.value for point in collected.points(name)}


def outcomes(collected, *attributes):
    return {
        dict(key)["memtrace.outcome"]: value
        for key, value in values(collected, OUTCOMES).items()
        if set(attributes) <= set(key)
    }


def _failing(buffer):
    buffer.add(agent_id="a", content="one")
    return ZeroDivisionError()


@pytest.fixture
def client():
    with FakeMemtrace().client() as made:
        yield made


def test_counts_are_observed_while_the_buffer_is_open_and_kept_when_it_has_ended(client, collected):
    with watch_buffer(client.memories.buffered(flush_interval=3600), meter_provider=collected.meters) as buffer:
        for content in ("one", "two", "one"):
            buffer.add(agent_id="a", content=content, dedup_key=content)
        assert (values(collected, ACCEPTED), values(collected, PENDING)) == ({(): 3}, {(): 3})
        assert set(outcomes(collected).values()) == {0}
        buffer.flush()
        buffer.add(agent_id="a", content="one", dedup_key="one")
    assert values(collected, PENDING) == {(): 0}
    assert values(collected, ACCEPTED) == {(): 4}
    told = buffer.counts
    assert outcomes(collected) == {
        name: getattr(told, name) for name in ("stored", "duplicate", "failed", "dropped", "unknown")
    }
    assert sum(outcomes(collected).values()) == 4


def test_buffers_with_equal_attributes_are_added_up_and_others_told_apart(client, collected):
    for queue, count in (("events", 2), ("events", 3), ("turns", 4)):
        with watch_buffer(
            client.memories.buffered(), meter_provider=collected.meters, attributes={"queue": queue}
        ) as buffer:
            for number in range(count):
                buffer.add(agent_id="a", content=f"{queue} {count} {number}")
    assert values(collected, ACCEPTED) == {(("queue", "events"),): 5, (("queue", "turns"),): 4}
    assert outcomes(collected, ("queue", "events"))["stored"] == 5
    assert outcomes(collected, ("queue", "turns"))["stored"] == 4


def test_a_buffer_of_the_async_client_is_observed_alike(collected):
    async def main():
        client = FakeMemtrace().async_client()
        async with watch_buffer(
            client.memories.buffered(flush_interval=3600), meter_provider=collected.meters
        ) as buffer:
            await buffer.add(agent_id="a", content="one")
            assert values(collected, PENDING) == {(): 1}
        await client.close()

    asyncio.run(main())
    assert values(collected, PENDING) == {(): 0}
    assert outcomes(collected)["stored"] == 1


def test_what_a_buffer_could_not_send_is_told_after_its_block(collected):
    fake = FakeMemtrace()
    fake.faults.add(Fault("status", status=401, on="memories.add_many"))
    with (
        fake.client() as client,
        watch_buffer(client.memories.buffered(), meter_provider=collected.meters) as buffer,
    ):
        buffer.add(agent_id="a", content="one")
    assert outcomes(collected)["failed"] == 1


def test_an_error_of_the_block_and_of_its_end_come_out_and_the_counts_are_kept(client, collected):
    block = watch_buffer(client.memories.buffered(), meter_provider=collected.meters)
    with pytest.raises(ZeroDivisionError), block as buffer:
        raise _failing(buffer)
    assert outcomes(collected)["stored"] == 1
    stopping = client.memories.buffered(drain_timeout=0, flush_interval=3600)
    with pytest.raises(BufferDrainError), watch_buffer(stopping, meter_provider=collected.meters) as buffer:
        buffer.add(agent_id="a", content="two")
    assert values(collected, ACCEPTED) == {(): 2}
    assert values(collected, PENDING) == {(): 0}


def test_providers_do_not_see_each_others_buffers(client):
    first, second = Collected(), Collected()
    for provider in (first, second, second):
        with watch_buffer(client.memories.buffered(), meter_provider=provider.meters) as buffer:
            buffer.add(agent_id="a", content=f"of {id(provider)} {id(buffer)}", dedup_key=str(id(buffer)))
    assert (values(first, ACCEPTED), values(second, ACCEPTED)) == ({(): 1}, {(): 2})
    for provider in (first, second):
        provider.meters.shutdown()
        provider.tracers.shutdown()


def test_a_global_provider_that_is_set_later_sees_what_was_watched_before_it(client, monkeypatch):
    """OpenTelemetry lets it be set once a process, so that this runs on a proxy of its own."""
    from opentelemetry.metrics import _internal as metrics

    proxy = metrics._ProxyMeterProvider()
    monkeypatch.setattr(metrics, "_PROXY_METER_PROVIDER", proxy)
    monkeypatch.setattr(metrics, "_METER_PROVIDER", None)
    monkeypatch.delenv("OTEL_PYTHON_METER_PROVIDER", raising=False)
    buffer_metrics._global_metrics.cache_clear()
    with watch_buffer(client.memories.buffered()) as buffer:
        buffer.add(agent_id="a", content="before")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "_METER_PROVIDER", provider)
    proxy.on_set_meter_provider(provider)
    for given in ({}, {"meter_provider": provider}):
        with watch_buffer(client.memories.buffered(), **given) as buffer:
            buffer.add(agent_id="a", content=f"after {given}")
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    assert {metric.name: metric.data.data_points[0].value for metric in scope.metrics}[ACCEPTED] == 3
    buffer_metrics._global_metrics.cache_clear()
    provider.shutdown()
