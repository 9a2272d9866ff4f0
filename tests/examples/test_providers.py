"""The examples of providers: run as programs, with a scripted model, and with the provider's package and a scripted server."""

from __future__ import annotations

import json

import pytest

from tests.examples.programs import run_example
from tests.integrations.functions.test_page import is_installed
from tests.scripted_server import served

TOLD, ASKED = "I am allergic to peanuts.", "May I eat peanuts?"
NOTED, NO = "I will remember that.", "No, you are allergic to them."
CALLED = {"content": TOLD}


def run(name, folder, question, **settings):
    """What a program prints."""
    return run_example(name, folder, question, **settings).stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openai_chat.py", "anthropic_messages.py", "gemini.py", "ollama_chat.py"])
def test_without_a_key_it_finds_in_a_later_run_what_it_was_told(name, tmp_path):
    assert TOLD not in run(name, tmp_path, TOLD)
    assert TOLD in run(name, tmp_path, ASKED)


@pytest.mark.slow
def test_openai_is_asked_with_what_matters_for_the_question(tmp_path):
    def reply(text):
        content = [{"type": "output_text", "text": text, "annotations": []}]
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
        rest = {"model": "m", "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        return {"id": "r", "object": "response", "created_at": 0, "output": [message], **rest}

    with served(reply(NOTED), reply(NO)) as server:
        settings = {"OPENAI_API_KEY": "any key", "OPENAI_BASE_URL": server.url}
        assert run("openai_chat.py", tmp_path, TOLD, **settings) == f"{NOTED}\n"
        assert run("openai_chat.py", tmp_path, ASKED, **settings) == f"{NO}\n"
    told, asked = server.bodies
    assert TOLD not in told["instructions"]
    assert TOLD in asked["instructions"]


@pytest.mark.slow
def test_claude_calls_the_tools(tmp_path):
    def reply(*content):
        usage = {"input_tokens": 1, "output_tokens": 1}
        rest = {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        return {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, **rest}

    def use(name, **arguments):
        return {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": arguments}

    def text(text):
        return {"type": "text", "text": text}

    replies = (
        reply(use("remember", **CALLED)),
        reply(text(NOTED)),
        reply(use("search", query="peanuts")),
        reply(text(NO)),
    )
    with served(*replies) as server:
        settings = {"ANTHROPIC_API_KEY": "any key", "ANTHROPIC_BASE_URL": server.url}
        assert run("anthropic_messages.py", tmp_path, TOLD, **settings) == f"{NOTED}\n"
        assert run("anthropic_messages.py", tmp_path, ASKED, **settings) == f"{NO}\n"
    (result,) = server.bodies[-1]["messages"][-1]["content"]
    assert (result["tool_use_id"], result["is_error"], TOLD in result["content"]) == ("toolu_search", False, True)
    assert [tool["name"] for tool in server.bodies[0]["tools"]] == ["search", "remember"]


@pytest.mark.slow
def test_a_server_with_the_api_of_ollama_gets_memories_as_messages(tmp_path):
    replies = [{"message": {"role": "assistant", "content": text}} for text in (NOTED, NO)]
    with served(*replies) as server:
        assert run("ollama_chat.py", tmp_path, TOLD, OLLAMA_HOST=server.url) == f"{NOTED}\n"
        assert run("ollama_chat.py", tmp_path, ASKED, OLLAMA_HOST=server.url, OLLAMA_MODEL="small") == f"{NO}\n"
    told, asked = server.bodies
    assert (told["model"], asked["model"]) == ("qwen3", "small")
    assert [message["content"] for message in told["messages"]] == ["Answer in one sentence.", TOLD]
    assert TOLD in json.dumps(asked["messages"][:-1])


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("google.genai"), reason="nox -s functions has it")
def test_gemini_calls_the_functions(tmp_path):
    def reply(part):
        return {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]}

    def call(name, **arguments):
        return reply({"functionCall": {"name": name, "args": arguments}})

    answers = [reply({"text": text}) for text in (NOTED, NO)]
    with served(call("remember", **CALLED), answers[0], call("search", query="peanuts"), answers[1]) as server:
        settings = {"GEMINI_API_KEY": "any key", "GOOGLE_GEMINI_BASE_URL": server.url}
        assert run("gemini.py", tmp_path, TOLD, **settings) == f"{NOTED}\n"
        assert run("gemini.py", tmp_path, ASKED, **settings) == f"{NO}\n"
    assert TOLD in json.dumps(server.bodies[-1])
