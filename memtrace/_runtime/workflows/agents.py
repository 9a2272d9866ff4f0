"""What takes several operations on agents."""

from __future__ import annotations

from urllib.parse import quote

from memtrace._runtime.workflows.steps import Workflow, run_operation
from memtrace.exceptions import ConflictError, NotFoundError
from memtrace.models import Agent, RegisterAgentRequest
from memtrace.operations import get_agent, list_agents, register_agent

__all__ = ["get_or_register"]


def get_or_register(request: RegisterAgentRequest) -> Workflow[Agent]:
    """The agent of this name, registered now if there is none. An agent that exists keeps its description and config."""
    try:
        return (yield from run_operation(register_agent(request)))
    except ConflictError as taken:
        conflict = taken
    if quote(request.name, safe="") == request.name and request.name not in (".", ".."):
        try:
            agent = yield from run_operation(get_agent(request.name))
        except NotFoundError:
            pass
        else:
            if agent.name == request.name:
                return agent
    for agent in (yield from run_operation(list_agents())).agents:
        if agent.name == request.name:
            return agent
    raise conflict  # it was deleted between the two questions
