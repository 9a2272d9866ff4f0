"""Pages that show what agents remember: ``memtrace-sdk view``, and timelines in notebooks."""

from __future__ import annotations
