"""Which settings errors name, and which a failed transcription points to."""

from __future__ import annotations

from typing import Any

import pytest

from replay.blame import Blame, blamed_by, is_blamed

ASKED = {
    "instructions": "Be kind.",
    "tools": [{"type": "function", "name": "a"}],
    "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}, "output": {"voice": "nobody"}},
}


def named(script: Any) -> list[str]:
    blame = Blame()
    for message in script.messages:
        blame.observe(message)
    return blame.named(ASKED)


@pytest.mark.parametrize(
    ("param", "message", "path"),
    [
        ("session.audio.input.turn_detection", "", "session.audio.input.turn_detection"),
        ("session.audio.input.turn_detection.threshold", "", "session.audio.input.turn_detection.threshold"),
        # What was not asked for is blamed by what it is a part of.
        ("session.audio.input.turn_detection.prefix", "", "session.audio.input.turn_detection"),
        ("session.tools[0].name", "", "session.tools"),
        ("audio.output.voice", "", "session.audio.output.voice"),
        (None, "Invalid value: 'nobody' for 'session.audio.output.voice'.", "session.audio.output.voice"),
        ("response.instructions", "", "response.instructions"),
        ("session.audio.input.format", "", None),
        ("item.call_id", "", None),
        (None, "something else", None),
    ],
)
def test_a_setting_that_was_asked_for_is_named(script: Any, param: str | None, message: str, path: str | None) -> None:
    script.server({"type": "error", "error": {"type": "invalid_request_error", "param": param, "message": message}})
    assert named(script) == ([path] if path else [])


def test_only_the_endpoint_s_complaints_are_read_each_once(script: Any) -> None:
    failed = {"status": "failed", "status_details": {"error": {"message": "no 'session.tools'", "param": None}}}
    script.server({"type": "response.done", "response": failed}).server({"type": "response.done", "response": failed})
    script.server({"type": "session.updated", "session": {}, "error": {"param": "session.instructions"}})
    script.client({"type": "error", "error": {"param": "session.instructions"}})
    assert named(script) == ["session.tools"]


def test_a_failed_transcription_points_to_its_model() -> None:
    event = "conversation.item.input_audio_transcription"
    assert blamed_by([f"{event}.failed|server_error||"], "ga") == ["session.audio.input.transcription.model"]
    assert blamed_by([f"absent:{event}.completed"], "beta") == ["session.input_audio_transcription.model"]
    assert blamed_by(["response.done|server_error||", "close||1006|"], "ga") == []


def test_a_part_and_what_holds_it_share_the_blame() -> None:
    assert is_blamed("session.a", ["session.a.b"])
    assert is_blamed("session.a.b", ["session.a"])
    assert not is_blamed("session.ab", ["session.a"])
    assert not is_blamed("", ["session.a"])
