"""What a plain user may not do, for tests that run as root too, whom no permission keeps out."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["as_a_plain_user"]

_VERSION_3 = 0x20080522  # of linux/capability.h: two words for each set
_EFFECTIVE = 0
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    """Let the permissions of files hold for this thread, which stays the owner of what it owns."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root cannot be kept out of a file here")
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0, os.strerror(ctypes.get_errno())
    before = sets[_EFFECTIVE]
    try:
        sets[_EFFECTIVE] = before & ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
        assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
        yield
    finally:
        sets[_EFFECTIVE] = before
        assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
