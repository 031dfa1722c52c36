from collections.abc import Callable

import pytest

from capture.audio import PCM16_24K
from replay.simulator.faults.effects import TranscriptionEffect, TranscriptionFailed, TranscriptionRepeated
from replay.simulator.session.conversation import Item
from replay.simulator.session.runs import Event
from replay.simulator.session.transcriptions import TranscriptionRun

TEXT = "Hello, what is the weather in Paris today?"
PREFIX = "conversation.item.input_audio_transcription."


def user_turn() -> Item:
    content = {
        "id": "item_A",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    return Item(content, bytearray(PCM16_24K.silence(2668)))


def transcribe(item: Item, model: str, spoilt: TranscriptionEffect | None = None) -> list[Event]:
    run = TranscriptionRun(item, model, TEXT, started_ns=0, delay_ms=400, spoilt=spoilt)
    assert run.due_ns == 400_000_000
    events = []
    while run.due_ns is not None:
        events += run.step()
    return events


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-4o-mini-transcribe", "whisper-1", "my-deployment"])
def test_deltas_join_to_the_transcript(model: str) -> None:
    item = user_turn()
    *deltas, completed = transcribe(item, model)

    assert {event["type"] for event in deltas} == {f"{PREFIX}delta"}
    assert "".join(event["delta"] for event in deltas) == completed["transcript"] == TEXT
    assert {event["item_id"] for event in [*deltas, completed]} == {"item_A"}
    assert item.content["content"] == [{"type": "input_audio", "transcript": TEXT}]


def test_whisper_does_not_stream_and_bills_seconds() -> None:
    events = transcribe(user_turn(), "whisper-1")

    assert [event["type"] for event in events] == [f"{PREFIX}delta", f"{PREFIX}completed"]
    assert events[-1]["usage"] == {"type": "duration", "seconds": 3}


def test_other_models_bill_tokens() -> None:
    completed = transcribe(user_turn(), "gpt-4o-transcribe")[-1]

    assert completed["usage"] == {
        "type": "tokens",
        "total_tokens": 37,
        "input_tokens": 27,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 27},
        "output_tokens": 10,
    }


def test_a_failure_is_one_event_and_the_transcript_stays_unknown(check_event: Callable[[Event], None]) -> None:
    item = user_turn()
    failure = TranscriptionFailed(message="Input transcription failed for item '{item_id}'.", code="DeploymentNotFound")

    (failed,) = transcribe(item, "gpt-4o-transcribe", failure)

    assert failed == {
        "type": f"{PREFIX}failed",
        "item_id": "item_A",
        "content_index": 0,
        "error": {
            "type": "server_error",
            "code": "DeploymentNotFound",
            "message": "Input transcription failed for item 'item_A'.",
            "param": None,
        },
    }
    assert item.content["content"] == [{"type": "input_audio", "transcript": None}]
    check_event({"event_id": "event_1", **failed})


def test_a_repeated_end_is_the_same_event_again(check_event: Callable[[Event], None]) -> None:
    *_deltas, first, second, third = transcribe(user_turn(), "whisper-1", TranscriptionRepeated(times=3))

    assert first["type"] == f"{PREFIX}completed"
    assert first == second == third
    check_event({"event_id": "event_1", **second})
