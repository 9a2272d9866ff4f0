"""What a search finds, in which order, and what it leaves out."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtrace import InvalidRequestError
from memtrace.ranking import MemoryFilter, MemorySearch, SearchHit, SearchHits, _lexical
from tests.ranking.memories import START, apart, found, index_of, memory

CHAT = [
    memory("Where did you go on holiday?", 0, session_id="one", metadata={"speaker": "Ann"}),
    memory("To Lisbon, for a week.", 1, session_id="one", metadata={"speaker": "Bob"}),
    memory("That sounds lovely.", 2, session_id="one", metadata={"speaker": "Ann"}),
    memory("I bought a new guitar yesterday.", 90, session_id="two", metadata={"speaker": "Bob"}),
    memory("Which one?", 91, session_id="two", metadata={"speaker": "Ann"}),
    memory("An acoustic one.", 92, session_id="two", metadata={"speaker": "Bob"}),
]


def test_the_best_comes_first_and_neighbours_follow():
    assert found(index_of(*CHAT), "Which holiday did Bob take?")[:2] == [CHAT[0].content, CHAT[1].content]
    assert found(index_of(*CHAT), "guitar") == [CHAT[3].content, CHAT[4].content, CHAT[5].content]


def test_inflected_words_are_found():
    assert found(index_of(*CHAT), "guitars")[0] == CHAT[3].content
    assert found(index_of(*CHAT), "buying")[:0] == []


def test_hits_have_scores_that_fall_and_are_a_sequence():
    hits = MemorySearch(index_of(*CHAT)).search("guitar holiday Bob")
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    assert len(hits) == len(hits.memories) == len(CHAT)
    assert hits[0].memory == hits.memories[0]
    assert isinstance(hits[:2], SearchHits)
    assert [*hits[:2]] == [hits[0], hits[1]]
    assert bool(hits)
    assert not SearchHits()
    assert "guitar" not in repr(hits)
    assert "guitar" not in repr(hits[0])
    assert hits == SearchHits(hits)


def test_a_word_that_is_said_again_counts_more():
    assert found(
        index_of(*apart("tea and milk and water", "tea and tea and water", "tea tea tea and water")), "tea"
    ) == [
        "tea tea tea and water",
        "tea and tea and water",
        "tea and milk and water",
    ]


def test_a_rare_word_counts_more_than_a_common_one():
    index = index_of(*apart(*["common thing"] * 3, "common place", "rare thing"))
    assert found(index, "common rare")[0] == "rare thing"


def test_ties_are_settled_by_time_the_newest_first():
    index = index_of(*apart("tea one", "tea two", "tea three"))
    assert found(index, "tea") == ["tea three", "tea two", "tea one"]
    assert found(index, "tea") == found(index_of(*apart("tea one", "tea two", "tea three")), "tea")


def test_equal_contents_of_one_agent_are_one_hit_the_newest():
    rows = [memory("I like tea", n, session_id=f"s{n % 3}") for n in range(9)]
    other = memory("I like tea", 100, agent_id="b", session_id="s")
    hits = MemorySearch(index_of(*rows, other)).search("tea")
    assert {(hit.memory.agent_id, hit.memory.time, hit.count) for hit in hits} == {
        ("a", rows[8].time, 9),
        ("b", other.time, 1),
    }
    [hit] = MemorySearch(index_of(*rows)).search("tea", MemoryFilter(until=rows[4].time))
    assert (hit.memory, hit.count) == (rows[3], 4)


def test_a_repeated_content_without_a_word_of_the_query_stays_beside_what_it_answers():
    rows = [
        memory("Do you like tea?", 0, session_id="s"),
        memory("Yes.", 1, session_id="s"),
        memory("Yes.", 99, session_id="t"),
    ]
    first, second = MemorySearch(index_of(*rows)).search("tea")
    assert (first.memory, second.memory, second.count) == (rows[0], rows[1], 2)
    assert first.next == (second.memory.occurred_at, second.memory.time)
    assert second.previous == (first.memory.occurred_at, first.memory.time)


def test_equal_contents_do_not_crowd_out_others():
    rows = [memory("tea", n, session_id=f"s{n % 99}") for n in range(2000)]
    index = index_of(*rows, memory("I think that someone might have had a tea or perhaps not", 9000, session_id="last"))
    assert len(found(index, "tea", limit=2)) == 2


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"agent_id": "b"}, {2}),
        ({"session_id": "s1"}, {1}),
        ({"session_id": "s2", "agent_id": "a"}, set()),
        ({"agent_id": "none"}, set()),
        ({"since": START}, {1, 2, 3}),
        ({"until": memory("", 2).time}, {0, 1}),
        ({"tags": ["ui"]}, {0, 1}),
        ({"tags": ["ui"], "tags_match": "exact"}, {0}),
        ({"tags": ["ui", "x"]}, set()),
        ({"memory_types": ["decision", "entity"]}, {1}),
        ({"event_types": ["message"]}, {3}),
        ({"min_importance": 0.5}, {2}),
        ({"tags": [], "memory_types": []}, {0, 1, 2, 3}),
    ],
)
def test_filters(fields, expected):
    rows = [
        memory("tea 0", 0, session_id="s0", tags=["ui"]),
        memory("tea 1", 1, session_id="s1", tags=["gui"], memory_type="decision"),
        memory("tea 2", 2, session_id="s2", agent_id="b", importance=0.7),
        memory("tea 3", 3, session_id="s3", event_type="message", importance=0.2),
    ]
    assert set(found(index_of(*rows), "tea", **fields)) == {f"tea {n}" for n in expected}


def test_a_filter_that_leaves_out_the_best_ones_still_finds_the_rest():
    rows = [memory(f"tea {n}", n, session_id=f"s{n}") for n in range(1000)]
    rows.append(memory("about a very long afternoon with some tea in it", 2000, session_id="late", importance=1.0))
    assert found(index_of(*rows), "tea", min_importance=1.0) == [rows[-1].content]


def test_a_session_of_several_agents_gives_each_one_s_memories_with_the_other_s_context():
    rows = [memory("Which tea do you like?", 0, session_id="s", agent_id="b"), memory("Assam.", 1, session_id="s")]
    index = index_of(*rows, *apart("nothing here"))
    assert found(index, "tea", agent_id="a", session_id="s") == ["Assam."]
    assert found(index, "tea") == [row.content for row in rows]
    assert found(index, "tea", agent_id="b") == ["Which tea do you like?"]


def test_of_an_agent_alone_only_its_own_memories_count():
    rows = [memory("Which tea do you like?", 0, session_id="s", agent_id="b"), memory("Assam.", 1, session_id="s")]
    assert found(index_of(*rows), "tea", agent_id="a") == found(index_of(rows[1]), "tea", agent_id="a") == []


def test_time_is_when_it_occurred():
    old = memory("old tea", 5, session_id="x", metadata={"occurred_at": "2020-01-01T00:00:00Z"})
    index = index_of(old, memory("new tea", 1, session_id="y"))
    assert found(index, "tea", since=START) == ["new tea"]


# ---- other languages


@pytest.mark.parametrize(
    ("query", "content"),
    [
        ("Begrenzung", "Die Geschwindigkeitsbegrenzung auf der Autobahn wurde aufgehoben."),
        ("Geschwindigkeit", "Die Geschwindigkeitsbegrenzung auf der Autobahn wurde aufgehoben."),
        ("Geschwindigkeitsbegrenzungen", "Eine Geschwindigkeitsbegrenzung gibt es nicht."),
        ("Bucher", "Sie liest gern Bücher."),
        ("Buch", "Sie liest gern Bücher."),
        ("strasse", "Wir wohnen in der Hauptstraße."),
        ("cancion", "Mi canción favorita es antigua."),
        ("CANCIÓN", "Las canciones antiguas me gustan."),
        ("espana", "Vivimos en España."),
        ("東京", "来週は東京都に行きます。"),
        ("北京大学", "他在北京大学学习中文。"),
        ("猫", "私の好きな動物は猫です。"),
        ("猫", "好きな動物は猫"),
        ("データ分析", "彼女はデータ分析を勉強している。"),
        ("한국어", "저는 한국어를 배웁니다."),
        ("Москва", "Мы едем в Москва завтра."),
    ],
)
def test_words_of_other_languages_are_found(query, content):
    index = index_of(
        *apart(
            "The weather is fine today.", "今日は天気がいい。", "Das Wetter ist schön.", content, "El tiempo es bueno."
        )
    )
    assert found(index, query)[0] == content


def test_a_long_word_is_also_found_within_others_where_it_stands_by_itself():
    index = index_of(*apart("Geschwindigkeit zählt.", "Geschwindigkeitsbegrenzung aufgehoben.", "Nichts davon."))
    assert len(found(index, "Geschwindigkeit")) == 2


# ---- bad input


@pytest.mark.parametrize("query", ["", " ", "\n\t", None, 5, b"tea"])
def test_a_blank_query_is_refused(query):
    with pytest.raises(InvalidRequestError, match="query must be a string") as caught:
        MemorySearch(index_of(*CHAT)).search(query)
    assert caught.value.field == "query"


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(InvalidRequestError, match="limit must be") as caught:
        MemorySearch(index_of(*CHAT)).search("tea", limit=limit)
    assert caught.value.field == "limit"


@pytest.mark.parametrize(
    "query",
    [
        *(
            '"',
            "*",
            "guitar*",
            "guitar NEAR holiday",
            "NEAR(guitar, 2)",
            "-guitar",
            "content:guitar",
            "{a b}:c",
            "^guitar",
            "a AND",
        ),
        *("OR", "NOT", "AND", "(", "guitar)", "''", "a+b", "; DROP TABLE recall1_docs", "_", "__guitar", "%"),
        *(
            "\x00",
            "gui\x00tar",
            "🎉",
            "👩‍👩‍👧 ❤️",
            "\ud800",
            "guitar \udfff",
            "\u202e",
            "²",
            "\U0001e900",
            "ａｂｃ",
            "ﷺ",
        ),
        *(
            "guitar " * 15_000,
            "".join(map(chr, range(0x4E00, 0x9FFF))),
            "x" * 100_000,
            " ".join(map(str, range(20_000))),
        ),
        *("what did they do", "the", string.printable),
    ],
)
def test_any_query_has_an_answer(query):
    index = index_of(*CHAT)
    for row in MemorySearch(index).search(query).memories:
        assert row in CHAT


@given(st.text(min_size=1).filter(str.strip), st.text())
def test_any_query_and_any_content(query, content):
    index = index_of(*CHAT, memory(content + "x", 200))
    MemorySearch(index).search(query)


def test_an_empty_index_finds_nothing():
    assert found(index_of(), "tea") == []
    assert found(index_of(), "tea", agent_id="a") == []
    assert found(index_of(), "tea", session_id="a") == []


def test_a_query_of_only_stop_words_looks_for_them():
    assert found(index_of(*apart("what a day", "tea")), "what") == ["what a day"]


def test_of_many_words_the_rarest_are_read_first(monkeypatch):
    monkeypatch.setattr(_lexical, "_MOST_ROWS", 5)
    rows = apart(*["common"] * 3, *(f"common {n}" for n in range(20)), "rare common")
    assert found(index_of(*rows), "common rare") == ["rare common"]


def test_a_hit_is_a_value():
    assert SearchHit(CHAT[0], 1.0) == SearchHit(CHAT[0], 1.0, 1)
