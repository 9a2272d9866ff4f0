"""The memory as a server of the Model Context Protocol. Needs the extra ``mcp``."""

from memtrace.integrations.mcp._server import memory_server, memtrace_server
from memtrace.integrations.mcp._tokens import RequireToken

__all__ = ["RequireToken", "memory_server", "memtrace_server"]
