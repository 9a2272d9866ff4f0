"""Runs operations and workflows for asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, ClassVar, TypeVar

from memtrace._flow.drivers import drive_async
from memtrace._runtime.dispatch._request_cycle import AnyDispatcher, Form, async_form, check_operation
from memtrace._runtime.workflows.steps import BlockingCall, BoundedOperation, Pause, Told, WorkflowRun
from memtrace._support.tracebacks import drop_own_frames
from memtrace.exceptions import MemtraceError
from memtrace.operations import Operation
from memtrace.transport import AsyncTransport

if TYPE_CHECKING:
    from memtrace._runtime.workflows.steps import Stream, Workflow, WorkflowStep
    from memtrace.operations import RawResponse

T = TypeVar("T")


class AsyncDispatcher(AnyDispatcher[AsyncTransport]):
    """Runs operations, and workflows of them."""

    _form: ClassVar[Form] = async_form

    async def send(self, operation: Operation[T], deadline: float | None = None) -> T:
        """Run one operation; until `deadline`, a time of the client's clock, where one is given."""
        try:
            request = self._request(operation, deadline)
            transport = self._shared.transport(self)
            response = await drive_async(self._handler(request), transport, self._shared.locks, request.context)
            return self._result(operation, request, response)
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10

    async def send_last(self, operation: Operation[T]) -> T:
        """Run the operation that ends a block, even if the block was cancelled."""
        with self._form.shield():
            return await self.send(operation)

    async def send_raw(self, operation: Operation[T]) -> RawResponse[T]:
        """Run one operation, and keep what came with its result. Raises `TypeError` for what is none."""
        check_operation(operation)
        try:
            request = self._request(operation)
            transport = self._shared.transport(self)
            response = await drive_async(self._handler(request), transport, self._shared.locks, request.context)
            return self._raw(operation, request, response)
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10

    async def run(self, workflow: Operation[T] | Workflow[T]) -> T:
        """Run a workflow: each step that it yields, in turn; or the one operation that it is.

        Returns what it returns, and raises what it lets out.
        """
        if isinstance(workflow, Operation):
            return await self.send(workflow)
        run = WorkflowRun(workflow)
        try:
            await self._advance(run)
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10
        finally:
            run.close()
        return run.returned

    async def stream(self, stream: Stream[T]) -> AsyncGenerator[T, None]:
        """What a stream emits, one by one. Nothing is done before the first is asked for; closing this closes the stream."""
        run = WorkflowRun(stream)
        try:
            while await self._advance(run):
                for item in run.items:
                    yield item
                run.items = ()  # a page is gone before the next one comes
        except MemtraceError as error:
            drop_own_frames(error)
            raise error  # noqa: TRY201  # a bare one brings them back on Python 3.10
        finally:
            run.close()

    async def _advance(self, run: WorkflowRun[T]) -> bool:
        """Do its steps until it emits an item, which is True, or ends. Only an `Exception` is thrown in."""
        step = run.resume()
        while step is not None:
            try:
                result = await self._do(step)
            except Exception as error:  # noqa: BLE001  # the workflow decides
                step = run.throw(error)
            else:
                step = run.resume(result)
        return not run.ended

    async def _do(self, step: WorkflowStep) -> object:
        if isinstance(step, BoundedOperation):
            return await self.send(step.operation, step.deadline)
        if isinstance(step, (BlockingCall, Told)):
            return await step.async_call()
        if not isinstance(step, Pause):
            return await self.send(step)
        await self.settings.clock.async_sleep(step.seconds)
        return None

    async def close(self) -> None:
        """Detach from the shared transport and the index; the last one closes them."""
        transport, index = self._shared.detach(self), self._index.detach(self)
        try:
            if transport is not None:
                await transport.close()
        finally:
            if index is not None:
                await self._do(BlockingCall(index.close, index.thread))
