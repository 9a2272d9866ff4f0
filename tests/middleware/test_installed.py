"""Middleware of other distributions, found for real: with places of their own, and under names that are taken."""

import sys

import pytest

from memtrace import ConfigurationError
from memtrace.middleware import after, before
from memtrace.plugins import middleware_registry
from tests.dealing import by_face
from tests.faces import json_response
from tests.plugins.test_registry import MIDDLEWARE, Installed, line_of

EMPTY = json_response(200, '{"agents": [], "count": 0}')
SIGNER = """
    from memtrace.middleware import Position
    from memtrace.plugins import MiddlewareSpec, hookimpl

    def sign(request, call_next):
        key = request.headers.get("x-api-key", "no key")
        return (yield from call_next(request.with_header("x-signed", f"with {key}")))

    @hookimpl
    def memtrace_middleware():
        return MiddlewareSpec(create=lambda: sign, position=Position("after", "auth"))
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    installing = Installed(tmp_path, monkeypatch)
    installing.everywhere()
    yield installing
    for module in installing.modules:
        sys.modules.pop(module, None)


def signed(face, *middleware, **settings):
    client, transport = face.scripted(EMPTY, middleware=middleware, **settings)
    client.agents.list()
    return transport.last.headers["x-signed"]


def test_a_distributions_own_place_holds_until_the_client_says_another(face, installed):
    installed.add("acme-signer", "signer", SIGNER, kind="middleware")
    assert signed(face, "signer") == "with mtk_key"
    assert signed(face, before("auth", "signer")) == "with no key"


def test_a_place_beside_a_link_that_is_not_there_names_the_distributions_middleware(face, installed):
    installed.add("acme-signer", "signer", SIGNER.replace('"auth"', '"span"'), kind="middleware")
    with pytest.raises(
        ConfigurationError, match=r"^middleware\[0\] \('signer'\) is placed after 'span', and this client"
    ):
        signed(face, "signer")
    assert signed(face, after("auth", "signer")) == "with mtk_key"


def test_what_is_installed_and_not_named_is_no_place_and_the_error_says_so(face, installed):
    module = installed.add("acme-tag", "tag", MIDDLEWARE, kind="middleware")
    with pytest.raises(ConfigurationError, match="no link of that name. Known: errors, retry, auth, log") as caught:
        face.scripted(EMPTY, middleware=[before("tag", lambda request, call_next: call_next(request))])
    assert caught.value.hint == "'tag' is installed, but acts only where it is named: add it to middleware="
    assert module not in sys.modules


def test_a_wrong_position_is_told_with_the_distribution(installed):
    installed.add(
        "acme-signer", "signer", SIGNER.replace('Position("after", "auth")', '"after auth"'), kind="middleware"
    )
    with pytest.raises(ConfigurationError, match=r"'signer' of acme-signer 1.0 .* must be a Position or None, not str"):
        middleware_registry.get("signer")


@by_face(
    ("more", "needs", "hint"),
    [
        (
            "requires=('not_there_1', 'not_there_2')",
            "the packages not_there_1, not_there_2",
            (
                "reinstall acme-signer, whose dependencies not_there_1 and not_there_2 are missing: "
                "pip install --force-reinstall acme-signer"
            ),
        ),
        (
            "requires=('os', 'not.there'), extra='acme'",
            "the package not.there",
            'run: pip install "memtrace-sdk[acme]"',
        ),
    ],
    ids=["dependencies", "extra"],
)
def test_a_package_that_is_missing_is_told_to_whoever_names_the_middleware_and_it_is_not_made(
    face, installed, more, needs, hint
):
    code = SIGNER.replace("create=lambda: sign", f"create=lambda: 1 / 0, {more}")
    installed.add("acme-signer", "signer", code, kind="middleware")
    with pytest.raises(ConfigurationError) as caught:
        signed(face, "signer")
    assert caught.value.message == (
        f"middleware[0]: middleware 'signer' of acme-signer 1.0 needs {needs}, not installed here"
    )
    assert caught.value.hint == hint
    info = line_of(middleware_registry.listing(), "acme-signer")
    assert (info.status, info.detail) == ("missing package", hint)


def test_a_distribution_that_brings_a_built_in_name_is_shadowed_and_never_loaded(face, installed):
    module = installed.add("acme-auth", "auth", "raise AssertionError('loaded')", kind="middleware")
    with pytest.raises(ConfigurationError, match="'auth' is a built-in middleware"):
        face.scripted(EMPTY, middleware=["auth"])
    info = line_of(middleware_registry.listing(), "acme-auth")
    assert (info.name, info.status) == ("auth", "shadowed")
    assert info.detail == "the name 'auth' belongs to a built-in middleware; acme-auth must choose another"
    assert [info.status for info in middleware_registry.listing() if info.name == "auth"] == ["ok", "shadowed"]
    assert "auth" not in middleware_registry.names()
    assert module not in sys.modules


def test_the_listing_has_the_built_in_links_and_then_what_is_installed(installed):
    installed.add("acme-tag", "tag", MIDDLEWARE, kind="middleware")
    names = [info.name for info in middleware_registry.listing()]
    assert names[:4] == ["errors", "retry", "auth", "log"]
    assert names.index("tag") >= 4
