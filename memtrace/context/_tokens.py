"""How many tokens a text has."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction

from memtrace._support.numbers import is_int
from memtrace.operations._validation import invalid

TokenCounter = Callable[[str], int]
"""Gives the number of tokens of a text, 0 or more. Blocking; called once for each memory, and once for the whole."""

MESSAGE_TOKENS: int = 4
"""What is counted for each message beside its content: chat formats put about so many tokens around one."""

_BYTES_PER_TOKEN = 3
_RULE = "a function that takes a text and gives a whole number, 0 or more"


def estimate_tokens(text: str) -> int:
    """A third of the text's bytes in UTF-8, rounded up: more than most tokenizers give, as a budget wants it.

    >>> estimate_tokens("User prefers dark mode")
    8
    """
    return -(-len(text.encode(errors="surrogatepass")) // _BYTES_PER_TOKEN)


def check_counter(count_tokens: object) -> None:
    """Refuse what is no blocking function."""
    if not callable(count_tokens) or iscoroutinefunction(count_tokens):
        raise invalid("count_tokens", _RULE, "no other can be called here")


def checked_count(count_tokens: TokenCounter, text: str) -> int:
    """What `count_tokens` gives. Raises `InvalidRequestError` for what is no number of tokens."""
    tokens = count_tokens(text)
    if not is_int(tokens) or tokens < 0:
        raise invalid("count_tokens", _RULE, f"it gave {'a negative one' if is_int(tokens) else type(tokens).__name__}")
    return tokens
