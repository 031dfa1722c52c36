"""Values of settings that the dialects write differently, and what beta has no place for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.dialect_values import NOTHING, beta_value, ga_value

PCM = {"type": "audio/pcm", "rate": 24000}


@pytest.mark.parametrize(
    ("name", "beta", "ga"),
    [
        ("modalities", ["text", "audio"], ["audio"]),
        ("modalities", ["text"], ["text"]),
        ("input_audio_format", "pcm16", PCM),
        ("output_audio_format", "g711_alaw", {"type": "audio/pcma"}),
        ("input_audio_format", "opus", "opus"),
        ("turn_detection", {"type": "none"}, None),
        ("turn_detection", {"type": "server_vad"}, {"type": "server_vad"}),
        ("instructions", "Be kind.", "Be kind."),
    ],
)
def test_a_beta_value_in_ga(name: str, beta: Any, ga: Any) -> None:
    assert ga_value(name, beta) == ga


MCP = {"type": "mcp", "server_label": "a"}
TOOL = {"type": "function", "name": "f"}


@pytest.mark.parametrize(
    ("name", "ga", "kept", "left_out"),
    [
        ("modalities", ["audio"], ["audio", "text"], {}),
        ("input_audio_format", PCM, "pcm16", {}),
        ("input_audio_format", PCM | {"rate": 16000}, "pcm16", {".rate": 16000}),
        ("input_audio_format", {"type": "audio/opus"}, NOTHING, {"": {"type": "audio/opus"}}),
        ("voice", "marin", "marin", {}),
        ("voice", {"id": "v"}, NOTHING, {"": {"id": "v"}}),
        ("tools", [TOOL, MCP], [TOOL], {"": [MCP]}),
        ("tool_choice", MCP, NOTHING, {"": MCP}),
        ("tool_choice", "auto", "auto", {}),
    ],
)
def test_a_ga_value_in_beta_and_what_is_left_out(name: str, ga: Any, kept: Any, left_out: Any) -> None:
    assert beta_value(name, ga) == (kept, left_out)


@given(st.sampled_from(["pcm16", "g711_ulaw", "g711_alaw"]))
def test_formats_come_back_as_they_were(name: str) -> None:
    assert beta_value("input_audio_format", ga_value("input_audio_format", name)) == (name, {})


@given(
    st.sampled_from(["voice", "tools", "modalities", "x"]),
    st.none() | st.integers() | st.text() | st.lists(st.integers()),
)
def test_what_is_of_no_known_shape_stays_as_it_is(name: str, value: Any) -> None:
    assert beta_value(name, ga_value(name, value)) == (value, {})
