from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capture.realtime.configuration import ConfigurationTracker
from capture.realtime.honouring import list_not_honoured

Json = dict[str, Any]

PCM: Json = {"type": "audio/pcm", "rate": 24000}


def ga(**audio_input: Any) -> Json:
    return {"type": "realtime", "audio": {"input": audio_input}}


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        (ga(turn_detection={"type": "server_vad"}), ga(turn_detection={"type": "server_vad", "threshold": 0.5})),
        (ga(turn_detection=None), ga(turn_detection={"type": "none"})),
        (ga(format={"type": "audio/pcm"}), ga(format=PCM)),
        (ga(transcription={"model": "whisper-1"}), ga(transcription={"model": "whisper-1", "language": None})),
        (ga(transcription={"model": "gpt-x"}), ga(transcription={"model": "gpt-x-2025-03-20"})),
        (ga(transcription={"model": "gpt-x"}), ga()),
        ({"output_modalities": ["audio"]}, {"output_modalities": ["audio", "text"]}),
        ({"modalities": ["text", "audio"]}, {"modalities": ["audio", "text"]}),
        ({"voice": "alloy"}, {"voice": {"name": "alloy", "type": "openai"}}),
        ({"audio": {"output": {"voice": "marin"}}}, {"audio": {"output": {}}}),
        ({"input_audio_format": "pcm16"}, {"input_audio_format": "not specified"}),
        ({"input_audio_format": "g711_ulaw"}, {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}),
        ({"instructions": ""}, {"instructions": "You are helpful."}),
        ({"instructions": "Be brief."}, {"instructions": "Be brief. Be safe."}),
        ({"tools": []}, {"tools": [{"name": "added"}]}),
    ],
)
def test_aliases_and_defaults_are_no_difference(asked: Json, echoed: Json) -> None:
    assert list_not_honoured(asked, echoed, {"instructions": "You are helpful."}) == []


@pytest.mark.parametrize(
    ("asked", "echoed", "path"),
    [
        (
            ga(turn_detection={"type": "semantic_vad"}),
            ga(turn_detection={"type": "server_vad"}),
            "audio.input.turn_detection",
        ),
        (ga(turn_detection=None), ga(turn_detection={"type": "server_vad"}), "audio.input.turn_detection"),
        (ga(format={"type": "audio/pcmu"}), ga(format=PCM), "audio.input.format"),
        (ga(transcription={"model": "whisper-1"}), ga(transcription=None), "audio.input.transcription"),
        (ga(transcription=None), ga(transcription={"model": "whisper-1"}), "audio.input.transcription"),
        (
            ga(transcription={"model": "whisper-1"}),
            ga(transcription={"model": "gpt-4o-transcribe"}),
            "audio.input.transcription",
        ),
        ({"output_modalities": ["text"]}, {"output_modalities": ["audio"]}, "output_modalities"),
        ({"modalities": ["audio", "text"]}, {"modalities": ["text"]}, "output_modalities"),
        ({"voice": "marin"}, {"voice": "alloy"}, "audio.output.voice"),
        ({"output_audio_format": "g711_alaw"}, {"output_audio_format": "pcm16"}, "audio.output.format"),
        ({"instructions": "Be brief."}, {"instructions": ""}, "instructions"),
        ({"instructions": "Be brief."}, {"instructions": "You are helpful."}, "instructions"),
    ],
)
def test_what_was_echoed_otherwise_is_named_by_its_ga_path(asked: Json, echoed: Json, path: str) -> None:
    assert list_not_honoured(asked, echoed, {"instructions": "You are helpful."}) == [path]


@pytest.mark.parametrize("odd", [None, 1, "x", [], {"type": 1}, {"model": []}])
def test_odd_values_are_compared_without_a_word(odd: object) -> None:
    asked = ga(format=odd, transcription=odd, turn_detection=odd) | {"output_modalities": odd, "instructions": odd}
    assert list_not_honoured(asked, asked) == []


def test_real_endpoints_honour_what_they_are_asked(shared: Path) -> None:
    for log in sorted((shared / "fixtures").glob("*.jsonl")):
        told = ConfigurationTracker()
        for line in log.read_text().splitlines():
            message = json.loads(line)
            if message["kind"] == "message" and isinstance(message["data"], dict):
                told.observe("client" if message["direction"] == "sent" else "server", message["data"])
        assert list_not_honoured(told.asked, told.echoed, told.created) == [], log.name
