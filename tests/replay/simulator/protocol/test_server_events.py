"""The names that scenarios may wait for; conftest's `Talk` asserts in every test that a session sends no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from capture.audio import PCM16_24K, clip_as
from replay.simulator.clips import clip_path
from replay.simulator.protocol.server_events import SERVER_EVENTS, WIRE_EVENTS, check_event_name
from replay.simulator.scenario import ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.replay.simulator.conftest import Talk

QUESTION = PCM16_24K.silence(480) + clip_as(clip_path("question_weather"), PCM16_24K) + PCM16_24K.silence(320)
TOOL = {"type": "function", "name": "get_weather"}


def converse(talk: Talk) -> None:
    """Have everything said that an endpoint can say without a fault, but a failed transcription."""
    talk.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    talk.say(QUESTION)
    talk.wait(20_000)
    item_id = next(event["item_id"] for event in talk.heard if event["type"] == "input_audio_buffer.committed")
    spoken = [event["item_id"] for event in talk.heard if event["type"] == "response.output_audio.done"]
    talk.ask("conversation.item.retrieve", item_id=item_id)
    talk.ask("conversation.item.truncate", item_id=spoken[0], content_index=0, audio_end_ms=100)
    talk.ask("conversation.item.delete", item_id=item_id)
    talk.ask("input_audio_buffer.clear")
    talk.ask("input_audio_buffer.commit")
    for response in ({"output_modalities": ["text"]}, {"tools": [TOOL]}):
        talk.ask("response.create", response=response)
        talk.wait(20_000)


def test_a_session_sends_every_one_of_them(start_talk: Callable[..., Talk]) -> None:
    talk = start_talk(tool_call=ToolCall("get_weather", {"city": "Paris"}))
    converse(talk)
    failing = start_talk("transcription_model_path_failure")
    failing.configure(audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
    failing.say(QUESTION)
    failing.wait(20_000)
    beta = start_talk(dialect="beta")

    assert {event["type"] for each in (talk, failing, beta) for event in each.heard} == set(SERVER_EVENTS)


def test_the_protocol_has_every_one_of_them(shared: Path) -> None:
    known = {
        name
        for dialect in ("ga", "beta")
        for name in json.loads((shared / "protocol" / f"events_{dialect}.json").read_text())["server"]
    }

    # Seen on the wire; the protocol's table has the update alone.
    assert set(WIRE_EVENTS) - known <= {"transcription_session.created"}


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^`await`: the simulator sends no 'response\.don', but error, close$"):
        check_event_name("await", "response.don", ("error", "close"))
    check_event_name("await", "close", ("error", "close"))
