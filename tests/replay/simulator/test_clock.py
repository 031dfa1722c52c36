"""The clock of a staging: what passes, what stands still, and who is woken."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from capture.clock import SteppedClock
from replay.simulator.clock import NS_PER_MS, NS_PER_S, Clock, StagedClock

STARTS_NS = 1_772_431_200 * NS_PER_S


async def step_of(clock: StagedClock) -> None:
    """Let the loop turn until the clock has moved."""
    before_ns = clock.now_ns()
    for _ in itertools.count():
        if clock.now_ns() > before_ns:
            return
        await asyncio.sleep(0)


@pytest.mark.parametrize("clock", [SteppedClock(), StagedClock()])
async def test_both_clocks_can_be_waited_on(clock: Clock) -> None:
    due_ns = clock.now_ns() + 30 * NS_PER_MS
    await clock.sleep_until(due_ns)

    assert clock.now_ns() >= due_ns
    await clock.sleep_until(due_ns)


def test_it_begins_now_or_when_it_is_told_and_at_a_pace_above_0() -> None:
    assert abs(StagedClock().now_ns() - time.time_ns()) < 60 * NS_PER_S
    assert StagedClock(STARTS_NS).now_ns() == STARTS_NS
    with pytest.raises(ValueError, match="above 0"):
        StagedClock(speed=0)


async def test_sleepers_are_woken_in_order_each_at_the_very_time_that_it_waits_for() -> None:
    clock = StagedClock(STARTS_NS, speed=10)
    woken: list[tuple[int, int]] = []

    async def wait_for(ms: int) -> None:
        await clock.sleep_until(STARTS_NS + ms * NS_PER_MS)
        woken.append((ms, (clock.now_ns() - STARTS_NS) // NS_PER_MS))

    async with asyncio.TaskGroup() as tasks:
        for ms in (300, 7, 45, 45, 8):
            tasks.create_task(wait_for(ms))
    assert woken == [(ms, ms) for ms in (7, 8, 45, 45, 300)]


async def test_what_comes_of_a_step_goes_round_before_the_next() -> None:
    clock = StagedClock(STARTS_NS, speed=1000)
    told: list[int] = []

    async def pass_on(turns: int) -> None:
        await clock.sleep_until(STARTS_NS + 20 * NS_PER_MS)
        for _ in range(turns):
            await asyncio.sleep(0)
            told.append(clock.now_ns())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pass_on(6))
        tasks.create_task(clock.sleep_until(STARTS_NS + NS_PER_S))
    assert told == [STARTS_NS + 20 * NS_PER_MS] * 6


async def test_a_machine_that_stalls_holds_it_up_too() -> None:
    clock = StagedClock(STARTS_NS, speed=1000)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.sleep_until(STARTS_NS + 3600 * NS_PER_S))
        await asyncio.sleep(0)
        for _ in range(3):
            before_ns = clock.now_ns()
            # As long as 50 seconds of its own, in which the loop gets nothing.
            time.sleep(0.05)  # noqa: ASYNC251 - that is the stall
            await step_of(clock)
            assert clock.now_ns() - before_ns <= 20 * NS_PER_MS
        waiting.cancel()


async def test_nobody_waits_and_nothing_passes() -> None:
    clock = StagedClock(STARTS_NS, speed=1000)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(clock.sleep_until(STARTS_NS + 3600 * NS_PER_S))
        await step_of(clock)
        waiting.cancel()
    await asyncio.sleep(0.02)
    stood_ns = clock.now_ns()
    await asyncio.sleep(0.02)
    assert clock.now_ns() == stood_ns


async def test_it_is_moved_forward_and_wakes_those_whose_time_has_come_and_no_others() -> None:
    clock = StagedClock(STARTS_NS)
    woken: list[int] = []

    async def wait_for(hours: int) -> None:
        await clock.sleep_until(STARTS_NS + hours * 3600 * NS_PER_S)
        woken.append(hours)

    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(wait_for(hours)) for hours in (1, 2, 3)]
        await asyncio.sleep(0)
        clock.advance_s(2 * 3600)
        await asyncio.wait(waiting[:2])
        assert woken == [1, 2]
        clock.advance_s(3600)
    assert woken[2:] == [3]
    with pytest.raises(ValueError, match="forward only"):
        clock.advance_s(-1)
