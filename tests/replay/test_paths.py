"""Where a path lies, what short names stand for, and which known paths are like an unknown one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.paths import axis_of, full_path, nearest_paths, paths_of, place_of, those_of


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("session.audio.output.voice", "session"),
        ("response.instructions", "response"),
        ("connection.query.api-version", "connection"),
        ("audio", "audio"),
        ("dialect", "dialect"),
        # Not known: whoever checks the configuration's paths names the nearest.
        ("voices", "session"),
        ("responses.x", "session"),
    ],
)
def test_where_a_path_lies(path: str, place: str) -> None:
    assert place_of(path) == place


def test_short_names_are_written_out_as_the_recording_s_dialect_has_them() -> None:
    assert full_path("voice", "ga") == "session.audio.output.voice"
    assert full_path("voice", "beta") == "session.voice"
    assert full_path("transcription_model", "beta") == "session.input_audio_transcription.model"
    assert full_path("model", None) == "connection.model"
    assert full_path("session.instructions", "ga") == "session.instructions"


def test_the_model_is_one_axis_however_it_is_asked_for() -> None:
    assert axis_of("connection.model") == "model"
    assert axis_of("connection.query.intent") == "connection.query.intent"


@given(
    st.dictionaries(
        st.sampled_from(["session.a", "response.b", "connection.model", "audio", "dialect", "x"]), st.integers()
    )
)
def test_every_override_lies_in_one_place(overrides: dict[str, int]) -> None:
    places = ("session", "response", "connection", "audio", "dialect")
    parts = [those_of(place, overrides) for place in places]  # type: ignore[arg-type]
    assert sum(map(len, parts)) == len(overrides)
    assert {path: value for part in parts for path, value in part.items()} == overrides
    assert [list(part) for part in parts] == [paths_of(place, overrides) for place in places]  # type: ignore[arg-type]


def test_paths_with_the_same_ending_are_near() -> None:
    known = ["session.audio.output.voice", "session.instructions"]
    assert nearest_paths("session.voice", known)[0] == "session.audio.output.voice"
    assert nearest_paths("zzz", known) == []
