"""The audio of one session: from its messages to tracks, and what is measured of it on the way; pure."""

from __future__ import annotations

from typing import Any

from capture.append_pacing import AppendPacing
from capture.audio import AudioFormat
from capture.commits import Commits
from capture.playback import Playback
from capture.realtime.answering import refuses_commit
from capture.realtime.audio_formats import Track
from capture.realtime.events import EventHeader
from capture.recording.audio_blocks import AudioRow, TrackWriter
from capture.recording.facts import Sender

Row = dict[str, Any]

_COMMITTED = "input_audio_buffer.committed"
# Behind one of these a client may pause as long as it likes.
_TURN_ENDS = frozenset({"input_audio_buffer.commit", _COMMITTED, "input_audio_buffer.clear"})


class SessionAudio:
    """Takes events and their audio in their order; gives the blocks of the tracks, and columns of the session."""

    def __init__(self) -> None:
        self._tracks: dict[Track, TrackWriter] = {}
        self._pacing = AppendPacing()
        self._playback = Playback()
        self._commits = Commits()

    def observe(self, sender: Sender, header: EventHeader, seq: int) -> None:
        """Take in an event, ahead of its audio."""
        if header.type in _TURN_ENDS:
            self._pacing.interrupt()
        if sender == "client":
            self._commits.observe(header.type, self._tracks.get("client"))
        elif header.type == _COMMITTED:
            self._commits.take(header.item_id or "", seq, self._tracks.get("client"))
        elif header.type == "error" and refuses_commit(header):
            self._commits.refuse()

    def lose(self, sender: Sender) -> None:
        """Take in that a sender's audio may not be in the journal: it was sent, and is missing here only."""
        if sender == "client":
            self._pacing.interrupt()
        else:
            self._playback.interrupt()

    def place(self, row: Row, track: Track, byte_count: int, *, silences: bool) -> None:
        """Note in a message's row where its audio goes; a track that `silences` keeps no more than its length."""
        if track not in self._tracks:
            self._tracks[track] = TrackWriter(track, silences=silences)
        row["audio_track"] = track
        row["audio_start"] = self._tracks[track].position
        row["audio_bytes"] = byte_count

    def take(
        self, row: Row, header: EventHeader, audio: bytes, audio_format: AudioFormat, *, is_kept: bool
    ) -> list[AudioRow]:
        """Take in the audio of a message that was placed; give the blocks it fills."""
        track, offset_ns = row["audio_track"], row["offset_ns"]
        # For who follows the session. No table has it: recordings tell it by the blocks of the track.
        row["audio_ms"] = played_ms = audio_format.milliseconds(len(audio))
        # Below zero offsets keep the order of a source without times.
        if offset_ns >= 0 and track == "client":
            self._pacing.observe(offset_ns, audio, audio_format)
        elif offset_ns >= 0 and track == "server":
            self._playback.take(row["seq"], offset_ns, header.item_id or header.response_id, played_ms)
        writer = self._tracks[track]
        return writer.feed(audio, audio_format) if is_kept else writer.skip(len(audio), audio_format)

    def finish(self) -> list[AudioRow]:
        """Take in the end of the session; give the last blocks."""
        return [block for track in self._tracks.values() for block in track.finish()]

    def columns(self, *, has_times: bool) -> Row:
        """Give the columns of the session; call it after `finish`."""
        played_ms = {name: track.played_ms for name, track in self._tracks.items()}
        return {
            "audio_in_ms": played_ms.get("client", 0.0),
            "audio_out_ms": played_ms.get("server", 0.0),
            **self._pacing.columns(),
            # Empty where all was played in time, NULL where nobody noted the times.
            "playback_underruns": self._playback.underruns if has_times else None,
            "quiet_commits": self._commits.quiet(self._tracks.get("client")),
        }
