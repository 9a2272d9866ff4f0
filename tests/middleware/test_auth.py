from memtrace.middleware._auth import ApiKeyAuth
from memtrace.transport import Headers
from tests.faces import json_response


def test_every_attempt_carries_the_key(runner):
    def twice(request, call_next):
        yield from call_next(request)
        return (yield from call_next(request))

    runner.call([twice, ApiKeyAuth("planted")])
    assert [request.headers.get_all("x-api-key") for request in runner.requests] == [["planted"], ["planted"]]


def test_a_key_set_further_out_stays(runner):
    def other(request, call_next):
        return (yield from call_next(request.with_header("X-API-Key", "another")))

    runner.call([other, ApiKeyAuth("planted")])
    assert runner.requests[0].headers.get_all("x-api-key") == ["another"]


def test_the_request_of_those_further_out_stays_without_the_key(runner):
    seen = []

    def outer(request, call_next):
        response = yield from call_next(request)
        seen.append(request)
        return response

    runner.call([outer, ApiKeyAuth("planted")])
    assert "x-api-key" not in seen[0].headers


def test_its_repr_hides_the_key():
    assert "planted" not in repr(ApiKeyAuth("planted"))
    assert not hasattr(ApiKeyAuth("planted"), "__dict__")


def test_requests_with_other_headers_keep_them_beside_the_key(runner):
    auth = ApiKeyAuth("planted")
    first, second = Headers({"x-trace": "1"}), Headers({"x-trace": "2"})
    for headers in (first, first, second, first):
        runner.call(auth, headers=headers)
        assert runner.requests[0].headers == headers.set("x-api-key", "planted")
    runner.call(auth, headers=second, body=b"{}")
    assert runner.requests[0].headers == second.set("x-api-key", "planted")


class Derived(ApiKeyAuth):
    """A user's, which names its arguments in its own way."""

    def __call__(self, sent, rest):
        return (yield from super().__call__(sent.with_header("x-trace", "1"), rest))


def test_a_class_derived_from_it_may_name_its_arguments_as_it_likes(face):
    client, transport = face.scripted(json_response(200, '{"agents": [], "count": 0}'), middleware=[Derived("derived")])
    client.agents.list()
    assert (transport.last.headers["x-api-key"], transport.last.headers["x-trace"]) == ("derived", "1")
