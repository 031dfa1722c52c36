"""The clocks that a simulator goes by: the one of `capture` where it is live, and one that a staging moves on."""

from __future__ import annotations

import asyncio
import itertools
import time
from heapq import heappop, heappush
from typing import Protocol

import capture.clock
from capture.clock import NS_PER_S

__all__ = ["NS_PER_MS", "NS_PER_S", "Clock", "StagedClock"]

NS_PER_MS = 1_000_000

_LARGEST_STEP_NS = 20 * NS_PER_MS
_ROUNDS = 8
"""From a client through the proxy to the endpoint and back each hand takes one turn of the loop, or two."""


class Clock(capture.clock.Clock, Protocol):
    """Tells the time and waits. Its time of day must not run backwards: take a `SteppedClock`."""

    async def sleep_until(self, due_ns: int) -> None:
        """Wait until that time (nanoseconds since 1970); at once if it has passed."""
        ...


class StagedClock:
    """Moves on while somebody waits for it, at a pace, and never faster than its event loop can follow.

    What a busy machine does to this process must not look like what an endpoint does. So time stands still between
    steps: one ends where a sleeper is due at the latest, none is longer than 20 ms, and what came of one has gone
    round the loop before the next. A process that gets no processor takes longer, and records the same.
    """

    def __init__(self, starts_at_ns: int | None = None, *, speed: float = 1.0) -> None:
        """Start now, or at a time in nanoseconds since 1970; at best `speed` seconds pass in each second."""
        if speed <= 0:
            raise ValueError("the speed of a clock must be above 0")
        self._speed = speed
        self._now_ns = time.time_ns() if starts_at_ns is None else starts_at_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap: due time, order of coming, and what wakes them."""
        self._numbers = itertools.count()
        self._is_moving = False
        self._seen_ns = 0
        """Of the computer's monotonic clock: until when time was credited."""
        self._credit_ns = 0
        """Time that has passed outside and not here; what is more than one step is forgotten."""

    def now_ns(self) -> int:
        """Tell the time in nanoseconds since 1970."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Tell the same: it never runs backwards."""
        return self._now_ns

    def advance_s(self, seconds: float) -> None:
        """Move forward, and wake those who wait for a time that has come by that; call it on their event loop."""
        if seconds < 0:
            raise ValueError("a clock is moved forward only")
        self._now_ns += round(seconds * NS_PER_S)
        self._wake()

    async def sleep_until(self, due_ns: int) -> None:
        """Wait until that time (nanoseconds since 1970); at once if it has passed."""
        if due_ns <= self._now_ns:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._sleepers, (due_ns, next(self._numbers), woken))
        if not self._is_moving:
            self._is_moving = True
            self._seen_ns, self._credit_ns = time.monotonic_ns(), 0
            self._go_round(_ROUNDS)
        await woken

    def _go_round(self, rounds: int) -> None:
        """Let the loop turn so many times, and then plan the next step."""
        loop = asyncio.get_running_loop()
        if rounds:
            loop.call_soon(self._go_round, rounds - 1)
            return
        self._wake()
        if not self._sleepers:
            self._is_moving = False
            return
        step_ns = min(self._sleepers[0][0] - self._now_ns, _LARGEST_STEP_NS)
        loop.call_later((step_ns - self._credit_ns) / NS_PER_S / self._speed, self._step)

    def _step(self) -> None:
        seen_ns, self._seen_ns = self._seen_ns, time.monotonic_ns()
        passed_ns = int((self._seen_ns - seen_ns) * self._speed)
        self._credit_ns = min(self._credit_ns + passed_ns, _LARGEST_STEP_NS)
        self._wake()
        if self._sleepers:
            step_ns = min(self._sleepers[0][0] - self._now_ns, self._credit_ns)
            self._now_ns += step_ns
            self._credit_ns -= step_ns
            self._wake()
        self._go_round(_ROUNDS)

    def _wake(self) -> None:
        """Wake those who are due, and forget those who wait no more."""
        while self._sleepers and (self._sleepers[0][0] <= self._now_ns or self._sleepers[0][2].done()):
            _, _, woken = heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
