# Generated from _async_dispatcher.py by scripts/unasync.py: change that file and run the script.
"""Runs operations and workflows blocking."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, TypeVar

from memtrace._flow.drivers import drive
from memtrace._runtime.dispatch._request_cycle import AnyDispatcher, Form, check_operation, form
from memtrace._runtime.workflows.steps import Pause, WorkflowRun
from memtrace.exceptions import MemtraceError
from memtrace.middleware._errors import annotate
from memtrace.operations import Operation
from memtrace.transport import Request, Response, Transport

if TYPE_CHECKING:
    from memtrace._runtime.workflows.steps import Stream, Workflow, WorkflowStep
    from memtrace.operations import RawResponse

__all__ = ["Dispatcher"]

T = TypeVar("T")


class Dispatcher(AnyDispatcher[Transport]):
    """Runs operations, and workflows of them."""

    _form: ClassVar[Form] = form

    def send(self, operation: Operation[T]) -> T:
        """Run one operation."""
        request = self._request(operation)
        response = self._send_request(request)
        return self._result(operation, request, response)

    def send_last(self, operation: Operation[T]) -> T:
        """Run the operation that ends a block, even if the block was cancelled."""
        with self._form.shield():
            return self.send(operation)

    def send_raw(self, operation: Operation[T]) -> RawResponse[T]:
        """Run one operation, and keep what came with its result. Raises `TypeError` for what is none."""
        check_operation(operation)
        request = self._request(operation)
        response = self._send_request(request)
        return self._raw(operation, request, response)

    def _send_request(self, request: Request) -> Response:
        transport = self._family.transport(self)
        try:
            return drive(self._handler(request), transport, self._family.locks, request.context)
        except MemtraceError as error:
            annotate(error, request)  # a middleware may stand outside of `errors`, or in its place
            raise

    def run(self, procedure: Workflow[T]) -> T:
        """Run a procedure: each step that it yields, in turn. Returns what it returns, and raises what it lets out."""
        course = WorkflowRun(procedure)
        try:
            self._advance(course)
        finally:
            course.close()
        return course.returned

    def stream(self, stream: Stream[T]) -> Generator[T, None, None]:
        """What a stream emits, one by one. Nothing is done before the first is asked for; closing this closes the stream."""
        course = WorkflowRun(stream)
        try:
            while self._advance(course):
                for item in course.items:
                    yield item
                course.items = ()  # a page is gone before the next one comes
        finally:
            course.close()

    def _advance(self, course: WorkflowRun[T]) -> bool:
        """Do its steps until it emits an item, which is True, or ends. Only an `Exception` is thrown in."""
        step = course.resume()
        while step is not None:
            try:
                result = self._do(step)
            except Exception as error:  # noqa: BLE001  # the procedure decides
                step = course.throw(error)
            else:
                step = course.resume(result)
        return not course.ended

    def _do(self, step: WorkflowStep) -> object:
        if not isinstance(step, Pause):
            return self.send(step)
        self.settings.clock.sleep(step.seconds)
        return None

    def close(self) -> None:
        """Leave the family; the last one closes the transport."""
        transport = self._family.detach(self)
        if transport is not None:
            transport.close()
