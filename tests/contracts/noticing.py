"""What a broken subject is noticed by: the contract is run against it, and the tests that fail are looked at."""

from __future__ import annotations

__all__ = ["astray", "failures", "noticed_by"]


def noticed_by(*rules, table):
    """Put what breaks these rules of a contract into the table, with them."""

    def note(broken):
        table[broken] = rules
        return broken

    return note


def failures(pytester, source, *chosen, least=1):
    """The names of the tests that fail in a module of this source, of which at least so many have to pass."""
    pytester.makepyfile(source)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "ignore", "--tb=no", "-q", *chosen)
    reports = result.reprec.getreports("pytest_runtest_logreport")
    assert sum(report.passed and report.when == "call" for report in reports) >= least
    return {report.nodeid.rpartition("::")[2].partition("[")[0] for report in reports if report.failed}


def astray(failed, rules):
    """The tests that fail and are of none of these rules, and the rules of which no test fails."""
    tests = {rule: f"test_{rule}" for rule in rules}
    strange = sorted(name for name in failed if not name.startswith(tuple(tests.values())))
    return strange, sorted(rule for rule, test in tests.items() if not any(name.startswith(test) for name in failed))
