"""Large mails take turns; small ones and cancelled ones hold nobody up."""

from __future__ import annotations

import asyncio

import pytest

from veildesk.service.turns import LARGE, Turns


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_the_bound_is_worked_on_and_in_order() -> None:
    turns = Turns(together=3 * LARGE)
    order: list[int] = []
    most = now = 0

    async def work(number: int) -> None:
        nonlocal most, now
        async with turns.turn(2 * LARGE if number % 2 else LARGE):
            order.append(number)
            now += 2 * LARGE if number % 2 else LARGE
            most = max(most, now)
            await settle()
            now -= 2 * LARGE if number % 2 else LARGE

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))
    assert most == 3 * LARGE


async def test_what_is_larger_than_the_bound_goes_alone() -> None:
    turns = Turns(together=2 * LARGE)
    async with turns.turn(100 * LARGE):
        waiting = asyncio.create_task(turns.turn(LARGE).__aenter__())
        await settle()
        assert not waiting.done()
        async with turns.turn(LARGE - 1):
            assert turns.waiting == 1
    await waiting


@pytest.mark.parametrize("let_in", [False, True])
async def test_who_is_cancelled_takes_no_place(let_in: bool) -> None:
    turns = Turns(together=LARGE)
    first = turns.turn(LARGE)
    await first.__aenter__()
    waiting = asyncio.create_task(turns.turn(LARGE).__aenter__())
    await settle()
    if let_in:
        await first.__aexit__(None, None, None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    if not let_in:
        await first.__aexit__(None, None, None)
    async with asyncio.timeout(30), turns.turn(LARGE):
        assert turns.waiting == 0


async def test_a_fault_gives_the_place_back() -> None:
    turns = Turns(together=LARGE)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with turns.turn(LARGE):
                raise ZeroDivisionError


async def test_one_that_is_cancelled_as_another_leaves_breaks_neither() -> None:
    turns = Turns(LARGE)
    leaving = turns.turn(LARGE)
    await leaving.__aenter__()

    async def wait() -> None:
        async with turns.turn(LARGE):
            pass

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    # Before the cancelled one has run again.
    await leaving.__aexit__(None, None, None)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(5), turns.turn(LARGE):
        assert turns.waiting == 0
