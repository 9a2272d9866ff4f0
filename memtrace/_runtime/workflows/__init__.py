"""What takes several operations: written once as generators of steps, run by both clients."""

from __future__ import annotations

from memtrace._runtime.workflows.agents import get_or_register
from memtrace._runtime.workflows.steps import Stream, Workflow, emit_all, pause, run_operation

__all__ = ["Stream", "Workflow", "emit_all", "get_or_register", "pause", "run_operation"]
