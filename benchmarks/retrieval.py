"""What a search and a prompt find of the evidence: ten long chats with their questions, and meetings with theirs.

    python benchmarks/retrieval.py [--data FOLDER] [--chats 26 30] [--memories 10000 100000] [--json FILE]

Everything goes by the public API: memories are stored with `add_many`, found with `search`, and written with `prompt_context`. The
folder has LoCoMo (`locomo10.jsonl`, `locomo10_questions.jsonl`) and QMSum (`qmsum_val_turns.jsonl`,
`qmsum_val_queries.jsonl`), which are not part of the project. Each turn is one memory. Parameters were chosen on the chats named
`CHOSEN_ON` and on the meetings; the other half of the chats is there to report. Tokens are those of o200k_base where tiktoken and
its table are installed (`TIKTOKEN_CACHE_DIR`), else of the estimate. LangGraph's own store is beside it where it is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

from memtrace import AddMemoryRequest, Memtrace
from memtrace.context import estimate_tokens

HERE = Path(__file__).parent
CHOSEN_ON = {26, 30, 41, 42, 43}
BUDGETS = (1000, 2000)
FORM_TOKENS = 12
CATEGORIES = {1: "several turns", 2: "time", 3: "open domain", 4: "one turn", 5: "adversarial"}


# ---- the data


def read(folder, name):
    with (folder / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def chats(folder, wanted):
    """Each chat's memories to be stored, and its questions."""
    turns, questions = defaultdict(list), defaultdict(list)
    for turn in read(folder, "locomo10.jsonl"):
        chat = turn["conversation"]
        metadata = {key: turn[key] for key in ("speaker", "caption") if key in turn}
        at = datetime.fromisoformat(turn["time"].replace("Z", "+00:00"))
        key = f"{chat}/{turn['id']}"
        turns[chat].append(
            memory(key, at, f"chat{chat}", f"c{chat}s{turn['session']}", content=turn["text"], metadata=metadata)
        )
    for question in read(folder, "locomo10_questions.jsonl"):
        questions[question["conversation"]].append(question)
    return {chat: (turns[chat], questions[chat]) for chat in sorted(turns) if not wanted or chat in wanted}


def meetings(folder):
    """The memories of all meetings, and the queries."""
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    turns = []
    for turn in read(folder, "qmsum_val_turns.jsonl"):
        at = start + timedelta(days=turn["meeting"], seconds=20 * turn["turn"])
        key = f"{turn['meeting']}/{turn['turn']}"
        metadata = {"speaker": turn["speaker"]}
        turns.append(
            memory(key, at, "assistant", f"m{turn['meeting']}", content=turn["text"] or "-", metadata=metadata)
        )
    return turns, read(folder, "qmsum_val_queries.jsonl")


def memory(key, at, agent, session, *, content, metadata):
    return AddMemoryRequest(
        agent_id=agent,
        session_id=session,
        event_type="message",
        content=content,
        metadata=metadata,
        occurred_at=at,
        dedup_key=key,
    )


def stored(client, memories):
    client.memories.add_many(memories, chunk_size=1000).raise_for_failures()
    return client


# ---- what is found


def by_search(client, agent, question, count):
    return client.memories.search(question, agent_id=agent, limit=min(count, 300)).memories


def by_age(client, agent, question, count):
    return client.memories.list(agent_id=agent, limit=300).memories


def by_substring(client, agent, question, count):
    """The server's own way: the newest that hold the whole question."""
    return client.memories.filter(agent_id=agent, content_contains=question, limit=300).results


def by_langgraph():
    """The order of LangGraph's store in memory, as it is without an embedding model."""
    from langgraph.store.memory import InMemoryStore

    stores = {}

    def rank(client, agent, question, count):
        if agent not in stores:
            stores[agent] = InMemoryStore(), {}
            for row in client.memories.iter(agent_id=agent, order="asc"):
                stores[agent][0].put(("chat",), row.dedup_key, {"text": row.content})
                stores[agent][1][row.dedup_key] = row
        store, rows = stores[agent]
        return [rows[item.key] for item in store.search(("chat",), query=question, limit=300)]

    return rank


def rankers():
    found = {"search": by_search, "newest first": by_age, "content_contains": by_substring}
    with contextlib.suppress(ImportError):
        found["LangGraph's store"] = by_langgraph()
    return found


def evidence(found, wanted):
    return len(wanted & {row.dedup_key for row in found}) / len(wanted)


def filled(ranked, budget, count):
    """The best that fit, each with its form's tokens."""
    kept, left = [], budget
    for row in ranked:
        cost = count(row.content) + FORM_TOKENS
        if cost <= left:
            kept.append(row)
            left -= cost
    return kept


def ask(client, chat, about, rank, count, *, prompts):
    """Of each question its category and the shares of the evidence found; how full prompts were, and what a form costs."""
    turns, questions = about
    agent, known = f"chat{chat}", {turn.dedup_key for turn in turns}
    shares, fill, forms = [], [], []
    for question in questions:
        wanted = {f"{chat}/{turn}" for turn in question["evidence"]} & known
        rows = rank(client, agent, question["question"], len(turns))
        found = {"first 10": evidence(rows[:10], wanted)}
        for budget in BUDGETS:
            found[f"{budget} tokens"] = evidence(filled(rows, budget, count), wanted)
            if not prompts:
                continue
            for name, counter in (("real", count), ("estimated", estimate_tokens)):
                context = client.memories.prompt_context(
                    question["question"], agent_id=agent, max_tokens=budget, count_tokens=counter
                )
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
    client = stored(Memtrace("memory://"), turns)
    totals = defaultdict(list)
    for query in queries:
        found = [
            tuple(map(int, row.dedup_key.split("/")))
            for row in client.memories.search(query["query"], agent_id="assistant", limit=10).memories
        ]
        hits = [
            meeting == query["meeting"] and any(first <= turn <= last for first, last in query["spans"])
            for meeting, turn in found
        ]
        totals["in the spans"].append(sum(hits) / 10)
        totals["in the right meeting"].append(sum(meeting == query["meeting"] for meeting, _ in found) / 10)
        totals["any hit"].append(any(hits))
    return {name: 100 * statistics.fmean(values) for name, values in totals.items()}


# ---- what it takes


def times(rows, count):
    """Milliseconds a search, and memories a second when indexing: with an index in a file, and in a store's own file."""
    asked = [question["question"] for _, questions in rows.values() for question in questions][::23]
    turns = [turn for turns, _ in rows.values() for turn in turns]
    copies = [
        AddMemoryRequest(
            agent_id="assistant",
            session_id=f"{turn.session_id}r{copy}",
            content=f"{turn.content} r{copy}",
            metadata=turn.metadata,
            dedup_key=f"{turn.dedup_key}r{copy}",
        )
        for copy in range(1 + count // len(turns))
        for turn in turns
    ][:count]
    with tempfile.TemporaryDirectory() as folder:
        served = stored(Memtrace("memory://", search_index=Path(folder) / "index"), copies)
        began = time.perf_counter()
        served.memories.index_sync("assistant")
        rate = count / (time.perf_counter() - began)
        time.sleep(11)  # then nothing is read again that might have become visible late
        served.memories.index_sync("assistant")
        kept = Memtrace(Path(folder) / "agent.db")
        began = time.perf_counter()
        stored(kept, copies)
        stored_rate = count / (time.perf_counter() - began)
        result = {"memories": count, "read and indexed a second": rate, "stored and indexed a second": stored_rate}
        for name, client in (("index file", served), ("store's file", kept)):
            taken = sorted(milliseconds(client, question) for question in asked)
            result[f"{name}, median ms"] = statistics.median(taken)
            result[f"{name}, p95 ms"] = taken[len(taken) * 95 // 100]
            client.close()
    return result


def milliseconds(client, question):
    began = time.perf_counter()
    client.memories.search(question, agent_id="assistant")
    return 1000 * (time.perf_counter() - began)


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


def report(folder, sizes, wanted=(), *, prompts=True):
    name, count = counter()
    rows = chats(folder, wanted)
    client = stored(Memtrace("memory://"), [turn for turns, _ in rows.values() for turn in turns])
    result = {"tokens": name, "found": {}, "categories": {}}
    for ranker, rank in rankers().items():
        asked = {
            chat: ask(client, chat, each, rank, count, prompts=prompts and ranker == "search")
            for chat, each in rows.items()
        }
        every = [share for shares, _, _ in asked.values() for share in shares]
        other = [share for chat, (shares, _, _) in asked.items() if chat not in CHOSEN_ON for share in shares]
        result["found"][ranker] = {"all": shares_of(every), "other half": shares_of(other or every)}
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
    parser.add_argument("--chats", type=int, nargs="*", default=[])
    parser.add_argument("--no-prompts", action="store_true")
    parser.add_argument("--memories", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = report(arguments.data, arguments.memories, arguments.chats, prompts=not arguments.no_prompts)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
