"""Signatures that show each keyword of a method that takes the fields of a model, for `help`, `inspect` and editors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

MethodT = TypeVar("MethodT", bound=Callable[..., object])

_MODELS: Final = {
    "AddMemoryParams": "AddMemoryRequest",
    "AgentMemoriesParams": "ListOptions",
    "ContextParams": "ContextOptions",
    "CreateSessionParams": "CreateSessionRequest",
    "DecideParams": "AddMemoryRequest",
    "FilterParams": "SearchQuery",
    "ListParams": "ListOptions",
    "MemoryContextParams": "PromptContextOptions",
    "PromptContextParams": "PromptContextOptions",
    "RecallParams": "ListOptions",
    "RegisterAgentParams": "RegisterAgentRequest",
    "RememberParams": "AddMemoryRequest",
    "SessionDecideParams": "AddMemoryRequest",
    "SessionMemoriesParams": "ListOptions",
    "SessionRememberParams": "AddMemoryRequest",
    "UpdateSessionParams": "UpdateSessionRequest",
}
"""Whose fields the keywords are; it has their defaults."""


class _Needed:
    """The default of a field that has none: it is needed where the model is not given as a whole."""

    def __repr__(self) -> str:
        return "<needed>"

    def __reduce__(self) -> str:
        return "_NEEDED"


_NEEDED: Final = _Needed()


def keywords(fields: str | None = None) -> Callable[[MethodT], MethodT]:
    """Have the signature of a method show the keywords of this class of `request_params` in the place of ``**fields``.

    Without a class it shows none: the method takes what it does not know to refuse it.
    """

    def shown(method: MethodT) -> MethodT:
        vars(method)["__signature__"] = _LazySignature(method, fields)
        return method

    return shown


class _LazySignature(inspect.Signature):
    """A signature that is made when somebody looks at it, which an import does not."""

    __slots__ = ("_fields", "_made", "_method")

    def __init__(self, method: Callable[..., object], fields: str | None) -> None:
        self._method = method
        self._fields = fields
        self._made: inspect.Signature | None = None

    @property
    def _whole(self) -> inspect.Signature:
        if self._made is None:
            self._made = _signature(self._method, self._fields)
        return self._made

    @property
    def parameters(self) -> MappingProxyType[str, inspect.Parameter]:
        return self._whole.parameters

    @property
    def return_annotation(self) -> Any:
        return self._whole.return_annotation

    def replace(self, **changed: Any) -> Any:
        return self._whole.replace(**changed)

    def __reduce__(self) -> Any:
        return self._whole.__reduce__()


def _signature(method: Callable[..., object], fields: str | None) -> inspect.Signature:
    bare = FunctionType(method.__code__, method.__globals__, method.__name__, method.__defaults__)
    bare.__kwdefaults__, bare.__annotations__ = method.__kwdefaults__, method.__annotations__
    own = inspect.signature(bare)
    *before, _ = own.parameters.values()  # the last one is **fields
    return own.replace(parameters=before if fields is None else [*before, *_keywords(fields)])


def _keywords(fields: str) -> Iterator[inspect.Parameter]:
    from memtrace import context, models
    from memtrace.resources import request_params

    name = _MODELS[fields]
    model: type[BaseModel] = getattr(models if name in models.__all__ else context, name)
    for field, annotation in _annotations(getattr(request_params, fields)).items():
        known = model.model_fields.get(field)
        default = None if known is None else _NEEDED if known.is_required() else known.get_default()
        yield inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _annotations(fields: type) -> dict[str, str]:
    """The keywords' types as they are written, without what says that one is needed."""
    written = {name: getattr(ref, "__forward_arg__", str(ref)) for name, ref in fields.__annotations__.items()}
    return {
        name: text.removeprefix("Required[").removesuffix("]") if text.startswith("Required[") else text
        for name, text in written.items()
    }
