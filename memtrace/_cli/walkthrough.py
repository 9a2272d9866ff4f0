"""The walk-through of the README, run on any store. Nothing is printed here."""

from __future__ import annotations

from dataclasses import dataclass

from memtrace.client import Memtrace
from memtrace.models import Agent, AgentStats, Memory, MemoryList, Session, SessionContext
from memtrace.ranking import SearchHits


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkthroughResult:
    """What came back at each step."""

    agent: Agent
    before: MemoryList
    session: Session
    preference: Memory
    observation: Memory
    decision: Memory
    context: SessionContext
    found: SearchHits
    recalled: MemoryList
    stats: AgentStats


def run_steps(client: Memtrace) -> WalkthroughResult:
    """Let an agent remember, decide and look back."""
    agent = client.agents.get_or_register(name="assistant")
    before = client.memories.recall(agent.id)
    with client.sessions.open(agent_id=agent.id) as session:
        preference = session.remember("User prefers dark mode", tags=["ui"], importance=0.8)
        observation = session.remember("User opened the settings", event_type="observation")
        decision = session.decide("Open in dark mode", "the user prefers it")
        context = session.context()
    return WalkthroughResult(
        agent=agent,
        before=before,
        session=session.session,
        preference=preference,
        observation=observation,
        decision=decision,
        context=context,
        found=client.memories.search("which mode does the user like?"),
        recalled=client.memories.recall(agent.id),
        stats=client.agents.stats(agent.id),
    )
