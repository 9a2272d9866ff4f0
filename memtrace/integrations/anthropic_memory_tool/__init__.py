"""Anthropic's memory tool on Memtrace: the files that Claude keeps under ``/memories``, as memories (extra ``anthropic``)."""

from memtrace.integrations.anthropic_memory_tool._async_tool import AsyncMemtraceMemoryTool
from memtrace.integrations.anthropic_memory_tool._tool import MemtraceMemoryTool

__all__ = ["AsyncMemtraceMemoryTool", "MemtraceMemoryTool"]
