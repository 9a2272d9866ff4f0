"""Who makes the transport, who shares it, and who closes it."""

import asyncio
import os
import threading

import pytest

from memtrace._runtime.shared_transport import SharedTransport
from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.exceptions import ClientClosedError, ConfigurationError
from memtrace.plugins import TransportSpec
from memtrace.transport import Response
from tests.conftest import AsyncScript, Script
from tests.forked import in_child
from tests.garbage import collecting

HEALTHY = Response(200, body=b'{"status": "ok", "service": "memtrace", "uptime": "1s", "arc": {}}')


class Member:
    pass


class Maker:
    """Makes scripts that answer `health`, and remembers them."""

    def __init__(self):
        self.made = []

    @property
    def spec(self):
        return TransportSpec(
            create=lambda options: self._make(Script), create_async=lambda options: self._make(AsyncScript)
        )

    def _make(self, kind):
        self.made.append(kind(*[HEALTHY] * 50))
        return self.made[-1]


@pytest.fixture
def maker():
    return Maker()


def sync(maker, **settings):
    return Memtrace("http://server", "key", transport=maker.spec, **settings)


# ---- made


def test_nothing_is_made_before_the_first_call(maker):
    with sync(maker) as client:
        client.with_options(api_key="other").close()
        assert maker.made == []
        client.health()
        assert len(maker.made) == 1


def test_it_is_made_once_under_many_threads(maker):
    barrier = threading.Barrier(32)
    client = sync(maker)
    copies = [client.with_options(timeout=i + 1) for i in range(31)]
    failures = []

    def use(member):
        barrier.wait()
        try:
            member.health()
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    threads = [threading.Thread(target=use, args=(member,)) for member in [client, *copies]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(maker.made) == 1
    assert len(maker.made[0].requests) == 32


def test_two_clients_never_share_one(maker):
    with sync(maker) as one, sync(maker) as other:
        one.health()
        other.health()
    assert len(maker.made) == 2


def test_a_maker_that_failed_is_asked_again():
    attempts = []

    def make():
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("not now")
        return Script()

    member, family = Member(), SharedTransport(make)
    family.attach(member)
    with pytest.raises(OSError, match="not now"):
        family.transport(member)
    assert isinstance(family.transport(member), Script)


# ---- closed


def test_it_closes_with_the_last_of_the_family(maker):
    first = sync(maker)
    second = first.with_options(api_key="other")
    third = second.with_options()
    first.health()
    (transport,) = maker.made
    for member in (second, first):
        member.close()
        assert transport.closed == 0
    third.health()
    third.close()
    assert transport.closed == 1


def test_the_order_of_closing_does_not_matter_and_each_counts_once(maker):
    first = sync(maker)
    second = first.with_options()
    first.health()
    first.close()
    first.close()
    assert maker.made[0].closed == 0
    second.close()
    second.close()
    assert maker.made[0].closed == 1


def test_a_with_block_closes(maker):
    with sync(maker) as client:
        client.health()
    assert maker.made[0].closed == 1


def test_the_async_form_closes_alike(maker):
    async def main():
        async with AsyncMemtrace("http://server", "key", transport=maker.spec) as client:
            async with client.with_options(api_key="other") as copy:
                await copy.health()
            assert maker.made[0].closed == 0
            await client.health()
        await client.close()
        with pytest.raises(ClientClosedError):
            await client.health()
        with pytest.raises(ClientClosedError):
            client.with_options()

    asyncio.run(main())
    assert [transport.closed for transport in maker.made] == [1]


def test_what_was_never_made_is_not_made_to_be_closed(maker):
    sync(maker).close()
    assert maker.made == []


def test_copies_that_are_garbage_no_longer_count(maker):
    client = sync(maker)
    with collecting() as collect:
        for _ in range(10):
            client.with_options().health()
        collect()
    assert maker.made[0].closed == 0
    client.close()
    assert maker.made[0].closed == 1


def test_an_original_that_is_garbage_leaves_its_copy_working(maker):
    with collecting() as collect:
        copy = sync(maker).with_options()
        collect()
    copy.health()
    copy.close()
    assert maker.made[0].closed == 1


def test_garbage_collection_closes_nothing(maker):
    with collecting() as collect:
        client = sync(maker)
        client.health()
        copy = client.with_options()
        del client, copy
        collect()
    assert maker.made[0].closed == 0


def test_resources_keep_their_client_counting(maker):
    with collecting() as collect:
        memories = sync(maker).memories
        collect()
    assert memories._dispatcher._shared.transport(memories._dispatcher) is maker.made[0]


def test_a_transport_that_was_given_is_used_and_never_closed():
    transport = Script(HEALTHY, HEALTHY)
    with Memtrace("http://server", "key", transport=transport) as client:
        client.health()
        with client.with_options() as copy:
            copy.health()
    assert (len(transport.requests), transport.closed) == (2, 0)

    async def main(given):
        async with AsyncMemtrace("http://server", "key", transport=given) as client:
            await client.health()

    given = AsyncScript(HEALTHY)
    asyncio.run(main(given))
    assert (len(given.requests), given.closed) == (1, 0)


# ---- after closing


def test_a_closed_client_sends_nothing_and_makes_no_copy(maker):
    client = sync(maker)
    client.health()
    client.close()
    with pytest.raises(ClientClosedError, match="this client is closed; make a new one"):
        client.health()
    with pytest.raises(ClientClosedError):
        client.memories.remember("assistant", "x")
    with pytest.raises(ClientClosedError):
        client.with_options()
    assert len(maker.made) == 1


def test_a_client_closed_before_its_first_call_makes_nothing(maker):
    client = sync(maker)
    client.close()
    with pytest.raises(ClientClosedError):
        client.health()
    assert maker.made == []


def test_a_closed_copy_does_not_close_its_original(maker):
    client = sync(maker)
    copy = client.with_options()
    copy.close()
    with pytest.raises(ClientClosedError):
        copy.health()
    assert client.health().status == "ok"
    client.close()


def test_a_failed_copy_does_not_keep_the_family_open(maker):
    client = sync(maker)
    client.health()
    with pytest.raises(ConfigurationError, match="timeout"):
        client.with_options(timeout=-1)
    client.close()
    assert maker.made[0].closed == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_another_thread_makes_the_transport_makes_it_itself():
    def make():
        making.set()
        go_on.wait(10)
        return Script()

    def child():
        family._make = Script  # the events may be locked, too
        family.transport(member)
        return family.detach(member) is None

    making, go_on, member, family = threading.Event(), threading.Event(), Member(), SharedTransport(make)
    family.attach(member)
    thread = threading.Thread(target=family.transport, args=(member,))
    thread.start()
    assert making.wait(10)
    assert in_child(child) == 0
    go_on.set()
    thread.join()


def test_a_family_gives_its_transport_to_the_last_one_that_leaves():
    family = SharedTransport(Script)
    first, second, stranger = Member(), Member(), Member()
    family.attach(first)
    family.attach(second, first)
    transport = family.transport(first)
    assert family.detach(stranger) is None
    assert family.detach(first) is None
    assert family.detach(first) is None
    assert family.detach(second) is transport
    with pytest.raises(ClientClosedError):
        family.attach(stranger, second)
    with pytest.raises(ClientClosedError):
        family.transport(second)


def test_members_of_one_family_share_their_locks(maker):
    client = sync(maker)
    copy = client.with_options()
    assert client._dispatcher._shared.locks is copy._dispatcher._shared.locks
