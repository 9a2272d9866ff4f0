"""Where a middleware stands: the built-in chain, places by name, and what takes a built-in link's place."""

import logging

import pytest

from memtrace import APIConnectionError, ConfigurationError, MemtraceError, NotFoundError, TransportError
from memtrace._runtime.chain import build_chain
from memtrace.middleware import (
    ApiKeyAuth,
    Placement,
    Position,
    Response,
    Retry,
    after,
    before,
    log_attempts,
    raise_errors,
    replace,
)
from memtrace.middleware._placement import BUILT_IN
from memtrace.plugins import MiddlewareSpec, middleware_registry
from tests.dealing import by_face
from tests.faces import ONCE, json_response

EMPTY = json_response(200, '{"agents": [], "count": 0}')


class Named:
    """Passes a request on and writes its name down."""

    def __init__(self, name, seen=None):
        self.name = name
        self.seen = [] if seen is None else seen

    def __call__(self, request, call_next):
        self.seen.append(self.name)
        return (yield from call_next(request))


A, B, C, D = (Named(name) for name in "ABCD")


@pytest.fixture
def install(monkeypatch):
    """Puts a middleware where its distribution would have brought it."""

    def installing(name, position=None):
        made = []

        def create():
            made.append(Named(name))
            return made[-1]

        monkeypatch.setitem(middleware_registry._specs, name, MiddlewareSpec(create=create, position=position))
        return made

    return installing


def chain(client):
    """The names of what stands in a client's chain, outermost first; an attribute of the client itself tells each."""
    known = {raise_errors: "errors", log_attempts: "log", ApiKeyAuth: "auth", Retry: "retry"}
    return " ".join(
        known.get(link) or known.get(type(link)) or link.name for link in build_chain(client._dispatcher.settings)
    )


def made(face, middleware=(), attempt_middleware=(), **settings):
    client, _ = face.scripted(EMPTY, middleware=middleware, attempt_middleware=attempt_middleware, **settings)
    return client


# ---- places


def test_the_built_in_links_stand_in_this_order():
    assert BUILT_IN == ("errors", "retry", "auth", "log")


def test_without_a_place_the_lists_stand_around_auth(face):
    assert chain(made(face)) == "errors retry auth log" == " ".join(BUILT_IN)
    assert chain(made(face, [A, B], [C, D])) == "errors A B retry auth C D log"
    assert chain(made(face, [A, A], [A])) == "errors A A retry auth A log"


@by_face(
    ("middleware", "attempt_middleware", "expected"),
    [
        ([before("errors", A)], [], "A errors retry auth log"),
        ([after("errors", A), B], [], "errors A B retry auth log"),
        ([B, after("errors", A)], [C], "errors A B retry auth C log"),
        ([before("auth", A), B], [C], "errors B retry A auth C log"),
        ([after("auth", A), B], [C], "errors B retry auth A C log"),
        ([before("log", A)], [B], "errors retry auth B A log"),
        ([after("log", A)], [B], "errors retry auth B log A"),
        ([], [before("errors", A), B], "A errors retry auth B log"),
        ([before("auth", A), before("auth", B)], [before("auth", C)], "errors retry A B C auth log"),
        ([after("auth", A), after("auth", B)], [after("auth", C)], "errors retry auth A B C log"),
        ([after("auth", A), before("auth", B), after("auth", C)], [before("auth", D)], "errors retry B D auth A C log"),
        ([after("errors", A), before("auth", B)], [], "errors A retry B auth log"),
        ([before("auth", A), after("log", A), A], [], "errors A retry A auth log A"),
        ([replace("auth", A)], [B], "errors retry A B log"),
        ([replace("errors", A), B], [replace("log", C)], "A B retry auth C"),
        ([before("auth", A), replace("auth", B), after("auth", C)], [], "errors retry A B C log"),
        ([before("retry", A), B], [after("retry", C), D], "errors B A retry C auth D log"),
        ([replace("retry", A), B], [], "errors B A auth log"),
    ],
)
def test_a_middleware_stands_where_its_place_says(face, middleware, attempt_middleware, expected):
    assert chain(made(face, middleware, attempt_middleware)) == expected


def test_requests_pass_the_links_in_the_order_of_the_chain(face):
    seen = []
    names = [after("log", Named("log+", seen)), Named("call", seen), before("errors", Named("-errors", seen))]
    attempts = [Named("attempt", seen), before("auth", Named("-auth", seen))]
    made(face, names, attempts).agents.list()
    assert seen == ["-errors", "call", "-auth", "attempt", "log+"]


def test_before_auth_the_key_is_not_there_yet_and_after_it_is(face):
    keys = []

    def look(request, call_next):
        keys.append(request.headers.get("x-api-key"))
        return (yield from call_next(request))

    made(face, [after("auth", look), before("auth", look)]).agents.list()
    assert keys == [None, "mtk_key"]


# ---- installed ones


@by_face(
    ("middleware", "attempt_middleware", "expected"),
    [
        (["tag"], [], "errors tag retry auth log"),
        ([A], ["tag", B], "errors A retry auth tag B log"),
        ([before("tag", A), B, "tag"], [], "errors B A tag retry auth log"),
        ([after("tag", A)], [B, "tag", C], "errors retry auth B tag A C log"),
        ([before("auth", "tag"), after("tag", A), before("tag", B)], [C], "errors retry B tag A auth C log"),
        ([before("tag", A), before("trace", "tag"), "trace"], [], "errors A tag trace retry auth log"),
        ([replace("auth", "tag"), before("tag", A), after("auth", B)], [], "errors retry A tag B log"),
        (["tag", "tag"], [], "errors tag tag retry auth log"),
    ],
)
def test_an_installed_middleware_is_a_place_too_wherever_it_stands(
    face, install, middleware, attempt_middleware, expected
):
    install("tag")
    install("trace")
    assert chain(made(face, middleware, attempt_middleware)) == expected


@by_face(
    ("position", "expected"),
    [
        (None, "errors A tag retry auth log"),
        (Position("before", "errors"), "tag errors A retry auth log"),
        (Position("after", "log"), "errors A retry auth log tag"),
        (Position("replace", "auth"), "errors A retry tag log"),
    ],
)
def test_an_installed_middleware_stands_where_its_distribution_says(face, install, position, expected):
    install("tag", position)
    assert chain(made(face, [A, "tag"])) == expected


@by_face(
    ("placed", "expected"),
    [
        (before("auth", "tag"), "errors retry tag auth log"),
        (after("auth", "tag"), "errors retry auth tag log"),
        (replace("log", "tag"), "errors retry auth tag"),
    ],
)
def test_the_clients_word_wins_over_the_distributions(face, install, placed, expected):
    install("tag", Position("before", "errors"))
    assert chain(made(face, [placed])) == expected


def test_only_what_is_named_is_made_and_no_call_arranges_anything(face, install, monkeypatch):
    tags, others = install("tag"), install("other")
    client, transport = face.scripted(lambda request: EMPTY, middleware=[before("auth", "tag")])
    for name in (
        "memtrace._runtime.dispatch._request_cycle.build_chain",
        "memtrace._runtime.dispatch._request_cycle.compose",
    ):
        monkeypatch.setattr(name, lambda *given: pytest.fail("put together during a call"))
    for _ in range(3):
        client.agents.list()
    assert len(transport.requests) == 3
    assert (len(tags), len(others)) == (1, 0)
    assert tags[0].seen == ["tag"] * 3


# ---- copies


def test_a_copy_is_put_in_order_anew_with_what_it_keeps(face, install):
    tags = install("tag")
    client = made(face, ["tag", A], [before("tag", B)])
    assert chain(client) == "errors B tag A retry auth log"
    assert chain(client.with_options()) == "errors B tag A retry auth log"
    assert chain(client.with_options(attempt_middleware=[after("tag", C)])) == "errors tag C A retry auth log"
    assert chain(client.with_options(middleware=[replace("auth", "tag")])) == "errors retry B tag log"
    assert chain(client) == "errors B tag A retry auth log"
    assert len(tags) == 2


def test_a_copy_without_the_link_that_another_stands_beside_is_refused(face, install):
    install("tag")
    client = made(face, ["tag"], [before("tag", A)])
    with pytest.raises(ConfigurationError, match=r"^attempt_middleware\[0\] is placed before 'tag'"):
        client.with_options(middleware=[])
    assert client.agents.list().count == 0


def test_a_copy_with_another_key_sends_it(face):
    client, transport = face.scripted(EMPTY, middleware=[before("auth", A)])
    client.with_options(api_key="mtk_other").agents.list()
    assert transport.last.headers["x-api-key"] == "mtk_other"


# ---- what is wrong


@by_face(
    ("middleware", "told"),
    [
        (
            [A, before("atuh", B)],
            r"^middleware\[1\] is placed before 'atuh', and this .* name. Did you mean 'auth'\? Known: errors, retry, auth, log .docs: https://\S+/errors/[a-z_]+.md.$",
        ),
        (
            ["tag", after("zzz", "trace")],
            r"middleware\[1\] \('trace'\) is placed after 'zzz', .* name. Known: errors, retry, auth, log, tag, trace .docs: https://\S+/errors/[a-z_]+.md.$",
        ),
        (
            ["tag", replace("tag", A)],
            r"middleware\[1\] is placed instead of 'tag', which is not a built-in link. Known: errors, retry, auth, log .docs: https://\S+/errors/[a-z_]+.md.$",
        ),
        (
            [replace("logs", A)],
            r"instead of 'logs', which is not a built-in link. Did you mean 'log'\? Known: errors, retry, auth, log .docs: https://\S+/errors/[a-z_]+.md.$",
        ),
        (
            [replace("auth", A), B, replace("auth", "tag")],
            r"^middleware\[0\] and middleware\[2\] \('tag'\) both stand instead of 'auth'; leave one of them out .docs: https://\S+/errors/[a-z_]+.md.$",
        ),
        (
            ["tag", "tag", before("tag", A)],
            r"^middleware\[2\] is placed before 'tag', and several have that name: middleware\[0\] and middleware\[1\] .docs: https://\S+/errors/[a-z_]+.md.$",
        ),
        (
            [before("tag", "tag")],
            r"^middleware is placed in a circle: middleware\[0\] \('tag'\) before 'tag'; place one",
        ),
        (
            [before("tag", A), before("trace", "tag"), after("tag", "trace")],
            r"in a circle: middleware\[1\] \('tag'\) before 'trace', middleware\[2\] \('trace'\) after 'tag'; place",
        ),
        (["auth"], r"^middleware\[0\]: 'auth' is a built-in middleware, which every client has in its place"),
        ([before("errors", "log")], r"^middleware\[0\]: 'log' is a built-in middleware"),
        ([before("auth", "nope")], r"^middleware\[0\]: no middleware is named 'nope'"),
        ([before("auth", 5)], r"^middleware\[0\] cannot be called"),
        ([before("auth", Named)], r"^middleware\[0\] cannot be called"),
        (
            [A, Position("after", "auth")],
            r"^middleware\[1\] is a Position, which says where and not what: write after\('auth', your_middleware\) .docs: https://\S+/errors/[a-z_]+.md.$",
        ),
        ([before("AUTH", A)], r"^middleware\[0\] is placed before 'AUTH', .* Did you mean 'auth'\?"),
        (before("auth", A), "^middleware must be a list or tuple"),
    ],
)
def test_what_cannot_be_placed_is_told_when_the_client_is_made(face, install, middleware, told):
    install("tag")
    install("trace")
    with pytest.raises(ConfigurationError, match=told):
        made(face, middleware)


def test_a_circle_through_both_lists_is_told(face, install):
    install("tag")
    install("trace")
    with pytest.raises(
        ConfigurationError, match=r"circle: middleware\[0\] \('tag'\) .*, attempt_middleware\[0\] \('trace'\)"
    ):
        made(face, [after("trace", "tag")], [after("tag", "trace")])


def test_two_that_replace_one_link_through_both_lists_are_told(face, install):
    install("tag", Position("replace", "log"))
    with pytest.raises(ConfigurationError, match=r"^middleware\[0\] \('tag'\) and attempt_middleware\[0\] both stand"):
        made(face, ["tag"], [replace("log", A)])


def test_a_built_in_name_in_the_list_says_what_to_write(face):
    with pytest.raises(ConfigurationError) as caught:
        made(face, attempt_middleware=["log"])
    assert caught.value.hint == "replace it with replace('log', ...), or place others by before and after"


@pytest.mark.parametrize("place", [before, after, replace])
def test_a_place_whose_name_does_not_come_first_is_told(place):
    with pytest.raises(
        ConfigurationError, match=rf"^{place.__name__}: the link must be a name, not Named; the name comes"
    ):
        place(A, "auth")


@pytest.mark.parametrize("place", [before, after, replace])
def test_a_middleware_that_has_a_place_is_not_given_another(place):
    with pytest.raises(
        ConfigurationError,
        match=rf"has two, {'instead of' if place is replace else place.__name__} 'auth' and after 'log': leave one of them out .docs: https://\S+/errors/[a-z_]+.md.$",
    ):
        place("auth", after("log", A))


def test_a_position_is_not_placed():
    with pytest.raises(
        ConfigurationError,
        match=r"^what is placed before 'auth' is a Position, after 'log', not a middleware: write before\('auth', your",
    ):
        before("auth", Position("after", "log"))


@pytest.mark.parametrize("position", ["auth", None, ("before", "auth"), before("auth", "tracing")], ids=repr)
def test_what_is_placed_by_hand_needs_a_position(position):
    with pytest.raises(
        ConfigurationError, match=r"^a Placement's position must be a Position, not .*: write before\('auth'"
    ):
        Placement(A, position)


def test_what_is_placed_by_hand_stands_in_its_place(face):
    assert chain(made(face, [Placement(A, Position("after", "auth"))])) == "errors retry auth A log"


def test_a_position_knows_three_relations():
    with pytest.raises(ConfigurationError, match="one of before, after, replace, not 'beside'"):
        Position("beside", "auth")
    assert [str(Position(relation, "auth")) for relation in ("before", "after", "replace")] == [
        "before 'auth'",
        "after 'auth'",
        "instead of 'auth'",
    ]


@pytest.mark.parametrize("position", ["before auth", ("before", "auth"), before("auth", "tracing")], ids=repr)
def test_a_specs_position_is_a_position(position):
    with pytest.raises(ConfigurationError, match="^a MiddlewareSpec's position must be a Position or None, not "):
        MiddlewareSpec(create=lambda: A, position=position)


def test_what_cannot_be_called_and_comes_from_no_known_distribution_is_told_by_its_name(face, monkeypatch):
    monkeypatch.setitem(middleware_registry._specs, "tag", MiddlewareSpec(create=lambda: 5))
    with pytest.raises(
        ConfigurationError, match=r"^middleware\[0\]: middleware 'tag' cannot be used: its create gives int"
    ) as caught:
        made(face, ["tag"])
    assert caught.value.hint is None


# ---- the place of a built-in one


def passes(request, call_next):
    return (yield from call_next(request))


def test_in_the_place_of_auth_nothing_sends_our_key(face):
    client, transport = face.scripted(EMPTY, middleware=[replace("auth", passes)])
    client.agents.list()
    assert "mtk_key" not in str(transport.last.headers.multi_items)
    assert "x-api-key" not in transport.last.headers


def test_in_the_place_of_auth_another_signs(face):
    def sign(request, call_next):
        return (yield from call_next(request.with_header("authorization", f"Signed {request.method}")))

    client, transport = face.scripted(EMPTY, attempt_middleware=[replace("auth", sign)])
    client.agents.list()
    assert transport.last.headers["authorization"] == "Signed GET"
    assert "x-api-key" not in transport.last.headers


def test_in_the_place_of_log_nothing_is_logged(face, caplog):
    caplog.set_level(logging.DEBUG)
    made(face, [replace("log", passes)]).agents.list()
    assert [record for record in caplog.records if record.name == "memtrace"] == []
    made(face).agents.list()
    assert [record.name for record in caplog.records if record.name == "memtrace"] == ["memtrace"]


@by_face("status", [302, 404, 503])
def test_in_the_place_of_errors_what_is_let_through_raises_at_the_end(face, status):
    refused = json_response(status, '{"error": "not here"}')
    client, _ = face.scripted(refused, middleware=[replace("errors", passes)], retry=ONCE)
    with pytest.raises(MemtraceError, match=r"\[agents.get: GET /api/v1/agents/x") as caught:
        client.agents.get("x")
    assert (caught.value.status_code, caught.value.attempts) == (status, 1)


def test_in_the_place_of_errors_an_answer_can_stand_in_for_a_failure(face):
    def forgive(request, call_next):
        response = yield from call_next(request)
        return EMPTY if response.status == 404 else response

    client, _ = face.scripted(Response(404), middleware=[replace("errors", forgive)])
    assert client.agents.list().agents == []


def test_in_the_place_of_errors_another_exception_may_be_raised(face):
    class Refused(Exception):  # noqa: N818  # not named by us
        pass

    def refuse(request, call_next):
        response = yield from call_next(request)
        raise Refused(response.status)

    client, _ = face.scripted(Response(404), middleware=[replace("errors", refuse)])
    with pytest.raises(Refused, match="404"):
        client.agents.list()


def test_in_the_place_of_errors_a_broken_connection_comes_out_as_it_was_and_says_of_which_call(face):
    gone = TransportError("gone", cause="reset", maybe_sent=True)
    client, _ = face.scripted(gone, middleware=[replace("errors", passes)], retry=ONCE)
    with pytest.raises(TransportError) as caught:
        client.remember("assistant", "content")
    error = caught.value
    assert type(error) is TransportError
    assert (error.request.operation, error.attempts, error.maybe_applied) == ("memories.add", 1, True)


def test_outside_of_errors_failures_are_exceptions(face):
    caught = []

    def catch(request, call_next):
        try:
            return (yield from call_next(request))
        except MemtraceError as error:
            caught.append(type(error))
            raise

    client, _ = face.scripted(
        Response(404), TransportError("gone", cause="reset"), middleware=[before("errors", catch)], retry=ONCE
    )
    with pytest.raises(NotFoundError):
        client.agents.get("x")
    with pytest.raises(APIConnectionError):
        client.agents.list()
    assert caught == [NotFoundError, APIConnectionError]


def test_an_error_from_outside_of_errors_says_of_which_call(face):
    def refuse(request, call_next):
        raise MemtraceError("not today")
        yield

    client, _ = face.scripted(EMPTY, middleware=[before("errors", refuse)])
    with pytest.raises(MemtraceError, match=r"not today.*\[agents.list: GET /api/v1/agents") as caught:
        client.agents.list()
    assert caught.value.attempts == 0
