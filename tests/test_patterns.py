"""Every pattern of the SDK reads a text of any of its own characters in a time that grows as the text does."""

from __future__ import annotations

import ast
import re
import time
from importlib import import_module
from pathlib import Path

import pytest

import memtrace
import memtrace_transports
from tests.sampling import is_whole

USES = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub")
#: What reads the text of a test's author alone.
LEFT_OUT = {"memtrace_transports.memory._controls.fault_targets._PART"}
LARGEST = 1_000_000 if is_whole() else 16_000
SIZES = [size for size in (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000) if size <= LARGEST]
#: What texts of others are made of, whatever the pattern has.
USUAL = "a0 \n/\\\"'\x00é"


def sources():
    for package in (memtrace, memtrace_transports):
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            place = path.relative_to(root.parent).with_suffix("")
            yield ".".join(place.parts).removesuffix(".__init__"), path.read_text(encoding="utf-8")


def is_re(node):
    return isinstance(node, ast.Name) and node.id == "re"


def found_patterns():
    """Each pattern by where it stands, with the ways in which that module uses it."""
    found = {}
    for module, source in sources():
        tree = ast.parse(source)
        calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)]
        for call in calls:
            use, owner = call.func.attr, call.func.value
            if is_re(owner) and use in USES and isinstance(call.args[0], ast.Constant):
                found[f"{module}:{call.lineno}", use] = call.args[0].value
        named = {
            target.id
            for each in tree.body
            if isinstance(each, (ast.Assign, ast.AnnAssign)) and "re.compile" in ast.unparse(each)
            for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
            if isinstance(target, ast.Name)
        }
        for name in named:
            uses = {
                each.attr
                for each in ast.walk(tree)
                if isinstance(each, ast.Attribute) and ast.unparse(each.value) == name
            }
            for use in uses & set(USES):
                found[f"{module}.{name}", use] = None
    return found


PATTERNS = found_patterns()


def compiled(place, text):
    if text is not None:
        return re.compile(text)
    module, _, name = place.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except ImportError:  # a framework's, in the lowest versions
        pytest.skip(f"{module} cannot be imported here")


def applied(pattern, use, text):
    if use == "sub":
        pattern.sub(lambda match: match[0], text)
    elif use == "finditer":
        for _ in pattern.finditer(text):
            pass
    else:
        getattr(pattern, use)(text)


def seconds(pattern, use, text):
    began = time.process_time()
    applied(pattern, use, text)
    return time.process_time() - began


@pytest.mark.parametrize(
    ("place", "use"), [pytest.param(*each, id=" ".join(each)) for each in sorted(PATTERNS) if each[0] not in LEFT_OUT]
)
def test_a_pattern_takes_time_that_grows_as_the_text_does(place, use):
    pattern = compiled(place, PATTERNS[place, use])
    is_bytes = isinstance(pattern.pattern, bytes)
    own = pattern.pattern.decode("latin-1") if is_bytes else pattern.pattern
    beginnings = ["", *re.findall(r"[A-Za-z/\"'][\w /\"':]+", own)][:6]
    for sign in sorted(set(own) | set(USUAL)):
        for beginning in beginnings:
            for size in SIZES:
                text = beginning + sign * size
                given = text.encode("latin-1", "replace") if is_bytes else text
                allowed = 0.15 + size * 3e-6  # a square takes a second and more for 16,000
                took = (
                    min(seconds(pattern, use, given) for _ in range(3)) if seconds(pattern, use, given) > allowed else 0
                )
                assert took <= allowed, f"{size} of {sign!r} behind {beginning!r} took {took:.2f} s"


def test_the_patterns_are_found():
    assert len(PATTERNS) > 40
    assert ("memtrace.operations._server_messages._QUERY_EXCERPT", "search") in PATTERNS
