"""Folding streams into rows."""

from __future__ import annotations

import json

from analyze.event_columns import EventColumns
from analyze.queries import Queries
from analyze.store import open_store
from analyze.timeline import AudioClock, AudioSpan, fold_events, unfolded
from capture.recording.root import Root
from tests.analyze.conftest import Trace, events_of, spoken_turn, tone

CLOCK = AudioClock([("client", AudioSpan(0, 48.0)), ("server", AudioSpan(0, 48.0))])


def lines(trace: Trace) -> list[str]:
    rows = fold_events(EventColumns.of(events_of(trace)), CLOCK)
    return [f"{row.offset_ms:.0f} {row.type} × {row.count}" for row in rows]


def test_a_stream_ends_where_its_sender_says_something_else() -> None:
    trace = Trace()
    for offset_ms in (0, 20):
        trace.client(offset_ms, "input_audio_buffer.append", audio=tone(20))
    trace.server(30, "rate_limits.updated", rate_limits=[])
    trace.client(40, "input_audio_buffer.append", audio=tone(20))
    trace.client(60, "response.create")
    trace.client(80, "input_audio_buffer.append", audio=tone(20))
    assert lines(trace) == [
        "0 input_audio_buffer.append × 3",
        "30 rate_limits.updated × 1",
        "60 response.create × 1",
        "80 input_audio_buffer.append × 1",
    ]


def test_turns_cut_the_clients_audio() -> None:
    trace = Trace()
    spoken_turn(trace)
    assert lines(trace)[:4] == [
        "0 input_audio_buffer.append × 5",
        "30 input_audio_buffer.speech_started × 1",
        "100 input_audio_buffer.speech_stopped × 1",
        "110 input_audio_buffer.committed × 1",
    ]


def test_streams_that_run_side_by_side_are_a_row_each() -> None:
    trace = Trace()
    for number in range(3):
        trace.server(10 * number, "response.output_audio.delta", response_id="resp_1", delta=tone(20))
        trace.server(
            10 * number + 1, "response.output_audio_transcript.delta", response_id="resp_1", delta=f"{number} "
        )
    audio, words = fold_events(EventColumns.of(events_of(trace)), CLOCK)
    assert (audio.count, audio.first_seq, audio.last_seq, audio.audio_ms) == (3, 0, 4, 60.0)
    assert (words.count, words.first_seq, words.last_seq, words.audio_ms) == (3, 1, 5, None)
    assert words.summary == "0 1 2 "


def test_a_transcription_that_ends_meanwhile_does_not_cut_the_answer() -> None:
    trace, ids = Trace(), {"response_id": "resp_1", "item_id": "item_a"}
    trace.server(0, "response.output_audio.delta", delta=tone(20), **ids)
    trace.server(10, "conversation.item.input_audio_transcription.completed", item_id="item_u", transcript="hi")
    trace.server(20, "response.output_audio.delta", delta=tone(20), **ids)
    trace.server(30, "response.output_audio.done", **ids)
    trace.server(40, "response.output_audio.delta", delta=tone(20), **ids)
    assert lines(trace) == [
        "0 response.output_audio.delta × 2",
        "10 conversation.item.input_audio_transcription.completed × 1",
        "30 response.output_audio.done × 1",
        "40 response.output_audio.delta × 1",
    ]


def test_heartbeats_fold_too() -> None:
    trace = Trace()
    for number in range(4):
        trace.frame("client", 10 * number, "ping", b"")
    assert lines(trace) == ["0 None × 4"]


def test_unfolded_gives_one_row_an_event() -> None:
    trace = Trace()
    spoken_turn(trace)
    rows = unfolded(EventColumns.of(events_of(trace)), CLOCK)
    assert [row.first_seq for row in rows] == list(range(len(trace.events)))
    assert {row.count for row in rows} == {1}


def test_audio_plays_by_the_format_of_its_stretch() -> None:
    clock = AudioClock([("client", AudioSpan(0, 48.0)), ("client", AudioSpan(960, 8.0))])
    assert [clock.duration_ms("client", start, length) for start, length in ((0, 960), (960, 160))] == [20.0, 20.0]
    assert clock.duration_ms(None, None, None) is None
    assert clock.duration_ms("server", 0, 960) is None


def test_a_message_shows_how_much_audio_was_cut_out_of_it(root: Root) -> None:
    trace = Trace()
    trace.client(0, "input_audio_buffer.append", audio=tone(200))
    trace.frame("server", 1, "binary", b"\x00\xff")
    trace.write(root)
    with open_store(root) as store:
        append, binary = Queries(store).events(trace.session_id, 0, 1)
    assert json.loads(append.payload)["audio"] == "«0.20 s of audio»"
    assert binary.payload == "00 ff"
