"""Wake many trials on time: one heap of absolute deadlines for all of them, on one timer of the kernel.

A timer of an event loop is late by up to its tick, a millisecond, and on uvloop early by as much. A timerfd (Linux)
is neither, on either loop. Where there is none the loop's own timer wakes, and whoever comes early waits on.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Protocol, Self

_COMPACT_FROM = 64
_CLOCK_MONOTONIC, _NON_BLOCKING, _CLOSE_ON_EXEC, _ABSOLUTE = 1, os.O_NONBLOCK, os.O_CLOEXEC, 1
_NS_PER_S = 1_000_000_000


class Deadline:
    """Something to be called at a time, once."""

    __slots__ = ("_heap", "callback", "due_ns")

    def __init__(self, heap: DeadlineHeap, due_ns: int, callback: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.callback: Callable[[], None] | None = callback
        """None once it was called, or is not to be called any more."""
        self._heap = heap

    def cancel(self) -> None:
        """Let the time pass without a call; nothing happens where it has been called already."""
        if self.callback is not None:
            self.callback = None
            self._heap.forget_one()


class DeadlineHeap:
    """Deadlines in the order of their times; of equal times the one that was set first comes first. Pure."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Deadline]] = []
        self._set = 0
        self._live = 0

    def __len__(self) -> int:
        """Count the deadlines that are still to be met."""
        return self._live

    @property
    def stored(self) -> int:
        """Count the entries, those that were cancelled among them."""
        return len(self._heap)

    def add(self, due_ns: int, callback: Callable[[], None]) -> Deadline:
        """Add a deadline."""
        deadline = Deadline(self, due_ns, callback)
        self._set += 1
        self._live += 1
        heapq.heappush(self._heap, (due_ns, self._set, deadline))
        return deadline

    @property
    def next_ns(self) -> int | None:
        """The earliest deadline; None where there is none."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now_ns: int) -> list[Callable[[], None]]:
        """Take out what is due, in order."""
        due = []
        while self._heap and self._heap[0][0] <= now_ns:
            _, _, deadline = heapq.heappop(self._heap)
            if deadline.callback is not None:
                due.append(deadline.callback)
                deadline.callback = None
        self._live -= len(due)
        return due

    def forget_one(self) -> None:
        """Take in that a deadline was cancelled; it leaves the heap when its time comes, or with many others."""
        self._live -= 1
        if len(self._heap) > _COMPACT_FROM and len(self._heap) > 2 * self._live:
            # Trials that wait for answers set a deadline far off at every event.
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)


class Timer(Protocol):
    """Calls back at or a little before the time it was armed for."""

    def arm(self, due_ns: int) -> None:
        """Call back once at this time, and at no time that was asked for before."""

    def close(self) -> None:
        """Never call back again."""


class Deadlines:
    """Calls back at absolute times of `time.monotonic_ns`, never early; for the running event loop."""

    def __init__(
        self,
        make_timer: Callable[[Callable[[], None]], Timer] | None = None,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`make_timer` gets what the timer is to call; by default the best there is here."""
        self._heap = DeadlineHeap()
        self._now_ns = now_ns
        self._armed_ns: int | None = None
        self._timer = (make_timer or open_timer)(self._on_time)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call_at(self, due_ns: int, callback: Callable[[], None]) -> Deadline:
        """Call back once, at this time; soon where it has passed."""
        deadline = self._heap.add(due_ns, callback)
        if self._armed_ns is None or due_ns < self._armed_ns:
            self._arm(due_ns)
        return deadline

    def close(self) -> None:
        """Call back no more."""
        self._timer.close()

    def _on_time(self) -> None:
        self._armed_ns = None
        due = self._heap.take_due(self._now_ns())
        try:
            for callback in due:
                callback()
        finally:
            next_ns = self._heap.next_ns
            if next_ns is not None and next_ns != self._armed_ns:
                self._arm(next_ns)

    def _arm(self, due_ns: int) -> None:
        self._armed_ns = due_ns
        self._timer.arm(due_ns)


def open_timer(on_time: Callable[[], None]) -> Timer:
    """Give the most exact timer there is for the running loop."""
    with suppress(OSError):
        return KernelTimer(on_time)
    return LoopTimer(on_time)


class KernelTimer:
    """A timerfd that the running loop watches; OSError where the system has none."""

    def __init__(self, on_time: Callable[[], None]) -> None:
        self._on_time = on_time
        self._descriptor = _create_timer()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._expired)

    def arm(self, due_ns: int) -> None:
        """Call back once, at this time; at once where it has passed."""
        # Zero would disarm it.
        _set_timer(self._descriptor, max(due_ns, 1))

    def close(self) -> None:
        """Give the descriptor back; closing again does nothing."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            # It was armed anew after the loop had seen it expire.
            return
        self._on_time()


class LoopTimer:
    """The timer of the running event loop: to its tick, and on uvloop at times a little early."""

    def __init__(self, on_time: Callable[[], None]) -> None:
        self._on_time = on_time
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None

    def arm(self, due_ns: int) -> None:
        """Call back once, about then."""
        self.close()
        delay_s = (due_ns - time.monotonic_ns()) / _NS_PER_S
        self._handle = self._loop.call_later(max(0.0, delay_s), self._on_time)

    def close(self) -> None:
        """Take back what was asked for."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


if sys.version_info >= (3, 13) and hasattr(os, "timerfd_create"):

    def _create_timer() -> int:
        return os.timerfd_create(_CLOCK_MONOTONIC, flags=_NON_BLOCKING | _CLOSE_ON_EXEC)

    def _set_timer(descriptor: int, due_ns: int) -> None:
        os.timerfd_settime_ns(descriptor, flags=os.TFD_TIMER_ABSTIME, initial=due_ns)

else:

    def _create_timer() -> int:
        if not sys.platform.startswith("linux"):
            raise OSError("this system has no timerfd")
        try:
            create = _libc().timerfd_create
        except AttributeError as missing:
            raise OSError("the C library has no timerfd") from missing
        descriptor: int = create(_CLOCK_MONOTONIC, _NON_BLOCKING | _CLOSE_ON_EXEC)
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        return descriptor

    def _set_timer(descriptor: int, due_ns: int) -> None:
        setting = _Setting(0, 0, due_ns // _NS_PER_S, due_ns % _NS_PER_S)
        _libc().timerfd_settime(descriptor, _ABSOLUTE, setting, None)

    @cache
    def _libc() -> ctypes.CDLL:
        return ctypes.CDLL(None, use_errno=True)

    _Setting = ctypes.c_long * 4
    """struct itimerspec: the interval, then the time; seconds and nanoseconds each."""
