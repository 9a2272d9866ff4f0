"""The store that LangGraph calls."""

from __future__ import annotations

from collections.abc import Iterable

from langgraph.store import base

from memtrace.async_client import AsyncMemtrace
from memtrace.client import Memtrace
from memtrace.integrations._dual_client import DualClient
from memtrace.integrations._records import check_wait_timeout
from memtrace.integrations.langgraph._batch_run import BatchRun, Known
from memtrace.integrations.langgraph._checks import checked
from memtrace.integrations.langgraph._embedding import Embedding, Vector
from memtrace.integrations.langgraph._expiry import check_ttl_config
from memtrace.integrations.langgraph._items import StoredItems
from memtrace.integrations.langgraph._known_versions import KnownVersions
from memtrace.integrations.langgraph._vector_items import VectorItems
from memtrace.operations._validation import require_id


class MemtraceStore(base.BaseStore):
    """A LangGraph store whose items are memories of one agent, which need not be registered.

    A put or a deletion is another memory. The newest memory of a key counts.

    A search with a `query` ranks items by its words, and by meaning if the client has an embedder,
    like `memories.search`. With an `index`, it ranks items by their vectors, as LangGraph's own
    stores do.

    Blocking methods need `client`. The async ones use `async_client`, or `client` in a thread.

    Args:
        client: The client of the blocking methods.
        async_client: The client of the async methods. Default: `client`, in a thread.
        agent_id: The agent whose memories the items are.
        index: LangGraph's `IndexConfig`: the model that embeds items, and the fields to embed.
            Vectors are stored with the items. Default: items have no vectors.
        ttl: LangGraph's `TTLConfig`: how many minutes items live, and whether reads renew them.
            Expired items are omitted. Default: items live on, unless a put has a `ttl`.
        wait_timeout: Seconds that a write waits until its items can be read. None does not wait, so
            that a read right after may miss them.

    Raises:
        InvalidRequestError: The server does not accept the ID, `wait_timeout` is negative, or
            `index` or `ttl` is invalid.
        NotImplementedError: `ttl` asks for what the store does not have.
        ConfigurationError: There is no client, or one of the wrong kind.

    Example:
        >>> from memtrace import Memtrace
        >>> with Memtrace("memory://", "any key") as client:
        ...     store = MemtraceStore(client, agent_id="assistant")
        ...     store.put(("users", "42"), "prefs", {"theme": "dark"})
        ...     store.put(("users", "42"), "home", {"text": "lives in Lisbon"})
        ...     store.get(("users", "42"), "prefs").value
        ...     store.search(("users",), query="where does the user live?")[0].value
        {'theme': 'dark'}
        {'text': 'lives in Lisbon'}
    """

    supports_ttl = True
    #: The `IndexConfig` that the store was made with.
    index_config: base.IndexConfig | None
    #: The model that embeds items.
    embeddings: base.Embeddings | None

    def __init__(
        self,
        client: Memtrace | None = None,
        async_client: AsyncMemtrace | None = None,
        *,
        agent_id: str,
        index: base.IndexConfig | None = None,
        ttl: base.TTLConfig | None = None,
        wait_timeout: float | None = 5.0,
    ) -> None:
        require_id(agent_id, "agent_id")
        check_wait_timeout(wait_timeout)
        if ttl is not None:
            check_ttl_config(ttl)
        self._dual_client = DualClient(client, async_client, "MemtraceStore")
        self._embedding = None if index is None else Embedding(index)
        items = StoredItems(agent_id, wait_timeout)
        self._known = Known(items, VectorItems(items.form), KnownVersions())
        self.ttl_config = ttl
        self.index_config = index
        self.embeddings = None if self._embedding is None else self._embedding.embeddings

    def batch(self, ops: Iterable[base.Op]) -> list[base.Result]:
        """Run operations together: reads first, then the puts.

        Reads see what was there before the puts. Of several puts of one key the last one counts.

        Args:
            ops: The operations.

        Returns:
            One result for each operation, in order.

        Raises:
            NotImplementedError: The store does not have a feature. Nothing was sent.
            InvalidRequestError: The store cannot keep an item. Nothing was sent.
            PayloadTooLargeError: An item is over 4 MiB. Nothing was sent.
            BatchError: Only some puts were stored.
            MemtraceError: Reading or writing failed.
        """
        batch, queries = checked(ops, self._embedding), dict[str, Vector]()
        if self._embedding is not None:
            texts, asked = batch.all_texts(), batch.queries()
            model = self._embedding.embeddings
            batch.set_vectors(self._embedding.vectors(texts, model.embed_documents(texts) if texts else []))
            queries = self._embedding.vectors(asked, [model.embed_query(query) for query in asked])
        return self._dual_client.run(lambda of: BatchRun(self._known, queries, of).results(batch))

    async def abatch(self, ops: Iterable[base.Op]) -> list[base.Result]:
        """Run operations together, like `batch` does: reads first, then the puts.

        Args:
            ops: The operations.

        Returns:
            One result for each operation, in order.

        Raises:
            NotImplementedError: The store does not have a feature. Nothing was sent.
            InvalidRequestError: The store cannot keep an item. Nothing was sent.
            PayloadTooLargeError: An item is over 4 MiB. Nothing was sent.
            BatchError: Only some puts were stored.
            MemtraceError: Reading or writing failed.
        """
        batch, queries = checked(ops, self._embedding), dict[str, Vector]()
        if self._embedding is not None:
            texts, asked = batch.all_texts(), batch.queries()
            model = self._embedding.embeddings
            batch.set_vectors(self._embedding.vectors(texts, await model.aembed_documents(texts) if texts else []))
            queries = self._embedding.vectors(asked, [await model.aembed_query(query) for query in asked])
        return await self._dual_client.run_async(lambda of: BatchRun(self._known, queries, of).results(batch))
