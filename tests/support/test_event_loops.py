import asyncio

import trio

from memtrace._support.event_loops import is_closed, running_loop


def test_a_loop_stands_for_itself_while_it_runs():
    async def main():
        assert running_loop() is running_loop()
        assert not is_closed(running_loop())
        return running_loop()

    assert is_closed(asyncio.run(main()))
    assert not is_closed(trio.run(main))
