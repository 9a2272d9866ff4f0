"""LlamaIndex keeps its chats and its long-term memory in Memtrace. Needs the extra ``llama-index``."""

from __future__ import annotations

try:
    import llama_index.core.storage.chat_store.base_db
except ImportError as _missing:
    raise ImportError(
        "memtrace.integrations.llama_index needs the package llama-index-core; "
        'run: pip install "memtrace-sdk[llama-index]"'
    ) from _missing

from memtrace.integrations.llama_index._chat_store import MemtraceChatStore
from memtrace.integrations.llama_index._memory_block import MemtraceMemoryBlock

__all__ = ["MemtraceChatStore", "MemtraceMemoryBlock"]

del llama_index
