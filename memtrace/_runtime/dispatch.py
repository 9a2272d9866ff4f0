"""The way from an operation to its result: one dispatcher for each kind of client, shared by its resources."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from memtrace._flow.composition import Handler, compose
from memtrace._flow.drivers import drive, drive_async
from memtrace._runtime.chain import build_chain, is_built_in
from memtrace._runtime.shared_transport import SharedTransport
from memtrace._runtime.workflows.steps import Pause, WorkflowRun
from memtrace._support.error_text import from_distribution, type_name
from memtrace._support.event_loops import shielded
from memtrace._version import __version__
from memtrace.exceptions import (
    ConfigurationError,
    MemtraceError,
    RequestInfo,
    ResponseDecodeError,
    TransportNotAvailableError,
)
from memtrace.middleware._errors import annotate, error_for, is_failure, raise_errors
from memtrace.operations import Operation
from memtrace.transport import (
    AsyncTransport,
    CallContext,
    Flow,
    Headers,
    Request,
    Response,
    Transport,
    TransportOptions,
)

if TYPE_CHECKING:
    from memtrace._runtime.config import Settings
    from memtrace._runtime.workflows.steps import Stream, Workflow, WorkflowStep
    from memtrace.operations import RawResponse
    from memtrace.plugins import TransportSelection, TransportSpec

__all__ = ["AsyncDispatcher", "Dispatcher"]

T = TypeVar("T")

_USER_AGENT = f"memtrace-sdk/{__version__} (Python)"


class _DispatcherBase:
    """What both dispatchers do alike: build requests, compose the middleware, read answers."""

    def __init__(self, settings: Settings, transport_name: str) -> None:
        self.settings = settings
        self.transport_name = transport_name
        chain = build_chain(settings)
        handler = compose(chain, is_built_in)
        self._handler = handler if chain[0] is raise_errors else _with_errors(handler)
        own = {"accept": "application/json", "user-agent": _USER_AGENT}
        if settings.base_url.authorization is not None:
            own["authorization"] = settings.base_url.authorization
        own.update((name.lower(), value) for name, value in settings.headers)
        self._headers = Headers(own)
        self._headers_of_body = Headers({**own, "content-type": "application/json"})

    def _request(self, operation: Operation[T]) -> Request:
        settings = self.settings
        context = CallContext(
            settings.clock, operation.idempotency, operation.accepts, parse=operation.parse, recovery=operation.recovery
        )
        if settings.deadline is not None:
            context.deadline = context.started + settings.deadline
        headers = self._headers if operation.body is None else self._headers_of_body
        for name, value in operation.headers:
            headers = headers.set(name, value)
        return Request(
            operation.method,
            settings.base_url.origin,
            settings.base_url.path + operation.target,
            headers,
            operation.body,
            operation.name,
            settings.timeout,
            context,
        )

    def _result(self, operation: Operation[T], request: Request, response: Response) -> T:
        """Read the answer."""
        try:
            return cast("T", request.context.read(response))
        except ResponseDecodeError as error:
            annotate(error, request)
            raise

    def _raw(self, operation: Operation[T], request: Request, response: Response) -> RawResponse[T]:
        from memtrace.operations import RawResponse

        parsed = self._result(operation, request, response)
        about = RequestInfo(request.method, request.redacted_path, request.operation)
        context = request.context
        return RawResponse(
            response.status, response.headers, response.body, parsed, context.elapsed(), context.attempt, about
        )


class Dispatcher(_DispatcherBase):
    """Runs operations on a sync transport."""

    def __init__(
        self,
        settings: Settings,
        transport_name: str,
        family: SharedTransport[Transport],
        original: Dispatcher | None = None,
    ) -> None:
        super().__init__(settings, transport_name)
        self._family = family
        family.attach(self, original)

    @classmethod
    def create(
        cls,
        settings: Settings,
        transport: str | Transport | TransportSpec | None,
        options: TransportOptions | None = None,
    ) -> Dispatcher:
        """A dispatcher with a transport of its own, selected now and made at the first call."""
        from memtrace.plugins import TransportSpec

        if transport is None or isinstance(transport, (str, TransportSpec)):
            selection = _selected(transport, options, settings, "sync")
            create = cast("Callable[[TransportOptions], Transport]", selection.spec.create)
            return cls(
                settings,
                selection.name,
                SharedTransport(_transport_factory(selection, create, settings, options, "sync")),
            )
        _check_custom_transport(transport, options, "sync")
        return cls(settings, type(transport).__name__, SharedTransport(lambda: transport, owned=False))

    def copy(self, settings: Settings) -> Dispatcher:
        """Another one on the same transport."""
        return Dispatcher(settings, self.transport_name, self._family, self)

    def send(self, operation: Operation[T]) -> T:
        """Run one operation."""
        request = self._request(operation)
        transport = self._family.transport(self)
        response = drive(self._handler(request), transport, self._family.locks, request.context)
        return self._result(operation, request, response)

    def send_last(self, operation: Operation[T]) -> T:
        """Run the operation that ends a block, even if the block was cancelled."""
        return self.send(operation)

    def send_raw(self, operation: Operation[T]) -> RawResponse[T]:
        """Run one operation, and keep what came with its result. Raises `TypeError` for what is none."""
        _check_operation(operation)
        request = self._request(operation)
        transport = self._family.transport(self)
        response = drive(self._handler(request), transport, self._family.locks, request.context)
        return self._raw(operation, request, response)

    def run(self, procedure: Operation[T] | Workflow[T]) -> T:
        """Run a procedure: each step that it yields, in turn, or the one operation that it is. Returns what it returns, and raises what it lets out."""
        if isinstance(procedure, Operation):
            return self.send(procedure)
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
                yield from course.items
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


class AsyncDispatcher(_DispatcherBase):
    """Runs operations on an async transport."""

    def __init__(
        self,
        settings: Settings,
        transport_name: str,
        family: SharedTransport[AsyncTransport],
        original: AsyncDispatcher | None = None,
    ) -> None:
        super().__init__(settings, transport_name)
        self._family = family
        family.attach(self, original)

    @classmethod
    def create(
        cls,
        settings: Settings,
        transport: str | AsyncTransport | TransportSpec | None,
        options: TransportOptions | None = None,
    ) -> AsyncDispatcher:
        """A dispatcher with a transport of its own, selected now and made at the first call."""
        from memtrace.plugins import TransportSpec

        if transport is None or isinstance(transport, (str, TransportSpec)):
            selection = _selected(transport, options, settings, "async")
            create = cast("Callable[[TransportOptions], AsyncTransport]", selection.spec.create_async)
            return cls(
                settings,
                selection.name,
                SharedTransport(_transport_factory(selection, create, settings, options, "async")),
            )
        _check_custom_transport(transport, options, "async")
        return cls(settings, type(transport).__name__, SharedTransport(lambda: transport, owned=False))

    def copy(self, settings: Settings) -> AsyncDispatcher:
        """Another one on the same transport."""
        return AsyncDispatcher(settings, self.transport_name, self._family, self)

    async def send(self, operation: Operation[T]) -> T:
        """Run one operation."""
        request = self._request(operation)
        transport = self._family.transport(self)
        response = await drive_async(self._handler(request), transport, self._family.locks, request.context)
        return self._result(operation, request, response)

    async def send_last(self, operation: Operation[T]) -> T:
        """Run the operation that ends a block, even if the block was cancelled."""
        with shielded():
            return await self.send(operation)

    async def send_raw(self, operation: Operation[T]) -> RawResponse[T]:
        """Run one operation, and keep what came with its result. Raises `TypeError` for what is none."""
        _check_operation(operation)
        request = self._request(operation)
        transport = self._family.transport(self)
        response = await drive_async(self._handler(request), transport, self._family.locks, request.context)
        return self._raw(operation, request, response)

    async def run(self, procedure: Operation[T] | Workflow[T]) -> T:
        """Run a procedure: each step that it yields, in turn, or the one operation that it is. Returns what it returns, and raises what it lets out."""
        if isinstance(procedure, Operation):
            return await self.send(procedure)
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
                course.items = ()  # as in the blocking form
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


def _with_errors(inner: Handler) -> Handler:
    """`inner`, with what `errors` does for a call that comes past it: a middleware stands outside of it, or in its place."""

    def handler(request: Request) -> Flow[Response]:
        try:
            response = yield from inner(request)
        except MemtraceError as error:
            annotate(error, request)
            raise
        if response is not request.context.success and is_failure(response, request):
            raise error_for(response, request)
        return response

    return handler


def _check_operation(operation: object) -> None:
    if not isinstance(operation, Operation):
        raise TypeError(
            f"send needs an Operation, such as memtrace.operations.health() makes, not {type_name(operation)}; "
            "request(method, path) sends to any route"
        )


_Flavour = Literal["sync", "async"]


def _selected(
    asked: str | TransportSpec | None, options: TransportOptions | None, settings: Settings, form: _Flavour
) -> TransportSelection:
    """The transport to be made, which serves the address and honours the options."""
    from memtrace.plugins import select_transport

    selection = select_transport(asked, settings.base_url.transport, asynchronous=form == "async")
    _check_scheme(settings, selection.name, asked)
    _check_options(selection, options)
    return selection


def _check_custom_transport(transport: object, options: TransportOptions | None, form: _Flavour) -> None:
    """Refuse what is no transport for this kind of client, and options beside one."""
    _check_not_a_library(transport)
    _check_no_options(transport, options)
    if not _has(transport, "send", form):
        client, article = ("AsyncMemtrace", "an") if form == "async" else ("Memtrace", "a")
        raise TransportNotAvailableError(
            f"{client} needs a transport with {article} {form} send(request); {type_name(transport)} has none. "
            "Pass a transport's name, an instance for this kind of client, or a TransportSpec",
            argument="transport",
        )


def _transport_factory(
    selection: TransportSelection,
    create: Callable[[TransportOptions], T],
    settings: Settings,
    options: TransportOptions | None,
    form: _Flavour,
) -> Callable[[], T]:
    complete = (options or TransportOptions()).for_client(str(settings.base_url), settings.clock)

    def make() -> T:
        made = create(complete)
        lacking = [method for method in ("send", "close") if not _has(made, method, form)]
        if lacking:
            raise _made_no_transport(selection, made, form, lacking)
        return made

    return make


def _has(transport: object, method: str, form: _Flavour) -> bool:
    """Whether it has that method, in the form that a client calls."""
    function = None if isinstance(transport, type) else getattr(transport, method, None)
    return callable(function) and inspect.iscoroutinefunction(function) is (form == "async")


def _made_no_transport(
    selection: TransportSelection, made: object, form: _Flavour, lacking: list[str]
) -> TransportNotAvailableError:
    maker = "create_async" if form == "async" else "create"
    parts = " and ".join(f"{form} {'send(request)' if method == 'send' else 'close()'}" for method in lacking)
    return TransportNotAvailableError(
        f"transport {selection.name!r}{from_distribution(selection.distribution)} cannot be used: its {maker} gives "
        f"{type_name(made)}, which has no {parts} (asked for because {selection.reason})",
        hint=f"tell the authors of {selection.distribution[0]}" if selection.distribution else None,
    )


def _check_options(selection: TransportSelection, options: TransportOptions | None) -> None:
    """Refuse what is no `TransportOptions`, and what the transport would drop."""
    if options is not None and not isinstance(options, TransportOptions):
        raise ConfigurationError(
            f"options must be a memtrace.TransportOptions, not {type_name(options)}, "
            "as in TransportOptions(connect_timeout=5)",
            argument="options",
        )
    dropped = [name for name in options.given() if name not in selection.spec.capabilities] if options else []
    if dropped:
        able = ", ".join(sorted(selection.spec.capabilities)) or "none"
        raise ConfigurationError(
            f"transport {selection.name!r} cannot honour {', '.join(f'options.{name}' for name in dropped)}; it honours: {able}",
            argument=f"options.{dropped[0]}",
        )


def _check_no_options(transport: object, options: TransportOptions | None) -> None:
    if options is not None:
        raise ConfigurationError(
            f"options= goes to a transport that the client makes; give them to {type(transport).__name__}(options=...) itself",
            argument="options",
        )


def _check_scheme(settings: Settings, name: str, asked: object) -> None:
    """Refuse a transport by name for an address that only another one understands."""
    scheme = settings.base_url.origin.partition("://")[0]
    if isinstance(asked, str) and scheme not in ("http", "https") and asked != settings.base_url.transport:
        raise ConfigurationError(
            f"transport={name!r} does not fit the base URL, whose scheme {scheme}:// names another transport",
            argument="transport",
        )


def _check_not_a_library(transport: object) -> None:
    """A library's own client has a `send` of another kind."""
    library = type(transport).__module__.partition(".")[0]
    if library in ("httpx", "httpx2", "requests", "aiohttp"):
        raise TransportNotAvailableError(
            f"transport= is a client of the library {library}, not a transport",
            argument="transport",
            hint="hand it to a transport of memtrace_transports, as in HttpxTransport(client=...)",
        )
