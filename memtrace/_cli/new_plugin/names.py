"""The names of a plugin: what may be published, imported and asked for."""

from __future__ import annotations

import keyword
import re
import sys
from importlib import metadata
from importlib.machinery import PathFinder
from typing import Final, NamedTuple

from memtrace._cli.exit_status import CommandError, ExitStatus
from memtrace._cli.new_plugin.kinds import KINDS

_PREFIX: Final = "memtrace-"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")  # in the normal form of PEP 503, and a scheme of a URL
_OWN: Final = frozenset({"memtrace", "memtrace_sdk", "memtrace_transports", "tests"})


class PluginNames(NamedTuple):
    """Every name of one plugin."""

    kind: str
    #: What pip installs, as in ``memtrace-audit``.
    distribution: str
    #: What clients ask for, as in ``audit``.
    name: str
    #: The module to import, such as ``memtrace_audit``.
    package: str
    #: Its class, as in ``AuditMiddleware``.
    class_name: str


def plugin_names(kind: str, distribution: str) -> PluginNames:
    """The names that follow from a distribution's. Raises `CommandError` for one that cannot be published, imported or asked for."""
    if _NAME.fullmatch(distribution) is None:
        normal = re.sub(r"[-_.\s]+", "-", distribution).strip("-").lower()
        near = f"; did you mean {normal}?" if _NAME.fullmatch(normal) else ", as in memtrace-audit"
        raise _unusable("must be lower-case letters of a to z, digits and single hyphens, a letter first" + near)
    name, package = distribution.removeprefix(_PREFIX), distribution.replace("-", "_")
    if _NAME.fullmatch(name) is None:
        raise _unusable(f"gives users the name {name}, which does not begin with a letter")
    owner = _owner_of_package(package)
    if owner is not None:
        prefixed = f"; did you mean {_PREFIX}{distribution}?" if name == distribution else ""
        raise _unusable(f"makes the package {package}, which is {owner}{prefixed}")
    _check_is_free(kind, name, distribution)
    class_name = "".join(map(str.capitalize, name.split("-"))) + kind.capitalize()
    return PluginNames(kind, distribution, name, package, class_name)


def _unusable(problem: str) -> CommandError:
    return CommandError(f"NAME {problem}", ExitStatus.USAGE)


def _owner_of_package(package: str) -> str | None:
    """Whose word or package it is already; None where it is free, or an earlier edition of a plugin has it."""
    if keyword.iskeyword(package):
        return "a word of the language"
    if package in sys.stdlib_module_names:
        return "a module of Python's standard library"
    if package in _OWN:
        return "in use by memtrace-sdk or by the tests of the new package"
    if PathFinder.find_spec(package) is None:
        return None
    groups = {kind.group for kind in KINDS.values()}
    for distribution in metadata.packages_distributions().get(package, ()):
        if groups.isdisjoint(entry.group for entry in metadata.distribution(distribution).entry_points):
            return f"a package of {distribution}, installed here"
    return None


def _check_is_free(kind: str, name: str, distribution: str) -> None:
    """Refuse a name that the SDK has, which a plugin cannot take, and one that another distribution has, which nobody could ask for."""
    owner = KINDS[kind].registry.distribution(name)
    if owner is not None and re.sub(r"[-_.]+", "-", owner[0]).lower() != distribution:
        article = "the built-in" if owner[0] == "memtrace-sdk" else "a"
        raise _unusable(f"gives users the name {name}, which is that of {article} {kind} of {' '.join(owner)}")
