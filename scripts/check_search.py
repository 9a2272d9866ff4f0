"""Type words into the search of the built documentation: a page that answers is among the first three results.

python scripts/check_search.py docs/_build

Prints each word that finds none of its pages, with what it finds, and exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.parse import quote_plus

from headless_site import Page, open_site

FIRST = 3

ANSWERS = {
    "timeout": ["configuration", "errors/timeout"],
    "deadline": ["configuration"],
    "retry": ["configuration", "delivery-guarantees"],
    "retries": ["delivery-guarantees", "configuration"],
    "max_retries": ["configuration"],
    "backoff": ["configuration"],
    "pagination": ["reading"],
    "cursor": ["reading"],
    "limit": ["reading", "reference/memories"],
    "list memories": ["reading"],
    "bulk insert": ["batches"],
    "batch insert": ["batches"],
    "write buffer": ["write-buffer"],
    "idempotency": ["delivery-guarantees"],
    "idempotency key": ["delivery-guarantees", "glossary"],
    "exactly once": ["delivery-guarantees"],
    "duplicate memory": ["concepts", "errors/duplicate_memory"],
    "mock": ["testing"],
    "mock server": ["testing"],
    "fake server": ["testing", "serving"],
    "pytest fixture": ["testing"],
    "unit test": ["testing"],
    "multi-tenant": ["deployments", "many-users"],
    "tenant": ["deployments"],
    "user id": ["many-users"],
    "user_id": ["many-users"],
    "vector search": ["concepts", "glossary"],
    "semantic search": ["concepts", "glossary"],
    "embeddings": ["concepts", "glossary"],
    "RAG": ["context", "glossary"],
    "context window": ["context"],
    "prompt": ["context"],
    "prompt caching": ["context"],
    "token budget": ["context", "glossary"],
    "rate limit": ["errors/rate_limited"],
    "429": ["errors/rate_limited"],
    "proxy": ["deployments"],
    "api key": ["configuration"],
    "environment variables": ["configuration"],
    "base url": ["configuration"],
    "delete memory": ["faq"],
    "update memory": ["faq"],
    "async": ["quickstart", "reference/async-client"],
    "asyncio": ["quickstart"],
    "install": ["quickstart"],
    "middleware": ["middleware"],
    "interceptor": ["middleware", "glossary"],
    "transport": ["transports", "glossary"],
    "connection pool": ["transports"],
    "logging": ["observability"],
    "opentelemetry": ["observability"],
    "tracing": ["observability"],
    "metrics": ["observability"],
    "langchain": ["integrations/langchain"],
    "langgraph": ["integrations/langgraph", "migrate-langgraph-store"],
    "openai agents": ["integrations/openai-agents", "integrations/index"],  # its first row
    "pydantic ai": ["integrations/pydantic-ai"],
    "strands": ["integrations/strands"],
    "microsoft agent framework": ["integrations/agent-framework"],
    "mem0": ["migrate-mem0"],
    "mcp": ["integrations/mcp"],
    "function calling": ["integrations/tools"],
    "celery": ["deployments"],
    "lambda": ["deployments"],
    "gunicorn": ["deployments"],
    "cli": ["console"],
    "export": ["console"],
    "sqlite": ["sqlite"],
    "exceptions": ["errors", "reference/errors"],
    "ConflictError": ["reference/errors", "errors"],
    "AddMemoryRequest": ["reference/memories"],
    "with_options": ["reference/client", "reference/async-client"],
    "remember": ["quickstart", "reference/client"],
    "add memory": ["quickstart"],
    "search memories": ["quickstart", "concepts"],
    "changelog": ["changelog"],
    "breaking changes": ["moving-over"],
    "alternatives": ["comparison"],
    "thread safety": ["deployments"],
}
"""The pages that answer a word; one of them is enough."""


def found(page: Page, words: str) -> list[str]:
    """The first pages that the search shows, in its order."""
    page.open(f"search.html?q={quote_plus(words)}")
    page.wait_for("/^(Search finished|Your search did not)/.test(Search.status?.innerText)")
    links = page.evaluate(
        "[...document.querySelectorAll('#search-results ul.search li > a')].map(link => link.pathname)"
    )
    pages = [link.removeprefix("/").removesuffix(".html") for link in links]
    return list(dict.fromkeys(pages))[:FIRST]


def main() -> int:
    """Search for every word."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, help="where Sphinx wrote the pages")
    site = parser.parse_args().site
    unanswered = 0
    with open_site(site) as page:
        if found(page, "zyzzyva"):
            raise AssertionError("a word that no page has was found")
        for words, pages in ANSWERS.items():
            missing = [name for name in pages if not (site / f"{name}.html").exists()]
            first = found(page, words)
            if missing or not set(first) & set(pages):
                unanswered += 1
                print(f"{words!r}: finds {first}, none of {pages}", *(f"({name} is no page)" for name in missing))
    print(f"{len(ANSWERS)} searches, {unanswered} unanswered")
    return 1 if unanswered else 0


if __name__ == "__main__":
    sys.exit(main())
