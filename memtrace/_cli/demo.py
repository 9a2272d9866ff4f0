"""``memtrace-sdk demo``: the walk-through, or a conversation, as an agent would see it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import IO

from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from memtrace._cli.conversation_loader import LoadReport, Turn, load, read_turns
from memtrace._cli.json_lines import LineError, bounded_lines
from memtrace._cli.messages import command_error_of
from memtrace._cli.progress import measuring
from memtrace._cli.stdin import open_file, size_of, standard_input
from memtrace._cli.tables import plain_table
from memtrace._cli.terminal import make_console, show, show_error, visible
from memtrace._cli.walkthrough import WalkthroughResult, run_steps
from memtrace._support.numbers import counted
from memtrace.client import Memtrace
from memtrace.exceptions import ConfigurationError, MemtraceError
from memtrace.models import Memory, SessionContext
from memtrace.ranking import SearchHit, SearchHits

MAX_TOKENS = 400
"""What the prompt of a conversation may have."""


def _client(store: str | None) -> Memtrace:
    """A client of the file that is named, where a second run may say the same again; without one of a fake in memory."""
    try:
        return Memtrace(store or "memory://", timeout=None, dedup="server" if store is None else "per_call")
    except ConfigurationError as error:
        raise command_error_of(error, {"base_url": "--store"}) from None


# ---- the walk-through -----------------------------------------------------------------------------------------------


def run_walkthrough(store: str | None = None) -> None:
    """Run the walk-through and print each call with what came back."""
    try:
        with _client(store) as client:
            seen = run_steps(client)
    except MemtraceError as error:
        raise command_error_of(error, {"base_url": "--store"}) from None
    show(make_console(), _walk_through_tree(seen, store), "", Text.assemble(("Next: ", "bold"), _NEXT))


_NEXT = "memtrace-sdk demo --conversation sample"


def _walk_through_tree(seen: WalkthroughResult, store: str | None) -> Tree:
    tree = Tree(Text(f'client = Memtrace("{visible(store or "memory://")}")', "bold cyan"), guide_style="dim")
    if store is not None:
        before = seen.before.memories
        told = (
            f"{counted(len(before), 'memory', 'memories')} of earlier runs" if before else "nothing yet: run this again"
        )
        _call(tree, "client.memories.recall(agent.id)", *map(_memory_line, before[:_SHOWN]), Text(told, "dim"))
    _call(tree, 'agent = client.agents.get_or_register(name="assistant")', Text(seen.agent.id))
    session = _call(
        tree,
        "with client.sessions.open(agent_id=agent.id) as session:",
        Text.assemble(seen.session.id, (f", {seen.session.status} when the block has ended", "dim")),
    )
    _call(
        session,
        'session.remember("User prefers dark mode", tags=["ui"], importance=0.8)',
        _memory_line(seen.preference),
    )
    _call(
        session,
        'session.remember("User opened the settings", event_type="observation")',
        _memory_line(seen.observation),
    )
    _call(session, 'session.decide("Open in dark mode", "the user prefers it")', _memory_line(seen.decision))
    _call(session, "session.context().context", *filter(None, _context_lines(seen.context)))
    _call(tree, 'client.memories.search("which mode does the user like?")', *map(_hit_line, seen.found))
    _call(tree, "client.memories.recall(agent.id)", *map(_memory_line, seen.recalled.memories))
    stats = seen.stats
    types = ", ".join(f"{count} {name}" for name, count in stats.memory_types.items())
    _call(
        tree,
        "client.agents.stats(agent.id)",
        Text(
            f"{counted(stats.memory_count, 'memory', 'memories')} ({types}), "
            f"{counted(stats.session_count, 'session', 'sessions')}"
        ),
    )
    return tree


def _call(tree: Tree, code: str, *results: Text) -> Tree:
    branch = tree.add(Text(code, "cyan"))
    for result in results:
        branch.add(result)
    return branch


def _hit_line(hit: SearchHit) -> Text:
    return Text.assemble((f"{hit.score:.2f} ", "green"), hit.memory.content)


def _memory_line(memory: Memory) -> Text:
    line = Text.assemble((f"{memory.time:%H:%M:%S} ", "dim"), (f"{memory.memory_type} ", "magenta"), memory.content)
    if memory.event_type not in ("general", memory.memory_type):
        line.append(f"  event: {memory.event_type}", "dim")
    if memory.tags:
        line.append(f"  tags: {', '.join(memory.tags)}", "dim")
    if memory.metadata:
        line.append(f"  reasoning: {memory.metadata['reasoning']}", "dim")
    return line


def _context_lines(context: SessionContext) -> list[Text]:
    """The server's Markdown, headings in bold."""
    lines = context.context.rstrip("\n").split("\n")
    return [Text(visible(line), "bold" if line.startswith("#") else "") for line in lines]


# ---- a conversation -------------------------------------------------------------------------------------------------


SAMPLE_QUESTIONS = (
    "when does the train leave on Friday?",
    "how far is the guesthouse from the dome?",
    "who does not eat fish?",
)
"""Questions that the conversation which comes with the SDK answers."""


def run_conversation(
    file: str, store: str | None = None, *, questions: Sequence[str] = (), max_tokens: int = MAX_TOKENS
) -> int:
    """Load a conversation, print counts, what is found for questions, and a prompt; return the exit status.

    Args:
        file: A path, ``-`` or ``sample``.
        store: The address of a file that keeps it; without one it is in memory.
        questions: What to ask. Default: those that belong to the sample, else the longest word of the conversation.
        max_tokens: The budget of the prompt.
    """
    report = LoadReport()
    with _client(store) as client:
        try:
            with _opened(file) as source:
                _load(client, source, report)
                name = source.name
        except LineError as error:
            show_error(str(error), f"Stored before that: {_counts_line(report)}")
            return 2
        asked = list(questions) or (list(SAMPLE_QUESTIONS) if file == "sample" else [report.word])
        _show_conversation(client, name, report, [each for each in asked if each.strip()], max_tokens)
    return 0


@dataclass(frozen=True, slots=True)
class _ConversationSource:
    """An open conversation, and its size where that is known."""

    name: str
    stream: IO[bytes]
    size: int | None


@contextmanager
def _opened(file: str) -> Iterator[_ConversationSource]:
    if file == "-":
        yield _ConversationSource("standard input", standard_input(), None)
    elif file == "sample":
        content = resources.files("memtrace._cli").joinpath("conversation.jsonl").read_bytes()
        yield _ConversationSource(file, io.BytesIO(content), len(content))
    else:
        with open_file(file) as stream:
            yield _ConversationSource(file, stream, size_of(stream))


def _load(client: Memtrace, source: _ConversationSource, report: LoadReport) -> None:
    with measuring("Loading", source.size, told="0 turns", silent=source.stream.isatty()) as show_progress:

        def advance(turn: Turn) -> None:
            show_progress(turn.end, counted(report.stored, "turn", "turns"))

        load(client, read_turns(bounded_lines(source.stream), source.name), report, advance)


def _counts_line(report: LoadReport) -> str:
    return ", ".join(
        counted(count, name.removesuffix("s"), name)
        for name, count in (
            ("turns", report.stored),
            ("duplicates", report.duplicates),
            ("agents", len(report.agents)),
            ("sessions", len(report.sessions)),
        )
    )


def _show_conversation(
    client: Memtrace, name: str, report: LoadReport, questions: Sequence[str], max_tokens: int
) -> None:
    console = make_console()
    show(console, _heading("Loaded", name), _counts_table(report))
    if not report.sessions or not questions:
        show(console, "", Text("There are no turns to search.", "yellow"))
        return
    for question in questions:
        hits = client.memories.search(question, limit=_SHOWN)
        show(console, "", _heading("Search", question), _hits_table(hits))
    prompt = client.memories.prompt_context(questions[0], max_tokens=max_tokens, metadata_keys=["speaker"])
    counts = f"{counted(len(prompt.memories), 'memory', 'memories')}, {prompt.tokens} of {max_tokens} tokens"
    show(console, "", _heading("Prompt", f"for {questions[0]!r}: {counts}"))
    show(console, *(Text(visible(line)) for line in prompt.text.rstrip("\n").split("\n")))


_SHOWN = 5


def _heading(title: str, detail: str) -> Text:
    return Text.assemble((title, "bold cyan"), "  ", (visible(detail), "dim"))


def _counts_table(report: LoadReport) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right", style="green")
    for name, count in (
        ("turns read", report.read),
        ("stored", report.stored),
        ("duplicates", report.duplicates),
        ("agents", len(report.agents)),
        ("sessions", len(report.sessions)),
    ):
        table.add_row(name, f"{count:,}")
    return table


def _hits_table(hits: SearchHits) -> Table:
    columns = {"score": ">", "conversation": ">", "session": ">", "speaker": "magenta", "text": ""}
    rows = [{**(hit.memory.metadata or {}), "text": hit.memory.content, "score": f"{hit.score:.2f}"} for hit in hits]
    return plain_table(columns, [[str(row.get(name)) for name in columns] for row in rows])
