"""Profiles: servers by name in one TOML file, their keys in variables or in the keyring, never in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import platformdirs
import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import Table

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.files import replace_file
from memtrace._cli.home import folder_of_user

_MAX_CHARACTERS = 256 * 1024  # reading TOML takes up to 600 times its size


@dataclass(frozen=True, slots=True)
class Profile:
    """One server, and where its key comes from."""

    base_url: str
    transport: str | None = None
    #: Seconds for one attempt.
    timeout: float | None = None
    #: The variable that holds the key; without it the keyring does.
    api_key_env: str | None = None

    def settings(self) -> dict[str, str | float]:
        """The settings, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says."""

    profiles: Mapping[str, Profile]
    default: str | None = None

    def get(self, name: str) -> Profile:
        """The profile of this name. Raises `CommandError`."""
        try:
            return self.profiles[name]
        except KeyError:
            known = ", ".join(self.profiles) or "none"
            raise CommandError(
                f"there is no profile {name!r} in {config_path()} (there: {known}); "
                "make it with: memtrace-sdk profiles add NAME --base-url URL",
                ExitStatus.USAGE,
            ) from None


def config_path() -> Path:
    """Where the file is: MEMTRACE_CONFIG, else ``memtrace/config.toml`` in the platform's folder for settings."""
    given = os.environ.get("MEMTRACE_CONFIG")
    if given:
        return Path(given)
    instead = "--base-url / MEMTRACE_CONFIG"
    folder = folder_of_user(lambda: platformdirs.user_config_path("memtrace", appauthor=False), instead=instead)
    return folder / "config.toml"


def moved_config_path() -> Path | None:
    """The file, absolute, where a variable of this process names its folder, which other programs may not have; else None."""
    names = ("MEMTRACE_CONFIG", "XDG_CONFIG_HOME", "WIN_PD_OVERRIDE_LOCAL_APPDATA")  # the last two: platformdirs
    return config_path().absolute() if any(os.environ.get(name) for name in names) else None


# ---- reading --------------------------------------------------------------------------------------------------------


def load() -> Config:
    """Read the file; without one there are no profiles. Raises `CommandError` for what it cannot mean."""
    document = _document().unwrap()
    profiles = document.pop("profiles", {})
    default = document.pop("default", None)
    if document:
        raise _wrong(next(iter(document)), "is not known; there are default and [profiles.NAME]")
    if not isinstance(profiles, dict):
        raise _wrong("profiles", "must be a table: [profiles.NAME]")
    found = {name: _profile(name, fields) for name, fields in cast("dict[str, object]", profiles).items()}
    if default is not None and default not in found:
        raise _wrong("default", "must be the name of one of the profiles")
    return Config(found, default)


def _document() -> tomlkit.TOMLDocument:
    path = config_path()
    try:
        with path.open(encoding="utf-8-sig") as stream:
            text = stream.read(_MAX_CHARACTERS + 1)
        _check_size(text)
        return tomlkit.parse(text)
    except FileNotFoundError:
        return tomlkit.document()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", ExitStatus.USAGE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8; convert it", ExitStatus.USAGE) from None
    except TOMLKitError as error:
        place = f" in line {error.line}" if isinstance(error, ParseError) else ""
        raise CommandError(f"{path} is not TOML{place}; correct it", ExitStatus.USAGE) from None


def _check_size(text: str) -> None:
    if len(text) > _MAX_CHARACTERS:
        raise CommandError(
            f"{config_path()} has more than {_MAX_CHARACTERS:,} characters, too many for profiles", ExitStatus.USAGE
        )


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "base_url": ((str,), "a string"),
    "transport": ((str,), "a string"),
    "timeout": ((int, float), "a number of seconds"),
    "api_key_env": ((str,), "the name of a variable"),
}


def _profile(name: str, table: object) -> Profile:
    place = f"profiles.{name}"
    if not isinstance(table, dict):
        raise _wrong(place, "must be a table")
    given = cast("dict[str, object]", table)
    for field, value in given.items():
        if field not in _KINDS:
            advice = (
                f"keys do not stand in this file: memtrace-sdk profiles set-key {name}, or api_key_env"
                if "key" in field
                else f"is not known; there are {', '.join(_KINDS)}"
            )
            raise _wrong(f"{place}.{field}", advice)
        types, kind = _KINDS[field]
        if not isinstance(value, types) or isinstance(value, bool):
            raise _wrong(f"{place}.{field}", f"must be {kind}")
    if not given.get("base_url"):
        raise _wrong(f"{place}.base_url", "is missing")
    return Profile(**given)  # type: ignore[arg-type]  # each field's type was looked at


def _wrong(place: str, problem: str) -> CommandError:
    return CommandError(f"{config_path()}: {place}: {problem}", ExitStatus.USAGE)


# ---- writing --------------------------------------------------------------------------------------------------------


def save(name: str, profile: Profile, *, default: bool) -> None:
    """Add or replace a profile; the first one, and one that is asked for, becomes the default. Comments stay."""
    before = load()
    document = _document()
    profiles = cast("Table", document.setdefault("profiles", tomlkit.table(is_super_table=True)))
    table = tomlkit.table()
    for field, value in profile.settings().items():
        table.add(field, value)
    profiles[name] = table
    if default or not before.profiles:
        document = _chosen(document, name)
    _write(document)


def remove(name: str) -> None:
    """Take a profile out; when it was the default there is none. Raises `CommandError` for an unknown one."""
    config = load()
    config.get(name)
    document = _document()
    del cast("Table", document["profiles"])[name]
    if config.default == name:
        del document["default"]
    _write(document)


def set_default(name: str) -> None:
    """Choose the default profile. Raises `CommandError` for an unknown one."""
    load().get(name)
    _write(_chosen(_document(), name))


def _chosen(document: tomlkit.TOMLDocument, name: str) -> tomlkit.TOMLDocument:
    if "default" in document:
        document["default"] = name
        return document
    line = f"default = {tomlkit.item(name).as_string()}\n"  # before the first table, where it has to stand
    return tomlkit.parse(line + tomlkit.dumps(document))


def _write(document: tomlkit.TOMLDocument) -> None:
    path, text = config_path(), tomlkit.dumps(document)
    _check_size(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", ExitStatus.FAILED) from None
