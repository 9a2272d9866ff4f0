"""The estimate of tokens beside cl100k_base and o200k_base: how near it is on texts of each kind, on whole prompts, and how fast.

    TIKTOKEN_CACHE_DIR=FOLDER python benchmarks/tokens.py [--seed N] [--data FOLDER] [FILE ...]

The folder has the tables of both: litellm ships them (`litellm/litellm_core_utils/tokenizers`), and `nox -s tokens` finds them there.
Real texts are the chats and meetings of the data folder, where it is, and the sources beside this file; the others are generated,
each run with another seed, which is printed. A bound that is broken ends the run with status 1. Files of yours are measured too,
without a bound.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import tiktoken

from memtrace.context import build_context, estimate_tokens
from memtrace.models import Memory

HERE = Path(__file__).parent
ENCODINGS = [tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")]
LEAST, MOST = 1.00, 1.25
WHOLE_PROMPT = 500
MEGABYTES_A_SECOND = 5
WINDOW = 2500
ROUNDS = 7

EMOJI = "😀😂😍🎉👍🙏🔥❤️✨😊🤔😭💯🚀🎂🍕☕🐶🌞👋🏽"
#: Parts of sentences, of each of which one is taken in turn.
GERMAN = (
    (
        "Der Nutzer",
        "Meine Schwester",
        "Frau Schneider aus der Buchhaltung",
        "Der neue Kollege",
        "Ihr Bruder",
        "Unser Nachbar",
    ),
    (
        "hat gestern erzählt, dass",
        "möchte nicht vergessen, dass",
        "weiß seit letzter Woche, dass",
        "hat in der Besprechung gesagt, dass",
        "schreibt in seiner Nachricht, dass",
    ),
    (
        "die Krankenversicherung noch eine Bescheinigung braucht",
        "der Umzug nach Hamburg erst im Herbst stattfindet",
        "zwölf Gäste zur Geburtstagsfeier eingeladen sind",
        "der Drucker im zweiten Stock einen Papierstau meldet",
        "Rechnungen immer als PDF verschickt werden",
        "die Kinder wegen der Nussallergie keine Schokolade essen",
        "das Kündigungsschreiben unterschrieben auf dem Tisch liegt",
        "die Wanderung im Schwarzwald wegen einer Knieverletzung ausfällt",
    ),
    ("und fragt, wie", "und will wissen, wie", "- offen bleibt, wie", "(niemand wusste, wie)"),
    (
        "dein Wochenende war.\n",
        "der Zoobesuch war.\n",
        "es weitergeht.\n",
        "die Prüfung gelaufen ist.\n",
        "man das Fach öffnet.\n",
    ),
)
CHINESE = (
    ("用户", "我的姐姐", "他", "会计部的李女士", "新来的同事", "我们的邻居"),
    ("昨天说", "上周才知道", "在会议上提到", "希望大家记住", "写信告诉我"),
    (
        "保险公司还需要一份证明，",
        "秋天要搬到上海去，",
        "对花生过敏，不能吃巧克力，",
        "喜欢简短的回答，",
        "打印机又卡纸了，",
        "周末和朋友去了一家新的餐厅，",
    ),
    (
        "所以发票都要发成PDF。",
        "不过会议改到了星期四下午两点半。",
        "还养了两只猫。",
        "因为膝盖受伤，所以不去爬山了。\n",
        "那里的菜非常好吃。\n",
    ),
)
JAPANESE = (
    ("ユーザーは", "姉は", "経理の佐藤さんは", "新しい同僚は", "隣の人は"),
    ("昨日の会議で、", "先週のメールで、", "電話で、", "昼休みに、"),
    (
        "短い返事が好きだと",
        "秋に大阪へ引っ越すと",
        "ナッツのアレルギーがあると",
        "請求書をPDFで受け取りたいと",
        "プリンターがまた紙詰まりを起こしたと",
    ),
    (
        "言っていました。",
        "書いていました。猫を二匹飼っています。\n",
        "話していました。来週の木曜日にまた確認します。\n",
    ),
)


def sentences(chance, parts, count, space=""):
    return "".join(space.join(map(chance.choice, parts)) for _ in range(count))


def identifiers(chance, words):
    """IDs, times, digests and URLs, a line of each in turn."""
    start = datetime(2020, 1, 1, tzinfo=timezone.utc)
    for number in range(2000):
        at = start + timedelta(microseconds=chance.randrange(10**14))
        host, path, tail = (chance.choice(words) for _ in range(3))
        yield f"agent_{chance.getrandbits(96):024x} sess_{chance.getrandbits(128):032x}"
        yield f"https://{host}.example.com/api/v1/{path}/{uuid.UUID(int=chance.getrandbits(128))}?page={number}&q={tail}%20{number}"
        yield f"{at:%Y-%m-%dT%H:%M:%S.%fZ} {at.timestamp():.3f} {chance.getrandbits(256):064x}"


def texts(data, chance):
    """Texts by kind."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted((HERE.parent / "memtrace").rglob("*.py")))
    words = sorted({word for word in code.lower().split() if word.isalpha() and word.isascii() and len(word) > 3})
    records = [
        {
            "id": f"{chance.getrandbits(64):016x}",
            "importance": chance.random(),
            "tags": chance.sample(words, 2),
            "ok": True,
        }
        for _ in range(2000)
    ]
    found = {
        "code": code,
        "JSON, generated": "\n".join(json.dumps(record, indent=chance.choice((None, 2))) for record in records),
        "German": sentences(chance, GERMAN, 1500, " "),
        "Chinese": sentences(chance, CHINESE, 2000),
        "Japanese": sentences(chance, JAPANESE, 2000),
        "emoji": "".join(chance.choice(EMOJI) for _ in range(20_000)),
        "identifiers": "\n".join(identifiers(chance, words)),
    }
    if (data / "locomo10.jsonl").exists():
        rows = [json.loads(line) for line in (data / "locomo10.jsonl").read_text(encoding="utf-8").splitlines()]
        turns = [json.loads(line) for line in (data / "qmsum_val_turns.jsonl").read_text(encoding="utf-8").splitlines()]
        found["chats"] = "\n".join(row["text"] for row in rows)
        found["meetings"] = "\n".join(turn["text"] for turn in turns)
        found["JSON of chats"] = "\n".join(json.dumps(row) for row in rows)
    return found


def tokens(text):
    """What the tokenizer gives that gives more."""
    return max(len(encoding.encode(text, disallowed_special=())) for encoding in ENCODINGS)


def windows(text, chance, count=100):
    starts = range(0, max(1, len(text) - WINDOW), WINDOW)
    return [text[start : start + WINDOW] for start in chance.sample(starts, min(count, len(starts)))]


def prompts(text, chance, count=8):
    """Prompts of memories of some hundred characters of a text, in each format, of budgets from 600 tokens on."""
    size = 300
    memories = [
        Memory(
            org_id="org_1",
            time=datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(minutes=number),
            agent_id="assistant",
            session_id=f"session-{number // 20}",
            memory_type="episodic",
            event_type="message",
            content=text[size * number : size * (number + 1)],
        )
        for number in range(min(400, len(text) // size))
    ]
    for format in ("markdown", "xml", "messages"):
        for _ in range(count):
            first = chance.randrange(max(1, len(memories) - 150))
            yield build_context(memories[first : first + 150], max_tokens=chance.randint(600, 8000), format=format).text


def megabytes_a_second(text):
    """The best of some rounds, in time of the processor: others use the machine too."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        estimate_tokens(text)
        taken.append(time.process_time() - began)
    return len(text.encode()) / 1e6 / min(taken)


def measured(name, text, chance, *, is_bounded):
    """A line of figures; gives which bounds are broken."""
    ratios = [estimate_tokens(window) / tokens(window) for window in windows(text, chance)]
    whole = [(estimate_tokens(prompt), tokens(prompt)) for prompt in prompts(text, chance)]
    in_prompts = [estimate / real for estimate, real in whole if real >= WHOLE_PROMPT]
    mean, least, speed = statistics.fmean(ratios), min(in_prompts, default=LEAST), megabytes_a_second(text)
    faults = {
        "the mean": LEAST <= mean <= MOST,
        f"a prompt of {WHOLE_PROMPT} tokens or more": least >= LEAST,
        "the speed": speed >= MEGABYTES_A_SECOND,
    }
    broken = [fault for fault, is_kept in faults.items() if is_bounded and not is_kept]
    print(
        f"{name:16} mean {mean:.2f}  of {WINDOW} characters {min(ratios):.2f} to {max(ratios):.2f}  "
        f"of whole prompts {least:.2f} to {max(in_prompts, default=LEAST):.2f}  {speed:5.1f} MB/s"
        + "".join(f"  BROKEN: {fault}" for fault in broken),
        flush=True,
    )
    return broken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    print(f"estimate / the larger of cl100k_base and o200k_base; seed {arguments.seed}")
    chance = random.Random(arguments.seed)
    broken = [
        fault
        for name, text in texts(arguments.data, chance).items()
        for fault in measured(name, text, chance, is_bounded=True)
    ]
    for path in arguments.files:
        measured(path.name, path.read_text(encoding="utf-8"), chance, is_bounded=False)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
