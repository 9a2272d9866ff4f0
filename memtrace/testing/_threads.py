"""A call in its own thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

ResultT = TypeVar("ResultT")


def in_thread(function: Callable[[], ResultT]) -> Future[ResultT]:
    """What `function` will return or raise, whatever that is, in a thread that nothing waits for when it never ends."""
    outcome: Future[ResultT] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001  # whoever asks for the result gets it
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome
