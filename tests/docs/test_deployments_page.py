"""What the page about deployments says of certificates and Celery, with a server that asks for them and with Celery."""

from __future__ import annotations

import re
import shutil

import pytest

from memtrace import APIConnectionError, Memtrace, RetryPolicy
from memtrace_transports.memory import FakeMemtrace, Fault
from tests.docs import pages
from tests.transports.tls_server import Authority, TlsServer

PAGE = pages.ROOT / "docs" / "deployments.md"
TEXT = PAGE.read_text(encoding="utf-8")


def section(heading):
    """The names that the examples of a section make."""
    made = {"Memtrace": Memtrace}
    for block in pages.python_blocks(pages.section(TEXT, heading)):
        exec(compile("from __future__ import annotations\n" + block, str(PAGE), "exec"), made)
    return made


@pytest.mark.network
@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")
def test_the_client_with_certificates_is_known_to_a_server_that_asks_for_them(tmp_path):
    authority = Authority(tmp_path)
    behind = section("Behind a proxy")
    behind["proxied"].close()
    for block in pages.python_blocks(pages.section(TEXT, "A private CA, client certificates")):
        exec(compile(block, str(PAGE), "exec"), behind)
    with TlsServer(authority, wants_client=True) as server:
        with behind["over_tls"](server.url, "mtk_of_acme", tmp_path) as client:
            answer = client.request("GET", "/")
            assert answer.body == b"'client'"
        once = RetryPolicy(max_attempts=1)
        with Memtrace(server.url, "mtk_of_acme", retry=once) as stranger, pytest.raises(APIConnectionError):
            stranger.request("GET", "/")


def celery_blocks():
    return re.findall(r"^```py\n(.*?)^```", pages.section(TEXT, "Celery"), re.MULTILINE | re.DOTALL)


def test_the_examples_that_need_celery_are_python():
    blocks = celery_blocks()
    assert len(blocks) == 2
    for block in blocks:
        compile(block, str(PAGE), "exec")


@pytest.mark.framework
def test_a_task_that_lost_its_answer_is_tried_again_and_stored_once():
    pytest.importorskip("celery")
    made = section("Celery")
    fake = FakeMemtrace()
    made["client"] = fake.client("acme", retry=RetryPolicy(max_attempts=1))
    exec(compile(celery_blocks()[0], str(PAGE), "exec"), made)
    fake.faults.add(Fault("reset", on="memories.add", applied=True))
    result = made["note"].apply(args=["The report is done"], task_id="task-4711")
    assert result.successful()
    assert [memory.dedup_key for memory in made["client"].memories.list().memories] == ["task-4711"]
