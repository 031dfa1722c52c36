from itertools import count
from typing import Any

import pytest

from capture.audio import PCM16_24K, AudioFormat, clip_as
from replay.simulator.clips import clip_path
from replay.simulator.protocol.configuration import default_session, update_session
from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.session.turns import TurnCommitted, Turns, TurnStarted, TurnStopped

QUESTION = PCM16_24K.silence(480) + clip_as(clip_path("question_weather"), PCM16_24K)
SPEAKING = QUESTION[: 48 * 2800]
"""The question, broken off while it is being spoken."""
PAUSE = PCM16_24K.silence(1000)


def start(**audio_input: Any) -> Turns:
    numbers = count(1)
    return Turns(configured(**audio_input), lambda: f"item_{next(numbers)}")


def configured(**audio_input: Any) -> dict[str, Any]:
    update = {"type": "realtime", "audio": {"input": audio_input}}
    return update_session(default_session("sess_1", "gpt-realtime", 0), update, assistant_spoke=False)


def say(turns: Turns, audio: bytes) -> list[TurnStarted | TurnStopped]:
    return [turn for at in range(0, len(audio), 960) for turn in turns.append(audio[at : at + 960])]


def test_a_turn_keeps_the_id_that_was_announced_when_it_started() -> None:
    turns = start()
    started, stopped = say(turns, QUESTION + PAUSE)

    assert isinstance(started, TurnStarted)
    assert isinstance(stopped, TurnStopped)
    assert started.item_id == stopped.item_id == "item_1"
    assert [turn.item_id for turn in say(turns, QUESTION + PAUSE)] == ["item_2", "item_2"]


def test_a_turn_s_audio_is_what_lies_between_its_bounds() -> None:
    sent = QUESTION + PAUSE
    started, stopped = say(start(), sent)

    assert isinstance(started, TurnStarted)
    assert isinstance(stopped, TurnStopped)
    assert stopped.audio == sent[started.audio_start_ms * 48 : stopped.audio_end_ms * 48]


def test_without_turn_detection_the_client_commits() -> None:
    turns = start(turn_detection=None)

    assert say(turns, QUESTION + PAUSE) == []
    assert turns.commit() == TurnCommitted("item_1", QUESTION + PAUSE, PCM16_24K)
    with pytest.raises(ClientMistake, match=r"buffer only has 0\.00ms"):
        turns.commit()


def test_a_commit_while_the_user_speaks_takes_the_announced_turn() -> None:
    turns = start()
    (started,) = say(turns, SPEAKING)

    committed = turns.commit()

    assert committed.item_id == started.item_id
    assert say(turns, PAUSE) == []


def test_after_a_turn_was_detected_there_is_nothing_left_to_commit() -> None:
    turns = start()
    sent = QUESTION + PAUSE
    while not any(isinstance(turn, TurnStopped) for turn in turns.append(sent[:960])):
        sent = sent[960:]

    with pytest.raises(ClientMistake) as refused:
        turns.commit()
    assert refused.value.code == "input_audio_buffer_commit_empty"


def test_clearing_forgets_the_turn_in_progress() -> None:
    turns = start()
    say(turns, SPEAKING)

    turns.clear()

    assert say(turns, PAUSE) == []
    assert [type(turn) for turn in say(turns, QUESTION + PAUSE)] == [TurnStarted, TurnStopped]


def test_an_unrelated_update_does_not_disturb_a_turn_in_progress() -> None:
    turns = start()
    say(turns, SPEAKING)

    turns.configure(configured(transcription={"model": "whisper-1"}))

    assert [type(turn) for turn in say(turns, PAUSE)] == [TurnStopped]


def test_another_format_is_heard_from_then_on() -> None:
    pcmu = AudioFormat("audio/pcmu", 8000)
    turns = start(format={"type": "audio/pcmu"})
    question = pcmu.silence(480) + clip_as(clip_path("question_weather"), pcmu) + pcmu.silence(1000)

    stopped = say(turns, question)[-1]

    assert isinstance(stopped, TurnStopped)
    assert stopped.audio_format == pcmu
    assert abs(len(stopped.audio) / 8 - 2700) < 100


def test_semantic_detection_waits_longer() -> None:
    eager = start(turn_detection={"type": "semantic_vad", "eagerness": "high"})
    patient = start(turn_detection={"type": "semantic_vad", "eagerness": "low"})

    assert [type(turn) for turn in say(eager, QUESTION + PAUSE)] == [TurnStarted, TurnStopped]
    assert [type(turn) for turn in say(patient, QUESTION + PAUSE)] == [TurnStarted]


def test_an_idle_hour_is_not_kept() -> None:
    turns = start()
    for _ in range(120):
        turns.append(PCM16_24K.silence(1000))

    assert len(turns.commit().audio) <= 31_000 * 48
