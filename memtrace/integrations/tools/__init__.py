"""The memory as tools that a model calls: their schemas for OpenAI and Anthropic, and what executes a call."""

from memtrace.integrations.tools._async_memory_tools import AsyncMemoryTools
from memtrace.integrations.tools._definitions import TOOLS, SchemaFormat, ToolName, schemas
from memtrace.integrations.tools._functions import AsyncToolFunction, ToolFunction
from memtrace.integrations.tools._memory_tools import MemoryTools
from memtrace.integrations.tools._results import ToolResult
from memtrace.integrations.tools._scope import MemoryScope

__all__ = [
    "TOOLS",
    "AsyncMemoryTools",
    "AsyncToolFunction",
    "MemoryScope",
    "MemoryTools",
    "SchemaFormat",
    "ToolFunction",
    "ToolName",
    "ToolResult",
    "schemas",
]
