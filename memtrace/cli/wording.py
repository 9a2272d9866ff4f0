"""The SDK's texts in the console's words, and without the key."""

from __future__ import annotations

import re

__all__ = ["in_console_words"]

# what the SDK calls its arguments, and what they are here
_OPTIONS = {
    "base_url (MEMTRACE_BASE_URL)": "--url (MEMTRACE_BASE_URL)",
    "api_key (MEMTRACE_API_KEY)": "MEMTRACE_API_KEY",
    "timeout (MEMTRACE_TIMEOUT)": "--timeout (MEMTRACE_TIMEOUT)",
    "timeout= (MEMTRACE_TIMEOUT)": "--timeout (MEMTRACE_TIMEOUT)",
    "timeout=": "--timeout",
}


def in_console_words(text: str, key: str | None) -> str:
    """`text` with options for arguments, and with stars for the key: a server, or a proxy in front of it, may repeat it."""
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    return re.sub(rf"(?<![0-9A-Za-z]){re.escape(key)}(?![0-9A-Za-z])", "***", text) if key else text
