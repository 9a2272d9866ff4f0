"""What takes several operations: written once as generators of steps, run by both clients."""

from __future__ import annotations

from memtrace.procedures.agents import get_or_register
from memtrace.procedures.steps import Procedure, Stream, emit, pause, step

__all__ = ["Procedure", "Stream", "emit", "get_or_register", "pause", "step"]
