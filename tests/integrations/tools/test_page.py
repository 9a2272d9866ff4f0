"""The loops that the page shows end with the model's answer, and do what it asked for on the way."""

from types import SimpleNamespace as Reply

import pytest

from tests.docs import pages


@pytest.fixture
def page():
    names = {"__name__": "page"}
    blocks = pages.python_blocks((pages.ROOT / "docs" / "integrations" / "tools.md").read_text(encoding="utf-8"))
    for block in blocks[:3]:
        exec(block, names)
    return names


class Model:
    """Gives its replies in turn, and keeps what it was asked."""

    def __init__(self, *replies):
        self._replies = list(replies)
        self.asked = []
        self.chat = Reply(completions=self)
        self.messages = self

    def create(self, **asked):
        self.asked.append({**asked, "messages": list(asked["messages"])})
        return self._replies.pop(0)


def test_the_loop_for_openai(page):
    def completion(content, *calls):
        return Reply(choices=[Reply(message=Reply(content=content, tool_calls=list(calls)))])

    def call(number, name, arguments):
        return Reply(id=f"call_{number}", function=Reply(name=name, arguments=arguments))

    model = Model(
        completion(None, call(1, "remember", '{"content": "User likes tea"}'), call(2, "recall", "{}")),
        completion("Noted."),
    )
    assert page["answer_openai"](model, [{"role": "user", "content": "I like tea"}]) == "Noted."
    first, second = model.asked
    assert len(first["tools"]) == 4
    stored, found = second["messages"][-2:]
    assert (stored["role"], stored["tool_call_id"], stored["content"]) == ("tool", "call_1", "Stored.")
    assert (found["tool_call_id"], "User likes tea" in found["content"]) == ("call_2", True)


def test_the_loop_for_anthropic(page):
    model = Model(
        Reply(
            content=[
                Reply(type="text", text="I look it up."),
                Reply(type="tool_use", id="toolu_1", name="search", input={"query": "tea"}),
            ]
        ),
        Reply(content=[Reply(type="text", text="You like tea.")]),
    )
    page["client"].remember("assistant", "User likes tea")
    assert page["answer_anthropic"](model, [{"role": "user", "content": "What do I like?"}]) == "You like tea."
    (block,) = model.asked[1]["messages"][-1]["content"]
    assert (block["tool_use_id"], block["is_error"], "User likes tea" in block["content"]) == ("toolu_1", False, True)
