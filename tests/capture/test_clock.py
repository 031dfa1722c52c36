import asyncio
import time

import pytest

from capture.clock import NS_PER_S, SteppedClock, SystemClock, utc_time

STARTS_NS = 1_772_431_200 * NS_PER_S


def test_the_system_s_clock_is_the_functions_of_the_system() -> None:
    clock = SystemClock()

    assert clock.now_ns is time.time_ns
    assert clock.monotonic_ns is time.monotonic_ns


def test_a_stepped_clock_runs_from_its_start_and_never_backwards() -> None:
    clock = SteppedClock(STARTS_NS)
    told = [clock.now_ns() for _ in range(100)]

    assert told == sorted(told)
    assert STARTS_NS <= told[0] < STARTS_NS + 60 * NS_PER_S


def test_a_step_moves_both_times_by_as_much() -> None:
    clock = SteppedClock(STARTS_NS)
    apart_ns = clock.now_ns() - clock.monotonic_ns()
    clock.advance_s(3600)

    assert clock.now_ns() >= STARTS_NS + 3600 * NS_PER_S
    # Between the two readings some time passes.
    assert abs(clock.now_ns() - clock.monotonic_ns() - apart_ns) < 60 * NS_PER_S
    with pytest.raises(ValueError, match="forward only"):
        clock.advance_s(-1)


async def test_a_step_wakes_those_whose_time_has_come_and_no_others() -> None:
    clock = SteppedClock(STARTS_NS)
    woken: list[int] = []

    async def wait_for(hours: int) -> None:
        await clock.sleep_until(STARTS_NS + hours * 3600 * NS_PER_S)
        woken.append(hours)

    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(wait_for(hours)) for hours in (1, 2, 3)]
        await asyncio.sleep(0)
        clock.advance_s(2 * 3600)
        await asyncio.wait(waiting[:2])
        assert sorted(woken) == [1, 2]
        clock.advance_s(3600)
    assert woken[2:] == [3]


async def test_waits_without_a_step_and_not_for_what_has_passed() -> None:
    clock = SteppedClock(STARTS_NS)
    due_ns = clock.now_ns() + 5_000_000

    await clock.sleep_until(due_ns)
    assert clock.now_ns() >= due_ns
    await clock.sleep_until(due_ns)


def test_a_time_is_told_to_the_microsecond() -> None:
    assert utc_time(STARTS_NS + 123_456_789).isoformat() == "2026-03-02T06:00:00.123456+00:00"
