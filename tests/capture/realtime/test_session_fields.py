"""Where both dialects keep a setting: the maps agree with each other, and with the types of the SDK."""

from __future__ import annotations

from typing import Any

import pytest

from capture.realtime.session_fields import (
    BETA_ONLY,
    FORMAT_NAMES,
    FORMATS,
    GA_ONLY,
    PART_NAMES,
    PARTS,
    RESPONSE_PATHS,
    SESSION_PATHS,
)


def sdk_type(module: str, name: str) -> Any:
    """Give a type of the SDK, which the environment with the newest websockets has not."""
    return getattr(pytest.importorskip(module), name)


def fields_of(model: Any) -> set[str]:
    return set(model.model_fields)


def test_no_two_settings_share_a_place() -> None:
    for names in (SESSION_PATHS, RESPONSE_PATHS):
        assert len(set(names.values())) == len(names)
    assert {FORMAT_NAMES[ga["type"]] for ga in FORMATS.values()} == set(FORMATS)
    assert {PART_NAMES[ga] for ga in PARTS.values()} == set(PARTS)


def test_every_field_of_a_beta_session_is_known() -> None:
    known = {*SESSION_PATHS, *BETA_ONLY}
    assert fields_of(sdk_type("openai.types.beta.realtime.session_update_event", "Session")) <= known


def test_every_field_of_a_ga_session_is_known() -> None:
    top = {path.split(".")[0] for path in (*SESSION_PATHS.values(), *GA_ONLY)}
    assert fields_of(sdk_type("openai.types.realtime", "RealtimeSessionCreateRequest")) <= {"type", *top}


@pytest.mark.parametrize("path", ["audio.input.turn_detection", "audio.input.transcription", "audio.output.speed"])
def test_nested_settings_have_a_beta_field(path: str) -> None:
    assert path in SESSION_PATHS.values()
