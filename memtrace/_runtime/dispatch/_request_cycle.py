"""What both dispatchers do alike: choose a transport, build requests, compose the middleware, read answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar, Final, Generic, Literal, NamedTuple, NoReturn, TypeVar, cast

from memtrace._flow.composition import Handler, compose
from memtrace._flow.effects import foreign_failure, is_foreign
from memtrace._runtime.chain import build_chain, is_built_in
from memtrace._runtime.shared_transport import SharedTransport
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
from memtrace.transport import CallContext, Flow, Headers, Request, Response, TransportOptions

if TYPE_CHECKING:
    from typing_extensions import Self

    from memtrace._runtime.config import SearchSettings, Settings
    from memtrace._runtime.local_index import LocalIndex
    from memtrace._runtime.workflows.searching import Searching
    from memtrace.operations import RawResponse
    from memtrace.plugins import TransportSelection, TransportSpec

T = TypeVar("T")
TransportT = TypeVar("TransportT")

_USER_AGENT = f"memtrace-sdk/{__version__} (Python)"


class Form(NamedTuple):
    """A kind of client, and what its transports have to be."""

    name: Literal["sync", "async"]
    #: The client with the article that its name takes.
    client: str
    article: str
    #: The field of a `TransportSpec` that makes such a transport.
    maker: str
    #: A block whose awaiting goes on after the scope around it was cancelled.
    shield: Callable[[], AbstractContextManager[object]]


form: Final = Form("sync", "Memtrace", "a", "create", nullcontext)
async_form: Final = Form("async", "AsyncMemtrace", "an", "create_async", shielded)


class AnyDispatcher(Generic[TransportT]):
    """A dispatcher without what waits."""

    _form: ClassVar[Form]

    def __reduce__(self) -> NoReturn:  # of resources, and of what an application hands a client to
        raise TypeError(
            "an object that holds a client cannot be pickled or copied: use with_options() for a client on the same "
            "connections, and make a client in each process"
        )

    def __init__(
        self,
        settings: Settings,
        transport_name: str,
        shared: SharedTransport[TransportT],
        index: SharedTransport[LocalIndex],
        original: AnyDispatcher[TransportT] | None = None,
    ) -> None:
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
        self._shared = shared
        self._index = index
        self._searching: Searching | None = None
        shared.attach(self, original)
        index.attach(self, original)

    @classmethod
    def create(
        cls,
        settings: Settings,
        transport: str | TransportT | TransportSpec | None,
        options: TransportOptions | None = None,
    ) -> Self:
        """A dispatcher with its own transport, selected now and created at the first call."""
        from memtrace.plugins import TransportSpec

        index = SharedTransport(lambda: _make_index(settings.search))
        if transport is None or isinstance(transport, (str, TransportSpec)):
            selection = _selected(transport, options, settings, cls._form)
            create = cast("Callable[[TransportOptions], TransportT]", getattr(selection.spec, cls._form.maker))
            make = _transport_factory(selection, create, settings, options, cls._form)
            return cls(settings, selection.name, SharedTransport(make), index)
        _check_custom_transport(transport, options, cls._form)
        return cls(settings, type(transport).__name__, SharedTransport(lambda: transport, owned=False), index)

    def copy(self, settings: Settings) -> Self:
        """Another one on the same transport, with the same index."""
        return type(self)(settings, self.transport_name, self._shared, self._index, self)

    @property
    def searching(self) -> Searching:
        """How this client searches. Raises `ClientClosedError` for one that is closed."""
        local = self._index.transport(self)
        if self._searching is None:
            from memtrace._runtime.workflows.searching import Searching

            self._searching = Searching(self.settings, local, lambda: self._shared.transport(self))
        return self._searching

    def _request(self, operation: Operation[T], deadline: float | None = None) -> Request:
        settings = self.settings
        context = CallContext(
            settings.clock,
            operation.idempotency,
            operation.accepts,
            parse=operation.parse,
            recovery=operation.recovery,
            sent_since=operation.sent_since,
        )
        if (
            settings.deadline is not None and operation.sent_since is None
        ):  # which nobody waits for, and begins with waiting
            context.deadline = context.started + settings.deadline
        if deadline is not None:
            context.deadline = deadline if context.deadline is None else min(deadline, context.deadline)
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
        """Read the response."""
        try:
            result = cast("T", request.context.read(response))
        except ResponseDecodeError as error:
            annotate(error, request)
            raise
        return result if operation.complete is None else operation.complete(result, request.context.sent_body)

    def _raw(self, operation: Operation[T], request: Request, response: Response) -> RawResponse[T]:
        from memtrace.operations import RawResponse

        parsed = self._result(operation, request, response)
        about = RequestInfo(request.method, request.redacted_path, request.operation)
        context = request.context
        return RawResponse(
            response.status, response.headers, response.body, parsed, context.elapsed(), context.attempt, about
        )


def _make_index(settings: SearchSettings) -> LocalIndex:
    """The index of a client and its copies; nothing is opened before it is used."""
    from memtrace._runtime.local_index import LocalIndex

    return LocalIndex(settings.index, settings.embedder)


def _with_errors(inner: Handler) -> Handler:
    """`inner` with the work of `errors` for calls that bypass it: a middleware is outside of it, or replaces it."""

    def handler(request: Request) -> Flow[Response]:
        try:
            response = yield from inner(request)
        except MemtraceError as error:
            annotate(error, request)
            raise
        except Exception as error:
            if not is_foreign(error, request):
                raise
            failure = foreign_failure(error, request)
            annotate(failure, request)
        else:
            if is_failure(response, request):
                raise error_for(response, request)
            return response
        raise failure

    return handler


def check_operation(operation: object) -> None:
    """Raise `TypeError` for what is not an operation."""
    if not isinstance(operation, Operation):
        raise TypeError(
            f"send needs an Operation, such as memtrace.operations.health() makes, not {type_name(operation)}; "
            "request(method, path) sends to any route"
        )


def _selected(
    asked: str | TransportSpec | None, options: TransportOptions | None, settings: Settings, kind: Form
) -> TransportSelection:
    """The transport to be made, which serves the address and honours the options."""
    from memtrace.plugins import select_transport

    selection = select_transport(asked, settings.base_url.transport, asynchronous=kind is async_form)
    scheme = settings.base_url.origin.partition("://")[0]
    if isinstance(asked, str) and scheme not in ("http", "https") and asked != settings.base_url.transport:
        raise ConfigurationError(
            f"transport={selection.name!r} does not fit the base URL, whose scheme {scheme}:// names another transport",
            argument="transport",
        )
    if options is not None and not isinstance(options, TransportOptions):
        raise ConfigurationError(
            f"transport_options must be a memtrace.TransportOptions, not {type_name(options)}, "
            "as in TransportOptions(connect_timeout=5)",
            argument="transport_options",
        )
    dropped = [name for name in options.given() if name not in selection.spec.capabilities] if options else []
    if dropped:
        able = ", ".join(sorted(selection.spec.capabilities)) or "none"
        raise ConfigurationError(
            f"transport {selection.name!r} cannot honour {', '.join(f'transport_options.{name}' for name in dropped)}; it honours: {able}",
            argument="transport_options",
        )
    return selection


def _check_custom_transport(transport: object, options: TransportOptions | None, kind: Form) -> None:
    """Refuse what is no transport for this kind of client, and options beside one."""
    library = type(transport).__module__.partition(".")[0]
    if library in ("httpx", "httpx2", "requests", "aiohttp"):  # whose own client has a `send` of another kind
        raise TransportNotAvailableError(
            f"transport= is a client of the library {library}, not a transport",
            argument="transport",
            hint="hand it to a transport of memtrace_transports, as in HttpxTransport(client=...)",
        )
    if options is not None:
        raise ConfigurationError(
            f"transport_options= goes to a transport that the client makes; give them to {type(transport).__name__}(options=...) itself",
            argument="transport_options",
        )
    if not _has(transport, "send", kind):
        raise TransportNotAvailableError(
            f"{kind.client} needs a transport with {kind.article} {kind.name} send(request); {type_name(transport)} has none. "
            "Pass a transport's name, an instance for this kind of client, or a TransportSpec",
            argument="transport",
        )


def _transport_factory(
    selection: TransportSelection,
    create: Callable[[TransportOptions], T],
    settings: Settings,
    options: TransportOptions | None,
    kind: Form,
) -> Callable[[], T]:
    complete = (options or TransportOptions()).for_client(str(settings.base_url), settings.clock)

    def make() -> T:
        made = create(complete)
        lacking = [call for call in ("send(request)", "close()") if not _has(made, call.partition("(")[0], kind)]
        if not lacking:
            return made
        raise TransportNotAvailableError(
            f"transport {selection.name!r}{from_distribution(selection.distribution)} cannot be used: its {kind.maker} gives "
            f"{type_name(made)}, which has no {' and '.join(f'{kind.name} {call}' for call in lacking)} "
            f"(asked for because {selection.reason})",
            hint=f"report it to the authors of {selection.distribution[0]}" if selection.distribution else None,
        )

    return make


def _has(transport: object, method: str, kind: Form) -> bool:
    """Whether it has that method, in the form that a client calls."""
    function = None if isinstance(transport, type) else getattr(transport, method, None)
    return callable(function) and inspect.iscoroutinefunction(function) is (kind is async_form)
