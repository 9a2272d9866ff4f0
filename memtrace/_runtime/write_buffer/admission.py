"""What a write buffer takes in: a memory that keeps every rule, as it is at that moment."""

from __future__ import annotations

from memtrace._runtime.workflows.batches import item_body
from memtrace.models import AddMemoryRequest
from memtrace.operations import Dedup
from memtrace.operations._endpoints import with_dedup_key


def prepare(request: AddMemoryRequest, dedup: Dedup) -> tuple[AddMemoryRequest, int]:
    """A copy that later changes do not reach, with its own key where `dedup` is ``per_call``; and its bytes as it is sent.

    Raises `InvalidRequestError` for what the server would refuse, `PayloadTooLargeError` when it alone is over 4 MiB.

    >>> prepare(AddMemoryRequest(agent_id="a1", content="x"), "server")[1]
    79
    """
    if dedup == "per_call" and not request.dedup_key:
        request = with_dedup_key(request)
    size = len(item_body(request))
    return request.model_copy(deep=True), size
