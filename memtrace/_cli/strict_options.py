"""Commands that take an option only as it was meant: not twice where the last would win, and not empty where that means all."""

from __future__ import annotations

from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperOption

from memtrace._cli.exit_status import CommandError, ExitStatus

#: The two options that name a store, and what to do in a command that has the other one.
_PLACES: Final = {
    "--store": "use --base-url, which accepts sqlite:///agent.db too",
    "--base-url": "use --store, which names the file that it maintains or serves",
}


class StrictOptionsCommand(TyperCommand):
    """A command that refuses a repeated option, unless it takes several values or none, and an empty one.

    An unset variable of a shell gives an empty text. It is taken where that is the default, and of an argument that has to be
    there, which the command looks at by itself.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        try:
            values, _, order = self.make_parser(ctx).parse_args([*args])
        except typer.TyperException as error:
            self._check_place(str(getattr(error, "option_name", "")))
            raise
        given: list[Any] = [*order]
        for parameter in () if ctx.resilient_parsing else given:
            problem = _problem(parameter, values[parameter.name], given.count(parameter))
            if problem is not None:
                raise typer.BadParameter(problem, ctx=ctx, param=parameter)
        return super().parse_args(ctx, args)

    def _check_place(self, option: str) -> None:
        """Refuse the option with which other commands name a store or a server. Raises `CommandError`."""
        known = {name for parameter in self.params for name in parameter.opts}
        if option in _PLACES and not _PLACES.keys().isdisjoint(known):
            raise CommandError(f"this command has no {option}: {_PLACES[option]}", ExitStatus.USAGE)


def _problem(parameter: Any, value: object, times: int) -> str | None:
    is_option = isinstance(parameter, TyperOption)
    if is_option and not parameter.multiple and not parameter.is_flag and times > 1:
        return "it has one value, and is given twice"
    is_empty = value == "" or (isinstance(value, (list, tuple)) and "" in value)
    if is_empty and parameter.default != "" and (is_option or not parameter.required):
        advice = "give a value" if parameter.required else "leave it out, or give a value"
        return f"it is empty, as an unset variable leaves it: {advice}"
    return None
