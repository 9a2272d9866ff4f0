"""Both tools under one blocking face: `call` gives what the model would read, and whether it is an error."""

from __future__ import annotations

import asyncio

import trio

from memtrace_transports import FakeMemtrace, ManualClock
from tests.lazily import Lazily

ours = Lazily("memtrace.integrations.anthropic_memory_tool")
tools = Lazily("anthropic.lib.tools")

FACES = ["sync", "asyncio", "trio"]


class Tool:
    """A tool of one of three kinds, on a client of its own."""

    def __init__(self, fake, face="sync", agent_id="assistant", org="acme", middleware=(), **settings):
        self._face = face
        if face == "sync":
            self.tool = ours.MemtraceMemoryTool(fake.client(org, middleware=middleware), agent_id, **settings)
        else:
            self.tool = ours.AsyncMemtraceMemoryTool(
                fake.async_client(org, middleware=middleware), agent_id, **settings
            )

    def _run(self, method, *args):
        if self._face == "sync":
            return method(*args)
        return asyncio.run(method(*args)) if self._face == "asyncio" else trio.run(method, *args)

    def call(self, command, **fields):
        """The answer of a command. Raises what it raises."""
        return self._run(self.tool.call, {"command": command, **fields})

    def clear(self):
        return self._run(self.tool.clear_all_memory)

    def told(self, command, **fields):
        """The answer, and whether it is an error."""
        try:
            return self.call(command, **fields), False
        except tools.ToolError as error:
            return error.content, True

    def create(self, path, text=""):
        return self.call("create", path=path, file_text=text)

    def text(self, path):
        """A file's text, out of its numbered lines."""
        lines = self.call("view", path=path).split("\n")[1:]
        return "\n".join(line.split("\t", 1)[1] for line in lines)

    def paths(self):
        """What the root lists."""
        return [line.split("\t")[1] for line in self.call("view", path="/memories").split("\n")[2:]]


def fake_server(visibility="immediate"):
    """A fake whose time passes by waiting alone."""
    return FakeMemtrace(clock=ManualClock(), visibility=visibility)
