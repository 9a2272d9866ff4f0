from memtrace.middleware._auth import ApiKeyAuth


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
