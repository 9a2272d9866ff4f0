"""What a forked child does, seen from the test that forks."""

from __future__ import annotations

import os
import signal
import sys
import traceback


def in_child(function, *, fork=None):
    """What the function returns in a child of a real fork, a small number; 99 where it raises, or a hook of the fork does."""
    failed, before = [], sys.unraisablehook
    sys.unraisablehook = failed.append
    try:
        child = (fork or os.fork)()
    finally:
        sys.unraisablehook = before
    if child == 0:
        code = 99
        try:
            signal.alarm(20)
            assert not failed, failed
            code = int(function())
        except BaseException:  # noqa: BLE001  # the traceback is the child's alone
            traceback.print_exc()
        finally:
            os._exit(code)
    assert not failed, failed
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
