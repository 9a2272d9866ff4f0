from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import InvalidRequestError
from memtrace.integrations.identifiers import id_for
from memtrace.operations._validation import require_id
from tests.integrations.values import TEXTS

TAKEN = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")


@given(TEXTS.filter(bool))
def test_any_text_becomes_an_id_that_the_server_takes(text):
    assert TAKEN.fullmatch(id_for(text))
    assert id_for(text) == id_for(text)


@given(st.from_regex(TAKEN, fullmatch=True).filter(lambda text: not text.startswith("id-")))
def test_what_is_an_id_stays_as_it_is(text):
    assert id_for(text) == text


def test_an_id_that_looks_like_a_made_one_is_nobody_elses():
    made = id_for("user:42")
    assert made.startswith("id-")
    assert id_for(made) != made


def test_a_text_of_128_characters_is_an_id_and_one_more_is_not():
    assert id_for("a" * 128) == "a" * 128
    assert id_for("a" * 129).startswith("id-")


def test_an_empty_text_is_refused():
    with pytest.raises(InvalidRequestError, match="text must be"):
        id_for("")


@pytest.mark.parametrize("bad", ["42", "user:42", "a" * 129])
def test_an_id_that_the_server_would_refuse_is_refused_with_the_way_out(bad):
    with pytest.raises(InvalidRequestError, match="session_id must be a letter") as caught:
        require_id(bad, "session_id")
    assert caught.value.field == "session_id"
    assert "id_for" in caught.value.hint
    assert bad not in str(caught.value)


@pytest.mark.parametrize("bad", ["", None])
def test_no_id_at_all_is_refused(bad):
    with pytest.raises(InvalidRequestError, match="agent_id must be a string"):
        require_id(bad, "agent_id")
