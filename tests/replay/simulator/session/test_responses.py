import base64
import json
from pathlib import Path
from typing import Any

import pytest

from capture.audio import AudioFormat, clip_as
from replay.simulator.clips import clip_path, read_text
from replay.simulator.protocol.configuration import default_session, response_settings
from replay.simulator.session.conversation import Conversation
from replay.simulator.session.rate_limits import TokenBudget
from replay.simulator.session.responses import Answer, ResponseRun
from replay.simulator.session.runs import Event
from replay.simulator.session.usage import TokenCount

TEXT = read_text("answer_paris")


def respond(asked: dict[str, Any] | None = None, conversation: Conversation | None = None) -> ResponseRun:
    return ResponseRun(
        "resp_1",
        "item_1",
        response_settings(default_session("sess_1", "gpt-realtime", 0), asked),
        Answer("answer_paris", speed=5, first_delta_ms=250),
        conversation=conversation,
        conversation_id="conv_1",
        heard=TokenCount(40, 26),
        budget=TokenBudget(15_000_000),
        started_ns=0,
    )


def live(run: ResponseRun, *, until_ms: float = 1e9) -> list[Event]:
    events = []
    while run.due_ns is not None and run.due_ns <= until_ms * 1e6:
        events += run.step()
    return events


def order(events: list[Event]) -> list[str]:
    """Types in order; of deltas, only that some came."""
    types: list[str] = []
    for event in events:
        name = "…delta" if event["type"].endswith(".delta") else event["type"]
        if not types or types[-1] != name:
            types.append(name)
    return types


@pytest.mark.parametrize("modality", ["audio", "text"])
def test_follows_the_order_of_the_real_endpoint(modality: str, shared: Path) -> None:
    names = {"audio": "azure_ws-text_in_audio_out_turn", "text": "azure_ws-message_history_seeding"}
    path = shared / "fixtures" / f"{names[modality]}.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    real = [line["data"] for line in lines if line["direction"] == "received"]
    start = next(index for index, event in enumerate(real) if event["type"] == "response.created")

    ours = live(respond({"output_modalities": [modality]}, Conversation()))

    assert order(ours) == [*order(real[start:]), "rate_limits.updated"]
    _same_fields(ours, real[start:])


def _same_fields(ours: list[Event], real: list[Event]) -> None:
    # Azure repeats the part under `content`, and pads deltas with `obfuscation`: neither is in the protocol.
    extra = {"event_id", "obfuscation", "content"}
    real_fields = {event["type"]: [name for name in event if name not in extra] for event in real}
    for event in ours:
        if event["type"] in real_fields:
            assert list(event) == real_fields[event["type"]]
    assert list(ours[0]["response"]) == list(real[0]["response"])


def test_speaks_the_clip_faster_than_it_plays() -> None:
    run = respond(conversation=Conversation())
    events = live(run, until_ms=700)

    sent = b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")
    assert len(sent) / 48 == (1 + (700 - 250) // 40) * 200
    sent += b"".join(base64.b64decode(e["delta"]) for e in live(run) if e["type"] == "response.output_audio.delta")
    assert sent == clip_as(clip_path("answer_paris"), AudioFormat("audio/pcm", 24000))


@pytest.mark.parametrize("audio_type", ["audio/pcmu", "audio/pcma"])
def test_speaks_in_the_format_asked_for(audio_type: Any) -> None:
    events = live(respond({"audio": {"output": {"format": {"type": audio_type}}}}, Conversation()))

    sent = b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")
    assert sent == clip_as(clip_path("answer_paris"), AudioFormat(audio_type, 8000))


def test_words_join_to_the_transcript_and_the_item_ends_in_the_conversation() -> None:
    conversation = Conversation()
    run = respond(conversation=conversation)
    events = live(run)

    words = "".join(e["delta"] for e in events if e["type"] == "response.output_audio_transcript.delta")
    done = next(event["response"] for event in events if event["type"] == "response.done")
    assert words == TEXT
    assert done["status"] == "completed"
    assert done["output"] == [conversation.items[0].content]
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": TEXT}]
    assert done["usage"]["output_token_details"] == {"text_tokens": 15, "audio_tokens": 84}
    assert (run.active, run.spoke) == (False, True)


def test_a_written_answer_has_no_audio() -> None:
    run = respond({"output_modalities": ["text"]}, Conversation())
    events = live(run)

    assert not any("audio" in event["type"] for event in events)
    assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == TEXT
    assert not run.spoke


def test_out_of_band_it_leaves_the_conversation_alone_and_echoes_metadata() -> None:
    events = live(respond({"conversation": "none", "metadata": {"topic": "weather"}}))

    assert not any(event["type"].startswith("conversation.") for event in events)
    shown = [event["response"] for event in events if "response" in event]
    assert {response["conversation_id"] for response in shown} == {None}
    assert [response["metadata"] for response in shown] == [{"topic": "weather"}] * 2


def test_cancelled_in_the_middle_it_closes_what_it_opened() -> None:
    conversation = Conversation()
    run = respond(conversation=conversation)
    live(run, until_ms=500)

    events = run.cancel("turn_detected", 500_000_000)

    assert [event["type"] for event in events] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = events[-1]["response"]
    assert (response["status"], response["status_details"]) == (
        "cancelled",
        {"type": "cancelled", "reason": "turn_detected"},
    )
    assert response["output"][0]["status"] == "incomplete"
    assert conversation.items[0].audio_ms == 7 * 200
    assert TEXT.startswith(events[1]["transcript"])
    assert order(live(run)) == ["rate_limits.updated"]


def test_cancelled_before_it_said_anything_it_has_no_output() -> None:
    run = respond(conversation=Conversation())
    live(run, until_ms=100)

    (done,) = run.cancel("client_cancelled", 100_000_000)

    assert done["response"]["output"] == []
    assert done["response"]["usage"]["output_tokens"] == 0
