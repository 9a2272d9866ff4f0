"""Every reader of foreign text, on texts made to take time and memory.

Memory is measured against the size of the text, for responses by a process of its own: what pydantic holds, Python does not see.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace._cli import profiles
from memtrace._cli.conversation_loader import read_turns
from memtrace._cli.exit_status import CommandError
from memtrace._cli.json_lines import LineError, bounded_lines, parse_line
from memtrace._cli.stdin import json_object
from memtrace.exceptions import ResponseDecodeError
from memtrace.models import MemoryList
from memtrace.operations._endpoints import response_parser
from memtrace.operations._server_messages import read_error
from memtrace.transport import Response
from tests.sampling import is_whole, sample

MIB = 1024 * 1024
MODELS = (
    "MemoryList",
    "SearchResult",
    "AgentList",
    "SessionList",
    "Memory",
    "Agent",
    "AgentStats",
    "Session",
    "Health",
)
UNITS = [
    *(
        b"{},",
        b"[],",
        b"[1],",
        b'{"a":1},',
        b"1,",
        b"300,",
        b"0.5,",
        b'"a",',
        b'"ab",',
        b"null,",
        b"[[[]]],",
        b'{"":{}},',
    ),
    *(b"[", b"{", b'{"a":', b'"', b"\\", b'\\"', b"\\u0041", b"\n", b"\r\n", b" ", b"\t", b",", b":", b"0", b"-", b"e"),
    *(
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\x1b[0m",
        b"<",
        b"&",
        b"#",
        b"=",
        b"'",
        b'"""',
    ),
]
FRAMES = [b"%s", b"[%s]", b'{"memories":[%s{}],"count":1,"has_more":true}', b'{"error":"%s"}', b'{"x":[%s0]}']


def frames(unit, size):
    """Texts of about `size` bytes that consist of one unit, bare and at places where a reader expects something else."""
    for frame in FRAMES:
        yield frame.replace(b"%s", unit * (size // len(unit)))


def outcome(read, *arguments):
    """Reads; every refusal is an error of ours."""
    try:
        read(*arguments)
    except (ResponseDecodeError, LineError, CommandError):
        return "refused"
    return "read"


# ---- memory ---------------------------------------------------------------------------------------------------------

MEASURE = """
import resource, sys
from memtrace import models
from memtrace.operations._endpoints import response_parser
from memtrace.operations._server_messages import read_error
from memtrace.transport import Response
from tests.guard.test_foreign_text import MODELS, UNITS, frames, outcome
readers = [response_parser(getattr(models, name)) for name in MODELS]
size = int(sys.argv[1])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
for size in (1000, size):
    before = peak()  # the second time; the first one loads what is loaded late
    for unit in UNITS[:6]:
        for body in frames(unit, size):
            for read in readers:
                outcome(read, Response(200, body=body))
            outcome(read_error, Response(500, body=body))
print((peak() - before) / size)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_a_response_takes_a_small_multiple_of_its_size():
    """25 is what the values of `[],[],` take in Python, and the rest the allocator; 1,900 was what their errors took."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(MIB // 4)], capture_output=True, text=True, check=True, timeout=300
    )
    assert float(done.stdout) < 80


class Endless(io.RawIOBase):
    """A stream of `size` equal bytes, which are nowhere in memory."""

    def __init__(self, byte, size):
        self.byte = byte
        self.left = size

    def readable(self):
        return True

    def readinto(self, buffer):
        count = min(len(buffer), self.left)
        buffer[:count] = self.byte * count
        self.left -= count
        return count


@pytest.mark.parametrize("byte", sample([b"x", b" ", b"[", b"\x00", b'"', b"\r"], 2))
def test_a_line_of_any_length_is_read_in_bounded_memory_and_refused_by_its_number(byte):
    stream = io.BufferedReader(Endless(byte, 100 * MIB))
    tracemalloc.start()
    try:
        lines = list(bounded_lines(stream))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(lines), stream.raw.left) == (1, 0)
    assert peak < 60 * MIB
    with pytest.raises(LineError, match=r"^f, line 7: has more than"):
        parse_line(lines[0], "f", 7)


@pytest.mark.parametrize("unit", sample(UNITS, 4))
def test_a_line_takes_a_small_multiple_of_its_size(unit):
    for text in frames(unit, MIB // 16):
        tracemalloc.start()
        try:
            outcome(parse_line, text, "f", 1)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 50 * len(text)


# ---- time -----------------------------------------------------------------------------------------------------------


def read_conversation(text):
    list(read_turns(bounded_lines(io.BytesIO(text)), "f"))


READERS = {
    "response": lambda text: response_parser(MemoryList)(Response(200, body=text)),
    "error": lambda text: read_error(Response(500, body=text)),
    "line": lambda text: parse_line(text, "f", 1),
    "conversation": read_conversation,
    "option": lambda text: json_object(text.decode("utf-8", "surrogateescape"), "--metadata"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sample(["response", "error", "conversation"], 1))
def test_no_reader_takes_the_square_of_a_text(name):
    """Thread time, so that other programs of a busy machine count for nothing. The square would take a minute."""
    for unit in UNITS:
        for text in frames(unit, 64 * 1024):
            began = time.thread_time()
            outcome(READERS[name], text)
            assert time.thread_time() - began < 3, (unit, text[:40])


# ---- errors ---------------------------------------------------------------------------------------------------------

PIECES = st.lists(st.sampled_from(UNITS) | st.binary(max_size=4), max_size=12).map(b"".join)


@given(PIECES, st.sampled_from(FRAMES), st.integers(1, 3))
@settings(max_examples=200 if is_whole() else 50)
def test_no_text_makes_a_reader_raise_anything_but_an_error_of_ours(piece, frame, times):
    text = frame.replace(b"%s", piece * times)
    for read in READERS.values():
        assert outcome(read, text) in ("read", "refused")


TOML = [
    "[",
    "]",
    "[[a]]",
    "[profiles.a]",
    "\n",
    "a",
    ".",
    "=",
    '"',
    "'",
    '"""',
    "{",
    "}",
    ",",
    "1",
    "\\",
    "\\u",
    "#",
    "\r",
    "\0",
]
TOML += ["\ufeff", "é", "-", "2026-01-01", ":", "inf", "true", " ", "base_url", "profiles", "default", "\x1b"]


@given(st.lists(st.sampled_from(TOML) | st.characters(), max_size=14).map("".join), st.integers(1, 40))
@settings(max_examples=200 if is_whole() else 50)
def test_no_profiles_file_makes_the_console_raise_anything_but_an_error_of_ours(tmp_path_factory, text, times):
    path = tmp_path_factory.getbasetemp() / "foreign.toml"
    path.write_bytes((text * times).encode("utf-8", "replace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEMTRACE_CONFIG", str(path))
        assert outcome(profiles.load) in ("read", "refused")


def test_the_units_are_read_where_they_are_json():
    """The texts are not all refused for one trivial reason."""
    assert outcome(parse_line, json.dumps({"a": [{}] * 1000}).encode(), "f", 1) == "read"
    assert outcome(parse_line, next(frames(b"[],", 100)), "f", 1) == "refused"
