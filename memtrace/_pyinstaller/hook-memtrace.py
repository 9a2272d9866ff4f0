"""What belongs into a frozen application that imports `memtrace`; read by PyInstaller when it builds one."""

from __future__ import annotations

from importlib.util import find_spec

from PyInstaller.utils.hooks import (  # type: ignore[import-untyped,import-not-found,unused-ignore]  # not needed here
    collect_data_files,
    collect_entry_point,
)

datas: list[tuple[str, str]] = collect_data_files("memtrace")
hiddenimports: list[str] = ["memtrace.integrations.mcp"] if find_spec("mcp") else []

for group in ("memtrace.transports", "memtrace.middleware"):  # also those that others publish
    metadata, modules = collect_entry_point(group)
    datas += metadata
    hiddenimports += modules
