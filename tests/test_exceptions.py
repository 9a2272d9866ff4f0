import copy
import pickle
import re
import sys
import traceback

import pytest

import memtrace
from memtrace import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BatchError,
    BufferDrainError,
    BufferFullError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    DeadlineExceededError,
    InvalidRequestError,
    MemtraceError,
    MiddlewareError,
    NoArcInstanceError,
    NotFoundError,
    PayloadTooLargeError,
    RateLimitError,
    RequestInfo,
    ResponseDecodeError,
    ServerError,
    TransportError,
    TransportNotAvailableError,
    exceptions,
    outcomes,
)
from memtrace.outcomes import BatchResult

CODES = {
    AuthenticationError: (401, "authentication"),
    BatchError: (0, "batch"),
    BufferDrainError: (0, "buffer_drain"),
    BufferFullError: (0, "buffer_full"),
    ClientClosedError: (0, "client_closed"),
    ConfigurationError: (0, "configuration"),
    ConflictError: (409, "conflict"),
    APIConnectionError: (0, "connection_failed"),
    DeadlineExceededError: (0, "deadline_exceeded"),
    InvalidRequestError: (0, "invalid_request"),
    MemtraceError: (0, "unclassified"),
    APIStatusError: (400, "unexpected_status"),
    MiddlewareError: (0, "middleware"),
    NoArcInstanceError: (503, "no_arc_instance"),
    NotFoundError: (404, "not_found"),
    PayloadTooLargeError: (413, "payload_too_large"),
    RateLimitError: (429, "rate_limited"),
    APITimeoutError: (0, "timeout"),
    ServerError: (500, "server_error"),
    TransportError: (0, "transport"),
    TransportNotAvailableError: (0, "transport_not_available"),
    ResponseDecodeError: (0, "response_decode"),
}
EVERY = pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)


def test_every_class_of_the_module_stands_in_the_tests_table():
    classes = {
        thing
        for module in (exceptions, outcomes)
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, BaseException) and not issubclass(thing, Warning)
    }
    assert classes == set(CODES)
    assert {kind.__name__ for kind in CODES} <= {*exceptions.__all__, *outcomes.__all__} & set(memtrace.__all__)


def test_the_tree_at_the_top_of_the_module_is_the_hierarchy():
    drawn, path = {}, []
    for line in exceptions.__doc__.splitlines():
        match = re.match(r"    ([│ ]*)(?:[├└]── )?(\w+Error)\b", line)
        if match:
            depth = 0 if match[2] == "MemtraceError" else len(match[1]) // 4 + 1
            path[depth:] = [match[2]]
            drawn[match[2]] = path[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in CODES}


BUILTINS = {
    APIConnectionError: ConnectionError,
    APITimeoutError: TimeoutError,
    AuthenticationError: PermissionError,
    DeadlineExceededError: TimeoutError,
    InvalidRequestError: ValueError,
    NotFoundError: KeyError,
}


@EVERY
def test_each_is_the_builtin_that_habit_catches_and_no_other(kind):
    """Of two clauses the one that is written first catches, so that only what is surely meant has a builtin base."""
    caught = (
        ArithmeticError,
        AssertionError,
        AttributeError,
        ImportError,
        LookupError,
        NameError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    )
    expected = BUILTINS.get(kind)
    assert [base for base in caught if issubclass(kind, base)] == [
        base for base in caught if expected and issubclass(expected, base)
    ]
    if expected is not None:
        with pytest.raises(expected):
            raise kind("what happened")
        assert f"Also a builtin `{expected.__name__}`" in kind.__doc__


STATUSES = {
    404: [NotFoundError],
    409: [ConflictError],
    413: [PayloadTooLargeError],
    422: [InvalidRequestError],
    500: [
        AuthenticationError,
        BufferDrainError,
        ClientClosedError,
        ConfigurationError,
        MemtraceError,
        MiddlewareError,
        TransportNotAvailableError,
    ],
    502: [APIStatusError, BatchError, ResponseDecodeError, ServerError, TransportError],
    503: [APIConnectionError, BufferFullError, NoArcInstanceError, RateLimitError],
    504: [APITimeoutError, DeadlineExceededError],
}


def test_each_says_what_a_web_application_should_answer():
    found = {
        status: [kind for kind in kinds if kind("what happened").http_status == status]
        for status, kinds in STATUSES.items()
    }
    assert found == STATUSES
    assert {kind for kinds in STATUSES.values() for kind in kinds} == set(CODES)


@pytest.mark.parametrize(("received", "answered"), [(500, 502), (502, 502), (503, 503), (504, 504), (507, 502)])
def test_what_a_failed_server_says_of_time_is_passed_on(received, answered):
    assert ServerError("down", received).http_status == answered


def test_the_url_of_the_page_is_that_of_the_documentation():
    error = ConflictError("m", code="duplicate_memory")
    assert error.url == f"{exceptions.DOCUMENTATION}/errors/duplicate_memory.md"
    assert str(error).endswith(f"(docs: {error.url})")


@EVERY
def test_each_takes_a_message_and_has_a_status_and_a_code(kind):
    error = kind("what happened")
    assert error.message == "what happened"
    assert error.page == f"errors/{error.code}"
    assert str(error) in ("what happened", f"what happened (docs: {error.url})")
    assert (error.status_code, error.code) == CODES[kind]
    assert error.args == ("what happened",)
    assert (error.request, error.attempts, error.elapsed, error.maybe_applied, error.retryable) == (
        None,
        0,
        0.0,
        False,
        False,
    )
    assert error.response_body is None


def test_each_is_exported_by_the_package():
    assert [kind for kind in CODES if getattr(memtrace, kind.__name__) is not kind] == []


@pytest.mark.parametrize("kind", [kind for kind in CODES if CODES[kind][0] or kind is ResponseDecodeError])
def test_the_message_may_be_left_out(kind):
    error = kind()
    assert error.message
    assert error.status_code == CODES[kind][0]
    assert repr(error) == f"{kind.__name__}({error.message!r})"


def test_the_root_takes_message_and_status():
    error = MemtraceError("storage is full", 507)
    assert (error.message, error.status_code, str(error)) == ("storage is full", 507, "storage is full")
    assert MemtraceError("x").status_code == 0


def test_a_status_may_be_given_second():
    kinds = [kind for kind in CODES if not issubclass(kind, TransportError)]
    assert {kind: kind("m", 418).status_code for kind in kinds} == dict.fromkeys(kinds, 418)


@EVERY
def test_code_and_hint_may_be_given(kind):
    error = kind("m", code="special", hint="do this")
    assert (error.code, error.hint) == ("special", "do this")
    own = CODES[kind][1]
    assert (error.page, str(error)) == (
        f"errors/{own}",
        f"m (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/{own}.md)",
    )
    assert error.__notes__ == ["Hint: do this"]


def test_an_argument_that_a_variable_can_stand_for_is_told_with_it():
    assert str(MemtraceError("m", argument="timeout")) == "m (argument: timeout, or MEMTRACE_TIMEOUT)"
    error = ConfigurationError("the API key is empty", argument="api_key", hint="do this")
    assert (
        str(error)
        == "the API key is empty (argument: api_key, or MEMTRACE_API_KEY; docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/configuration.md)"
    )
    assert error.__notes__ == ["Hint: do this"]


def test_another_argument_is_told_where_the_message_does_not_name_it():
    assert str(PayloadTooLargeError("m", argument="memories[3]")) == (
        "m (argument: memories[3]; docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/payload_too_large.md)"
    )
    assert (
        str(ConfigurationError("retry must be x", argument="retry"))
        == "retry must be x (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/configuration.md)"
    )
    assert (
        str(InvalidRequestError("tags: bad", field="tags"))
        == "tags: bad (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/invalid_request.md)"
    )


def test_whoever_shows_an_error_words_it():
    error = ServerError("disk full", hint="look at it", argument="base_url")
    error.request = RequestInfo("GET", "/health", "health")
    assert error.format("the disk is full", "ask an admin", "from --base-url") == (
        "the disk is full [health: GET /health, HTTP 500, 0 attempts, 0.000 s] Hint: ask an admin"
        " (from --base-url; docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/server_error.md)"
    )
    assert MemtraceError("m", hint="look").format("n", None, None) == "n"


def test_no_arc_instance_says_what_an_admin_runs():
    assert NoArcInstanceError().hint == "ask an admin to run `memtrace org add-arc <org_id>`"
    assert NoArcInstanceError(hint=None).hint is None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tracebacks have notes from 3.11")
def test_a_traceback_shows_the_hint_below_the_text():
    shown = traceback.format_exception_only(NoArcInstanceError("m"))
    assert shown == [
        "memtrace.exceptions.NoArcInstanceError: m\n",
        "Hint: ask an admin to run `memtrace org add-arc <org_id>`\n",
    ]


def test_another_hint_takes_the_place_of_the_first_and_leaves_other_notes():
    error = MemtraceError("m", hint="first")
    error.__notes__.append("of the application")
    error.hint = "second"
    error.hint = "second"
    assert error.__notes__ == ["Hint: second", "of the application"]
    error.hint = None
    assert (error.hint, error.__notes__) == (None, ["of the application"])


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_a_twin_of_an_error_without_a_hint_has_none(again):
    twin = again(NoArcInstanceError("m", hint=None))
    assert (twin.hint, twin.__notes__) == (None, [])


def test_an_error_that_left_a_call_says_where():
    error = ServerError("disk full", 500)
    error.request = RequestInfo("POST", "/api/v1/memories", "memories.add")
    error.attempts, error.elapsed, error.maybe_applied, error.hint = 2, 1.2345, True, "look at the disk"
    assert str(error) == (
        "disk full [memories.add: POST /api/v1/memories, HTTP 500, 2 attempts, 1.234 s, may have been applied]"
        " (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/server_error.md)"
    )
    error = TransportError("refused")
    error.request, error.attempts = RequestInfo("GET", "/health", "health"), 1
    assert (
        str(error)
        == "refused [health: GET /health, 1 attempt, 0.000 s] (docs: https://github.com/Basekick-Labs/memtrace/blob/main/sdks/python/docs/errors/transport.md)"
    )


def filled(kind):
    error = kind("what happened")
    for name, value in {
        "status_code": 507,
        "code": "own_code",
        "hint": "own hint",
        "argument": "base_url",
        "request": RequestInfo("POST", "/api/v1/memories", "memories.add"),
        "attempts": 3,
        "elapsed": 1.5,
        "maybe_applied": True,
        "retryable": True,
        "response_body": b"{}",
    }.items():
        setattr(error, name, value)
    if isinstance(error, TransportError):
        error.cause, error.maybe_sent = "connect", False
    if isinstance(error, InvalidRequestError):
        error.field, error.rule, error.problem = "memories[3].tags", "required", "must be given"
    return error


AGAIN = [
    copy.copy,
    copy.deepcopy,
    *(lambda error, n=n: pickle.loads(pickle.dumps(error, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)),
]


@pytest.mark.parametrize(
    "again", AGAIN, ids=["copy", "deepcopy", *(f"pickle {n}" for n in range(pickle.HIGHEST_PROTOCOL + 1))]
)
def test_each_copies_and_pickles_with_everything_that_it_knows(again):
    for kind in CODES:
        error = filled(kind)
        twin = again(error)
        assert type(twin) is kind
        assert twin is not error
        assert vars(twin) == vars(error)
        assert twin.args == error.args
        assert str(twin) == str(error)


def test_a_batch_error_takes_its_result_along():
    error = BatchError("two were refused", result=BatchResult(()))
    twin = pickle.loads(pickle.dumps(error))
    assert twin.result == BatchResult(())
    assert BatchError().result is None


def test_the_body_of_the_answer_is_in_no_text_of_an_error():
    for kind in CODES:
        error = filled(kind)
        error.response_body = b"planted"
        assert "planted" not in str(error) + repr(error)


def test_fields_of_a_refused_argument():
    error = InvalidRequestError("tags: bad", field="tags", rule="required")
    assert (error.field, error.argument, error.rule, error.status_code) == ("tags", "tags", "required", 0)
    assert error.problem is None
    assert InvalidRequestError("tags must be x", field="tags", problem="must be x").problem == "must be x"
    bare = InvalidRequestError("x")
    assert (bare.field, bare.argument, bare.rule, bare.problem) == (None, None, None, None)


def test_request_info_holds_nothing_that_is_secret():
    assert RequestInfo.__slots__ == ("method", "path", "operation")


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: memtrace.RetryPolicy(max_attempts=0), "retry.max_attempts"),
        (lambda: memtrace.RetryPolicy(verify_before_retry="x"), "retry.verify_before_retry"),
        (lambda: memtrace.TransportOptions(max_connections=0), "transport_options.max_connections"),
        (lambda: memtrace.Memtrace("http://s", "k", transport_options={"a": 1}), "transport_options"),
        (lambda: memtrace.Memtrace("http://s", "k", middleware=[5]), "middleware[0]"),
        (lambda: memtrace.Memtrace("http://s", "k", middleware="x"), "middleware"),
        (lambda: memtrace.Memtrace("http://s", "k", dedup="x"), "dedup"),
        (lambda: memtrace.Memtrace("memory://", "k").memories.buffered(max_items=0), "max_items"),
        (lambda: memtrace.Memtrace("memory://", "k").memories.buffered(on_full="x"), "on_full"),
        (lambda: memtrace.Memtrace("memory://", "k").memories.buffered(on_result=5), "on_result"),
    ],
)
def test_a_wrong_setting_is_in_the_argument_and_begins_or_stands_in_the_text(make, argument):
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.argument == argument
    assert argument in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (APIConnectionError, "connect"),
        (APITimeoutError, "timeout"),
        (DeadlineExceededError, "timeout"),
        (TransportError, "protocol"),
    ],
)
def test_a_failed_transport_has_the_cause_of_its_class(kind, cause):
    assert kind("x").cause == cause
    assert kind("x", cause="reset").cause == "reset"
