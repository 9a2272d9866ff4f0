"""Keys of profiles: from a variable, or from the keyring of the machine."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.profiles import Profile
from memtrace._support.secrets import hidden

_SERVICE = "memtrace-sdk"


def read_key(name: str, profile: Profile) -> tuple[str, str]:
    """A profile's key, and where it comes from. Raises `CommandError` where there is none."""
    if profile.api_key_env is not None:
        key = hidden(os.environ.get(profile.api_key_env))
        if not key:
            raise CommandError(
                f"the profile {name!r} has its key in {profile.api_key_env}, which is not set: set it",
                ExitStatus.USAGE,
            )
        return key, profile.api_key_env
    with _keyring() as keyring:
        key = hidden(keyring.get_password(_SERVICE, name))
    if not key:
        raise CommandError(
            f"the profile {name!r} has no key: store one with memtrace-sdk profiles set-key {name}", ExitStatus.USAGE
        )
    return key, "the keyring"


def store_key(name: str, key: str) -> None:
    """Put a profile's key into the keyring. Raises `CommandError` where that cannot be used."""
    with _keyring() as keyring:
        keyring.set_password(_SERVICE, name, key)


def forget_key(name: str) -> None:
    """Take a profile's key out of the keyring, where there are both. Raises `CommandError` where that cannot be used."""
    if importlib.util.find_spec("keyring") is None:
        return
    with _keyring() as keyring:
        try:
            if keyring.get_password(_SERVICE, name) is not None:
                keyring.delete_password(_SERVICE, name)
        except keyring.errors.NoKeyringError:
            return


@contextmanager
def _keyring() -> Iterator[ModuleType]:
    advice = "or name a variable: memtrace-sdk profiles add NAME --base-url URL --api-key-env NAME"
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise CommandError(
            f'keys of profiles are kept by the package keyring: pip install "memtrace-sdk[keyring]", {advice}',
            ExitStatus.USAGE,
        ) from None
    try:
        yield keyring
    except keyring.errors.KeyringError as error:
        raise CommandError(
            f"the keyring cannot be used here ({type(error).__name__}): unlock or install one, {advice}",
            ExitStatus.FAILED,
        ) from None
