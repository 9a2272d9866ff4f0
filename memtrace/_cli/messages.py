"""The SDK's texts in the console's words, and without the key."""

from __future__ import annotations

import re

from memtrace.exceptions import MemtraceError

# what the SDK calls its arguments, and what they are here
_OPTIONS = {
    "base_url (MEMTRACE_BASE_URL)": "--url (MEMTRACE_BASE_URL)",
    "api_key (MEMTRACE_API_KEY)": "MEMTRACE_API_KEY",
    "timeout (MEMTRACE_TIMEOUT)": "--timeout (MEMTRACE_TIMEOUT)",
    "timeout= (MEMTRACE_TIMEOUT)": "--timeout (MEMTRACE_TIMEOUT)",
    "timeout=": "--timeout",
    "base_url ends in": "the server's address ends in",
    "which the client adds itself": "which is added to it",
    ", or let a call wait longer: RetryPolicy(max_retry_after=...)": "",
    "look with client.ready(), and tell": "look with memtrace-sdk doctor, and tell",
    "; memtrace-sdk doctor looks at the way there": ", or look with memtrace-sdk doctor",
    "give a smaller chunk_size=, or store it in parts": "store it in parts",
    'to try it without a server: Memtrace("memory://", "any key")': "to try it without a server: memtrace-sdk demo",
}


def on_one_line(error: MemtraceError) -> str:
    """The text of an error, and what to do about it."""
    return f"{error} Hint: {error.hint}" if error.hint else str(error)


def to_console_message(text: str, key: str | None) -> str:
    """`text` with options for arguments, and with stars for the key: a server, or a proxy in front of it, may repeat it."""
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    return re.sub(rf"(?<![0-9A-Za-z]){re.escape(key)}(?![0-9A-Za-z])", "***", text) if key else text
