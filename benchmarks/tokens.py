"""The estimate of tokens beside cl100k_base and o200k_base, on texts of this machine; and how fast it is.

    TIKTOKEN_CACHE_DIR=FOLDER python benchmarks/tokens.py [FILE ...]

The folder has the tables of both: litellm ships them (`litellm/litellm_core_utils/tokenizers`), and `nox -s tokens` finds them there.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from pathlib import Path

import tiktoken

from memtrace.context import estimate_tokens

HERE = Path(__file__).parent
WINDOW = 2500


def texts(data):
    """Texts by kind: those that ship with the project, and the chats if they are there."""
    chance = random.Random(0)
    found = {
        "code": "".join(path.read_text(encoding="utf-8") for path in sorted((HERE.parent / "memtrace").rglob("*.py"))),
        "emoji": "".join(chance.choice("😀😂😍🎉👍🙏🔥❤️✨😊🤔😭💯🚀🎂🍕☕🐶🌞👋🏽") for _ in range(20_000)),
        "identifiers": "\n".join(
            f"agent_{chance.getrandbits(96):024x} https://example.com/api/v1/memories/{uuid.UUID(int=chance.getrandbits(128))}?page={n}"
            for n in range(2000)
        ),
    }
    if (data / "locomo10.jsonl").exists():
        rows = [json.loads(line) for line in (data / "locomo10.jsonl").read_text(encoding="utf-8").splitlines()]
        found["chat"] = "\n".join(row["text"] for row in rows)
        found["JSON"] = "\n".join(json.dumps(row) for row in rows)
    return found


def main():
    encodings = [tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")]
    found = texts(HERE.parent.parent / "shared" / "data")
    found.update((Path(name).name, Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:])
    for name, text in found.items():
        windows = [text[first : first + WINDOW] for first in range(0, min(len(text), 100 * WINDOW), WINDOW)]
        ratios = [
            estimate_tokens(window) / max(len(encoding.encode(window, disallowed_special=())) for encoding in encodings)
            for window in windows
        ]
        began = time.perf_counter()
        estimate_tokens(text)
        speed = len(text.encode()) / 1e6 / (time.perf_counter() - began)
        mean = sum(ratios) / len(ratios)
        print(f"{name:14} mean {mean:.2f}  least {min(ratios):.2f}  most {max(ratios):.2f}  {speed:5.1f} MB/s")


if __name__ == "__main__":
    main()
