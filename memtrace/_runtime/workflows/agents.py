"""What takes several operations on agents."""

from __future__ import annotations

from collections.abc import Sequence

from memtrace._runtime.workflows.steps import Workflow, run_operation
from memtrace.exceptions import ConflictError
from memtrace.models import Agent, RegisterAgentRequest
from memtrace.operations import get_agent, list_agents, register_agent
from memtrace.operations._agent_lookup import find_agent


def get_or_register(request: RegisterAgentRequest) -> Workflow[Agent]:
    """The agent of this name, registered now if there is none. An agent that exists keeps its description and config."""
    try:
        return (yield from run_operation(register_agent(request)))
    except ConflictError as taken:
        conflict = taken
    found = yield from find_agent(request.name, _get, _list_all, lambda agent: agent.name)
    if found is None:
        raise conflict  # it was deleted between the two questions
    return found


def _get(name: str) -> Workflow[Agent]:
    return run_operation(get_agent(name))


def _list_all() -> Workflow[Sequence[Agent]]:
    return (yield from run_operation(list_agents())).agents
