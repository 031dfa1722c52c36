from __future__ import annotations

from dataclasses import replace

import pytest

from analyze.answers import Turn
from analyze.queries import Queries
from analyze.waterfall import steps_of

TURN = Turn(
    number=1, item_id="item", speech_started_ms=0.0, speech_stopped_ms=1000.0, committed_ms=1010.0,
    first_audio_ms=1600.0, response_done_ms=2000.0, transcribed_ms=1800.0, response_id="resp",
    response_status="completed", transcription="completed", transcript="hi", answer="hello",
    first_transcript_ms=1500.0,
)  # fmt: skip


def told(turn: Turn) -> list[tuple[str, float, float]]:
    return [(step.name, step.since_speech_ms, step.since_last_ms) for step in steps_of(turn)]


def test_steps_stand_in_the_order_in_which_they_came() -> None:
    assert told(TURN) == [
        ("end of speech", 0.0, 0.0),
        ("commit", 10.0, 10.0),
        ("first transcript", 500.0, 490.0),
        ("first audio", 600.0, 100.0),
        ("done", 1000.0, 400.0),
    ]
    late = replace(TURN, first_transcript_ms=1900.0)
    assert [name for name, _, _ in told(late)][2:] == ["first audio", "first transcript", "done"]


def test_words_that_come_while_the_caller_speaks_stand_before_the_end_of_speech() -> None:
    assert told(replace(TURN, first_transcript_ms=200.0))[:3] == [
        ("first transcript", -800.0, 0.0),
        ("end of speech", 0.0, 800.0),
        ("commit", 10.0, 10.0),
    ]


def test_what_did_not_happen_is_no_step() -> None:
    assert told(replace(TURN, first_audio_ms=None, response_done_ms=None, first_transcript_ms=None)) == [
        ("end of speech", 0.0, 0.0),
        ("commit", 10.0, 10.0),
    ]
    assert steps_of(replace(TURN, speech_stopped_ms=None, committed_ms=None)) == []


def test_the_first_words_of_a_transcription(ok_session: str, failed_session: str, queries: Queries) -> None:
    (turn,) = queries.session(ok_session).turns
    assert turn.first_transcript_ms == pytest.approx(852.0)
    (turn,) = queries.session(failed_session).turns
    assert turn.first_transcript_ms is None
