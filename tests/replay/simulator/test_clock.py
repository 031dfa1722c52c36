from capture.clock import SteppedClock
from replay.simulator.clock import NS_PER_MS, NS_PER_S, Clock


async def test_a_stepped_clock_is_one_to_go_by() -> None:
    clock: Clock = SteppedClock()
    due_ns = clock.now_ns() + NS_PER_MS

    await clock.sleep_until(due_ns)

    assert clock.now_ns() >= due_ns
    assert NS_PER_S == 1000 * NS_PER_MS
