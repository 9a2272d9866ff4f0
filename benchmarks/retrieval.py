"""What a search and a prompt find of the evidence: ten long chats with their questions, and meetings with theirs.

    python benchmarks/retrieval.py [--data FOLDER] [--memories 10000 100000] [--json FILE]

The folder has LoCoMo (`locomo10.jsonl`, `locomo10_questions.jsonl`) and QMSum (`qmsum_val_turns.jsonl`,
`qmsum_val_queries.jsonl`), which are not part of the project. Each turn is one memory. Parameters were chosen on the chats named
`CHOSEN_ON` and on the meetings; the other half of the chats is there to report. Tokens are those of o200k_base where tiktoken and
its table are installed (`TIKTOKEN_CACHE_DIR`), else of the estimate.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

from memtrace.context import build_context, estimate_tokens
from memtrace.models import Memory
from memtrace.ranking import MemorySearch, TextIndex

HERE = Path(__file__).parent
CHOSEN_ON = {26, 30, 41, 42, 43}
BUDGETS = (1000, 2000)
FORM_TOKENS = 12
CATEGORIES = {1: "several turns", 2: "time", 3: "open domain", 4: "one turn", 5: "adversarial"}


# ---- the data


def read(folder, name):
    with (folder / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def chats(folder):
    """Each chat's memories, by the ids of turns, and its questions."""
    turns, questions = defaultdict(dict), defaultdict(list)
    for turn in read(folder, "locomo10.jsonl"):
        metadata = {key: turn[key] for key in ("speaker", "caption") if key in turn}
        session = f"c{turn['conversation']}s{turn['session']}"
        at = datetime.fromisoformat(turn["time"].replace("Z", "+00:00"))
        turns[turn["conversation"]][turn["id"]] = memory(at, session, turn["text"], metadata)
    for question in read(folder, "locomo10_questions.jsonl"):
        questions[question["conversation"]].append(question)
    return {chat: (turns[chat], questions[chat]) for chat in sorted(turns)}


def meetings(folder):
    """The memories of all meetings, by meeting and turn, and the queries."""
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    turns = {}
    for turn in read(folder, "qmsum_val_turns.jsonl"):
        at = start + timedelta(days=turn["meeting"], seconds=20 * turn["turn"])
        row = memory(at, f"m{turn['meeting']}", turn["text"] or "-", {"speaker": turn["speaker"]})
        turns[turn["meeting"], turn["turn"]] = row
    return turns, read(folder, "qmsum_val_queries.jsonl")


def memory(at, session, content, metadata):
    return Memory(
        time=at,
        org_id="o",
        agent_id="agent",
        session_id=session,
        memory_type="episodic",
        event_type="message",
        content=content,
        metadata=metadata,
    )


def index_of(memories, connection=None):
    index = TextIndex(connection or sqlite3.connect(":memory:"))
    index.add_many(memories)
    return MemorySearch(index)


def key(row):
    return row.session_id, row.time


# ---- what is found


def by_search(search, memories, question):
    return search.search(question, limit=min(len(memories), 300))


def by_age(search, memories, question):
    return memories[::-1]


def by_substring(search, memories, question):
    """The server's own way: the newest that hold the whole question."""
    return [row for row in memories[::-1] if question in row.content]


RANKERS = {"search": by_search, "newest first": by_age, "content_contains": by_substring}


def evidence(found, wanted):
    return len(wanted & {key(row) for row in found}) / len(wanted)


def filled(ranked, budget, count):
    """The best that fit, each with its form's tokens."""
    kept, left = [], budget
    for row in ranked:
        cost = count(row.content) + FORM_TOKENS
        if cost <= left:
            kept.append(row)
            left -= cost
    return kept


def ask(chat, rank, count, *, prompts):
    """Of each question its category and the shares of the evidence found; how full prompts were, and what a form costs."""
    turns, questions = chat
    memories = [*turns.values()]
    search = index_of(memories)
    shares, fill, forms = [], [], []
    for question in questions:
        wanted = {key(turns[turn]) for turn in question["evidence"] if turn in turns}
        ranked = rank(search, memories, question["question"])
        rows = ranked.memories if hasattr(ranked, "memories") else ranked
        found = {"first 10": evidence(rows[:10], wanted)}
        for budget in BUDGETS:
            found[f"{budget} tokens"] = evidence(filled(rows, budget, count), wanted)
            if not prompts:
                continue
            for name, counter in (("real", count), ("estimated", estimate_tokens)):
                context = build_context(ranked, max_tokens=budget, count_tokens=counter)
                found[f"prompt of {budget}, {name}"] = evidence(context.memories, wanted)
                fill.append(count(context.text) / budget)
            forms.append(
                (count(context.text) - sum(count(row.content) for row in context.memories)) / len(context.memories)
            )
        shares.append((question["category"], found))
    return shares, fill, forms


def shares_of(rows):
    return {name: 100 * statistics.fmean(found[name] for _, found in rows) for name in rows[0][1]}


def meeting_shares(folder):
    turns, queries = meetings(folder)
    places = {key(row): place for place, row in turns.items()}
    search = index_of(turns.values())
    totals = defaultdict(list)
    for query in queries:
        found = [places[key(row)] for row in search.search(query["query"], limit=10).memories]
        hits = [
            meeting == query["meeting"] and any(first <= turn <= last for first, last in query["spans"])
            for meeting, turn in found
        ]
        totals["in the spans"].append(sum(hits) / 10)
        totals["in the right meeting"].append(sum(meeting == query["meeting"] for meeting, _ in found) / 10)
        totals["any hit"].append(any(hits))
    return {name: 100 * statistics.fmean(values) for name, values in totals.items()}


# ---- what it takes


def times(chat_rows, count):
    """Milliseconds a query, and memories a second when indexing, with the index in a file."""
    asked = [question["question"] for _, questions in chat_rows.values() for question in questions][::23]
    copies = [
        row.model_copy(
            update={"session_id": f"{row.session_id}r{copy}", "content": f"{row.content} r{copy}", "time": row.time}
        )
        for copy in range(1 + count // sum(len(turns) for turns, _ in chat_rows.values()))
        for turns, _ in chat_rows.values()
        for row in turns.values()
    ][:count]
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "index", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        index = TextIndex(connection)
        began = time.perf_counter()
        for first in range(0, count, 1000):
            index.add_many(copies[first : first + 1000])
        rate = count / (time.perf_counter() - began)
        search, taken = MemorySearch(index), []
        for question in asked:
            began = time.perf_counter()
            search.search(question)
            taken.append(1000 * (time.perf_counter() - began))
        connection.close()
    taken.sort()
    return {
        "memories": count,
        "indexed a second": rate,
        "query, median ms": statistics.median(taken),
        "query, p95 ms": taken[len(taken) * 95 // 100],
    }


# ---- the report


def counter():
    try:
        import tiktoken

        encoding = tiktoken.get_encoding("o200k_base")
    except Exception:  # noqa: BLE001  not installed, or its table is not there
        return "estimate", estimate_tokens
    cache = {}

    def count(text):
        if text not in cache:
            cache[text] = len(encoding.encode(text, disallowed_special=()))
        return cache[text]

    return "o200k_base", count


def report(folder, sizes, *, prompts=True):
    name, count = counter()
    rows = chats(folder)
    result = {"tokens": name, "found": {}, "categories": {}}
    for ranker, rank in RANKERS.items():
        asked = {chat: ask(row, rank, count, prompts=prompts and ranker == "search") for chat, row in rows.items()}
        every = [share for shares, _, _ in asked.values() for share in shares]
        other = [share for chat, (shares, _, _) in asked.items() if chat not in CHOSEN_ON for share in shares]
        result["found"][ranker] = {"all": shares_of(every), "other half": shares_of(other)}
        if ranker == "search":
            for category, title in CATEGORIES.items():
                result["categories"][title] = shares_of([share for share in every if share[0] == category])
            fill = [value for _, values, _ in asked.values() for value in values]
            forms = [value for _, _, values in asked.values() for value in values]
            if fill:
                result["prompts filled"] = 100 * statistics.fmean(fill)
                result["tokens of a form"] = statistics.fmean(forms)
    result["meetings"] = meeting_shares(folder)
    result["times"] = [times(rows, size) for size in sizes]
    return result


def show(result):
    print(f"evidence found, %: all / the half that no parameter was chosen on; tokens of {result['tokens']}")
    for ranker, halves in result["found"].items():
        for name in halves["all"]:
            print(f"  {ranker:18} {name:26} {halves['all'][name]:5.1f} / {halves['other half'][name]:4.1f}")
    print("by category, %")
    for title, shares in result["categories"].items():
        print(
            f"  {title:18} "
            + "   ".join(f"{name} {share:.1f}" for name, share in shares.items() if "prompt" not in name)
        )
    for name in ("prompts filled", "tokens of a form"):
        if name in result:
            print(f"{name}: {result[name]:.1f}")
    print("first 10 on meetings, %: " + ", ".join(f"{name} {share:.1f}" for name, share in result["meetings"].items()))
    for row in result["times"]:
        print("  ".join(f"{name}: {value:,.1f}" for name, value in row.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--memories", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = report(arguments.data, arguments.memories)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
