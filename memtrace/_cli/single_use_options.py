"""Commands that take no option twice which has one value: the last would win without a word."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperOption


class SingleUseOptionsCommand(TyperCommand):
    """A command that refuses a repeated option, unless it takes several values or none."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        given: list[Any] = [*self.make_parser(ctx).parse_args([*args])[2]]
        for option in given:
            single = isinstance(option, TyperOption) and not option.multiple and not option.is_flag
            if single and given.count(option) > 1 and not ctx.resilient_parsing:
                raise typer.BadParameter("it has one value, and is given twice", ctx=ctx, param=option)
        return super().parse_args(ctx, args)
