"""Tell whether the machine was busy with other things: how late a process that does nothing wakes."""

from __future__ import annotations

import threading
import time
from array import array
from types import TracebackType
from typing import Self

import numpy as np

_EVERY_NS = 5_000_000
BUSY_US = 1_000
"""Where an idle process wakes later than this once in a hundred times, figures below it say nothing."""


class IdleWatch:
    """Wakes every 5 ms while the block lasts, and notes how late."""

    def __init__(self) -> None:
        self._late_us = array("d")
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()

    @property
    def p99_us(self) -> float:
        """The lateness that one wake-up in a hundred exceeds."""
        return float(np.quantile(self._late_us, 0.99)) if self._late_us else 0.0

    def _run(self) -> None:
        due_ns = time.monotonic_ns()
        while not self._ends.is_set():
            due_ns += _EVERY_NS
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
            self._late_us.append((time.monotonic_ns() - due_ns) / 1000)
