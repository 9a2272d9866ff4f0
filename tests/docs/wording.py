"""The words of documentation, docstrings and messages: the rules that all of them keep."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What not to write, what to write in its place, and a sentence of each."""

    pattern: str
    instead: str
    wrong: str
    right: str

    def found_in(self, text: str) -> Iterator[str]:
        """Each place of a text that breaks the rule, with the words around it."""
        for match in re.finditer(self.pattern, text, re.IGNORECASE | re.MULTILINE):
            yield f"“{text[max(0, match.start() - 30) : match.end() + 30].strip()}”: write {self.instead}"


RULES = {
    "retry": Rule(
        r"\b(made|tried|sent|make it) again\b|\brepetitions?\b|\brepeat(s|ed)? (it|the call|a call|by)\b",
        "retry, retried",
        "A call that failed is made again.",
        "A failed call is retried.",
    ),
    "response": Rule(
        r"\b(the|an|its|whose|lost) answers?\b(?! (from|to)\b)",
        "response (an answer is an agent's or a model's)",
        "The server stores it and the answer is lost.",
        "The server stores it and the response is lost.",
    ),
    "timeout": Rule(r"\btime-outs?\b", "timeout", "The time-out is over.", "The timeout expired."),
    "string": Rule(r"\b(any|a) text\b", "a string", "The key is any text.", "The key is any string."),
    "system clock": Rule(
        r"\bmachine's (clock|time)\b",
        "the system clock",
        "It goes by the machine's clock.",
        "It uses the system clock.",
    ),
    "stand-in verbs": Rule(
        r"\b(stands|comes? out|came out|is told|are told|tells|keeps to|is due|goes by|wants)\b",
        "the verb that names the action: is, raises, returns, logs, requires",
        "What comes out is an error that tells the cause.",
        "The call raises an error with the cause.",
    ),
    "headless clauses": Rule(
        r"(^|[.:] )(whoever|what (is|was|has|does|comes|breaks|goes|cannot))\b(?![^.?\n|]*\?)(?=[^\n|]*\.( |$))",
        "a noun as the subject",
        "What breaks a rule is rejected.",
        "An invalid argument is rejected by the SDK.",
    ),
    "who refuses": Rule(
        r"\b(is|are|was|were) refused\b",
        "who refuses: the SDK or the server rejects it, or the error it raises",
        "A bad filter is refused.",
        "The SDK rejects a bad filter.",
    ),
    "of its own": Rule(
        r"\bof (its|their|your|his|her|my|our) own\b|\bof (yours|theirs|ours)\b",
        "its own, your",
        "Give it a key of its own, for a transport of yours.",
        "Give it its own key, for your transport.",
    ),
    "except": Rule(
        r"\b(all |nothing |no \w+ )?but for\b|\ball but\b",
        "except",
        "All but one are kept.",
        "All except one are kept.",
    ),
    "if": Rule(
        r"\b(None|empty|left out|omitted|given|raises( \w+)?|repeated) (only )?where\b",
        "if (where is for places)",
        "It is None where the batch has no length.",
        "It is None if the batch has no length.",
    ),
    "is not a": Rule(
        r"(?<!there )\b(is|are|was|were) no (?!longer\b|more\b|other\b|different\b|problem\b)\w+",
        "is not a",
        "The path is no file.",
        "The path is not a file.",
    ),
    "accepts": Rule(
        r"\b(Transport|client|method|function|option|argument|filter|class)s? takes? (a|an|any|only|no|its|the)\b(?! (while|moment|second|minute|few|time|same time)\b)",
        "accepts, requires",
        "The option takes a number.",
        "The option accepts a number.",
    ),
    "see above": Rule(
        r"\bas above\b|\bsee there\b|\bas the others?\b",
        "the thing again, or its name",
        "It behaves as above.",
        "It behaves like `add`.",
    ),
    "one fact a sentence": Rule(
        r";[^.;\n|]*;",
        "one sentence for each fact",
        "It waits; it reads; it sends.",
        "It waits and reads; then it sends.",
    ),
    "metaphors": Rule(
        r"\b(doors?|house|ledger|heirs?|waiting room|arrows)\b",
        "the pattern's name: facade, registry, queue",
        "There are two doors.",
        "There are two methods.",
    ),
    "maintainers' facts": Rule(
        r"\bnox\b|\btest ids?\b|\bthe project's tests\b",
        "nothing: it belongs to CONTRIBUTING.md",
        "The project's tests run it under nox.",
        "Every example is executed.",
    ),
    "riddle headings": Rule(
        r"^#+ (Seen|Cure|The form|The forms|The table|The loop|Keys|Ten lines|Cell by cell|Arrows|All of them)$",
        "a task, or a term that people search for",
        "## Seen",
        "## Example",
    ),
}


#: Rules that private docstrings and comments need not keep.
FOR_USERS = frozenset({"if", "is not a", "accepts"})


def findings(text: str, *, but: frozenset[str] = frozenset()) -> list[str]:
    """Each place of a text that breaks a rule. The names of rules in `but` do not count."""
    return [found for name, rule in RULES.items() if name not in but for found in rule.found_in(text)]
