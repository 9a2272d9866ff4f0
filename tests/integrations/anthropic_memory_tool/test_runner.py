"""With Anthropic's clients and their tool runner, against a server on the loopback that answers as the model would."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integrations.anthropic_memory_tool.faces import Tool, fake_server
from tests.lazily import Lazily

pytestmark = pytest.mark.framework

anthropic = Lazily("anthropic")

USES = [
    {"command": "view", "path": "/memories"},
    {"command": "create", "path": "/memories/user.md", "file_text": "Likes tea\n"},
    {"command": "view", "path": "/memories/../secrets"},
]


class Model(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        turn = len(self.server.requests) - 1
        use = turn < len(USES)
        content = (
            {"type": "tool_use", "id": f"toolu_{turn}", "name": "memory", "input": USES[turn]}
            if use
            else {"type": "text", "text": "Done."}
        )
        answer = {
            "id": f"msg_{turn}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [content],
            "stop_reason": "tool_use" if use else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def model():
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(tool, url):
    settings = {"api_key": "none", "base_url": url, "max_retries": 0}
    request = {
        "model": "claude-test",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Remember that I like tea"}],
        "tools": [tool],
    }
    if inspect.iscoroutinefunction(tool.view):

        async def main():
            async with anthropic.AsyncAnthropic(**settings) as client:
                return await client.beta.messages.tool_runner(**request).until_done()

        return asyncio.run(main())
    with anthropic.Anthropic(**settings) as client:
        return client.beta.messages.tool_runner(**request).until_done()


@pytest.mark.network
@pytest.mark.parametrize("kind", ["sync", "asyncio"])
def test_the_tool_runner_gives_the_model_answers_and_errors(kind, model):
    fake = fake_server()
    last = run(Tool(fake, kind).tool, f"http://127.0.0.1:{model.server_port}")
    assert last.content[0].text == "Done."
    assert {"type": "memory_20250818", "name": "memory"} in model.requests[0]["tools"]
    results = [request["messages"][-1]["content"][0] for request in model.requests[1:]]
    told = [(result["content"], result.get("is_error", False)) for result in results]
    assert [is_error for _, is_error in told] == [False, False, True]
    assert "File created successfully at: /memories/user.md" in json.dumps(told[1][0])
    assert "would escape /memories directory" in json.dumps(told[2][0])
    assert Tool(fake).text("/memories/user.md") == "Likes tea\n"
