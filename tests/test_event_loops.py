import asyncio

import trio

from memtrace.event_loops import has_ended, running_loop


def test_a_loop_stands_for_itself_while_it_runs():
    async def main():
        assert running_loop() is running_loop()
        assert not has_ended(running_loop())
        return running_loop()

    assert has_ended(asyncio.run(main()))
    assert not has_ended(trio.run(main))
