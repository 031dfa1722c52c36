"""The event loop of an end: uvloop or asyncio's own, deadlines to the microsecond, commands from the parent."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import json
import os
import sys
from array import array
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_CLOCK_MONOTONIC, _NON_BLOCKING, _ABSOLUTE = 1, os.O_NONBLOCK, 1


def run(main: Coroutine[Any, Any, None], loop_name: str) -> None:
    """Run an end on `asyncio` or `uvloop`."""
    # What is measured lives for seconds: a collection would only be seen as somebody's latency.
    gc.disable()
    factory = None if loop_name == "asyncio" else importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


class DeadlineTimer:
    """Calls back at absolute times of the monotonic clock, the same on either loop."""

    def __init__(self, on_due: Callable[[], None], tick_us: int) -> None:
        """Wake only at multiples of a tick, as the timers of event loops do; 0 wakes at any time."""
        self._on_due = on_due
        self._tick_ns = tick_us * 1000
        # os.timerfd_create came with Python 3.13.
        self._descriptor = _libc.timerfd_create(_CLOCK_MONOTONIC, _NON_BLOCKING)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        asyncio.get_running_loop().add_reader(self._descriptor, self._due)

    def arm(self, deadline_ns: int) -> None:
        """Call back once, at this time; at once where it has passed."""
        if self._tick_ns:
            deadline_ns = -(-deadline_ns // self._tick_ns) * self._tick_ns
        seconds, nanoseconds = divmod(max(deadline_ns, 1), 1_000_000_000)
        setting = (ctypes.c_long * 4)(0, 0, seconds, nanoseconds)
        _libc.timerfd_settime(self._descriptor, _ABSOLUTE, setting, None)

    def close(self) -> None:
        """Never call back again."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _due(self) -> None:
        os.read(self._descriptor, 8)
        self._on_due()


async def obey(commands: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Answer the parent's commands, a line each, until it closes the pipe."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        name, *arguments = line.decode().split()
        say(commands[name](*arguments))


def say(answer: dict[str, Any]) -> None:
    """Tell the parent."""
    print(json.dumps(answer), flush=True)


def save(folder: str, name: str, times_ns: array[int]) -> None:
    """Leave times for the parent to read."""
    (Path(folder) / name).write_bytes(times_ns.tobytes())
