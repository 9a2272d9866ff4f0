"""The samples of the test suite itself: what a default run leaves out, and what it never leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import conftest, sampling
from tests.sampling import crossed, sample


def test_a_sample_keeps_the_order_and_the_count(draw):
    draw(seed=1, whole=False)
    drawn = sample(range(100), 5)
    assert len(drawn) == 5
    assert drawn == sorted(drawn)


def test_a_seed_draws_the_same_again_and_another_one_other_cases(draw):
    def drawn(seed):
        draw(seed=seed, whole=False)
        return sample(range(1000), 10), crossed(range(50), range(50))

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_whole_run_has_every_case(draw):
    draw(seed=1, whole=True)
    assert sample(range(100), 5) == [*range(100)]
    assert len(crossed("abc", [1, 2], [None, []])) == 12


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 30), st.integers())
def test_each_value_of_each_axis_is_in_a_row(lengths, at_least, seed):
    before = {"seed": sampling.seed(), "whole": sampling.is_whole()}
    sampling.begin(seed=seed, whole=False)
    try:
        rows = crossed(*map(range, lengths), at_least=at_least)
    finally:
        sampling.begin(**before)
    assert [{row[i] for row in rows} for i in range(len(lengths))] == [{*range(length)} for length in lengths]
    assert len(rows) == len(set(rows)) <= max(at_least, *lengths)


SUITE = """
import pytest
from tests.sampling import sample

@pytest.mark.parametrize("number", sample(range(100), 3))
def test_a_case(number):
    pass

@pytest.mark.slow
def test_for_ever():
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "passed"),
    [((), 3), (("--whole",), 101), (("-m", "slow"), 1), (("test_suite.py::test_for_ever",), 1)],
)
def test_a_run_takes_what_its_options_say(pytester, request, options, passed):
    pytester.makeini("[pytest]\nmarkers = slow: takes long")
    pytester.makepyfile(test_suite=SUITE)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "tests.conftest", *options)
    conftest.pytest_configure(request.config)  # the run within has set what this one draws with
    result.assert_outcomes(passed=passed)
