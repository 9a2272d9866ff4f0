"""The estimate of tokens, beside what two tokenizers gave (cl100k_base and o200k_base, whichever was more)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace.context import estimate_tokens

CHAT = """Hey Mel! Good to see you! I'm swamped with the kids & work. What's up with you? Anything new?
I went to a support group yesterday and it was so powerful. The stories were so inspiring, I was thankful for all the help.
"""
GERMAN = """Der Nutzer bevorzugt kurze Antworten und möchte Rechnungen immer als PDF bekommen. Er wohnt in München und hat zwei Katzen.
Hallo Anna, wie war dein Wochenende? Ich war mit den Kindern im Zoo und danach haben wir noch ein Eis gegessen.
Die Besprechung mit der Buchhaltung wurde auf Donnerstag um halb drei verschoben, weil Frau Schneider krank ist.
Bitte denk daran, dass die Krankenversicherung die Bescheinigung bis Monatsende braucht, sonst wird der Beitrag erhöht.
Gestern hat sie erzählt, dass ihr Bruder im Herbst nach Hamburg zieht und dort eine Ausbildung zum Tischler anfängt.
Wegen seiner Nussallergie isst er weder Marzipan noch Müsliriegel; Schokolade verträgt er in kleinen Mengen.
Am liebsten wandert sie im Schwarzwald, aber dieses Jahr geht es wegen der Knieverletzung nur mit dem Fahrrad.
Der Drucker im zweiten Stock meldet seit gestern einen Papierstau, obwohl das Fach leer ist und niemand ihn geöffnet hat.
Für die Geburtstagsfeier sind zwölf Gäste eingeladen, die Hälfte davon isst vegetarisch, und jemand muss noch Getränke besorgen.
Das Kündigungsschreiben liegt unterschrieben auf dem Schreibtisch, es fehlt nur noch die Adresse der Hausverwaltung.
"""
CODE = """def add_many(self, memories: Iterable[Memory], keys: Iterable[int] | None = None) -> int:
    with self._tables.transaction():
        batch = Batch(self._tables, keep=self._keep)
        for memory, key in zip(memories, keys, strict=True):
            batch.take(memory, key)
    return batch.write()
"""
JSON = """{"time": "2026-01-31T12:00:00Z", "agent_id": "assistant", "tags": ["ui", "nav"], "importance": 0.8,
 "content": "User prefers dark mode", "metadata": {"screen": 3, "ok": true, "note": null}}
"""
CHINESE = "你好，最近怎么样？我昨天和朋友去了一家新的餐厅，那里的菜非常好吃。他住在北京，有两只猫。\n"
JAPANESE = (
    "ユーザーは短い返事を好み、請求書をPDFで受け取りたいと言っています。彼は東京に住んでいて、猫を二匹飼っています。\n"
)
EMOJI = "😀🎉👍🙏🔥❤️✨😊🤔🚀👩‍👩‍👧🎂☕🐶🇩🇪👋🏽\n"
IDS = """agent_3fa85f6457174562b3fc2c96 sess_9b2d4c1e8f7a6b5c4d3e2f1a
https://example.com/api/v1/memories/3fa85f64-5717-4562-b3fc-2c963f66afa6?page=2&q=a%20b 2026-05-08T13:56:20.123456Z
"""
REAL = [
    pytest.param(text * 5, tokens, id=name)
    for name, text, tokens in [
        ("chat", CHAT, 270),
        ("german", GERMAN, 1635),
        ("code", CODE, 355),
        ("json", JSON, 355),
        ("chinese", CHINESE, 275),
        ("japanese", JAPANESE, 320),
        ("emoji", EMOJI, 305),
        ("ids", IDS, 510),
    ]
]


@pytest.mark.parametrize(("text", "tokens"), REAL)
def test_the_estimate_is_at_least_what_tokenizers_give_and_little_more(text, tokens):
    assert 1.0 <= estimate_tokens(text) / tokens <= 1.25


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("", 0),
        ("a", 1),
        ("word " * 100, 100),
        ("\n\n\n", 1),
        ("----------", 1),
        ("1234567", 3),
        ("\x00\x07", 2),
        ("\ud800", 1),
        ("Ξένος", 3),
        ("é§", 2),
        ("ABCDEFGHIJ", 3),
    ],
)
def test_texts_of_every_kind_have_an_estimate(text, least):
    assert least <= estimate_tokens(text) <= 1 + 1.3 * max(least, len(text))


@given(st.text(), st.text())
def test_a_whole_has_about_as_many_as_its_parts(first, second):
    whole, parts = estimate_tokens(f"{first}\n{second}"), estimate_tokens(f"{first}\n") + estimate_tokens(second)
    assert abs(whole - parts) <= 3 + parts // 2


def test_a_long_piece_is_estimated_too():
    assert estimate_tokens("語" * 1000) == 2100
    assert estimate_tokens("字" * 1000) == 1000
    assert estimate_tokens("a" * 72) == 54
    assert estimate_tokens("." * 72) == 4
    assert estimate_tokens("informationalization") < 5


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("don't", 2),
        ("a\tb", 2),
        ("a\t\tb", 3),
        ("a  (b)", 5),
        ("a (b)", 4),
        ("a\n\nb", 3),
        ("a   \nb", 3),
        ("a 1", 3),
        ("a 字", 2),
        ("你好 世界", 6),
        ("12:30", 3),
    ],
)
def test_what_stands_between_words_counts_as_tokenizers_count_it(text, tokens):
    assert tokens <= estimate_tokens(text) <= tokens + 1
