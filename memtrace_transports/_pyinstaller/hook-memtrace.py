"""What belongs into a frozen application that imports `memtrace`; read by PyInstaller when it builds one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PyInstaller.depend.imphookapi import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        PostGraphAPI,
    )


def hook(hook_api: PostGraphAPI) -> None:
    """Add the files of data, and what is imported by name: transports, middleware and rankers, also those that others publish."""
    from PyInstaller.utils.hooks import (  # type: ignore[import-untyped,import-not-found,unused-ignore]
        collect_data_files,
        collect_entry_point,
    )

    hook_api.add_datas(collect_data_files("memtrace"))
    for group in ("memtrace.transports", "memtrace.middleware", "memtrace.rankers"):
        metadata, modules = collect_entry_point(group)
        hook_api.add_datas(metadata)
        hook_api.add_imports(*modules)
    if find_spec("mcp") is not None:
        hook_api.add_imports("memtrace.integrations.mcp")
