"""Hold a client's appends against the clock: how fast its audio came, and what did not come at all; pure.

A live client sends what it captures: each append carries as much audio as time has passed since the one before.
What is measured only counts where it kept sending: a pause of its own is no fault, and a file may be sent faster.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from capture.audio import AudioFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAUSE_MS = 600.0
"""A longer time without an append is the client's own pause: it waited, muted, or closed its gate."""
_GAP = 1.75
"""An append is missing where this many times its own length passed before it; two times is one that is missing."""
_GAP_AT_LEAST_MS = 15.0
"""Timers and networks do as much."""
_LOSS_AT_MOST_MS = 300.0
"""A longer gap that nothing makes good was the client's: it let go of a key, or its own gate closed."""
_BURST = 0.3
"""An append that came in less than this share of its own length belongs to the one before."""
_SLOW = 1.1
"""Where chunks are lost, most of the others take as long as they play; where most take longer, all are slow."""
_NEIGHBOURS, _LASTING = 4, 0.7
"""Audio that was only late makes up for it at once. Where some was lost the earliest of so many appends behind the gap
is later than the earliest of as many before it, by this share of the gap at least."""
_SPOKEN_RMS = 104.0
"""-50 dBFS, the lowest level at which a frame counts as speech."""
_BATCH = 4096


class AppendPace(TypedDict):
    """Columns of the sessions table; None where fewer than two appends followed one another."""

    pacing_ratio: float | None
    longest_append_gap_ms: float | None
    audio_missing_ms: float | None


class AppendPacing:
    """Takes in when each append came and the audio it carried."""

    def __init__(self) -> None:
        self._at_ns: int | None = None
        self._last = b""
        self._waits_ms = array("d")
        self._lengths_ms = array("d")
        self._spoken_gaps: list[int] = []
        self._format: AudioFormat | None = None
        self._bytes_per_ms = 1.0
        self._waited_ms = self._sent_ms = self._longest_ms = 0.0
        self._left_out_ms = 0.0
        """What gaps left out; some of it may have come after all."""
        self._behind_ms = 0.0
        """How far the audio is behind the clock; what comes later than its time, but comes, is taken off again."""

    def observe(self, offset_ns: int, audio: bytes, audio_format: AudioFormat) -> None:
        """Take in an append."""
        before_ns, self._at_ns = self._at_ns, offset_ns
        before, self._last = self._last, audio
        if before_ns is None:
            return
        if audio_format is not self._format:
            self._format, self._bytes_per_ms = audio_format, audio_format.bytes_per_ms
        length_ms = len(audio) / self._bytes_per_ms
        wait_ms = (offset_ns - before_ns) / 1e6
        if wait_ms > length_ms + _PAUSE_MS:
            return
        waits_ms = self._waits_ms
        is_gap = wait_ms > _GAP * length_ms and wait_ms > length_ms + _GAP_AT_LEAST_MS
        if is_gap and _is_spoken(before, audio_format) and _is_spoken(audio, audio_format):
            self._spoken_gaps.append(len(waits_ms))
        waits_ms.append(wait_ms)
        self._lengths_ms.append(length_ms)
        if len(waits_ms) >= _BATCH:
            self._fold()

    def interrupt(self) -> None:
        """Begin anew with the next append: what lies before it is no gap of the client's."""
        self._at_ns, self._last = None, b""

    def columns(self) -> AppendPace:
        """Give the columns of the session."""
        self._fold()
        if self._waited_ms <= 0:
            return {"pacing_ratio": None, "longest_append_gap_ms": None, "audio_missing_ms": None}
        return {
            "pacing_ratio": self._sent_ms / self._waited_ms,
            "longest_append_gap_ms": self._longest_ms,
            "audio_missing_ms": min(self._left_out_ms, self._behind_ms),
        }

    def _fold(self) -> None:
        """Add up what was taken in; an hour's appends need not stay in memory."""
        if not self._waits_ms:
            return
        waits, lengths = np.frombuffer(self._waits_ms), np.frombuffer(self._lengths_ms)
        is_spoken_gap = np.zeros(len(waits), bool)
        is_spoken_gap[self._spoken_gaps] = True
        self._waits_ms, self._lengths_ms, self._spoken_gaps = array("d"), array("d"), []
        self._waited_ms += float(waits.sum())
        self._sent_ms += float(lengths.sum())
        if is_spoken_gap.any():
            self._longest_ms = max(self._longest_ms, float((waits - lengths)[is_spoken_gap].max()))
        self._hold_against_the_clock(waits, lengths, is_spoken_gap)

    def _hold_against_the_clock(
        self, waits_ms: NDArray[np.float64], lengths_ms: NDArray[np.float64], is_spoken_gap: NDArray[np.bool_]
    ) -> None:
        """Count what gaps left out, and how far the audio is behind the clock by all appends together."""
        starts = np.flatnonzero(np.r_[True, (waits_ms >= _BURST * lengths_ms)[1:]])
        waits, lengths = np.add.reduceat(waits_ms, starts), np.add.reduceat(lengths_ms, starts)
        expected = lengths * _beat(waits, lengths)
        surplus = waits - expected
        is_gap = (waits > _GAP * expected) & (surplus > _GAP_AT_LEAST_MS)
        is_loss = is_gap & np.maximum.reduceat(is_spoken_gap, starts) & (surplus <= _LOSS_AT_MOST_MS)
        self._left_out_ms += float(surplus[is_loss & (_rise(surplus) >= _LASTING * surplus)].sum())
        course = self._behind_ms + np.cumsum(np.where(is_gap & ~is_loss, 0.0, surplus))
        # Audio that was sent early makes up for nothing later.
        self._behind_ms = float(course[-1] - min(0.0, course.min()))


def _rise(surplus: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tell for each append by how much the earliest of those from it on are later than the earliest before it."""
    behind = np.cumsum(surplus)
    before = np.pad(np.r_[0.0, behind[:-1]], (_NEIGHBOURS - 1, 0), mode="edge")
    after = np.pad(behind, (0, _NEIGHBOURS - 1), mode="edge")
    earliest_after = sliding_window_view(after, _NEIGHBOURS).min(axis=1)
    return np.asarray(earliest_after - sliding_window_view(before, _NEIGHBOURS).min(axis=1))


def _beat(waits_ms: NDArray[np.float64], lengths_ms: NDArray[np.float64]) -> float:
    """Tell how many times its own length an append takes: 1 for a live source, more where the sender is slow.

    Steadily slower audio was declared at a wrong rate, or sent slowly; either way nothing of it is missing.
    """
    waited_ms, sent_ms = float(waits_ms.sum()), float(lengths_ms.sum())
    if waited_ms <= 0 or not sent_ms:
        return 1.0
    # Chunks that are lost do not move the median, as long as they are fewer than the others. Of a slow sender whose
    # chunks come in bursts it is a poor estimate; there the whole tells what the rate is.
    typical = float(np.median(waits_ms / np.maximum(lengths_ms, 1e-3)))
    return waited_ms / sent_ms if typical > _SLOW else max(1.0, typical)


def _is_spoken(audio: bytes, audio_format: AudioFormat) -> bool:
    samples = audio_format.decode(audio).astype(np.float32)
    return len(samples) > 0 and float(np.dot(samples, samples)) / len(samples) >= _SPOKEN_RMS**2
