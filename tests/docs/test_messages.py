"""The words of errors, hints, log records, warnings, and the console's help and output: those of the documentation."""

from __future__ import annotations

from tests.docs import messages, wording

#: Parts of messages that are right although a rule finds them, and why.
EXCEPTIONS = {
    "text-align:left;": "a style of HTML: its semicolons join no facts",
}


def test_messages_are_in_the_words_of_the_field():
    found = {
        message.place: places
        for message in messages.messages()
        if not any(part in message.text for part in EXCEPTIONS)
        and (places := wording.findings(messages.prose(message.text)))
    }
    assert found == {}


def test_each_exception_is_needed():
    texts = [message.text for message in messages.messages()]
    for part in EXCEPTIONS:
        assert any(part in text and wording.findings(messages.prose(text)) for text in texts), part


def test_the_messages_of_the_sdk_are_found():
    texts = {message.text for message in messages.messages()}
    assert len(texts) > 1000
    assert "Show the version and exit." in texts  # help
    assert "a client cannot be pickled or copied: use with_options() for one on the same connections, and make a client in each process" in texts  # fmt: skip
    assert "%s: %s %s -> %s in %.1f ms (attempt %d)" in texts  # a log record


def test_a_string_is_read_as_people_see_it():
    source = '''
"""The answer."""
TABLE = {"key": ("one " "two", f"{1} of {2!r} answers, {f'{3} more'}")}
"""What it is."""
def function():
    """Nobody's."""
    raise ValueError("three words here")
'''
    assert sorted(text for _, text in messages.strings(source)) == [
        "CODE more",
        "CODE of CODE answers, CODE",
        "key",
        "one two",
        "three words here",
    ]
    assert messages.prose("set `the answer` now") == "set CODE now"
