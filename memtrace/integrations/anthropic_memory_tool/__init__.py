"""Anthropic's memory tool on Memtrace: the files that Claude keeps under ``/memories``, as memories (extra ``anthropic``)."""

from memtrace.integrations.anthropic_memory_tool._tools import AsyncMemtraceMemoryTool, MemtraceMemoryTool

__all__ = ["AsyncMemtraceMemoryTool", "MemtraceMemoryTool"]
