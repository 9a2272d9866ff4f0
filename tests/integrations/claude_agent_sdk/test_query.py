"""A run of the SDK itself, with a process that says what the command line would say: what it wrote is mirrored, and loaded again."""

from __future__ import annotations

import json
import math

import anyio
import pytest

from tests.integrations.claude_agent_sdk.stores import run, store_on
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

sdk = Lazily("claude_agent_sdk")

SESSION = "7f3c1a52-8a1e-4f6e-9d0b-2f1f6a1c9e10"
QUESTION = {
    "type": "user",
    "uuid": "11111111-1111-4111-8111-111111111111",
    "timestamp": "2026-01-01T00:00:00.000Z",
    "message": {"role": "user", "content": "Remember that I like tea"},
}
RESULT = {
    "type": "result",
    "subtype": "success",
    "duration_ms": 1,
    "duration_api_ms": 1,
    "is_error": False,
    "num_turns": 1,
    "session_id": SESSION,
    "result": "Noted.",
}


class CommandLine:
    """A transport of the SDK that answers the first message with what it wrote to the disk, and with a result."""

    def __init__(self, folder):
        self._folder = folder
        self._said, self._heard = anyio.create_memory_object_stream(math.inf)

    async def connect(self):
        pass

    async def write(self, data):
        for line in data.splitlines():
            message = json.loads(line)
            if message["type"] == "control_request":
                answer = {"subtype": "success", "request_id": message["request_id"], "response": {}}
                self._said.send_nowait({"type": "control_response", "response": answer})
            elif message["type"] == "user":
                for name, entries in ((SESSION, [QUESTION]), (f"{SESSION}/subagents/agent-a1", [{"type": "x"}])):
                    frame = {"filePath": str(self._folder / f"{name}.jsonl"), "entries": entries}
                    self._said.send_nowait({"type": "transcript_mirror", **frame})
                self._said.send_nowait(RESULT)

    async def read_messages(self):
        async for message in self._heard:
            yield message

    async def end_input(self):
        self._said.close()

    async def close(self):
        self._said.close()
        self._heard.close()

    def is_ready(self):
        return True


def test_what_a_run_of_the_sdk_writes_is_in_the_store_when_it_ends(fake, tmp_path, backend):
    assert sdk.Transport.__abstractmethods__ <= set(dir(CommandLine))
    project = "-home-me"

    async def ask():
        store = store_on(fake)
        folder = tmp_path / "projects" / project
        options = sdk.ClaudeAgentOptions(session_store=store, env={"CLAUDE_CONFIG_DIR": str(tmp_path)})
        messages = [each async for each in sdk.query(prompt="Remember", options=options, transport=CommandLine(folder))]
        assert isinstance(messages[-1], sdk.ResultMessage)
        other = store_on(fake)
        key = {"project_key": project, "session_id": SESSION}
        assert await other.load(key) == [QUESTION]
        assert await other.list_subkeys(key) == ["subagents/agent-a1"]
        (summary,) = await other.list_session_summaries(project)
        return summary["data"]["first_prompt"]

    assert run(ask, backend) == "Remember that I like tea"
