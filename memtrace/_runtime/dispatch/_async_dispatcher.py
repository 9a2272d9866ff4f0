"""Runs operations and workflows for asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, ClassVar, TypeVar

from memtrace._flow.drivers import drive_async
from memtrace._runtime.dispatch._request_cycle import AnyDispatcher, Form, async_form, check_operation
from memtrace._runtime.workflows.steps import Pause, WorkflowRun
from memtrace.exceptions import MemtraceError
from memtrace.middleware._errors import annotate
from memtrace.operations import Operation
from memtrace.transport import AsyncTransport, Request, Response

if TYPE_CHECKING:
    from memtrace._runtime.workflows.steps import Stream, Workflow, WorkflowStep
    from memtrace.operations import RawResponse

__all__ = ["AsyncDispatcher"]

T = TypeVar("T")


class AsyncDispatcher(AnyDispatcher[AsyncTransport]):
    """Runs operations, and workflows of them."""

    _form: ClassVar[Form] = async_form

    async def send(self, operation: Operation[T]) -> T:
        """Run one operation."""
        request = self._request(operation)
        response = await self._send_request(request)
        return self._result(operation, request, response)

    async def send_last(self, operation: Operation[T]) -> T:
        """Run the operation that ends a block, even if the block was cancelled."""
        with self._form.shield():
            return await self.send(operation)

    async def send_raw(self, operation: Operation[T]) -> RawResponse[T]:
        """Run one operation, and keep what came with its result. Raises `TypeError` for what is none."""
        check_operation(operation)
        request = self._request(operation)
        response = await self._send_request(request)
        return self._raw(operation, request, response)

    async def _send_request(self, request: Request) -> Response:
        transport = self._family.transport(self)
        try:
            return await drive_async(self._handler(request), transport, self._family.locks, request.context)
        except MemtraceError as error:
            annotate(error, request)  # a middleware may stand outside of `errors`, or in its place
            raise

    async def run(self, procedure: Workflow[T]) -> T:
        """Run a procedure: each step that it yields, in turn. Returns what it returns, and raises what it lets out."""
        course = WorkflowRun(procedure)
        try:
            await self._advance(course)
        finally:
            course.close()
        return course.returned

    async def stream(self, stream: Stream[T]) -> AsyncGenerator[T, None]:
        """What a stream emits, one by one. Nothing is done before the first is asked for; closing this closes the stream."""
        course = WorkflowRun(stream)
        try:
            while await self._advance(course):
                for item in course.items:
                    yield item
                course.items = ()  # a page is gone before the next one comes
        finally:
            course.close()

    async def _advance(self, course: WorkflowRun[T]) -> bool:
        """Do its steps until it emits an item, which is True, or ends. Only an `Exception` is thrown in."""
        step = course.resume()
        while step is not None:
            try:
                result = await self._do(step)
            except Exception as error:  # noqa: BLE001  # the procedure decides
                step = course.throw(error)
            else:
                step = course.resume(result)
        return not course.ended

    async def _do(self, step: WorkflowStep) -> object:
        if not isinstance(step, Pause):
            return await self.send(step)
        await self.settings.clock.async_sleep(step.seconds)
        return None

    async def close(self) -> None:
        """Leave the family; the last one closes the transport."""
        transport = self._family.detach(self)
        if transport is not None:
            await transport.close()
