"""Where both dialects keep a setting: the maps agree with each other, and with the types of the SDK."""

from __future__ import annotations

from typing import Any, get_args

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
    documented_paths,
)


def sdk_type(module: str, name: str) -> Any:
    """Give a type of the SDK; where that is not installed, the test is skipped."""
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


def _holds(annotation: Any, parts: list[str]) -> bool:
    """Tell whether a type of the SDK, or one of those it is a union of, has a field at a path."""
    if not parts:
        return True
    fields = getattr(annotation, "model_fields", {})
    if parts[0] in fields:
        return _holds(fields[parts[0]].annotation, parts[1:])
    return any(_holds(part, parts) for part in get_args(annotation))


@pytest.mark.parametrize(
    ("dialect", "module", "names"),
    [
        ("ga", "openai.types.realtime", ["RealtimeSessionCreateRequest", "RealtimeTranscriptionSessionCreateRequest"]),
        ("beta", "openai.types.beta.realtime", ["SessionUpdateEvent", "TranscriptionSessionUpdate"]),
    ],
)
def test_what_is_documented_is_what_the_sdk_can_ask_for(dialect: str, module: str, names: list[str]) -> None:
    types = [sdk_type(module, name) for name in names]
    prefix = ["session"] if dialect == "beta" else []
    paths = documented_paths(dialect)
    assert len(paths) > 25
    assert [path for path in paths if not any(_holds(known, [*prefix, *path.split(".")]) for known in types)] == []
