"""The event loop that runs here, asyncio's or trio's: which one it is, its end, its locks, and what goes on when cancelled.

asyncio is imported where it is used: with it the import of a blocking client takes a tenth longer.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    import trio


def running_under_trio() -> bool:
    """Whether the code that awaits runs on trio: then no asyncio loop is running here."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def running_loop() -> object:
    """A token for the running event loop. It can be a weak key, and is collected with the loop."""
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio

        return trio.lowlevel.current_root_task()


def is_closed(loop: object) -> bool:
    """Whether this is an event loop of asyncio that was closed: what hangs on it may keep it alive all the same."""
    import asyncio

    return isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed()


def shielded() -> AbstractContextManager[object]:
    """A block whose awaiting goes on after the scope around it was cancelled; asyncio's own cancellation comes only once."""
    if running_under_trio():
        import trio

        return trio.CancelScope(shield=True)
    if "anyio" in sys.modules:
        import anyio

        return anyio.CancelScope(shield=True)
    return nullcontext()


def new_lock() -> asyncio.Lock | trio.Lock:
    """A lock for tasks of the running event loop."""
    if running_under_trio():
        import trio

        return trio.Lock()
    import asyncio

    return asyncio.Lock()
