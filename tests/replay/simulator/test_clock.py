import time

from replay.simulator.clock import NS_PER_MS, SystemClock


def test_tells_wall_time_and_never_runs_backwards() -> None:
    clock = SystemClock()
    told = [clock.now_ns() for _ in range(100)]

    assert told == sorted(told)
    assert abs(told[0] - time.time_ns()) < 60 * 1000 * NS_PER_MS


async def test_sleeps_until_the_time_has_come() -> None:
    clock = SystemClock()
    due_ns = clock.now_ns() + 5 * NS_PER_MS

    await clock.sleep_until(due_ns)
    woken_ns = clock.now_ns()
    await clock.sleep_until(due_ns - NS_PER_MS)

    # The event loop's own clock may be a little coarser than ours.
    assert woken_ns >= due_ns - NS_PER_MS
