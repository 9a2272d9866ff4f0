"""What a search and a prompt find of the evidence: ten long chats with their questions, and meetings with theirs.

    python benchmarks/retrieval.py [--data FOLDER] [--chats 26 30] [--no-prompts] [--embedder minilm] [--json FILE]

Everything goes by the public API: memories are stored with `add_many`, found with `search`, and written with `prompt_context`. The
folder has LoCoMo (`locomo10.jsonl`, `locomo10_questions.jsonl`) and QMSum (`qmsum_val_turns.jsonl`,
`qmsum_val_queries.jsonl`), which are not part of the project. Each turn is one memory. Parameters were chosen on the chats named
`CHOSEN_ON` and on the meetings; the other half of the chats is there to report. Tokens are those of o200k_base where tiktoken and
its table are installed (`TIKTOKEN_CACHE_DIR`), else of the estimate.

Beside the search as it is stand: the same with an embedding model of `embedders.py`, each that is installed; the search where
each turn is alone in its session, so that no neighbour and no session helps; the hits that such a search finds too, in the order
of the search as it is ("itself"), which leaves out what came in for its neighbours alone; and what there is without it: the
newest memories, the server's own filter, and LangGraph's store where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import statistics
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path

from memtrace import AddMemoryRequest, Memtrace
from memtrace.context import estimate_tokens

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "shared" / "data"
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


# ---- the ways to find


class Way:
    """A way to find: what is nearest to a question, and the prompt for it, where there is one."""

    #: So many of the best are looked through for ten that count.
    depth = 10

    def __init__(self, client, *, prompts=False, estimates=False):
        self.client = client
        #: Whether it writes prompts, and whether by the estimate of tokens too.
        self.prompts = prompts
        self.estimates = estimates
        self._prompts = {}

    def rows(self, agent, question, most):
        return self.client.memories.search(question, agent_id=agent, limit=min(most, 300)).memories

    def prompt(self, agent, question, budget, counter):
        asked = (agent, question, budget, counter)
        if asked not in self._prompts:
            self._prompts[asked] = self.client.memories.prompt_context(
                question, agent_id=agent, max_tokens=budget, count_tokens=counter
            )
        return self._prompts[asked]

    def counted(self, agent, question, rows):
        """Which of what was found counts."""
        return rows


class Itself(Way):
    """Of what a search finds, what it also finds where each turn is alone: without what came in for its neighbours alone."""

    depth = 100

    def __init__(self, search, alone):
        super().__init__(search.client, prompts=True)
        self._prompts = search._prompts  # noqa: SLF001  # the same ones
        self._alone = alone
        self._found = {}

    def counted(self, agent, question, rows):
        if (agent, question) not in self._found:
            found = self._alone.memories.search(question, agent_id=agent, limit=2000)
            self._found[agent, question] = {row.content for row in found.memories}
        return [row for row in rows if row.content in self._found[agent, question]]


class Newest(Way):
    def rows(self, agent, question, most):
        return self.client.memories.list(agent_id=agent, limit=300).memories


class Substring(Way):
    """The server's own filter: the newest that hold the whole question."""

    def rows(self, agent, question, most):
        return self.client.memories.filter(agent_id=agent, content_contains=question, limit=300).results


class LangGraph(Way):
    """LangGraph's store in memory, as it is without an embedding model."""

    def __init__(self, client):
        super().__init__(client)
        self._stores = {}

    def rows(self, agent, question, most):
        from langgraph.store.memory import InMemoryStore

        if agent not in self._stores:
            store, rows = InMemoryStore(), {}
            for row in self.client.memories.iter(agent_id=agent, order="asc"):
                store.put(("chat",), row.dedup_key, {"text": row.content})
                rows[row.dedup_key] = row
            self._stores[agent] = store, rows
        store, rows = self._stores[agent]
        return [rows[item.key] for item in store.search(("chat",), query=question, limit=300)]


def alone(turns):
    """Each turn in a session of its own."""
    return [turn.model_copy(update={"session_id": f"alone{number}"}) for number, turn in enumerate(turns)]


def searches(turns, embedders):
    """The ways that search, by name, each with a store of its own."""
    plain = stored(Memtrace("memory://"), turns)
    apart = stored(Memtrace("memory://"), alone(turns))
    search = Way(plain, prompts=True, estimates=True)
    yield "search", search
    yield "search, itself", Itself(search, apart)
    yield "each turn alone", Way(apart, prompts=True)
    for name, embedder in embedders.items():
        yield f"search, {name}", Way(stored(Memtrace("memory://", embedder=embedder), turns), prompts=True)


def beside(turns):
    """What there is without a search, by name."""
    client = stored(Memtrace("memory://"), turns)
    yield "newest first", Newest(client)
    yield "content_contains", Substring(client)
    if importlib.util.find_spec("langgraph") is not None:
        yield "LangGraph's store", LangGraph(client)


# ---- what is found


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


def ask(way, chat, about, count, *, prompts):
    """Of each question its category and the shares of the evidence found; how full prompts were, and what a form costs."""
    turns, questions = about
    agent, known = f"chat{chat}", {turn.dedup_key for turn in turns}
    counters = {"prompt": count, "prompt by the estimate": estimate_tokens} if way.estimates else {"prompt": count}
    shares, fill, forms = [], [], []
    for question in questions:
        text = question["question"]
        wanted = {f"{chat}/{turn}" for turn in question["evidence"]} & known
        rows = way.counted(agent, text, way.rows(agent, text, len(turns)))
        found = {"first 10": evidence(rows[:10], wanted)}
        for budget in BUDGETS:
            found[f"within {budget} tokens"] = evidence(filled(rows, budget, count), wanted)
        for budget in BUDGETS if prompts and way.prompts else ():
            for name, counter in counters.items():
                context = way.prompt(agent, text, budget, counter)
                found[f"{name} of {budget}"] = evidence(way.counted(agent, text, context.memories), wanted)
                written = count(context.text)
                fill.append(written / budget)
                forms.append((written - sum(count(row.content) for row in context.memories)) / len(context.memories))
        shares.append((question["category"], found))
    return shares, fill, forms


def shares_of(rows):
    return {name: 100 * statistics.fmean(found[name] for _, found in rows) for name in rows[0][1]}


def of_chats(way, rows, count, *, prompts):
    """What a way finds in all chats, in those that no parameter was chosen on, and by category of the question."""
    asked = {chat: ask(way, chat, each, count, prompts=prompts) for chat, each in rows.items()}
    every = [share for shares, _, _ in asked.values() for share in shares]
    other = [share for chat, (shares, _, _) in asked.items() if chat not in CHOSEN_ON for share in shares]
    by_category = {title: [share for share in every if share[0] == number] for number, title in CATEGORIES.items()}
    found = {
        "all": shares_of(every),
        "other half": shares_of(other or every),
        "categories": {title: shares_of(shares) for title, shares in by_category.items() if shares},
    }
    for name, place in (("prompts filled, %", 1), ("tokens of a form", 2)):
        values = [value for each in asked.values() for value in each[place]]
        if values:
            found[name] = (100 if place == 1 else 1) * statistics.fmean(values)
    return found


def of_meetings(way, queries):
    totals = defaultdict(list)
    for query in queries:
        rows = way.counted("assistant", query["query"], way.rows("assistant", query["query"], way.depth))[:10]
        found = [tuple(map(int, row.dedup_key.split("/"))) for row in rows]
        hits = [
            meeting == query["meeting"] and any(first <= turn <= last for first, last in query["spans"])
            for meeting, turn in found
        ]
        totals["in the spans"].append(sum(hits) / 10)
        totals["in the right meeting"].append(sum(meeting == query["meeting"] for meeting, _ in found) / 10)
        totals["any hit"].append(any(hits))
    return {name: 100 * statistics.fmean(values) for name, values in totals.items()}


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


def installed_embedders(wanted):
    packages = {"wordllama": "wordllama", "minilm": "all_minilm_l6_v2"}
    names = [name for name, package in packages.items() if importlib.util.find_spec(package) is not None]
    if not names:
        return {}
    import embedders

    return {name: getattr(embedders, name)() for name in names if wanted is None or name in wanted}


def report(folder, wanted=(), *, embedders=None, prompts=True):
    name, count = counter()
    models = installed_embedders(embedders)
    rows = chats(folder, wanted)
    turns = [turn for turns, _ in rows.values() for turn in turns]
    result = {"tokens": name, "chats": {}, "meetings": {}}
    print(f"evidence found, %: all chats / those that no parameter was chosen on; tokens of {name}")
    for title, way in itertools.chain(searches(turns, models), beside(turns)):
        result["chats"][title] = found = of_chats(way, rows, count, prompts=prompts)
        show_chats(title, found)
    meeting_turns, queries = meetings(folder)
    for title, way in searches(meeting_turns, models):
        result["meetings"][title] = found = of_meetings(way, queries)
        print(
            f"first 10 on meetings, %: {title:18} " + ", ".join(f"{name} {share:.1f}" for name, share in found.items())
        )
    return result


def show_chats(title, found):
    for name in found["all"]:
        print(f"  {title:18} {name:30} {found['all'][name]:5.1f} / {found['other half'][name]:4.1f}")
    for name in ("prompts filled, %", "tokens of a form"):
        if name in found:
            print(f"  {title:18} {name:30} {found[name]:5.1f}")
    for category, shares in found["categories"].items():
        found_there = ", ".join(f"{name} {share:.1f}" for name, share in shares.items() if "prompt" not in name)
        print(f"  {title:18} questions about {category:14} {found_there}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--chats", type=int, nargs="*", default=[])
    parser.add_argument("--no-prompts", action="store_true")
    parser.add_argument(
        "--embedder", action="append", help="only this one of those that are installed; may be repeated"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = report(arguments.data, arguments.chats, embedders=arguments.embedder, prompts=not arguments.no_prompts)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
