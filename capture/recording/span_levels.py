"""Measure how loud stretches of a track are, whichever blocks they lie in; pure.

A stretch ends where somebody says so, which is before the block that holds it is full and measured.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SpanLevels:
    """Takes the ends of stretches, and blocks as they are measured; gives the power of each stretch's loudest frame."""

    def __init__(self) -> None:
        self.loudest: dict[str, float] = {}
        """Name of a stretch to the mean square of its loudest 20 ms (1: full scale); without those that have holes."""
        self._ends: deque[tuple[str, int]] = deque()
        self._power = 0.0
        self._has_audio = False
        self._has_hole = False

    def end(self, name: str, position: int) -> None:
        """End a stretch at this byte of the track; the next one begins there."""
        self._ends.append((name, position))

    def take(self, start_byte: int, frame_bytes: int, frame_power: NDArray[np.float64]) -> None:
        """Take in a block: where it starts in the track, and the mean squares of its frames."""
        self._close_up_to(start_byte)
        begun, end_byte = 0, start_byte + frame_bytes * len(frame_power)
        while self._ends and self._ends[0][1] < end_byte:
            # A frame that the end cuts in two is of neither stretch.
            whole, rest = divmod(self._ends[0][1] - start_byte, frame_bytes)
            self._add(frame_power[begun:whole])
            begun = whole + bool(rest)
            self._close()
        self._add(frame_power[begun:])

    def leave_out(self) -> None:
        """Pass over audio that is not kept: nobody knows how loud the stretch is."""
        self._has_hole = True

    def finish(self, position: int) -> None:
        """End the track: what ends at its end has ended."""
        self._close_up_to(position)

    def _close_up_to(self, position: int) -> None:
        while self._ends and self._ends[0][1] <= position:
            self._close()

    def _close(self) -> None:
        name, _ = self._ends.popleft()
        if self._has_audio and not self._has_hole:
            self.loudest[name] = self._power
        self._power, self._has_audio, self._has_hole = 0.0, False, False

    def _add(self, frame_power: NDArray[np.float64]) -> None:
        if len(frame_power):
            self._power = max(self._power, float(frame_power.max()))
            self._has_audio = True
