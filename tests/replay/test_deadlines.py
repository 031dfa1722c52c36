"""Deadlines in virtual time: nothing early, in order, each once, and none that was cancelled; then on real timers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from replay.deadlines import Deadline, DeadlineHeap, Deadlines, KernelTimer, LoopTimer, Timer

MILLISECOND_NS = 1_000_000
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class World:
    """A clock that is moved by hand, and the timer that it drives; `early_ns` before its time, as uvloop's is."""

    def __init__(self, early_ns: int = 0) -> None:
        self.now_ns = 0
        self.armed_ns: int | None = None
        self.called: list[tuple[int, int]] = []
        """What was called, and when."""
        self._early_ns = early_ns
        self._on_time: Callable[[], None] = lambda: None
        self.deadlines = Deadlines(self._make_timer, lambda: self.now_ns)

    def call_at(self, due_ns: int, name: int) -> Deadline:
        return self.deadlines.call_at(due_ns, lambda: self.called.append((name, self.now_ns)))

    def advance(self, by_ns: int) -> None:
        """Let time pass, and the timer fire whenever it is due on the way."""
        until_ns = self.now_ns + by_ns
        while self.armed_ns is not None and self.armed_ns - self._early_ns <= until_ns:
            # Armed anew for the same time, it fires a little later: a loop's timer spins on, it does not stand still.
            fires_ns = max(self.now_ns, self.armed_ns - self._early_ns)
            self.now_ns = fires_ns if fires_ns > self.now_ns or fires_ns >= self.armed_ns else fires_ns + 1
            self.armed_ns = None
            self._on_time()
        self.now_ns = max(self.now_ns, until_ns)

    def _make_timer(self, on_time: Callable[[], None]) -> Timer:
        self._on_time = on_time
        return self

    def arm(self, due_ns: int) -> None:
        self.armed_ns = due_ns

    def close(self) -> None:
        self.armed_ns = None


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(-5, 60)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("advance"), st.integers(0, 25)),
    ),
    max_size=60,
)


@given(MOVES, st.sampled_from([0, 1, 4]))
def test_each_is_called_once_in_order_at_its_time_and_never_before(moves: list[tuple[str, int]], early_ns: int) -> None:
    world = World(early_ns)
    due: dict[int, int] = {}
    set_at: dict[int, int] = {}
    handles: dict[int, Deadline] = {}
    for kind, amount in moves:
        if kind == "set":
            name = len(due)
            due[name], set_at[name] = world.now_ns + amount, world.now_ns
            handles[name] = world.call_at(due[name], name)
        elif kind == "cancel" and amount in handles:
            handles.pop(amount).cancel()
        elif kind == "advance":
            world.advance(amount)
    was_called = [name for name, _ in world.called]
    world.advance(100)
    assert len(world.called) == len({name for name, _ in world.called})
    # A call cannot be taken back; all that were not taken back come.
    assert {name for name, _ in world.called} == set(handles) | set(was_called)
    for name, at_ns in world.called:
        # Spinning on after it came early costs at most what it was early by.
        assert max(due[name], set_at[name]) <= at_ns <= max(due[name], set_at[name]) + early_ns
    times = [at_ns for _, at_ns in world.called]
    assert times == sorted(times)


def test_of_equal_times_the_first_that_was_set_comes_first() -> None:
    world = World()
    for name, due_ns in enumerate([20, 10, 20, 10]):
        world.call_at(due_ns, name)
    world.advance(30)
    assert world.called == [(1, 10), (3, 10), (0, 20), (2, 20)]


def test_an_earlier_one_arms_the_timer_anew_and_a_later_one_does_not() -> None:
    world = World()
    world.call_at(50, 0)
    world.call_at(70, 1)
    assert world.armed_ns == 50
    world.call_at(20, 2)
    assert world.armed_ns == 20


def test_what_a_call_sets_is_met_as_well() -> None:
    world = World()

    def again() -> None:
        world.called.append((0, world.now_ns))
        if len(world.called) < 4:
            world.deadlines.call_at(world.now_ns + 20, again)

    world.deadlines.call_at(20, again)
    world.advance(200)
    assert world.called == [(0, 20), (0, 40), (0, 60), (0, 80)]


def test_a_call_that_fails_holds_up_no_later_deadline() -> None:
    world = World()

    def fail() -> None:
        raise RuntimeError("a bug")

    world.deadlines.call_at(10, fail)
    world.call_at(20, 1)
    with pytest.raises(RuntimeError, match="a bug"):
        world.advance(15)
    world.advance(15)
    assert world.called == [(1, 20)]


def test_deadlines_that_are_cancelled_do_not_pile_up() -> None:
    heap = DeadlineHeap()
    for number in range(10_000):
        heap.add(1_000_000 + number, lambda: None).cancel()
    assert len(heap) == 0
    assert heap.stored < 200
    assert heap.next_ns is None


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("make_timer", [None, LoopTimer])
def test_on_a_real_timer_nothing_is_early_and_order_is_kept(
    loop_name: str, make_timer: Callable[[Callable[[], None]], Timer] | None
) -> None:
    async def wait_for_all() -> list[tuple[int, int]]:
        called: list[tuple[int, int]] = []
        with Deadlines(make_timer) as deadlines:
            begun_ns = time.monotonic_ns()
            offsets = [30.0, 5.0, 12.3, 12.7, 0.0, 20.1]
            for offset_ms in offsets:
                due_ns = begun_ns + int(offset_ms * MILLISECOND_NS)
                deadlines.call_at(due_ns, lambda due=due_ns: called.append((due, time.monotonic_ns())))  # type: ignore[misc]
            taken_back = deadlines.call_at(begun_ns + MILLISECOND_NS, lambda: called.append((0, 0)))
            taken_back.cancel()
            all_met = asyncio.Event()
            deadlines.call_at(begun_ns + int(max(offsets) * MILLISECOND_NS), all_met.set)
            async with asyncio.timeout(30):
                await all_met.wait()
        return called

    with asyncio.Runner(loop_factory=LOOPS[loop_name]) as runner:
        called = runner.run(wait_for_all())
    assert len(called) == 6
    assert [due for due, _ in called] == sorted(due for due, _ in called)
    assert all(at_ns >= due_ns for due_ns, at_ns in called)


async def test_a_closed_timer_calls_back_no_more() -> None:
    called: list[int] = []
    with Deadlines() as deadlines:
        deadlines.call_at(time.monotonic_ns() + MILLISECOND_NS, lambda: called.append(1))
    await asyncio.sleep(0.02)
    assert called == []
    deadlines.close()


async def test_where_the_system_has_no_timer_to_watch_the_loop_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError("this system has no timerfd")

    monkeypatch.setattr("replay.deadlines._create_timer", refuse)
    met = asyncio.Event()
    with Deadlines() as deadlines:
        deadlines.call_at(time.monotonic_ns() + MILLISECOND_NS, met.set)
        async with asyncio.timeout(30):
            await met.wait()
    with pytest.raises(OSError, match="no timerfd"):
        KernelTimer(lambda: None)
