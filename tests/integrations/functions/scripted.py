"""Models of frameworks that call ``remember`` once and then answer."""

from __future__ import annotations

import json
from contextlib import contextmanager

from tests.scripted_server import served

NOTED = "Noted."
ARGUMENTS = {"content": "User likes tea", "tags": ["drinks"]}


def smolagents():
    from smolagents.models import (
        ChatMessage,
        ChatMessageToolCall,
        ChatMessageToolCallFunction,
        MessageRole,
        Model,
    )

    class Scripted(Model):
        calls = iter([("remember", ARGUMENTS), ("final_answer", {"answer": NOTED})])

        def generate(self, messages, **settings):
            name, arguments = next(self.calls)
            function = ChatMessageToolCallFunction(name=name, arguments=arguments)
            call = ChatMessageToolCall(id=name, type="function", function=function)
            return ChatMessage(role=MessageRole.ASSISTANT, content="", tool_calls=[call])

    return Scripted()


def dspy():
    from dspy.utils import DummyLM

    return DummyLM(
        [
            {"next_thought": "store it", "next_tool_name": "remember", "next_tool_args": ARGUMENTS},
            {"next_thought": "done", "next_tool_name": "finish", "next_tool_args": {}},
            {"reasoning": "it is stored", "answer": NOTED},
        ]
    )


def haystack():
    from haystack import component
    from haystack.dataclasses import ChatMessage, ToolCall

    @component
    class Scripted:
        def __init__(self):
            call = ToolCall(tool_name="remember", arguments=ARGUMENTS, id="1")
            self._replies = iter([ChatMessage.from_assistant(tool_calls=[call]), ChatMessage.from_assistant(NOTED)])

        @component.output_types(replies=list[ChatMessage])
        def run(self, messages: list[ChatMessage], tools: list | None = None):
            return {"replies": [next(self._replies)]}

    return Scripted()


def agno():
    from agno.models.base import Model
    from agno.models.response import ModelResponse

    function = {"name": "remember", "arguments": json.dumps(ARGUMENTS)}
    calls = [{"id": "1", "type": "function", "function": function}]

    class Scripted(Model):
        replies = iter(
            [ModelResponse(role="assistant", tool_calls=calls), ModelResponse(role="assistant", content=NOTED)]
        )

        def invoke(self, *messages, **settings):
            return next(self.replies)

        ainvoke = invoke_stream = ainvoke_stream = invoke

        def _parse_provider_response(self, response, **settings):
            return response

        _parse_provider_response_delta = _parse_provider_response

    return Scripted(id="scripted")


@contextmanager
def gemini():
    from google import genai

    def reply(part):
        return {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]}

    replies = reply({"functionCall": {"name": "remember", "args": ARGUMENTS}}), reply({"text": NOTED})
    with served(*replies) as server:
        yield genai.Client(api_key="any key", http_options={"base_url": server.url})


@contextmanager
def ollama():
    from ollama import Client

    calls = [{"function": {"name": "remember", "arguments": ARGUMENTS}}]
    replies = (
        {"message": {"role": "assistant", "content": "", "tool_calls": calls}},
        {"message": {"role": "assistant", "content": NOTED}},
    )
    with served(*replies) as server:
        yield Client(host=server.url)
