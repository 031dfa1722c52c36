from __future__ import annotations

from typing import Any

from capture.audio import PCM16_24K
from capture.realtime.audio_formats import Track
from capture.realtime.events import EventHeader
from capture.recording.facts import Sender
from capture.session_audio import SessionAudio

Row = dict[str, Any]

LOUD, QUIET = b"\x00\x40" * 2400, bytes(4800)


class Call:
    """A session's events, one after another."""

    def __init__(self) -> None:
        self.audio = SessionAudio()
        self.seq = 0

    def hear(self, sender: Sender, event_type: str, **fields: Any) -> None:
        self.audio.observe(sender, EventHeader(type=event_type, **fields), self.seq)
        self.seq += 1

    def carry(self, track: Track, audio: bytes, offset_ms: int = 0, *, is_kept: bool = True, **fields: Any) -> Row:
        row: Row = {"seq": self.seq, "offset_ns": offset_ms * 1_000_000}
        self.audio.place(row, track, len(audio), silences=False)
        self.audio.take(row, EventHeader(**fields), audio, PCM16_24K, is_kept=is_kept)
        self.seq += 1
        return row

    def append(self, audio: bytes, offset_ms: int = 0, *, is_kept: bool = True) -> Row:
        return self.carry("client", audio, offset_ms, is_kept=is_kept)

    def commit(self, item_id: str) -> None:
        self.hear("client", "input_audio_buffer.commit")
        self.hear("server", "input_audio_buffer.committed", item_id=item_id)

    def speak(self, offset_ms: int, audio_ms: int, item_id: str | None = "item_a") -> Row:
        return self.carry("server", bytes(48 * audio_ms), offset_ms, item_id=item_id, response_id="resp_1")

    def columns(self, *, has_times: bool = True) -> Row:
        self.audio.finish()
        return self.audio.columns(has_times=has_times)


def test_each_message_knows_where_its_audio_lies() -> None:
    call = Call()
    placed = [call.append(LOUD), call.speak(0, 10), call.append(QUIET, is_kept=False), call.append(LOUD)]

    assert [(row["audio_track"], row["audio_start"], row["audio_bytes"]) for row in placed] == [
        ("client", 0, 4800),
        ("server", 0, 480),
        ("client", 4800, 4800),
        ("client", 9600, 4800),
    ]
    columns = call.columns()
    assert (columns["audio_in_ms"], columns["audio_out_ms"]) == (300.0, 10.0)


def test_commits_of_silence_are_told_apart_from_commits_of_speech() -> None:
    call = Call()
    for audio, item_id in ((LOUD, "item_loud"), (QUIET, "item_quiet"), (LOUD, "item_last")):
        call.append(audio)
        call.commit(item_id)

    assert call.columns()["quiet_commits"] == [{"seq": 5, "item_id": "item_quiet", "loudest_dbfs": -150.0}]


def test_a_refused_commit_takes_no_item() -> None:
    call = Call()
    call.hear("client", "input_audio_buffer.commit")
    call.hear("server", "error", error_code="input_audio_buffer_commit_empty")
    call.append(LOUD)
    call.commit("item_loud")

    assert call.columns()["quiet_commits"] == []


def test_an_hour_of_silent_commits_leaves_a_small_row() -> None:
    call = Call()
    for number in range(120):
        call.append(QUIET)
        call.commit(f"item_{number}")

    assert len(call.columns()["quiet_commits"]) == 100


def test_a_wait_inside_an_answer_is_measured() -> None:
    call = Call()
    for offset_ms in (0, 50, 2200):
        call.speak(offset_ms, 100)

    assert call.columns()["playback_underruns"] == [{"seq": 2, "offset_ns": 2_200_000_000, "wait_ms": 2000.0}]


def test_without_items_an_answer_is_known_by_its_response() -> None:
    call = Call()
    for offset_ms in (0, 50, 2200):
        call.speak(offset_ms, 100, item_id=None)

    assert len(call.columns()["playback_underruns"]) == 1


def test_after_lost_audio_nobody_counts_a_wait() -> None:
    call = Call()
    call.speak(0, 100)
    call.audio.lose("server")
    call.speak(2200, 100)

    assert call.columns()["playback_underruns"] == []


def test_offsets_below_zero_are_no_times() -> None:
    call = Call()
    for offset_ms in (-3000, -2000, -1000):
        call.append(LOUD, offset_ms)
        call.speak(offset_ms, 100)

    columns = call.columns(has_times=False)
    assert (columns["pacing_ratio"], columns["playback_underruns"]) == (None, None)


def test_a_client_may_pause_between_its_turns_and_where_its_appends_were_lost() -> None:
    call = Call()
    for number in range(3):
        for at in range(5):
            call.append(LOUD, 1000 * number + 100 * at)
        if number == 0:
            call.commit("item_a")
        else:
            call.audio.lose("client")

    assert call.columns()["pacing_ratio"] == 1.0


def test_a_session_without_audio_has_nothing_to_measure() -> None:
    columns = Call().columns()

    assert (columns["audio_in_ms"], columns["pacing_ratio"]) == (0.0, None)
    assert (columns["quiet_commits"], columns["playback_underruns"]) == ([], [])
