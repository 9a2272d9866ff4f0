# Generated from _async_dispatcher.py by scripts/unasync.py: change that file and run the script.
"""Runs operations and workflows blocking."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, TypeVar

from memtrace._flow.drivers import drive
from memtrace._runtime.dispatch._request_cycle import AnyDispatcher, Form, check_operation, form
from memtrace._runtime.workflows.steps import BlockingCall, BoundedOperation, Pause, Told, WorkflowRun
from memtrace._support.tracebacks import drop_own_frames
from memtrace.exceptions import MemtraceError
from memtrace.operations import Operation
from memtrace.transport import Transport

if TYPE_CHECKING:
    from memtrace._runtime.workflows.steps import Stream, Workflow, WorkflowStep
    from memtrace.operations import RawResponse

T = TypeVar("T")


class Dispatcher(AnyDispatcher[Transport]):
    """Runs operations, and workflows of them."""

    _form: ClassVar[Form] = form

    def send(self, operation: Operation[T], deadline: float | None = None) -> T:
        """Run one operation; until `deadline`, a time of the client's clock, where one is given."""
        try:
            request = self._request(operation, deadline)
            transport = self._shared.transport(self)
            response = drive(self._handler(request), transport, self._shared.locks, request.context)
            return self._result(operation, request, response)
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10

    def send_last(self, operation: Operation[T]) -> T:
        """Run the operation that ends a block, even if the block was cancelled."""
        with self._form.shield():
            return self.send(operation)

    def send_raw(self, operation: Operation[T]) -> RawResponse[T]:
        """Run one operation, and keep what came with its result. Raises `TypeError` for what is none."""
        check_operation(operation)
        try:
            request = self._request(operation)
            transport = self._shared.transport(self)
            response = drive(self._handler(request), transport, self._shared.locks, request.context)
            return self._raw(operation, request, response)
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10

    def run(self, workflow: Operation[T] | Workflow[T]) -> T:
        """Run a workflow: each step that it yields, in turn; or the one operation that it is.

        Returns what it returns, and raises what it lets out.
        """
        if isinstance(workflow, Operation):
            return self.send(workflow)
        run = WorkflowRun(workflow)
        try:
            self._advance(run)
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10
        finally:
            run.close()
        return run.returned

    def stream(self, stream: Stream[T]) -> Generator[T, None, None]:
        """What a stream emits, one by one. Nothing is done before the first is asked for; closing this closes the stream."""
        run = WorkflowRun(stream)
        try:
            while self._advance(run):
                for item in run.items:
                    yield item
                run.items = ()  # a page is gone before the next one comes
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10
        finally:
            run.close()

    def _advance(self, run: WorkflowRun[T]) -> bool:
        """Do its steps until it emits an item, which is True, or ends. Only an `Exception` is thrown in."""
        step = run.resume()
        while step is not None:
            try:
                result = self._do(step)
            except Exception as error:  # noqa: BLE001  # the workflow decides
                step = run.throw(error)
            else:
                step = run.resume(result)
        return not run.ended

    def _do(self, step: WorkflowStep) -> object:
        if isinstance(step, BoundedOperation):
            return self.send(step.operation, step.deadline)
        if isinstance(step, (BlockingCall, Told)):
            return step.call()
        if not isinstance(step, Pause):
            return self.send(step)
        self.settings.clock.sleep(step.seconds)
        return None

    def close(self) -> None:
        """Detach from the shared transport and the index; the last one closes them."""
        transport, index = self._shared.detach(self), self._index.detach(self)
        try:
            if transport is not None:
                transport.close()
        finally:
            if index is not None:
                self._do(BlockingCall(index.close, index.thread))
