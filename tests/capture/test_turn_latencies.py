from __future__ import annotations

from typing import Any

from capture.realtime.events import EventHeader
from capture.turn_latencies import TurnLatencies

COMPLETED = "conversation.item.input_audio_transcription.completed"


def measured(*said: tuple[float, str, dict[str, Any]]) -> list[tuple[float | None, ...]]:
    """Tell events as (when in ms, type, ids); give commit, first audio, transcription and response of each turn."""
    latencies = TurnLatencies()
    for at_ms, event_type, ids in said:
        latencies.observe(EventHeader(type=event_type, **ids), int(at_ms * 1e6))
    return [tuple(row.values()) for row in latencies.rows()]


def answer(at_ms: float, response_id: str = "r1") -> list[tuple[float, str, dict[str, Any]]]:
    """Begin an answer, say something 100 and 200 ms later, and end it after 300."""
    types = ("response.created", "response.output_audio.delta", "response.audio.delta", "response.done")
    return [(at_ms + 100 * nth, each, {"response_id": response_id}) for nth, each in enumerate(types)]


def test_a_spoken_turn_counts_from_the_end_of_speech() -> None:
    assert measured(
        (1000, "input_audio_buffer.speech_stopped", {}),
        (1200, "input_audio_buffer.committed", {"item_id": "u1"}),
        *answer(1300),
        (1900, COMPLETED, {"item_id": "u1", "content_index": 0}),
    ) == [(200, 400, 700, 600)]


def test_a_manual_turn_counts_from_what_the_client_asked() -> None:
    assert measured(
        (500, "input_audio_buffer.commit", {}), (650, "input_audio_buffer.committed", {}), *answer(700)
    ) == [(150, 300, None, 500)]


def test_what_was_heard_before_a_commit_says_nothing_of_the_next() -> None:
    heard, committed = "input_audio_buffer.speech_stopped", "input_audio_buffer.committed"
    assert measured((100, heard, {}), (150, committed, {}), (900, committed, {})) == [
        (50, None, None, None),
        (0, None, None, None),
    ]


def test_of_the_messages_before_an_answer_the_last_opens_a_turn() -> None:
    message = "conversation.item.create"
    assert measured((0, message, {}), (10, message, {"item_id": "m2"}), *answer(60)) == [(None, 150, None, 350)]


def test_a_message_beside_committed_speech_is_context() -> None:
    committed, message = "input_audio_buffer.committed", "conversation.item.create"
    assert measured((0, committed, {}), (5, message, {}), *answer(10)) == [(0, 110, None, 310)]


def test_a_tool_s_output_goes_on_with_its_turn() -> None:
    output = (500, "conversation.item.create", {"call_id": "call_1"})
    said = [(0, "input_audio_buffer.committed", {}), (10, "response.created", {"response_id": "r0"})]
    assert measured(*said, output, *answer(600, "r2")) == [(0, 700, None, 900)]


def test_an_answer_before_any_turn_belongs_to_none() -> None:
    assert measured(*answer(0)) == []


def test_a_response_out_of_band_is_no_answer() -> None:
    latencies = TurnLatencies()
    said = [(0, "input_audio_buffer.committed", {}), *answer(100), *answer(3000, "moderation")]
    for at_ms, event_type, ids in said:
        beside = event_type == "response.created" and ids["response_id"] == "moderation"
        latencies.observe(EventHeader(type=event_type, **ids), int(at_ms * 1e6), in_conversation=not beside)
    assert [tuple(row.values()) for row in latencies.rows()] == [(0, 200, None, 400)]


def test_a_message_that_only_a_response_out_of_band_follows_opens_no_turn() -> None:
    latencies = TurnLatencies()
    latencies.observe(EventHeader(type="conversation.item.create"), 0)
    latencies.observe(EventHeader(type="response.created", response_id="r1"), 1000, in_conversation=False)
    assert latencies.rows() == []


def test_an_order_without_times_gives_turns_without_latencies() -> None:
    assert measured((-3, "input_audio_buffer.committed", {"item_id": "u1"}), (-2, COMPLETED, {"item_id": "u1"})) == [
        (None, None, None, None)
    ]
