"""``memtrace-sdk serve-fake`` and ``serve``: the fake, and a store in a file, on a port, for other processes and other languages."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from random import SystemRandom

import typer

from memtrace._cli.signals import on_termination
from memtrace._cli.store import opened_store
from memtrace._cli.terminal import say, show_error, visible
from memtrace.exceptions import ConfigurationError
from memtrace_transports._engine.rules.ids import RandomIdentifiers
from memtrace_transports._serving.port import AppServer
from memtrace_transports.memory import FakeMemtrace, ManualClock, Organisation, Visibility
from memtrace_transports.memory.server import LiveServer
from memtrace_transports.sqlite.asgi import StoreApp


def run_server(
    *,
    host: str,
    port: int,
    manual_clock: bool,
    visibility: Visibility,
    dedup_enabled: bool,
    dedup_window_hours: int,
    write_batch_size: int,
    write_flush_interval_ms: int,
    store: str | None,
    orgs: Sequence[str],
    control: bool,
    allowed_hosts: Sequence[str],
    as_json: bool,
) -> int:
    """Serve until SIGINT or SIGTERM comes; returns the exit status. Prints where, and a key, once it answers."""
    if manual_clock and not control:
        show_error("--clock manual does not move until /_fake/clock/advance moves it, which --no-control leaves out")
        return 2
    try:
        fake = FakeMemtrace(
            clock=ManualClock() if manual_clock else None,
            visibility=visibility,
            dedup_enabled=dedup_enabled,
            dedup_window_hours=dedup_window_hours,
            write_batch_size=write_batch_size,
            write_flush_interval_ms=write_flush_interval_ms,
            store=store,
        )
        organisations = [_organisation(fake, text) for text in orgs or ["default"]]
        server = LiveServer(fake, host=host, port=port, control=control, hosts=allowed_hosts)
    except ValueError as error:
        show_error(str(error))
        return 2
    return _serve(server, f"{host} port {port}", lambda: _announce(server.url, organisations, as_json=as_json))


def run_store_server(*, store: str | None, host: str, port: int, as_json: bool) -> int:
    """Serve a store until SIGINT or SIGTERM comes; returns the exit status. Without a file it says that nothing lasts."""
    if store is None or store.lower().startswith("memory:"):
        show_error(
            "nothing lasts: memories are kept in memory; add --store sqlite:///memories.db to keep them in a file"
        )
        fake = FakeMemtrace(seed=SystemRandom().getrandbits(64))
        key = RandomIdentifiers(SystemRandom()).new_key()  # not one that a seed makes
        fake.organisation(api_key=key)
        served = LiveServer(fake, host=host, port=port, control=False)
        return _serve(served, f"{host} port {port}", lambda: _announce_store(served.url, None, key, as_json=as_json))
    with opened_store(store, create=True) as file:
        has_keys = any(key.revoked_at is None for key in list(file.keys()))
    if not has_keys:
        show_error(f"nobody has a key yet; issue one with: memtrace-sdk store keys create NAME --store {store}")
    app = StoreApp(store)
    server = AppServer(app, host, port)
    try:
        return _serve(server, f"{host} port {port}", lambda: _announce_store(server.url, store, None, as_json=as_json))
    finally:
        asyncio.run(app.close())


def _announce_store(url: str, store: str | None, api_key: str | None, *, as_json: bool) -> None:
    """Print where a store answers, and the key of one in memory, which nobody else can issue."""
    if as_json:
        known = {"url": url, "store": store, "api_key": api_key}
        typer.echo(json.dumps({name: value for name, value in known.items() if value is not None}))
        return
    say(f"{'A store in memory' if store is None else store} is listening at {url}")
    say(f"MEMTRACE_BASE_URL={url}")
    if api_key is not None:
        typer.echo(f"MEMTRACE_API_KEY={api_key}")
    say("Stop it with Ctrl-C.")


def _serve(server: AppServer, place: str, announce: Callable[[], None]) -> int:
    told = threading.Event()
    with on_termination(told.set):
        try:
            server.start()
        except ConfigurationError as error:
            show_error(error.message, error.hint or "")
            return 2
        except OSError as error:
            show_error(f"cannot listen on {place}: {error.strerror or error}")
            return 1
        try:
            announce()
            while not told.is_set():  # waiting for it would deadlock with a signal that comes at the wrong moment
                time.sleep(0.05)
        finally:
            server.stop()
    return 0


def _organisation(fake: FakeMemtrace, text: str) -> Organisation:
    """``NAME=KEY``, or a name that gets a key."""
    name, given, key = text.partition("=")
    if not name or (given and not key):
        raise ValueError(f"--org is NAME or NAME=KEY, not {name + given!r}")  # the key is not shown
    return fake.organisation(name, api_key=key or None)


def _announce(url: str, organisations: Sequence[Organisation], *, as_json: bool) -> None:
    first, *others = organisations
    if as_json:
        told: dict[str, object] = {"url": url, "api_key": first.api_key, "org_id": first.org_id}
        if others:
            told["orgs"] = [{"name": org.name, "api_key": org.api_key, "org_id": org.org_id} for org in organisations]
        typer.echo(json.dumps(told))
        return
    typer.echo(
        f"A fake Memtrace server is listening at {url}\nMEMTRACE_BASE_URL={url}\nMEMTRACE_API_KEY={first.api_key}"
    )
    for org in others:
        typer.echo(f"Another key, of {visible(org.name)}: {org.api_key}")
    typer.echo("Stop it with Ctrl-C.")
