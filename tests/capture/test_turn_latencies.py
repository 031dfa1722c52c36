from __future__ import annotations

from typing import Any

from capture.realtime.events import EventHeader
from capture.turn_latencies import TurnLatencies

COMPLETED = "conversation.item.input_audio_transcription.completed"

ASK = {"type": "response.create", "response": {"conversation": "none"}}
BESIDE = {"type": "response.created", "response": {"conversation_id": None}}
COMMIT, COMMITTED = "input_audio_buffer.commit", "input_audio_buffer.committed"
STOPPED = "input_audio_buffer.speech_stopped"
EMPTY = ("error", {"error_code": "input_audio_buffer_commit_empty"})


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


def commits(*said: tuple[float, str] | tuple[float, tuple[str, dict[str, Any]]]) -> list[float | None]:
    """Tell events as (when in ms, type); give how long each turn took from the end of speech to its commit."""
    each = ((at_ms, *(what if isinstance(what, tuple) else (what, {}))) for at_ms, what in said)
    return [row[0] for row in measured(*each)]


def test_a_client_need_not_wait_for_a_commit_before_it_sends_the_next() -> None:
    assert commits((0, COMMIT), (200, COMMIT), (300, COMMITTED), (500, COMMITTED)) == [300, 300]
    assert commits((0, COMMIT), (200, COMMIT), (300, COMMITTED), (400, COMMIT), (500, COMMITTED), (700, COMMITTED)) == [
        300,
        300,
        300,
    ]


def test_a_refused_commit_ends_nobody_s_speech() -> None:
    # What turn detection takes in then without having heard an end of speech counts from there.
    assert commits((0, COMMIT), (100, EMPTY), (9000, COMMITTED)) == [0]
    assert commits((0, COMMIT), (100, EMPTY), (8000, COMMIT), (8200, COMMITTED)) == [200]
    assert commits((0, COMMIT), (50, COMMIT), (100, EMPTY), (250, COMMITTED)) == [200]


def test_a_commit_that_came_too_late_is_answered_after_the_turn_it_was_meant_for() -> None:
    assert commits((0, STOPPED), (100, COMMIT), (150, COMMITTED), (300, EMPTY), (9000, COMMITTED)) == [150, 0]


def test_an_endpoint_may_say_in_words_alone_that_the_buffer_is_empty() -> None:
    words = ("error", {"error_message": "Error committing input audio buffer: the buffer is empty."})
    assert commits((0, COMMIT), (100, words), (8000, COMMIT), (8200, COMMITTED)) == [200]


def test_what_the_endpoint_takes_in_after_too_long_a_silence_was_not_asked_for() -> None:
    timed_out = "input_audio_buffer.timeout_triggered"
    assert commits((0, COMMIT), (6000, timed_out), (6010, COMMITTED), (6020, EMPTY)) == [0]


def test_a_commit_that_nobody_ever_answers_delays_no_later_turn() -> None:
    said = [(0, COMMIT), (5000, COMMIT), (5200, COMMITTED), (15_000, COMMIT), (15_300, COMMITTED)]
    assert commits(*said) == [200, 300]


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


def test_a_turn_whose_spoken_answer_never_ends_does_not_end_with_the_tool_s_call() -> None:
    said = [(0, "input_audio_buffer.committed", {}), *answer(10, "r0")]
    assert measured(*said, *answer(600, "r2")[:-1]) == [(0, 110, None, None)]


def test_an_answer_before_any_turn_belongs_to_none() -> None:
    assert measured(*answer(0)) == []


def test_a_response_out_of_band_is_no_answer() -> None:
    latencies = TurnLatencies()
    said = [(0, "input_audio_buffer.committed", {}), *answer(100), *answer(3000, "moderation")]
    for at_ms, event_type, ids in said:
        beside = event_type == "response.created" and ids["response_id"] == "moderation"
        if beside:
            latencies.observe(EventHeader(type="response.create"), int(at_ms * 1e6), ASK)
        latencies.observe(EventHeader(type=event_type, **ids), int(at_ms * 1e6), BESIDE if beside else None)
    assert [tuple(row.values()) for row in latencies.rows()] == [(0, 200, None, 400)]


def test_a_message_that_only_a_response_out_of_band_follows_opens_no_turn() -> None:
    latencies = TurnLatencies()
    latencies.observe(EventHeader(type="conversation.item.create"), 0)
    latencies.observe(EventHeader(type="response.create"), 500, ASK)
    latencies.observe(EventHeader(type="response.created", response_id="r1"), 1000, BESIDE)
    assert latencies.rows() == []


def test_an_endpoint_may_name_no_conversation_of_any_answer() -> None:
    latencies = TurnLatencies()
    for at_ms, event_type, ids in [(0, "input_audio_buffer.committed", {}), *answer(100)]:
        told = BESIDE if event_type == "response.created" else None
        latencies.observe(EventHeader(type=event_type, **ids), int(at_ms * 1e6), told)
    assert [tuple(row.values()) for row in latencies.rows()] == [(0, 200, None, 400)]


def test_an_order_without_times_gives_turns_without_latencies() -> None:
    assert measured((-3, "input_audio_buffer.committed", {"item_id": "u1"}), (-2, COMPLETED, {"item_id": "u1"})) == [
        (None, None, None, None)
    ]
