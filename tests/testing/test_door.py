"""`memtrace.testing` is where tests import everything from."""

import memtrace.testing
import memtrace_transports.memory


def test_the_fake_its_faults_and_its_clock_come_from_the_same_place_as_the_contracts():
    for name in ("FakeMemtrace", "Fault", "ManualClock"):
        assert getattr(memtrace.testing, name) is getattr(memtrace_transports.memory, name)
        assert name in memtrace.testing.__all__
        assert name in dir(memtrace.testing)
