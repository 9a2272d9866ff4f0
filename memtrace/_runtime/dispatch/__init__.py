"""The way from an operation to its result: one dispatcher for each kind of client, shared by its resources."""

from __future__ import annotations

from memtrace._runtime.dispatch._async_dispatcher import AsyncDispatcher
from memtrace._runtime.dispatch._dispatcher import Dispatcher

__all__ = ["AsyncDispatcher", "Dispatcher"]
