"""Count or estimate the tokens of a string."""

from __future__ import annotations

import itertools
import re
import string
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from math import ceil

from memtrace._support.callables import is_async_callable
from memtrace._support.numbers import is_int
from memtrace.operations._validation import invalid

TokenCounter = Callable[[str], int]
"""Returns the number of tokens of a string, 0 or more. It blocks. It is called once for each memory, and once
for the whole.
"""

MESSAGE_TOKENS: int = 4
"""The tokens of each message besides its content: chat formats add about so many."""

_RULE = "a function that takes a string and returns a whole number, 0 or more"


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens a string has for OpenAI's tokenizers, or a few more.

    For a prompt in English or German, of code, JSON, Chinese, Japanese, emoji or identifiers it is
    between 1.00 and 1.25 times the larger count of cl100k_base and o200k_base.

    Args:
        text: The string.

    Returns:
        The number of tokens.

    Example:
        >>> estimate_tokens("User prefers dark mode")
        6
    """
    pieces = Counter(_PIECE.findall(text))
    return ceil(
        sum([count * (_of_short(piece) if len(piece) <= _SHORT else _of(piece)) for piece, count in pieces.items()])
    )


def check_counter(count_tokens: object) -> None:
    """Refuse what is no blocking function."""
    if not callable(count_tokens) or is_async_callable(count_tokens):
        raise invalid("count_tokens", _RULE, "no other can be called here")


def checked_count(count_tokens: TokenCounter, text: str) -> int:
    """What `count_tokens` gives. Raises `InvalidRequestError` for what is no number of tokens."""
    tokens = count_tokens(text)
    if not is_int(tokens) or tokens < 0:
        raise invalid("count_tokens", _RULE, f"it gave {'a negative one' if is_int(tokens) else type(tokens).__name__}")
    return tokens


# ---- the estimate: the kinds of pieces into which tokenizers split a string, and the average tokens of each

#: A space before a word is part of its token, a sign between two words often is, and a line end is part of the signs before it.
_PIECE = re.compile(
    r"""[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ɏ]+ | [A-ZÀ-ÖØ-Þ]+
    | \d{1,3}
    | [ ](?:(?=[\d\u2e80-\ua4cf]) | [ ]*[!-/:-@\[-`{-~]+[\r\n]* | [ ]+[\r\n]*)
    | '(?:[smdt]|ll|[rv]e)\b
    | [!-/:-@\[-`{-~](?:[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ɏ]+ | [A-ZÀ-ÖØ-Þ]+ | [!-/:-@\[-`{-~]*[\r\n]*)
    | \s*[\r\n]+ | \t{1,2}
    | [\u0250-\U0010ffff]+ | [\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xbf\xd7\xf7]""",
    re.VERBOSE,
)
_SHORT = 24
_CONTRACTIONS = frozenset(("'s", "'m", "'d", "'t", "'ll", "'re", "'ve"))
#: Of a sign that is often one token with the word behind it.
_JOINED_SIGN = 0.45

#: What two letters that stand side by side add to a word, in tenths of a token: a row for each first letter, a to z, and one for
#: letters with marks; in it the second letter in the same order. Frequent pairs seldom part, so a word of English costs one
#: token, one of another language more, and other characters most. Fitted to both tokenizers on chats, code, identifiers and prose
#: in twelve languages; `benchmarks/tokens.py` checks the result.
_PAIR_TENTHS = (
    "700174040720018180103111019"
    "465517992090891694270399199"
    "263507922900980260800999079"
    "455227253711092594094129239"
    "030011586783332202036020289"
    "376520390963752791710999193"
    "535929602993612791261999029"
    "268916591936331892624969266"
    "100020169641200031109092907"
    "699939999969950999592999999"
    "689800092997919499089949696"
    "469110862941671090432219099"
    "105405992994371094063979197"
    "380112083323022396004098279"
    "124151232222001160321203199"
    "284009405990260191512793099"
    "399999999990999998950999999"
    "398112282935211371034146099"
    "494515703956433034111929099"
    "250414900981971510050906069"
    "241313223990139091039890799"
    "499909692999797399999949999"
    "247409903991900990197997894"
    "291718995996399099909995099"
    "938909992998542299039949519"
    "698939998995997999925949399"
    "987987779999972996799973999"
)
_TENTH = 0.107
_LETTERS = string.ascii_lowercase + "~"
_PAIRS = {
    pair: _TENTH * int(tenths) for pair, tenths in zip(itertools.product(_LETTERS, repeat=2), _PAIR_TENTHS, strict=True)
}
_MARKED = re.compile("[^a-z]")
#: What a word costs before its pairs, by its letters; never less than 1 in all.
_OF_TWO, _OF_MORE = 0.95, 0.75
_CAPITAL = 0.12
_CAPITALS = 0.11
#: Characters of other scripts up to a code point, and what each costs.
_SCRIPTS = (
    (0x36F, 2.0),
    (0x3FF, 1.08),  # Greek
    (0x52F, 0.57),  # Cyrillic
    (0x5FF, 1.22),  # Armenian, Hebrew
    (0x77F, 0.88),  # Arabic
    (0x8FF, 2.0),
    (0xDFF, 1.3),  # India
    (0xE7F, 1.0),  # Thai
    (0x1DFF, 2.0),
    (0x1FFF, 1.5),  # Latin and Greek with several marks
    (0x206F, 1.0),  # punctuation
    (0x2FFF, 2.0),
    (0x303F, 1.0),  # punctuation of Chinese and Japanese
    (0x31FF, 1.0),  # kana
    (0x33FF, 2.0),
    (0x9FFF, 2.1),  # Han
    (0xABFF, 2.0),
    (0xD7FF, 1.3),  # Hangul
    (0xDFFF, 1.0),  # half a character, which is written as the replacement character
    (0xFDFF, 2.0),
    (0xFFFF, 1.0),  # full width, and what follows an emoji
    (0x10FFFF, 3.02),  # emoji
)
_LAST_OF_SCRIPTS = [last for last, _ in _SCRIPTS]
#: Those that have their own token in cl100k_base, at which most others have two or three.
_HAN = frozenset(
    "一万三上下不与专业东两个中串为主么义之也书了事二于五些交产享京人亿今介从他付代以们件价任份企优会传但位体何余作你使例"
    "供価保信修倍值停像元先入全公共关其具内円册再写出击分列则初利别到制前力功加务动動包化北区十午华单南即历原去县参及友反"
    "发取变口只可台右号司合同名后向否含听启告员周命和品哈商問器四回因国图土在地场址型城基報場填增声处备复外多大天失头女好"
    "如始子字存学安宋完定实审客家容密对导将小少尔就局展山岁州工左已市布常平年并广序库应店度建开异式引张当录形影径待後得微"
    "心必志态思性总息您情意感成我或户所手打找技投报拉持指按换据排接推提播支收改放政效数整文料断新方族无日时明易星是時景更"
    "最月有服期木未本机权束条来板构析果查标样核格案检模次款止正此步歳段每比民気水求江汽没治法注活流海消清游源火点無然片版"
    "物特率环现球理生用由电男画界番登的监目直相省看県真知码确示社票私种科秒称移程稍税稿空立站章端笑符第等签简算管箱米类系"
    "素索约级线组经结给络统编网置美老考者而联能自至色节英藏行表装西要見见规视角解言計記話読计认议记论设证评试话询该详语误"
    "说请读调象责败账货购费资起超路身车转软载辑输达过运近还这进连述退送选通速造連道邮部都配释里重量金钟钮链销错键长開間関"
    "门闭问间队阳陆限院除雅集雷需非面音页项预频题额首验高黑"
)


class _Characters(dict[str, float]):
    """What a character of another script costs; made as they come."""

    def __missing__(self, character: str) -> float:
        cost = 1.0 if character in _HAN else _SCRIPTS[bisect_left(_LAST_OF_SCRIPTS, ord(character))][1]
        self[character] = cost
        return cost


_characters = _Characters()


def _of(piece: str) -> float:
    first = piece[0]
    if first >= "\u0250":
        return sum([_characters[character] for character in piece])
    if first.isalpha():
        return _of_word(piece)
    if first > "~":
        return 1.2
    if first.isdigit() or piece in _CONTRACTIONS:
        return 1.0
    if first.isspace():
        return _of_space(piece)
    if piece[1:2].isalpha():
        return _JOINED_SIGN + _of_word(piece[1:])
    return _of_signs(piece)


def _of_word(word: str) -> float:
    letters = len(word)
    if letters == 1:
        return 1.0
    lower = word.lower()
    if not lower.isascii():
        lower = _MARKED.sub("~", lower)
    cost = _OF_TWO if letters == 2 else _OF_MORE
    cost += sum([_PAIRS[pair] for pair in itertools.pairwise(lower)])
    if word[0].isupper():
        cost += _CAPITALS * (letters - 1) if word.isupper() else _CAPITAL
    return max(1.0, cost)


def _of_space(piece: str) -> float:
    """Of spaces, the last of which is part of the signs or the word behind it, and of line ends."""
    signs = piece.lstrip(" ")
    if not signs or signs.isspace():
        return 2.0 if piece == "\t\t" else 1.0
    return _of_signs(signs) + (len(piece) - len(signs) > 1)


def _of_signs(signs: str) -> float:
    row = signs.rstrip("\r\n")
    if len(row) > 3 and row == row[0] * len(row):  # a rule
        return 1 + len(row) / 24
    return 1.0 if len(row) < 3 else max(1.3, len(row) * 0.5)


_of_short = lru_cache(maxsize=8192)(_of)
