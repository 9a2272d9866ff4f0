"""The fixtures under pytest-xdist; `nox -s plugins` runs it with several workers."""

from __future__ import annotations

import pytest

from memtrace import Memtrace


@pytest.mark.parametrize("turn", range(40))
def test_each_test_has_a_fake_and_a_port_of_its_own(memtrace_server, memtrace_fake, memtrace_client, worker_id, turn):
    assert worker_id.startswith("gw")
    assert memtrace_client.recall("bot").count == 0
    with Memtrace(memtrace_server, memtrace_fake.organisation().api_key) as client:
        client.remember("bot", "likes tea")
    assert memtrace_client.recall("bot").count == 1


def test_the_report_of_a_worker_shows_the_last_calls(pytester):
    pytester.makepyfile("def test_it(memtrace_client):\n    memtrace_client.agents.list()\n    assert 0\n")
    result = pytester.runpytest_subprocess("-n2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*(the last 1 of 1)*", "agents.list: GET /api/v1/agents -> 200"])
