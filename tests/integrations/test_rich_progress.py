"""The bar of rich, where that takes more than its documentation shows."""

import io

from memtrace import AddMemoryRequest, Memtrace
from tests.lazily import Lazily

rich_progress = Lazily("memtrace.integrations.rich_progress")
rich_console = Lazily("rich.console")


def test_half_a_character_in_the_description_is_the_replacement_character():
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = rich_console.Console(file=shown, width=100)
    requests = [AddMemoryRequest(agent_id="importer", content="row")]
    with Memtrace("memory://", "any key") as client, rich_progress.RichProgress("half \ud800", console=console) as bar:
        client.memories.add_many(requests, progress=bar)
    shown.seek(0)
    assert "half \ufffd" in shown.read()
