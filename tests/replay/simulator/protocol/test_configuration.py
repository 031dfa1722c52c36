import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from replay.simulator.protocol.configuration import (
    DEFAULT_INSTRUCTIONS,
    default_session,
    response_settings,
    update_session,
)
from replay.simulator.protocol.mistakes import ClientMistake


def session() -> dict[str, Any]:
    return default_session("sess_1", "gpt-realtime", 1_800_000_000)


def update(changes: dict[str, Any], *, base: dict[str, Any] | None = None) -> dict[str, Any]:
    return update_session(base or session(), {"type": "realtime", **changes}, assistant_spoke=False)


def read_input(changed: dict[str, Any]) -> dict[str, Any]:
    inputs: dict[str, Any] = changed["audio"]["input"]
    return inputs


def test_starts_with_the_fields_and_defaults_of_the_real_endpoint(shared: Path) -> None:
    path = shared / "fixtures" / "azure_ws-text_in_audio_out_turn.jsonl"
    real = json.loads(path.read_text().splitlines()[0])["data"]["session"]
    ours = session()

    assert list(ours) == list(real)
    for name in set(real) - {"id", "expires_at", "instructions"}:
        assert ours[name] == real[name], name


def test_an_update_is_merged_deeply() -> None:
    changed = update({"instructions": "Be brief.", "audio": {"input": {"transcription": {"model": "whisper-1"}}}})

    assert changed["instructions"] == "Be brief."
    assert read_input(changed)["transcription"] == {"model": "whisper-1", "language": None, "prompt": None}
    assert read_input(changed)["turn_detection"] == read_input(session())["turn_detection"]
    assert changed["audio"]["output"] == session()["audio"]["output"]


def test_turn_detection_is_merged_within_its_type_and_starts_afresh_in_another() -> None:
    tuned = update({"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 700}}}})
    again = update({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.8}}}}, base=tuned)
    semantic = update({"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}, base=again)
    manual = update({"audio": {"input": {"turn_detection": None}}}, base=semantic)

    assert read_input(again)["turn_detection"]["silence_duration_ms"] == 700
    assert read_input(again)["turn_detection"]["threshold"] == 0.8
    assert read_input(semantic)["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    assert read_input(manual)["turn_detection"] is None
    assert read_input(update({"tools": []}, base=manual))["turn_detection"] is None


def test_formats_and_tools_are_replaced_and_empty_instructions_are_the_defaults() -> None:
    tools = [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]
    changed = update(
        {"audio": {"input": {"format": {"type": "audio/pcmu"}}}, "tools": tools, "tool_choice": "required"}
    )
    back = update({"audio": {"input": {"format": {"type": "audio/pcm"}}}, "instructions": ""}, base=changed)

    assert read_input(changed)["format"] == {"type": "audio/pcmu"}
    assert (changed["tools"], changed["tool_choice"]) == (tools, "required")
    assert read_input(back)["format"] == {"type": "audio/pcm", "rate": 24000}
    assert (back["tools"], back["instructions"]) == (tools, DEFAULT_INSTRUCTIONS)


def test_the_model_stays_the_one_of_the_connection() -> None:
    assert update({"model": "gpt-realtime-mini"})["model"] == "gpt-realtime"


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"instructions": "no type"}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"type": "realtime", "audio": {"input": {"rate": 1}}}, "unknown_parameter", "session.audio.input.rate"),
        ({"type": "transcription"}, "invalid_parameter", "session.type"),
        ({"type": "sideways"}, "invalid_value", "session.type"),
        ({"type": "realtime", "tool_choice": "always"}, "invalid_value", "session.tool_choice"),
        ({"type": "realtime", "output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        (
            {"type": "realtime", "audio": {"output": {"voice": "nobody"}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"silence_duration_ms": 1}}}},
            "missing_required_parameter",
            "session.audio.input.turn_detection.type",
        ),
        (
            {"type": "realtime", "audio": {"input": {"transcription": {"language": "en"}}}},
            "missing_required_parameter",
            "session.audio.input.transcription.model",
        ),
        ("all of it", "invalid_type", "session"),
    ],
)
def test_a_bad_field_refuses_the_whole_update(asked: object, code: str, param: str) -> None:
    before = session()
    untouched = deepcopy(before)

    with pytest.raises(ClientMistake) as refused:
        update_session(before, asked, assistant_spoke=False)

    assert (refused.value.code, refused.value.param) == (code, param)
    assert before == untouched


def test_a_transcription_session_is_refused_in_the_known_sentence() -> None:
    with pytest.raises(ClientMistake, match="Passing a transcription session update event to a realtime session"):
        update_session(session(), {"type": "transcription"}, assistant_spoke=False)


def test_the_voice_is_fixed_once_the_assistant_spoke() -> None:
    same = {"type": "realtime", "audio": {"output": {"voice": "alloy"}}}
    other = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}

    assert update_session(session(), other, assistant_spoke=False)["audio"]["output"]["voice"] == "marin"
    assert update_session(session(), same, assistant_spoke=True) == session()
    with pytest.raises(ClientMistake, match="Cannot update a conversation's voice") as refused:
        update_session(session(), other, assistant_spoke=True)
    assert refused.value.code == "cannot_update_voice"


def test_a_response_has_the_settings_of_the_session_unless_it_asks_for_others() -> None:
    usual = response_settings(session(), None)
    asked = response_settings(
        session(),
        {
            "output_modalities": ["text"],
            "conversation": "none",
            "metadata": {"topic": "weather"},
            "audio": {"output": {"format": {"type": "audio/pcma"}}},
        },
    )

    assert (usual["output_modalities"], usual["conversation"], usual["metadata"]) == (["audio"], "auto", None)
    assert (asked["output_modalities"], asked["conversation"], asked["metadata"]) == (
        ["text"],
        "none",
        {"topic": "weather"},
    )
    assert asked["audio"]["output"] == {"format": {"type": "audio/pcma"}, "voice": "alloy"}


def test_a_response_cannot_ask_for_both_modalities() -> None:
    with pytest.raises(ClientMistake, match=r"Supported combinations are: \['text'\] and \['audio'\]"):
        response_settings(session(), {"output_modalities": ["audio", "text"]})


def test_a_response_whose_instructions_are_null_has_the_sessions() -> None:
    """As LiveKit Agents asks for every answer that it is given no instructions for."""
    assert response_settings(session(), {"instructions": None}) == response_settings(session(), None)
