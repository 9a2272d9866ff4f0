"""The fake and a model that shares no code with it give the same answers to the same requests."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fake.model.programs import API, EVERYTHING, JSON_HEADERS, READING, REGISTERING, WRITING
from tests.fake.model.side_by_side import Call, Seed, SideBySide, Step

AS_THE_PROFILE_SAYS = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@pytest.mark.slow
@given(program=READING)
@AS_THE_PROFILE_SAYS
def test_reads_find_what_the_model_finds(program: Sequence[Step]) -> None:
    SideBySide("immediate").run(program)


@given(program=WRITING)
@AS_THE_PROFILE_SAYS
def test_writes_are_taken_and_refused_as_the_model_does(program: Sequence[Step]) -> None:
    SideBySide("immediate").run(program)


@given(program=WRITING)
@AS_THE_PROFILE_SAYS
def test_writes_take_as_long_as_in_the_model(program: Sequence[Step]) -> None:
    SideBySide("server").run(program)


@given(program=REGISTERING)
@AS_THE_PROFILE_SAYS
def test_agents_and_sessions_are_those_of_the_model(program: Sequence[Step]) -> None:
    SideBySide("immediate").run(program)


@given(
    program=EVERYTHING,
    visibility=st.sampled_from(["immediate", "server"]),
    storage=st.sampled_from(["up", "up", "none", "down"]),
)
@AS_THE_PROFILE_SAYS
def test_the_model_answers_every_request_as_the_fake_does(
    program: Sequence[Step], visibility: str, storage: str
) -> None:
    SideBySide(visibility, storage).run(program)


PIECES = [
    *(b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b'"', b"\\", b"'", b"-", b"0", b"1", b"e", b"E+", b".", b"1.5"),
    *(
        b"true",
        b"tr",
        b"false",
        b"null",
        b"nulL",
        b'"limit":',
        b'"LIMIT":',
        b'"tags":',
        b'"a"',
        b'"order":"asc"',
        b"\\u12",
    ),
    *(b"\\ud83d", b"\\n", b"\\x", b"\x00", b"\xff", b"\xc3\xa9", b"\xe2\x82", b"\xc2\x85", b"{}", b"[1]", b'{"limit":'),
]


@given(
    path=st.sampled_from(["memories", "search", "agents", "sessions", "sessions/s1/context"]),
    pieces=st.lists(st.sampled_from(PIECES), max_size=12),
    around=st.sampled_from([(b"", b""), (b'{"a":', b"}")]),
)
@AS_THE_PROFILE_SAYS
def test_any_body_is_read_as_in_the_model(path: str, pieces: Sequence[bytes], around: tuple[bytes, bytes]) -> None:
    body = around[0] + b"".join(pieces) + around[1]
    SideBySide("immediate").run([Call("POST", f"{API}/{path}", body, JSON_HEADERS)])


DATES = [
    "2026-01-01",
    "2026-1-1",
    "2025-12-31",
    "2025-2-29",
    "2024-02-29",
    "2025-13-01",
    "2026-01-00",
    "26-01-01",
    "0000-01-01",
]
CLOCKS = [
    "",
    "T00:00:00",
    " 00:00:00",
    "T24:00:00",
    "T23:59:60",
    "T1:00:00",
    "T00:00",
    "t00:00:00",
    "T12:30:00",
    "  12:30:00",
]
FRACTIONS = ["", ".0", ".5", ".123456", ".123456789", ".1234567890", "."]
ZONES = ["", "Z", "z", "+05:00", "-03:30", "Zulu"]


@given(
    name=st.sampled_from(["since", "until"]),
    parts=st.tuples(*map(st.sampled_from, (DATES, CLOCKS, FRACTIONS, ZONES))),
)
@AS_THE_PROFILE_SAYS
def test_any_point_in_time_is_read_as_in_the_model(name: str, parts: tuple[str, ...]) -> None:
    rows = [{"agent_id": "a1", "content": f"{hours} hours", "age_s": hours * 3600 - 1800} for hours in range(1, 40, 2)]
    point = quote("".join(parts), safe="")
    SideBySide("immediate").run([Seed(rows), Call("GET", f"{API}/memories?{name}={point}")])
