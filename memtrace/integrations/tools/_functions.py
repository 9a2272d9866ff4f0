"""Tools as plain Python functions: signature, annotations and docstring, from which frameworks make their schemas."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from memtrace.integrations.tools._arguments import Arguments
from memtrace.integrations.tools._definitions import Definition

ToolFunction = Callable[..., str]
"""A tool as a function. It returns the result as a string."""

AsyncToolFunction = Callable[..., Coroutine[Any, Any, str]]
"""A tool as an async function. It returns the result as a string."""

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def described(function: FunctionT, definition: Definition) -> FunctionT:
    """Give a function the name, signature, annotations and Google docstring of a tool."""
    signature = _signature(definition.arguments)
    function.__name__ = function.__qualname__ = definition.name
    function.__doc__ = _docstring(definition)
    function.__annotations__ = {
        **{name: parameter.annotation for name, parameter in signature.parameters.items()},
        "return": signature.return_annotation,
    }
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def by_name(definition: Definition, positional: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by their names. Raises `TypeError` as any Python function does."""
    names = [*definition.arguments.model_fields]
    if len(positional) > len(names):
        raise TypeError(f"{definition.name}() takes {len(names)} arguments, and got {len(positional)}")
    given = dict(zip(names, positional, strict=False))
    for name in given:
        if name in named:
            raise TypeError(f"{definition.name}() got several values for argument {name!r}")
    return {**given, **named}


def _signature(arguments: type[Arguments]) -> inspect.Signature:
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if field.is_required() else field.default,
            annotation=field.annotation,
        )
        for name, field in arguments.model_fields.items()
    ]
    return inspect.Signature(parameters, return_annotation=str)


def _docstring(definition: Definition) -> str:
    fields = definition.arguments.model_fields.items()
    lines = [f"    {name}: {field.description}" for name, field in fields]
    return "\n".join([definition.description, "", "Args:", *lines, "", "Returns:", "    The result, for the model."])
