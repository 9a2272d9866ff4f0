"""The words of the documentation: a term that people search for, a verb that names the action, a subject that acts.

Few rules, for prose alone: code is left out. A page that keeps them all may not be on the list of those that do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.docs import pages


@dataclass(frozen=True)
class Rule:
    """What not to write, what to write in its place, and a sentence of each."""

    pattern: str
    instead: str
    wrong: str
    right: str

    def found_in(self, text):
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

#: Pages written before the rules. The list may only become shorter: a page without findings has to leave it.
NOT_YET = {
    "docs/errors/configuration.md",
    "docs/errors/drain_timeout.md",
    "docs/errors/duplicate_memory.md",
    "docs/errors/middleware.md",
    "docs/errors/not_found.md",
    "docs/errors/rate_limited.md",
    "docs/errors/redirect.md",
    "docs/errors/response_decode.md",
    "docs/errors/result_window_exceeded.md",
    "docs/errors/server_error.md",
    "docs/errors/transport.md",
    "docs/errors/unclassified.md",
    "docs/errors/unexpected_error.md",
    "docs/errors/unexpected_status.md",
    "docs/integrations/anthropic-memory-tool.md",
    "docs/integrations/index.md",
    "docs/integrations/langchain.md",
    "docs/integrations/langgraph.md",
    "docs/integrations/mcp.md",
    "docs/integrations/openai-agents.md",
    "docs/integrations/tools.md",
}
CONTRIBUTORS = {
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/performance-internals.md",
    "docs/delivery-table.md",
    "docs/changelog.md",
}


def prose(text):
    """A page's headings, and its paragraphs each on one line, without code, comments and the targets of links."""
    text = re.sub(r"`[^`\n]*`", "CODE", pages.without_blocks(text))
    text = re.sub(r"\]\([^)]*\)", "]", text).replace("*", "").replace("[", "").replace("]", "")
    return re.sub(r"(?<=[^\n|])\n(?=[^\n#|>-])", " ", text)


def findings(page):
    text = prose(page.read_text(encoding="utf-8"))
    skipped = {"maintainers' facts"} if pages.name_of(page) in CONTRIBUTORS else set()
    return [found for name, rule in RULES.items() if name not in skipped for found in rule.found_in(text)]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_its_wrong_sentence_and_leaves_the_right_one(name):
    rule = RULES[name]
    assert list(rule.found_in(rule.wrong))
    assert not list(rule.found_in(rule.right))
    assert not [found for other in RULES.values() for found in other.found_in(rule.right)]


def test_prose_has_paragraphs_on_one_line_and_no_code():
    page = "# Title\n\nOne `the answer`\nline with [a link](the-answer.md).\n\n```python\nthe answer\n```\n\n- item\n- next\n"
    assert prose(page).split("\n") == ["# Title", "", "One CODE line with a link.", "", "", "", "- item", "- next", ""]


@pytest.mark.parametrize("page", pages.ALL, ids=pages.name_of)
def test_a_page_says_it_in_the_words_of_the_field(page):
    found = findings(page)
    if pages.name_of(page) in NOT_YET:
        assert found, f"{pages.name_of(page)} keeps all rules now: take it off NOT_YET"
    else:
        assert found == []


def test_the_list_of_pages_that_do_not_keep_the_rules_yet_names_pages():
    assert set(map(pages.name_of, pages.WITH_EXAMPLES)) >= NOT_YET
