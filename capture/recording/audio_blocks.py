"""Pack one track's audio into blocks of about 10 s, with measures, and unpack them.

A track is one string of bytes: everything a sender sent of it, end to end. A message's audio is a span of it.
Where messages are not kept their audio is a hole in the track: no block holds it, and what follows keeps its place.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from capture.audio import AudioFormat
from capture.recording.audio_measures import SILENCE_DBFS, dbfs, frame_length, measure_with_frames
from capture.recording.span_levels import SpanLevels

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_MS = 10_000

AudioRow = dict[str, Any]
"""A row of schema.AUDIO without its session_id."""


class BlockDamaged(Exception):
    """A block of audio cannot be decoded."""

    def __init__(self, block: int, reason: str) -> None:
        super().__init__(block, reason)
        self.block = block
        self.reason = reason

    def __str__(self) -> str:
        """Name the block and what is wrong with it."""
        return f"block {self.block}: {self.reason}"


class TrackWriter:
    """Turns the chunks of one track into finished blocks."""

    def __init__(self, track: str, *, silences: bool = False) -> None:
        """Take the track's name; `silences` keeps as much silence in place of the audio, and its measures."""
        self.track = track
        self._silences = silences
        self.position = 0
        """Bytes taken in so far: where the next chunk starts in the track."""
        self.played_ms = 0.0
        """How long the track plays, holes included."""
        self._format: AudioFormat | None = None
        self._pending = bytearray()
        self._block_bytes = 0
        self._bytes_per_ms = 1.0
        self._blocks = 0
        self._last_chunk = b""
        self._duplicated_chunks = 0
        self._spans = SpanLevels()

    def end_span(self, name: str) -> None:
        """End a stretch of the track here, to be measured by itself; the next one begins here."""
        self._spans.end(name, self.position)

    def quiet_spans(self) -> dict[str, float]:
        """Give the stretches that are silence throughout, with their loudest 20 ms in dBFS; call it after `finish`."""
        self._spans.finish(self.position)
        levels = {name: dbfs(power) for name, power in self._spans.loudest.items()}
        return {name: level for name, level in levels.items() if level < SILENCE_DBFS}

    def feed(self, chunk: bytes, audio_format: AudioFormat) -> list[AudioRow]:
        """Take in the audio of one message; give the blocks it fills."""
        rows: list[AudioRow] = []
        # Nearly always it is the very same object, which is cheaper to see than that it is an equal one.
        if audio_format is not self._format and audio_format != self._format:
            rows += self.finish()
            self._start(audio_format)
        if chunk == self._last_chunk:
            self._count_duplicate(chunk, audio_format)
        self._last_chunk = chunk
        byte_count = len(chunk)
        self.position += byte_count
        self.played_ms += byte_count / self._bytes_per_ms
        self._pending += chunk
        while len(self._pending) >= self._block_bytes:
            start_byte = self.position - len(self._pending)
            rows += self._rows(bytes(self._pending[: self._block_bytes]), start_byte, audio_format)
            del self._pending[: self._block_bytes]
        return rows

    def skip(self, byte_count: int, audio_format: AudioFormat) -> list[AudioRow]:
        """Pass over the audio of a message that is not kept; give the block that ends at the hole."""
        rows = self.finish()
        self._spans.leave_out()
        if audio_format is not self._format and audio_format != self._format:
            self._start(audio_format)
        # Across a hole nothing tells whether a chunk is the same as the one before.
        self._last_chunk = b""
        self.position += byte_count
        self.played_ms += byte_count / self._bytes_per_ms
        return rows

    def finish(self) -> list[AudioRow]:
        """End the block in progress; the next chunk begins another one."""
        block, self._pending = bytes(self._pending), bytearray()
        if not block or self._format is None:
            return []
        return self._rows(block, self.position - len(block), self._format)

    def _start(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._last_chunk = b""
        samples = audio_format.rate * BLOCK_MS // 1000
        self._block_bytes = max(samples, 1) * audio_format.bytes_per_sample
        self._bytes_per_ms = audio_format.bytes_per_ms

    def _count_duplicate(self, chunk: bytes, audio_format: AudioFormat) -> None:
        # The same bytes twice in a row are a client's bug, unless they are the one value of digital silence.
        if np.ptp(_widen(audio_format.decode(chunk))) > 0:
            self._duplicated_chunks += 1

    def _rows(self, block: bytes, start_byte: int, audio_format: AudioFormat) -> list[AudioRow]:
        measures, frame_power = measure_with_frames(block, audio_format)
        frame_bytes = frame_length(audio_format.rate) * audio_format.bytes_per_sample
        self._spans.take(start_byte, frame_bytes, frame_power)
        measures["duplicated_chunks"], self._duplicated_chunks = self._duplicated_chunks, 0
        if self._silences:
            block = audio_format.silence(1)[:1] * len(block)
        whole = len(block) - len(block) % audio_format.bytes_per_sample
        flac = _encode_flac(block[:whole], audio_format)
        if flac is None:
            return [self._row(block, start_byte, audio_format, "raw", block) | measures]
        rows = [self._row(block[:whole], start_byte, audio_format, "flac", flac) | measures]
        if whole < len(block):
            # FLAC holds whole samples: half a sample gets a block of its own.
            rows.append(self._row(block[whole:], start_byte + whole, audio_format, "raw", block[whole:]))
        return rows

    def _row(self, block: bytes, start_byte: int, audio_format: AudioFormat, codec: str, stored: bytes) -> AudioRow:
        number, self._blocks = self._blocks, self._blocks + 1
        return {
            "track": self.track,
            "block": number,
            "start_byte": start_byte,
            "bytes": len(block),
            "format": audio_format.type,
            "rate": audio_format.rate,
            "codec": codec,
            "data": stored,
        }


def decode_block(row: Mapping[str, Any]) -> bytes:
    """Give a block's bytes back, as they were sent; raises `BlockDamaged`."""
    if row["codec"] == "raw":
        return bytes(row["data"])
    import soundfile

    try:
        samples, _ = soundfile.read(io.BytesIO(row["data"]), dtype="int16")
    except soundfile.LibsndfileError as error:
        raise BlockDamaged(row["block"], str(error)) from error
    audio = bytes(samples.astype("<i2", copy=False).tobytes())
    if len(audio) != row["bytes"]:
        raise BlockDamaged(row["block"], f"{len(audio)} of {row['bytes']} bytes came back")
    return audio


def _widen(samples: NDArray[np.int16]) -> NDArray[np.int32]:
    # The span of 16-bit samples does not fit 16 bits.
    return samples.astype(np.int32) if len(samples) else np.zeros(1, np.int32)


def _encode_flac(block: bytes, audio_format: AudioFormat) -> bytes | None:
    """Encode whole PCM samples; None where FLAC is no gain, cannot hold the rate, or is not for this format."""
    # G.711 through linear PCM does not come back byte for byte (0x7F), and zstd packs it well enough.
    if audio_format.type != "audio/pcm" or not block:
        return None
    import soundfile

    encoded = io.BytesIO()
    try:
        soundfile.write(encoded, audio_format.decode(block), audio_format.rate, format="FLAC", subtype="PCM_16")
    except soundfile.LibsndfileError:
        return None
    # libsndfile leaves the position at the header it went back to fill in.
    flac = encoded.getvalue()
    return flac if len(flac) < len(block) else None
