"""What a workflow is made of: operations and pauses, and, in a stream, the items that it emits as it goes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from memtrace._runtime.progress import tell, tell_async
from memtrace.operations import Operation

if TYPE_CHECKING:
    from memtrace._support.worker_threads import WorkerThread

T = TypeVar("T")
A = TypeVar("A")
I_co = TypeVar("I_co", covariant=True)


class Pause(NamedTuple):
    """A wait, in seconds of the client's clock. Made by `pause`."""

    seconds: float


class BoundedOperation(NamedTuple):
    """An operation that ends by `deadline`, a time of the client's clock, or by the client's own where that is sooner."""

    operation: Operation[object]
    deadline: float


class BlockingCall(NamedTuple):
    """Work that blocks, such as that on a file. Made by `run_blocking`."""

    call: Callable[[], object]
    #: Who does it where nothing may block.
    thread: WorkerThread

    async def async_call(self) -> object:
        """Have it done in the thread."""
        return await self.thread.run(self.call)


class Told(NamedTuple):
    """How far something is, for a function of the user's. Made by `tell_progress`."""

    progress: Callable[[Any], object]
    state: object

    def call(self) -> None:
        """Call the function."""
        tell(self.progress, self.state)

    async def async_call(self) -> None:
        """Call the function, and await what it gives."""
        await tell_async(self.progress, self.state)


class Items(Generic[I_co]):
    """Items of a stream. Made by `emit_all`."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[I_co]) -> None:
        self.items: Sequence[I_co] = items


WorkflowStep = Operation[object] | BoundedOperation | Pause | BlockingCall | Told
"""What a dispatcher does for a workflow."""

Workflow = Generator[WorkflowStep, object, T]
"""A generator that yields steps and returns a `T`. Write ``yield from`` before every one that you use."""

Stream = Generator[WorkflowStep | Items[T], object, None]
"""A workflow that emits `T`s as it goes, and returns nothing."""


def run_operation(operation: Operation[T]) -> Workflow[T]:
    """One operation; raises what the dispatcher's `send` raises.

    Write ``agent = yield from run_operation(get_agent(name))``.
    """
    return cast("T", (yield cast("Operation[object]", operation)))


def run_operation_until(operation: Operation[T], deadline: float) -> Workflow[T]:
    """One operation that ends by `deadline`; raises what the dispatcher's `send` raises."""
    return cast("T", (yield BoundedOperation(cast("Operation[object]", operation), deadline)))


def pause(seconds: float) -> Workflow[None]:
    """A wait by the client's clock, in seconds.

    Write ``yield from pause(0.15)``.
    """
    yield Pause(seconds)


def run_blocking(call: Callable[[], T], thread: WorkerThread) -> Workflow[T]:
    """Work that blocks: here, or in `thread` for the async client.

    Write ``row = yield from run_blocking(file.read, thread)``.
    """
    return cast("T", (yield BlockingCall(call, thread)))


def tell_progress(progress: Callable[[T], object], state: T) -> Workflow[None]:
    """Tell a function of the user's how far something is; the async client awaits what it gives.

    Write ``yield from tell_progress(progress, status)``.
    """
    yield Told(progress, state)


def emit_all(items: Sequence[T]) -> Stream[T]:
    """Return items of a stream one by one. The stream waits until none is left.

    Write ``yield from emit_all(rows)``.
    """
    yield Items(items)


class WorkflowRun(Generic[T]):
    """A workflow or a stream under way: what both dispatchers do alike with one.

    `resume` and `throw` give the next step to be done, or None where there is none: the run then has `ended`, with
    `returned`, or it has emitted `items`.
    """

    __slots__ = ("_generator", "ended", "items", "returned")

    #: The newest items that were emitted.
    items: Sequence[T]
    #: What the workflow returned.
    returned: T

    def __init__(self, generator: Workflow[T] | Stream[T]) -> None:
        self._generator = cast("Generator[WorkflowStep | Items[T], object, T]", generator)
        self.ended: bool = False

    def resume(self, result: object = None) -> WorkflowStep | None:
        """Hand in what the last step gave."""
        return self._go_on(self._generator.send, result)

    def throw(self, error: Exception) -> WorkflowStep | None:
        """Raise the last step's error in the workflow. If the workflow does not handle it, it is raised here."""
        return self._go_on(self._generator.throw, error)

    def _go_on(self, way: Callable[[A], WorkflowStep | Items[T]], given: A) -> WorkflowStep | None:
        try:
            effect = way(given)
        except StopIteration as stop:
            self.ended, self.returned = True, stop.value
            return None
        if isinstance(effect, Items):
            self.items = effect.items
            return None
        return effect

    def close(self) -> None:
        """End it at its current step. The error that ends it is raised, not an error of closing."""
        with suppress(Exception):
            self._generator.close()
