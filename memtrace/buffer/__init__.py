"""Writing in the background: a buffer that sends many memories in one request, and says what became of each."""

from memtrace.buffer.async_write_buffer import AsyncWriteBuffer
from memtrace.buffer.ledger import BufferCounts
from memtrace.buffer.limits import BufferLimits, WhenFull
from memtrace.buffer.telling import OnResult
from memtrace.buffer.write_buffer import WriteBuffer

__all__ = ["AsyncWriteBuffer", "BufferCounts", "BufferLimits", "OnResult", "WhenFull", "WriteBuffer"]
