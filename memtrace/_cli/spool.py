"""``memtrace-sdk spool``: what the file of a write buffer holds, sending it, and what the server rejected of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from memtrace._cli.command_errors import reporting_errors
from memtrace._cli.connection import choose, opened
from memtrace._cli.exit_status import ExitStatus
from memtrace._cli.options import Choice
from memtrace._cli.tables import time_text
from memtrace._cli.terminal import say, show_error, show_json, visible
from memtrace._runtime.write_buffer.spool import Spool, spool_path
from memtrace._runtime.write_buffer.spool_delivery import Outbox
from memtrace._support.numbers import counted
from memtrace._support.timestamps import rfc3339
from memtrace.client import Memtrace
from memtrace.outcomes import OutcomeStatus

_NAP = 0.1


@contextmanager
def _spool(file: str) -> Iterator[Spool]:
    """The spool in a file that is there, of any server."""
    spool = Spool(spool_path(file), None, create=False)
    try:
        yield spool
    finally:
        spool.close()


def show_status(file: str, *, as_json: bool) -> None:
    """Print what a spool holds."""
    with _spool(file) as spool:
        counts, refused = spool.counts(), spool.refused()
    if as_json:
        show_json(
            {
                "file": file,
                "waiting": counts.waiting,
                "under_way": counts.under_way,
                "failed": counts.failed,
                "oldest": None if counts.oldest is None else rfc3339(counts.oldest),
                "failures": [{"number": each.number, "error": each.error} for each in refused],
            }
        )
        return
    say(
        f"{visible(file)}: {counted(counts.waiting, 'memory', 'memories')} waiting, "
        f"{counts.under_way:,} under way, {counts.failed:,} rejected"
    )
    if counts.oldest is not None:
        say(f"the oldest since {time_text(counts.oldest)}")
    for each in refused:
        say(f"  rejected: number {each.number}, {visible(each.error)}")


def run_send(choice: Choice, file: str, *, take_over: bool, as_json: bool) -> ExitStatus:
    """Send what a spool holds; with `take_over` also one of another base URL or key, which is this one's from now on."""
    path, sent = spool_path(file), Counter[OutcomeStatus]()
    with (
        reporting_errors(lambda: (f"So far {_told(sent)}; the rest is kept.",) if sent else ()),
        opened(choose(choice), creates=True) as client,
    ):
        _send(client, path, sent, take_over=take_over)
    if as_json:
        show_json({"file": file, "stored": sent["stored"], "duplicate": sent["duplicate"], "failed": sent["failed"]})
    else:
        say(f"{visible(file)}: {_told(sent)}")
    return ExitStatus.INCOMPLETE if sent["failed"] else ExitStatus.OK


def _told(sent: Counter[OutcomeStatus]) -> str:
    return f"{sent['stored']:,} stored, {sent['duplicate']:,} there already, {sent['failed']:,} rejected"


def _send(client: Memtrace, path: str, sent: Counter[OutcomeStatus], *, take_over: bool) -> None:
    """Send until nothing is left that was there in the beginning, and count it in `sent`. Raises what keeps it from that."""
    dispatcher = client._dispatcher  # noqa: SLF001  # of this package; users have buffers
    outbox = Outbox(path, dispatcher.settings, create=False, take_over=take_over)
    is_told = False
    try:
        while True:
            delivery = dispatcher.run(outbox.deliver())
            sent.update(delivery.counts)
            if delivery.error is not None:
                raise delivery.error
            if not delivery.is_busy:
                return
            if not is_told:
                show_error("another process is sending out of this file; waiting until it has ended")
                is_told = True
            time.sleep(_NAP)
    finally:
        outbox.spool.close()


def print_failed(file: str, *, drop: bool) -> None:
    """Print the memories that the server rejected; with `drop` also remove them."""
    with _spool(file) as spool:
        refused = spool.refused()
        for each in refused:
            typer.echo(each.body.decode())
        if drop:
            spool.drop(each.number for each in refused)
    if not refused:
        show_error("the server has rejected none of it")
