"""Many tasks at once, few in each round of the loop."""

import asyncio

from server.turns import Turns


async def test_in_every_round_so_many_go_and_in_their_order():
    turns, went = Turns(3), list[int]()

    async def go(number: int) -> None:
        await turns.take()
        went.append(number)

    tasks = [asyncio.create_task(go(number)) for number in range(20)]
    most, before = 0, 0
    while len(went) < 20:
        await asyncio.sleep(0)
        most, before = max(most, len(went) - before), len(went)
    await asyncio.gather(*tasks)
    assert went == list(range(20))
    assert most <= 6  # a round's own three, and three whose turn came with the last refill


async def test_one_who_gives_up_takes_nobodys_turn():
    turns = Turns(1)
    await turns.take()
    waiting = [asyncio.create_task(turns.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting[1:])
        await turns.take()
