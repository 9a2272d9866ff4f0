"""The model answers what the real server answered, before anything is held against it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from memtrace.transport import Headers, Response
from memtrace_transports.memory import ManualClock
from tests.fake.model.server import SECOND, Model, Organisation
from tests.fake.replay import Scenario, differences, load_files

FILES = load_files(Path(__file__).parents[1] / "vectors")


class Replayed:
    """The model with the face that `replay` drives."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.model = Model(self.now())

    def now(self) -> int:
        return round(self.clock.wall() * 1_000_000) * (SECOND // 1_000_000)

    def organisation(self, name: str, **states: str) -> Organisation:
        return self.model.organisation(name, **states)

    def flush(self) -> None:
        self.model.settle(self.now())

    def seed(self, org: Organisation, rows: Iterable[Mapping[str, Any]]) -> int:
        return self.model.seed(org, rows, self.now())

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response | None:
        answer = self.model.answer(method, target, headers, body or b"", self.now())
        if answer is None:
            return None
        status, content_type, text = answer
        return Response(status, Headers({"content-type": content_type} if content_type else {}), text)


@pytest.mark.parametrize("scenarios", [pytest.param(scenarios, id=name) for name, scenarios in FILES.items()])
def test_the_model_answers_as_the_server_did(scenarios: list[Scenario], clock: ManualClock) -> None:
    replayed = Replayed(clock)
    assert differences(scenarios, replayed, clock, replayed.send) == []


@pytest.mark.parametrize("name", ["go_json.py", "server.py"])
def test_the_model_shares_no_code_with_the_fake(name: str) -> None:
    tree = ast.parse((Path(__file__).parent / name).read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert [module for module in modules if module.startswith("memtrace")] == []
