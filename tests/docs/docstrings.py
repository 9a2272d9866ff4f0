"""What the reference shows of each public function, method and class, and what it lacks."""

from __future__ import annotations

import ast
import inspect
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from types import FunctionType, ModuleType
from typing import cast

from sphinx.ext.napoleon import Config, GoogleDocstring

from tests.docs import pages

_DIRECTIVE = re.compile(r"^\.\. auto(class|function|exception):: ([\w.]+)([^\n]*)\n((?:   :[^\n]*\n)*)", re.MULTILINE)
_PLAIN = Config(napoleon_numpy_docstring=False)
_TOOL_SETTING = re.compile(r"#!|# *(type:|noqa|pragma:|mypy:|pyright:|ruff:|fmt:)")
OWN = ("memtrace.", "memtrace_transports.")


@dataclass(frozen=True)
class Entry:
    """A function, a method, a property or a class of the reference."""

    name: str
    value: object
    #: Whether users call it. The reference shows a class that only the SDK creates with empty parentheses.
    is_called: bool = True

    @property
    def function(self) -> FunctionType | None:
        """What runs when it is called; None for a class and a property."""
        value = inspect.unwrap(self.value) if callable(self.value) else self.value
        return value if isinstance(value, FunctionType) else None

    @property
    def doc(self) -> str:
        """Its docstring, without the indentation of the source."""
        own = self.value.__dict__.get("__doc__") if isinstance(self.value, type) else self.value.__doc__
        return inspect.cleandoc(own or "")


def entries() -> list[Entry]:
    """Everything that the reference describes, sync and async; each once."""
    found = {}
    for kind, name, signature, options in _DIRECTIVE.findall(pages.reference()):
        if pages.is_lacking(name):
            continue
        value = named(name)
        found[name] = Entry(name, value, signature != "()")
        if kind != "function" and ":no-members:" not in options:
            found.update((entry.name, entry) for entry in _members(name, value, options))
    return list(found.values())


def named(name: str) -> object:
    """The object of a dotted name, whose first parts are modules."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            value: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            value = getattr(value, part)
        return value
    raise LookupError(name)


def _members(name: str, kind: type, options: str) -> Iterator[Entry]:
    left_out = set(re.findall(r"\w+", "".join(re.findall(r":exclude-members: (.*)", options))))
    shown = set(re.findall(r"\w+", "".join(re.findall(r":special-members: (.*)", options))))
    for base in kind.__mro__:
        if base is not kind and not (base.__module__.startswith(OWN) and base.__name__.startswith("_")):
            continue  # a public base has its own entry
        for member, value in vars(base).items():
            plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            is_shown = member in shown or not (member.startswith("_") or member in left_out | {"model_post_init"})
            if is_shown and isinstance(plain, (FunctionType, property)) and _is_ours(plain):
                yield Entry(f"{name}.{member}", plain)


def _is_ours(value: FunctionType | property) -> bool:
    function = value.fget if isinstance(value, property) else value
    return str(getattr(function, "__module__", "")).startswith(OWN)


# ---- what is missing ------------------------------------------------------------------------------------------------


def lacks(entry: Entry) -> list[str]:
    """What a reader of this entry's docstring misses, one phrase for each."""
    doc = entry.doc
    summary = doc.partition("\n")[0]
    missing = []
    if not summary:
        return ["a docstring"]
    if not re.search(r"[.?:]$", summary) or (doc.count("\n") and doc.split("\n")[1]):
        missing.append("a first line that is a sentence of its own")
    shown = GoogleDocstring(doc.split("\n"), _PLAIN).lines()
    if any(line.startswith(":rtype:") for line in shown):
        missing.append("Returns without a colon, before which Sphinx reads a type")
    function = entry.function
    if isinstance(entry.value, type):
        return missing + (_class_lacks(entry.value, shown) if entry.is_called else [])
    if re.search(r"\bRaises [`A-Z]", doc):
        missing.append("its “Raises …” in a section")
    if function is None:
        return missing
    missing += _argument_lacks(parameters(function), _fields("param", shown))
    if returns(function) and not any(re.match(r":(returns|Yields):", line) for line in shown):
        missing.append("Yields" if _yields(function) else "Returns")
    if raises(function) and not _fields("raises", shown):
        missing.append("Raises")
    return missing


def _class_lacks(kind: type, shown: list[str]) -> list[str]:
    init = kind.__dict__.get("__init__")
    if not isinstance(init, FunctionType) or not _is_ours(init) or init.__code__.co_filename == "<string>":
        return []
    described = {*_fields("param", shown), *documented_attributes(kind)}
    return [f"Args: {name}" for name in parameters(init) if name not in described]


def _argument_lacks(there: list[str], described: list[str]) -> list[str]:
    missing = [f"Args: {name}" for name in there if name not in described]
    return missing + [f"no such argument: {name}" for name in described if name not in there]


def _fields(kind: str, shown: list[str]) -> list[str]:
    """The names of ``:param name:`` or ``:raises name:`` of a docstring as Sphinx renders it."""
    return [match[1].replace("\\", "").lstrip("*") for line in shown if (match := re.match(rf":{kind} ([^:]+):", line))]


def parameters(function: FunctionType) -> list[str]:
    """The parameters, without the object that a method belongs to, and without those that nobody may pass."""
    # of its code, since a decorator may show editors the fields that `**fields` stands for
    return [
        node.arg
        for node in ast.walk(_tree(function).args)
        if isinstance(node, ast.arg)
        and node.arg not in {"self", "cls"}
        and (node.annotation is None or ast.unparse(node.annotation) != "NoReturn")
    ]


def returns(function: FunctionType) -> bool:
    """Whether the caller gets something."""
    annotation = _tree(function).returns
    return annotation is not None and ast.unparse(annotation) not in {"None", "NoReturn"}


def _yields(function: FunctionType) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def raises(function: FunctionType) -> bool:
    """Whether it has a ``raise`` of its own, or sends something."""
    return any(
        (isinstance(node, ast.Raise) and node.exc is not None) or _sends(node) for node in _own_nodes(_tree(function))
    )


def _sends(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    of = ast.unparse(node.func.value)
    return of.endswith("._dispatcher") and node.func.attr in {"send", "send_raw", "run", "stream"}


def _own_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions in it."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from _own_nodes(node)


def _tree(function: FunctionType) -> ast.FunctionDef:
    return cast("ast.FunctionDef", ast.parse(textwrap.dedent(inspect.getsource(function))).body[0])


def documented_attributes(kind: type) -> set[str]:
    """The attributes of a class and its bases that a ``#:`` comment or a property's docstring describes."""
    bases = [base for base in kind.__mro__ if base.__module__.startswith(OWN)]
    described = {name for base in bases for name in _commented(inspect.getmodule(base)).get(base.__name__, ())}
    return described | {name for base in bases for name, value in vars(base).items() if isinstance(value, property)}


@cache
def _commented(module: ModuleType | None) -> dict[str, set[str]]:
    if module is None or not module.__name__.startswith(OWN):
        return {}
    source = inspect.getsource(module)
    lines = source.splitlines()
    return {
        node.name: {
            each.target.id
            for each in node.body
            if isinstance(each, ast.AnnAssign)
            and isinstance(each.target, ast.Name)
            and lines[each.lineno - 2].lstrip().startswith("#:")
        }
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    }


def prose(doc: str) -> str:
    """The sentences of a docstring, each paragraph and each argument on one line, without examples and code."""
    doc = re.sub(r"^ *>>> .*?(?=\n\s*\n|\Z)|^ *::$.*?(?=\n\S|\Z)", "", doc, flags=re.MULTILINE | re.DOTALL)
    doc = re.sub(r"``[^`]*``|`[^`]*`", "CODE", doc)
    return re.sub(r"\n(?! *[\w*]+: |\s*\n)\s*", " ", doc)


def attribute_docs() -> dict[str, str]:
    """The ``#:`` comments, and the strings below assignments, of the modules that have something public; by their place."""
    modules = {inspect.getmodule(inspect.unwrap(entry.value)) for entry in entries() if callable(entry.value)}
    found: dict[str, str] = {}
    for module in modules - {None}:
        source = inspect.getsource(module)
        for number, text in (*comments(source), *strings_below_assignments(source)):
            found[f"{module.__name__}:{number}"] = text
    return found


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Each ``#:`` comment with its first line; those of several lines are one."""
    for block in re.finditer(r"^ *#: .*\n(?: *#: .*\n)*", source, re.MULTILINE):
        text = " ".join(line.strip().removeprefix("#: ") for line in block[0].splitlines())
        yield source.count("\n", 0, block.start()) + 1, text


def strings_below_assignments(source: str) -> Iterator[tuple[int, str]]:
    """Each string that stands below an assignment and says what it is, with its line."""
    body = ast.parse(source).body
    for one, after in pairwise(body):
        is_string = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if is_string and isinstance(one, (ast.Assign, ast.AnnAssign)):
            yield after.lineno, inspect.cleandoc(str(after.value.value))


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """Each docstring, string below an assignment and comment of a module, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = ast.get_docstring(node)
            if doc is not None:
                yield cast("ast.Expr", node.body[0]).lineno, doc
    yield from strings_below_assignments(source)
    yield from all_comments(source)


def all_comments(source: str) -> Iterator[tuple[int, str]]:
    """Each comment with its first line. Comments on consecutive lines of their own are one. Settings of tools are none."""
    block: list[str] = []
    start = end = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or _TOOL_SETTING.match(token.string):
            continue
        line, is_alone = token.start[0], token.line.lstrip().startswith("#")
        if block and not (is_alone and line == end + 1):
            yield start, " ".join(block)
            block = []
        if not block:
            start = line
        block.append(token.string.lstrip("#:").strip())
        end = line if is_alone else 0
    if block:
        yield start, " ".join(block)
