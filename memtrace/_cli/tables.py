"""Tables of what the server gives, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from memtrace._cli.profiles import Config
from memtrace._cli.row_layout import row_of
from memtrace._cli.terminal import show_error, show_json, show_table, visible
from memtrace.context import MemoryVerdict
from memtrace.models import Agent, AgentStats, Memory, Session
from memtrace.ranking import SearchHit

ModelT = TypeVar("ModelT", bound=BaseModel)
Names = Mapping[str, str]
"""Names of agents by id; one that is not in it is shown by its id."""

_NO_NAMES: Names = MappingProxyType({})
_WHOLE = ("id", "agent", "time", "occurred", "created", "closed")
_OWN = {"agent": "cyan", "type": "magenta", "event": "", "tags": "green"}


def show_found(
    name: str,
    found: Sequence[ModelT],
    table: Callable[[Sequence[ModelT]], Table],
    none: str,
    *,
    as_json: bool,
    of_texts: bool = False,
) -> None:
    """Print what the server listed as a table, or as JSON under `name`; `none` says on stderr that there is nothing."""
    if as_json:
        rows = [each.model_dump(mode="json", exclude_unset=True) for each in found]
        show_json({name: rows, "count": len(rows)})
    elif found:
        show_table(table(found), of_texts=of_texts)
    else:
        show_error(none)


def show_memories(memories: Sequence[Memory], names: Names = _NO_NAMES) -> None:
    """Print memories as a table, with the names of agents by id."""
    show_table(memories_table(memories, names), of_texts=True)


def memories_table(memories: Iterable[Memory], names: Names = _NO_NAMES) -> Table:
    """One memory a row, its content whole; a decision with its reasoning."""
    rows = [_memory_cells(memory, names) for memory in memories]
    return plain_table({"time": "dim", **_OWN, "content": ""}, rows)


def _memory_cells(memory: Memory, names: Names) -> Sequence[str]:
    tags = ",".join(memory.tags or ())
    reasoning = (memory.metadata or {}).get("reasoning") if memory.memory_type == "decision" else None
    content = f"{memory.content} (reasoning: {reasoning})" if reasoning else memory.content
    agent = names.get(memory.agent_id, memory.agent_id)
    return time_text(memory.time), agent, memory.memory_type, memory.event_type, tags, content


def hits_table(hits: Iterable[SearchHit], names: Names = _NO_NAMES) -> Table:
    """One hit a row: its score, when it occurred, and how many memories have this content where there are more."""
    rows = [(f"{hit.score:.2f}", *_hit_cells(hit, names)) for hit in hits]
    return plain_table({"score": ">", "occurred": "dim", **_OWN, "content": ""}, rows)


def _hit_cells(hit: SearchHit, names: Names) -> Sequence[str]:
    _, *others, content = _memory_cells(hit.memory, names)
    more = f" ({hit.count} times)" if hit.count > 1 else ""
    return time_text(hit.memory.occurred_at), *others, content + more


def verdicts_table(verdicts: Iterable[MemoryVerdict]) -> Table:
    """One verdict a row, in the order of the choice."""
    rows = [
        (
            "yes" if each.included else "no",
            each.reason,
            "" if each.score is None else f"{each.score:.2f}",
            "" if each.memory.importance is None else f"{each.memory.importance:g}",
            str(each.tokens),
            time_text(each.memory.occurred_at),
            each.memory.content,
        )
        for each in verdicts
    ]
    columns = {"in": "green", "reason": "magenta", "score": ">", "importance": ">", "tokens": ">", "occurred": "dim"}
    return plain_table({**columns, "content": ""}, rows)


def memory_line(memory: Memory, names: Names = _NO_NAMES) -> Text:
    """One memory as its own line, for output in which the next ones are not known yet."""
    time, agent, kind, event, tags, content = map(visible, _memory_cells(memory, names))
    line = Text.assemble((time, "dim"), " ", (agent, "cyan"), " ", (kind, "magenta"), f" {event} ")
    if tags:
        line.append(f"[{tags}] ", "green")
    return line.append(content)


def memory_row(
    memory: Memory, width: int, shared: Mapping[str, str], names: Names = _NO_NAMES
) -> Iterator[RenderableType]:
    """One memory in lines of `width`, without what it shares with all that may come."""
    time, *own, content = map(visible, _memory_cells(memory, names))
    fields = [(value, style) for (name, style), value in zip(_OWN.items(), own, strict=True) if name not in shared]
    return row_of([(time, "dim"), *fields], content, width)


def agents_table(agents: Sequence[Agent], *, ids: bool = False) -> Table:
    """One agent a row, with its id where `ids` are asked for."""
    columns = {"name": "cyan", "created": "dim", "description": ""}
    rows = [(agent.name, time_text(agent.created_at), agent.description or "") for agent in agents]
    if ids:
        return plain_table({"id": "", **columns}, [(agent.id, *row) for agent, row in zip(agents, rows, strict=True)])
    return plain_table(columns, rows)


def sessions_table(sessions: Iterable[Session], names: Names = _NO_NAMES) -> Table:
    """One session a row."""
    rows = [
        (
            each.id,
            names.get(each.agent_id, each.agent_id),
            each.status,
            time_text(each.created_at),
            time_text(each.closed_at),
        )
        for each in sessions
    ]
    return plain_table({"id": "cyan", "agent": "", "status": "magenta", "created": "dim", "closed": "dim"}, rows)


def stats_table(stats: Iterable[AgentStats], names: Names = _NO_NAMES) -> Table:
    """One agent a row."""
    rows = [
        (
            names.get(each.agent_id, each.agent_id),
            f"{each.memory_count}",
            f"{each.memories_24h}",
            f"{each.errors_24h}",
            f"{each.session_count}",
            f"{each.active_sessions}",
            ", ".join(f"{count} {name}" for name, count in each.memory_types.items()),
        )
        for each in stats
    ]
    columns = ("memories", "last 24 h", "errors 24 h", "sessions", "active")
    return plain_table({"agent": "cyan", **dict.fromkeys(columns, ">"), "types": ""}, rows)


def profiles_table(config: Config) -> Table:
    """One profile a row; the default has a star."""
    rows = [
        (
            "*" if name == config.default else "",
            name,
            profile.base_url,
            profile.transport or "",
            "" if profile.timeout is None else f"{profile.timeout:g}",
            profile.api_key_env or "the keyring",
        )
        for name, profile in config.profiles.items()
    ]
    return plain_table(
        {"": "green", "name": "cyan", "address": "", "transport": "", "timeout": ">", "key from": ""}, rows
    )


def plain_table(columns: dict[str, str], rows: Iterable[Sequence[str]]) -> Table:
    """The columns with their styles; ``>`` is a number."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, style in columns.items():
        number = style == ">"
        table.add_column(
            name,
            overflow="fold",
            style="" if number else style,
            justify="right" if number else "left",
            no_wrap=name in _WHOLE,
        )
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def time_text(moment: datetime | None) -> str:
    """UTC, in whole seconds."""
    return "" if moment is None else f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%SZ}"
