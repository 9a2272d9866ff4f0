"""The settings of the server that change what a client sees; their names are those of its configuration page."""

from __future__ import annotations

from dataclasses import dataclass, fields

_BOUNDS = {
    "dedup_window_hours": (0, 24 * 365),
    "write_batch_size": (1, 10_000),
    "write_flush_interval_ms": (1, 3_600_000),
}


@dataclass(slots=True)
class ServerSettings:
    """One server's settings; all its organisations share them. Raises `ValueError` for a value that makes no sense."""

    #: Without the check nothing is a duplicate, also not by a caller's key.
    dedup_enabled: bool = True
    dedup_window_hours: int = 24
    #: So many waiting rows send themselves.
    write_batch_size: int = 100
    #: How often the tick comes that sends what waits.
    write_flush_interval_ms: int = 1000

    def __post_init__(self) -> None:
        self.change()

    def change(self, **values: object) -> None:
        """Take other values; all of them, or none where one of them is wrong."""
        changed = {field.name: values.get(field.name, getattr(self, field.name)) for field in fields(self)}
        for name, value in changed.items():
            _check(name, value)
        for name, value in changed.items():
            setattr(self, name, value)


def _check(name: str, value: object) -> None:
    if name not in _BOUNDS:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        return
    least, most = _BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name} must be a whole number from {least} to {most}")
