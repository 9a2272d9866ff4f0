"""The words that people type into the search, and the page that answers each: they become index entries of the pages."""

from __future__ import annotations

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

WORDS = {
    "quickstart": ["install", "getting started", "hello world"],
    "quickstart#remember-and-recall": ["remember", "recall", "add memory", "save memory", "store memory"],
    "quickstart#search": ["search memories", "full-text search"],
    "concepts": ["data model"],
    "concepts#duplicates": ["duplicate memory", "deduplication"],
    "concepts#search": ["vector search", "semantic search", "embeddings", "similarity search"],
    "faq#how-do-i-delete-a-memory": ["delete memory", "delete memories", "forget", "gdpr"],
    "faq#how-do-i-update-a-memory": ["update memory", "edit memory", "change memory"],
    "many-users": ["user id", "user_id", "multi-user", "isolation", "per user"],
    "reading": ["pagination", "paging", "cursor", "offset", "list memories", "get all memories", "filter"],
    "reading#exact-tags": ["tag filter"],
    "reading#what-was-just-written": ["read your writes", "eventual consistency", "consistency"],
    "context": ["context window", "rag", "prompt", "token budget", "prompt injection", "prompt caching"],
    "batches": ["bulk insert", "bulk", "batch insert", "import memories"],
    "write-buffer": ["background write", "fire and forget", "write queue"],
    "configuration#timeouts": ["timeout", "deadline"],
    "configuration#retries": ["retry", "retry policy", "backoff", "max_retries"],
    "configuration#the-environment": ["environment variables"],
    "configuration#the-base-url": ["base url"],
    "configuration": ["api key", "settings"],
    "delivery-guarantees": ["idempotency", "exactly once", "at least once", "retries"],
    "delivery-guarantees#choose-an-idempotency-key": ["idempotency key", "dedup key"],
    "deployments#behind-a-proxy": ["proxy", "https proxy"],
    "deployments#many-tenants": ["multi-tenant", "tenant", "multi tenancy"],
    "deployments#aws-lambda": ["serverless", "lambda"],
    "deployments": ["production", "kubernetes", "thread safety", "fork"],
    "observability": ["logging", "tracing", "metrics", "telemetry"],
    "raw": ["raw response", "response headers", "status code"],
    "testing": ["mock server", "mock", "fake server", "unit test", "stub"],
    "testing#use-the-pytest-fixtures": ["pytest fixture", "pytest", "fixtures"],
    "testing-agents": ["test an agent", "network failure"],
    "middleware": ["interceptor", "hooks", "before request", "event hooks"],
    "transports": ["http client", "connection pool", "http/2", "ssl", "custom transport"],
    "quickstart#async": ["async", "asyncio", "await", "trio"],
    "errors": ["exceptions", "error handling"],
    "errors/rate_limited": ["rate limit", "429", "too many requests", "throttling"],
    "errors/payload_too_large": ["413"],
    "errors/authentication": ["401", "invalid api key", "unauthorized"],
    "errors/not_found": ["404"],
    "errors/duplicate_memory": ["409", "conflict"],
    "errors/no_arc_instance": ["503"],
    "integrations/tools": ["function calling", "tool use"],
    "integrations/mcp": ["model context protocol"],
    "console": ["cli", "command line", "export"],
    "sqlite": ["local storage", "offline", "sqlite", "embedded"],
    "comparison": ["alternatives", "mem0 vs", "zep", "letta"],
    "moving-over": ["breaking changes", "upgrade", "migrate"],
}

_log = logging.getLogger(__name__)


class SearchWords(SphinxTransform):
    """Give a page the index entries of its words."""

    default_priority = 500  # before the domains read the index entries of a page

    def apply(self) -> None:
        """Add the entries to the document, each for the section that it names."""
        for place, words in WORDS.items():
            page, _, anchor = place.partition("#")
            if page == self.env.docname:
                target = anchor or next(self.document.findall(nodes.section))["ids"][0]
                entries = [("single", word, target, "main", None) for word in words]
                self.document.insert(0, addnodes.index(entries=entries))


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of a place that there is not."""
    for place in WORDS:
        page, _, anchor = place.partition("#")
        if page not in env.found_docs:
            _log.warning("no page %s, which has words for the search", page)
        elif anchor and not any(
            anchor in {*section["ids"], section.get("slug")} for section in env.get_doctree(page).findall(nodes.section)
        ):
            _log.warning("the page %s has no section %s, which has words for the search", page, anchor)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform and its check."""
    app.add_transform(SearchWords)
    app.connect("env-check-consistency", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
