"""Measure how loud a track is over a session's time, as it would have been heard; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.recording.reader import TrackSpan

_PIECE_MS = 10.0


class Chunks(NamedTuple):
    """The messages that carried a track, in order."""

    offsets_ms: NDArray[np.float64]
    """When each came; 0 where that is not known."""
    starts: NDArray[np.int64]
    """First byte of its audio in the track."""
    byte_counts: NDArray[np.int64]


def peak_levels(
    spans: Sequence[TrackSpan],
    chunks: Chunks,
    duration_ms: float,
    bins: int,
) -> list[float]:
    """Give the peak (0..1) in each of `bins` equal stretches of the session.

    A chunk plays when it arrives, or after the chunk before it: answers come faster than they are spoken.
    """
    levels = np.zeros(bins)
    # Without spans the messages are there, and the file of their audio is gone.
    if not len(chunks.starts) or not spans or duration_ms <= 0 or bins <= 0:
        return levels.tolist()
    peaks, starts = _pieces(spans)
    plays_at_ms = _play_times(chunks, spans, starts)
    places = np.floor(plays_at_ms / duration_ms * bins).astype(np.int64)
    inside = (places >= 0) & (places < bins)
    np.maximum.at(levels, places[inside], peaks[inside])
    return [float(level) for level in levels]


def range_levels(spans: Sequence[TrackSpan], start_byte: int, byte_count: int, bins: int) -> list[float]:
    """Give the peak (0..1) in each of at most `bins` equal parts of a stretch of a track, as it was sent."""
    parts: list[NDArray[np.int32]] = []
    for first, audio_format, audio in spans:
        step = audio_format.bytes_per_sample
        begin, end = max(start_byte - first, 0), min(start_byte + byte_count - first, len(audio))
        # A chunk may begin in the middle of a sample: whole ones are read.
        begin, end = begin // step * step, end // step * step
        if begin < end:
            parts.append(np.abs(audio_format.decode(audio[begin:end]).astype(np.int32)))
    if not parts or bins <= 0:
        return []
    samples = np.concatenate(parts)
    edges = np.arange(min(bins, len(samples))) * len(samples) // min(bins, len(samples))
    return [float(peak) for peak in np.maximum.reduceat(samples, edges) / 32768]


def _pieces(spans: Sequence[TrackSpan]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Give the peak of each 10 ms of the track, and the byte where it starts."""
    peaks: list[NDArray[np.float64]] = []
    starts: list[NDArray[np.int64]] = []
    for start_byte, audio_format, audio in spans:
        samples = np.abs(audio_format.decode(audio).astype(np.int32))
        edges = np.arange(0, len(samples), max(1, int(audio_format.rate * _PIECE_MS / 1000)))
        if len(edges):
            peaks.append(np.maximum.reduceat(samples, edges) / 32768)
            starts.append(start_byte + edges * audio_format.bytes_per_sample)
    if not peaks:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    return np.concatenate(peaks), np.concatenate(starts)


def _edges(spans: Sequence[TrackSpan]) -> tuple[list[int], list[float]]:
    """Give the bytes at which spans begin and end, and where these stand if the spans played without a pause."""
    edges_bytes: list[int] = []
    edges_ms: list[float] = []
    at_ms = 0.0
    for start_byte, audio_format, audio in spans:
        if not edges_bytes or start_byte > edges_bytes[-1]:
            edges_bytes.append(start_byte)
            edges_ms.append(at_ms)
        at_ms += audio_format.milliseconds(len(audio))
        edges_bytes.append(start_byte + len(audio))
        edges_ms.append(at_ms)
    return edges_bytes, edges_ms


def _play_times(chunks: Chunks, spans: Sequence[TrackSpan], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the time at which each piece plays."""
    edges_bytes, edges_ms = _edges(spans)
    # Where a chunk, and a piece, would stand in such a track.
    chunk_starts_ms = np.interp(chunks.starts, edges_bytes, edges_ms)
    lengths_ms = np.interp(chunks.starts + chunks.byte_counts, edges_bytes, edges_ms) - chunk_starts_ms
    # A chunk waits for those before it: it plays at the latest time at which one of these, or itself, came, and all
    # from that one on had been played.
    played_ms = np.cumsum(lengths_ms) - lengths_ms
    plays_at_ms = np.maximum.accumulate(chunks.offsets_ms - played_ms) + played_ms
    owner = np.clip(np.searchsorted(chunks.starts, starts, side="right") - 1, 0, len(chunks.starts) - 1)
    times: NDArray[np.float64] = plays_at_ms[owner] + np.interp(starts, edges_bytes, edges_ms) - chunk_starts_ms[owner]
    return times
