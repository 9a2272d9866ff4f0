"""The middleware by name, and the names that it writes."""

import subprocess
import sys

import pytest
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes, url_attributes
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.semconv.schemas import Schemas

from memtrace._runtime.chain import build_chain
from memtrace.integrations.opentelemetry import OpenTelemetryAttempts, OpenTelemetryCalls
from memtrace.integrations.opentelemetry._spans import SCHEMA_URL
from memtrace.plugins import middleware_registry
from tests.dealing import by_face
from tests.faces import json_response

pytestmark = pytest.mark.framework

EMPTY = json_response(200, '{"agents": [], "count": 0}')


def test_both_are_listed_as_ours():
    ours = {info.name: info for info in middleware_registry.listing() if info.name.startswith("opentelemetry")}
    assert {name: (info.distribution, info.status) for name, info in ours.items()} == {
        "opentelemetry": ("memtrace-sdk", "ok"),
        "opentelemetry-attempts": ("memtrace-sdk", "ok"),
    }


@by_face("argument", ["middleware", "attempt_middleware"])
def test_by_name_the_one_stands_outermost_and_the_other_last(face, argument):
    client, _ = face.scripted(EMPTY, **{argument: ["opentelemetry-attempts", "opentelemetry"]})
    first, *_, last = build_chain(client._dispatcher.settings)
    assert (type(first), type(last)) == (OpenTelemetryCalls, OpenTelemetryAttempts)


@pytest.mark.slow
def test_without_the_package_whoever_names_it_is_told_what_to_install_and_nobody_else_notices():
    code = """
import sys
sys.modules["opentelemetry"] = None
from memtrace import ConfigurationError, Memtrace
from memtrace.plugins import middleware_registry
Memtrace("memory://", "k").recall("assistant")
print([(info.status, info.detail) for info in middleware_registry.listing() if info.name == "opentelemetry"])
try:
    Memtrace("memory://", "k", middleware=["opentelemetry"])
except ConfigurationError as error:
    print(error.message)
    print(error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    hint = 'run: pip install "memtrace-sdk[opentelemetry]"'
    listed, message, told = done.stdout.splitlines()
    assert listed == repr([("missing package", hint)])
    assert message.startswith("middleware[0]: middleware 'opentelemetry' of memtrace-sdk ")
    assert message.endswith(" needs the package opentelemetry.trace, not installed here")
    assert told == hint


def test_naming_none_loads_nothing_of_opentelemetry():
    code = "import sys\nfrom memtrace import Memtrace\nMemtrace('memory://', 'k').recall('a')\nprint('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def test_every_name_is_the_conventions_or_begins_with_ours(face, collected):
    conventions = {
        value
        for module in (error_attributes, http_attributes, server_attributes, url_attributes)
        for name, value in vars(module).items()
        if name.isupper()
    } | {"url.template"}
    client, _ = face.scripted(EMPTY, middleware=[collected.calls, collected.attempts])
    client.agents.list()
    written = {name for span in collected.spans for name in span.attributes}
    assert all(name in conventions or name.startswith("memtrace.") for name in written)
    assert len(written & conventions) >= 6
    metric = collected.metrics()[http_metrics.HTTP_CLIENT_REQUEST_DURATION]
    assert metric.description == "Duration of HTTP client requests."
    assert {span.instrumentation_scope.schema_url for span in collected.spans} == {SCHEMA_URL}
    assert SCHEMA_URL in {schema.value for schema in Schemas}
