"""Which options of a recording can be left out."""

from __future__ import annotations

from typing import Any

import pytest

from replay.client import Upgrade
from replay.droppable import list_options
from replay.planning import make_plan
from replay.runs import RunRecording
from replay.source import Source

VAD = {"type": "server_vad"}
ASKED = {
    "type": "realtime",
    "instructions": "Be kind.",
    "tools": [],
    "audio": {
        "input": {"turn_detection": VAD, "noise_reduction": None, "transcription": {"model": "m", "language": "en"}}
    },
}


def source(script: Any, *blamed: str) -> Source:
    script.server({"type": "session.created", "session": {"audio": {"input": {"turn_detection": VAD}}}})
    script.client({"type": "session.update", "session": ASKED}, 5)
    asked = {"instructions": "Now.", "metadata": {"k": "v"}, "conversation": "none"}
    script.client({"type": "response.create", "response": asked}, 20)
    recording = RunRecording(session_id="s", blamed=list(blamed))
    return Source(recording, make_plan(script.messages), Upgrade("/"), "")


def test_options_of_the_session_and_of_its_responses_the_likely_ones_first(script: Any) -> None:
    assert list_options(source(script)) == {
        "session.audio.input.transcription.language": False,
        "session.audio.input.turn_detection": True,
        "session.instructions": False,
        "response.instructions": False,
    }


@pytest.mark.parametrize("param", ["session.audio.input.turn_detection", "session.audio.input.turn_detection.type"])
def test_what_an_error_names_is_no_default(script: Any, param: str) -> None:
    assert list_options(source(script, param))["session.audio.input.turn_detection"] is False
