"""What may be set; test_configuration.py tests what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from replay.simulator.protocol.mistakes import ClientMistake
from replay.simulator.protocol.settings import RESPONSE, SESSION, TRANSCRIPTION_SESSION, has_setting
from replay.simulator.protocol.shapes import Table


@pytest.mark.parametrize(
    ("shape", "settings", "code", "path"),
    [
        (SESSION, {}, "missing_required_parameter", "type"),
        (SESSION, {"type": "realtime", "voice": "alloy"}, "unknown_parameter", "voice"),
        (TRANSCRIPTION_SESSION, {"type": "transcription", "tools": []}, "unknown_parameter", "tools"),
        (RESPONSE, {"modalities": ["text"]}, "unknown_parameter", "modalities"),
        (RESPONSE, {"metadata": {"k": 1}}, "invalid_type", "metadata.k"),
        (RESPONSE, {"input": [{"type": "item_reference"}]}, "missing_required_parameter", "input[0].id"),
    ],
)
def test_refuses_what_cannot_be_set(shape: Table, settings: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ClientMistake) as refused:
        shape.check(settings, "")

    assert (refused.value.code, refused.value.param) == (code, path)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("instructions", True),
        ("audio.output", True),
        ("audio.input.transcription.model", True),
        ("audio.input.turn_detection.eagerness", True),
        ("truncation.retention_ratio", True),
        ("voice", False),
        ("audio.output.voce", False),
        ("instructions.tone", False),
        ("", False),
    ],
)
def test_knows_the_paths_of_settings(path: str, is_one: bool) -> None:
    assert has_setting(path) == is_one
