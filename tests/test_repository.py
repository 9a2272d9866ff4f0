"""The files around the code: what only a host of repositories runs agrees with what stands here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def commands(workflow):
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def classified_pythons():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return set(re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text))


def test_the_tests_run_on_every_python_that_the_package_names():
    matrix = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert classified_pythons() <= set(matrix["python"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_starts_only_sessions_that_there_are(path):
    noxfile = ROOT / "noxfile.py"
    if not noxfile.exists():
        pytest.skip("the tests of a wheel have no noxfile")
    sessions = set()
    for node in ast.parse(noxfile.read_text(encoding="utf-8")).body:
        for decorator in getattr(node, "decorator_list", ()):
            named = [word.value.value for word in getattr(decorator, "keywords", ()) if word.arg == "name"]
            sessions.update(named or [node.name])
    workflow = read(path)
    started = {word for line in commands(workflow) for word in re.findall(r"--session (\S+)", line)}
    for job in workflow["jobs"].values():
        started.update(job.get("strategy", {}).get("matrix", {}).get("session", ()))
    assert {name for name in started if not name.startswith("$")} <= sessions


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_write_nothing_but_what_its_job_asks_for(path):
    assert read(path)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_each_field_of_a_form_has_an_id_of_its_own(path):
    form = read(path)
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]
    assert ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("message", "refused"),
    [("x" * 72, False), ("x" * 73, True), ("Short\n\n" + "x" * 100, False), (f"{'é' * 73}\n", True)],
)
def test_a_commit_whose_subject_is_longer_than_72_characters_is_refused(message, refused):
    hooks = {hook["id"]: hook for hook in read(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]}
    found = re.search(hooks["subject-length"]["entry"], message, re.MULTILINE | re.DOTALL)  # as pre-commit searches
    assert bool(found) is refused


def test_the_documentation_is_hosted_as_it_is_built_here():
    settings = read(ROOT / ".readthedocs.yaml")
    assert settings["sphinx"] == {"configuration": "docs/conf.py", "fail_on_warning": True}
