"""The input audio buffer: what the client appended since the last commit, placed in audio time.

Audio time counts what was written to the buffer since the session began, in milliseconds: it does not know how fast
the client sent. `audio_start_ms` and `audio_end_ms` of the VAD events are told in it.
"""

from __future__ import annotations

from capture.audio import AudioFormat
from replay.simulator.protocol.mistakes import ClientMistake

MINIMUM_COMMIT_MS = 100


class InputAudio:
    """Holds the bytes of one format; `held_from_ms` to `end_ms` is what it still has."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._held = bytearray()
        self._held_from_ms = 0.0

    @property
    def audio_format(self) -> AudioFormat:
        """Format of the bytes held."""
        return self._format

    @property
    def held_from_ms(self) -> float:
        """Where the held audio begins, in audio time."""
        return self._held_from_ms

    @property
    def end_ms(self) -> float:
        """Where the audio written so far ends, in audio time."""
        return self._held_from_ms + self._format.milliseconds(len(self._held))

    def append(self, audio: bytes) -> None:
        """Write audio at the end."""
        self._held += audio

    def commit(self) -> bytes:
        """Take all that is held; raises `ClientMistake` below 100 ms."""
        held_ms = self._format.milliseconds(len(self._held))
        if held_ms < MINIMUM_COMMIT_MS:
            raise ClientMistake(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{MINIMUM_COMMIT_MS}ms of audio, but buffer only has {held_ms:.2f}ms of audio.",
            )
        return self._take(len(self._held))

    def take(self, start_ms: float, end_ms: float) -> bytes:
        """Take a turn out; what came before it is dropped, what came after it stays."""
        self.drop_before(start_ms)
        return self._take(self._bytes_until(end_ms))

    def clear(self) -> None:
        """Drop all that is held; audio time goes on."""
        self._take(len(self._held))

    def drop_before(self, start_ms: float) -> None:
        """Drop what is older than that."""
        self._take(self._bytes_until(start_ms))

    def change_format(self, audio_format: AudioFormat) -> None:
        """Take audio of another format from now on; bytes of the old one are dropped."""
        if audio_format != self._format:
            self.clear()
            self._format = audio_format

    def _bytes_until(self, at_ms: float) -> int:
        samples = round((at_ms - self._held_from_ms) * self._format.rate / 1000)
        return min(max(0, samples * self._format.bytes_per_sample), len(self._held))

    def _take(self, byte_count: int) -> bytes:
        taken = bytes(self._held[:byte_count])
        del self._held[:byte_count]
        self._held_from_ms += self._format.milliseconds(byte_count)
        return taken
