"""What spans say of an address: nothing that could be a content."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtrace.integrations.opentelemetry._attributes import route_of, server_of, shown_url

pytestmark = pytest.mark.framework

ORIGIN = "https://memtrace.example"
PARTS = st.text(st.characters(codec="ascii", exclude_characters="/?#&=", categories=["L", "N", "P", "S"]), max_size=12)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/health", "/health"),
        ("/v2/ready", "/v2/ready"),
        ("/api/v1/memories", "/api/v1/memories"),
        ("/api/v1/search", "/api/v1/search"),
        ("/v2/api/v1/agents/a-b", "/v2/api/v1/agents/{agent_id}"),
        ("/api/v1/agents/a/stats", "/api/v1/agents/{agent_id}/stats"),
        ("/api/v1/sessions/s/context", "/api/v1/sessions/{session_id}/context"),
        ("/api/v1/sessions/s/memories", "/api/v1/sessions/{session_id}/memories"),
        ("/api/v1/memories/what%20was%20said", "/api/v1/memories/{text}"),
        ("/api/v1/agents/a/other", None),
        ("/api/v1/agents/a/stats/b", None),
        ("/api/v1/unknown/a", None),
        ("/elsewhere", None),
    ],
)
def test_a_route_has_names_in_place_of_ids_and_is_none_where_it_is_not_known(path, route):
    assert route_of(path) == route


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/api/v1/memories", "/api/v1/memories"),
        ("/api/v1/memories?agent_id=a&tags=ui%2Cx", "/api/v1/memories?agent_id=REDACTED&tags=REDACTED"),
        ("/api/v1/memories?words+alone&=x&Odd name=x&since=1h", "/api/v1/memories?REDACTED&REDACTED&REDACTED&since=REDACTED"),
        ("/api/v1/sessions/sess_1/memories?limit=3", "/api/v1/sessions/sess_1/memories?limit=REDACTED"),
        ("/api/v1/memories/what%20was%20said", "/api/v1/memories/REDACTED"),
        ("/api/v1/memories/what%20was%20said/stats", "/api/v1/memories/REDACTED"),
        ("/api/v1/memories/what%20was%20said/health", "/api/v1/memories/REDACTED"),
        ("/v2/api/v1/unknown/what/was/said", "/v2/api/v1/unknown/REDACTED"),
        ("/elsewhere/said", "/REDACTED"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_what_could_be_a_content(target, shown):
    assert shown_url(ORIGIN, target) == ORIGIN + shown


@settings(deadline=None)
@given(path=st.lists(PARTS, max_size=4), query=st.lists(st.tuples(PARTS, PARTS), max_size=4))
def test_nothing_of_an_unknown_path_and_no_value_of_a_query_is_shown(path, query):
    marked = [f"SECRET{part}" for part in path]
    target = "/api/v1/unknown/" + "/".join(["SECRET", *marked])
    if query:
        target += "?" + "&".join(f"{name}=SECRET{value}" for name, value in query)
    shown = shown_url(ORIGIN, target)
    assert "SECRET" not in shown
    assert shown.startswith(f"{ORIGIN}/api/v1/unknown/REDACTED")


@pytest.mark.parametrize(
    ("origin", "server"),
    [
        ("http://localhost:9100", ("localhost", 9100)),
        ("http://memtrace.example", ("memtrace.example", 80)),
        ("https://memtrace.example", ("memtrace.example", 443)),
        ("https://[2001:db8::1]:8443", ("2001:db8::1", 8443)),
        ("memory://", ("memory", None)),
        ("pigeon://loft", ("loft", None)),
    ],
)
def test_a_server_is_its_host_and_port(origin, server):
    assert server_of(origin) == server
