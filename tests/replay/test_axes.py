"""Which single changes there are to try of a recording."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from capture.errors import UsageProblem
from capture.targets import Target
from replay.adaptation import asked_by
from replay.axes import Choice, Known, choose_target, list_choices, parse_axis
from replay.client import Upgrade
from replay.planning import make_plan
from replay.runs import DROPPED, RunCell, RunRecording
from replay.source import Source

EAST = Target(name="eastus2", url="wss://east.example/openai/v1/realtime", model="rt", region="eastus2")
WEST = Target(name="westus", url="wss://west.example/openai/v1/realtime", model="rt", region="westus")
MINI = Target(name="eastus2-mini", url=EAST.url, model="rt-mini", region="eastus2")
MODEL = "session.audio.input.transcription.model"
INPUT = "session.audio.input"
CONFIGURATION: dict[str, Any] = {
    "type": "realtime",
    "instructions": "Be kind.",
    "tools": [],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "turn_detection": {"type": "server_vad"},
            "noise_reduction": None,
            "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
        },
        "output": {"voice": "marin"},
    },
}
CREATED = {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}}}


@pytest.fixture
def source(script: Any) -> Source:
    script.server({"type": "session.created", "session": CREATED})
    script.client({"type": "session.update", "session": CONFIGURATION}, 5).append(10)
    return Source(
        recording=RunRecording(
            session_id="s", target="eastus2", region="eastus2", model="rt", transcription_model="gpt-4o-transcribe"
        ),
        plan=make_plan(script.messages),
        upgrade=Upgrade("/openai/v1/realtime?model=rt"),
        url="wss://east.example/openai/v1/realtime?model=rt",
    )


def choices(source: Source, *targets: Target, axes: tuple[str, ...] = ()) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for choice in list_choices(Known(source, EAST, targets, dict(map(parse_axis, axes)))):
        found.setdefault(choice.axis, []).append(choice.value)
    return found


def url_of(known: Known, *chosen: Choice) -> str:
    target = choose_target(known, chosen)
    overrides = {path: value for choice in chosen for path, value in choice.overrides.items()}
    asked = asked_by(RunCell(cell="c", session_id="s", target=target.name, overrides=overrides), known.source, target)
    return asked.target.request_url(asked.upgrade.path_and_query)


def test_every_other_target_a_contrast_and_every_option_that_was_set_the_likely_ones_first(source: Source) -> None:
    assert list(choices(source, EAST, WEST, MINI).items()) == [
        ("target", ["westus"]),
        (MODEL, ["whisper-1"]),
        ("model", ["rt-mini"]),
        (f"{INPUT}.transcription.language", [DROPPED]),
        ("session.instructions", [DROPPED]),
        ("session.audio.output.voice", [DROPPED]),
    ]


def test_values_can_be_named_and_axes_left_out(source: Source) -> None:
    asked = ("transcription_model=gpt-4o-transcribe,gpt-4o-mini-transcribe", "model=other", "options=none")
    assert choices(source, axes=asked) == {MODEL: ["gpt-4o-mini-transcribe"], "model": ["other"]}
    named = ("transcription_model=none", "options=transcription.language", f"{INPUT}.noise_reduction=null,near")
    assert choices(source, axes=named) == {
        f"{INPUT}.transcription.language": [DROPPED],
        f"{INPUT}.noise_reduction": ["near"],
    }


def test_a_path_with_values_is_not_left_out_as_well(source: Source) -> None:
    assert choices(source, axes=(f"{INPUT}.transcription.language=de",))[f"{INPUT}.transcription.language"] == ["de"]


def test_what_cannot_be_varied_is_said(source: Source) -> None:
    with pytest.raises(UsageProblem, match=r"sets no option 'speed'; it sets transcription\.language"):
        choices(source, axes=("options=speed",))
    with pytest.raises(UsageProblem, match="no axis 'colour'"):
        choices(source, axes=("colour=red",))
    with pytest.raises(UsageProblem, match="nearest are"):
        choices(source, axes=(f"{INPUT}.transcription.lang=de",))
    with pytest.raises(UsageProblem, match="nothing to vary"):
        choices(source, axes=("transcription_model=none", "options=none"))
    with pytest.raises(UsageProblem, match="names no axis"):
        parse_axis("model")


def test_a_deployment_name_is_the_model_it_deploys(source: Source) -> None:
    east = Target(name="eastus2", url=EAST.url, transcription_models={"whisper-1": "gpt-4o-transcribe"})
    found = list_choices(Known(source, east, (), {"transcription_model": ("whisper-1", "gpt-4o")}))
    assert [choice.value for choice in found if choice.axis == MODEL] == ["gpt-4o"]


def test_a_model_is_asked_for_in_the_url_and_at_another_target_too(source: Source) -> None:
    known = Known(source, EAST, (WEST,), {"model": ("other",)})
    by_axis = {choice.axis: choice for choice in list_choices(known)}
    assert choose_target(known, []) is EAST
    assert url_of(known, by_axis["model"]).endswith("/realtime?model=other")
    assert url_of(known, by_axis["target"], by_axis["model"]) == "wss://west.example/openai/v1/realtime?model=other"


def test_a_transcription_session_takes_no_model_in_its_url(source: Source) -> None:
    target = Target(name="t", url="wss://east.example/v1/realtime?intent=transcription")
    with pytest.raises(UsageProblem, match="takes no model in its URL"):
        list_choices(Known(source, target, (), {"model": ("other",)}))


def test_responses_the_connection_the_audio_and_the_dialect_are_axes_where_they_are_named(
    source: Source, script: Any
) -> None:
    script.client({"type": "response.create", "response": {"instructions": "Be brief."}}, 20)
    recording = msgspec.structs.replace(source.recording, dialect="ga")
    source = replace(source, plan=make_plan(script.messages), recording=recording)
    axes = (
        *("transcription_model=none", "response.instructions=Sing.", "connection.query.feature=x"),
        *("audio=recorded,silence,noise:20", "dialect=ga,beta", "connection.model=mini"),
    )
    assert choices(source, axes=axes) == {
        "model": ["mini"],
        "dialect": ["beta"],
        "audio": ["silence", "noise:20"],
        f"{INPUT}.transcription.language": [DROPPED],
        "session.instructions": [DROPPED],
        "session.audio.output.voice": [DROPPED],
        "response.instructions": ["Sing."],
        "connection.query.feature": ["x"],
    }
    assert choices(source, axes=("transcription_model=none", "options=response.instructions")) == {
        "response.instructions": [DROPPED]
    }
    for refused in ("response.instruction=x", "connection.query.api-key=x", "dialect=gamma", "audio=noise:loud"):
        with pytest.raises(UsageProblem):
            choices(source, axes=(refused,))


def test_a_target_that_differs_from_the_recorded_one_in_its_dialect_alone_varies_that(source: Source) -> None:
    source = replace(source, recording=msgspec.structs.replace(source.recording, dialect="ga"))
    old = Target(name="old", url="wss://east.example/openai/realtime", model="rt", region="eastus2", dialect="beta")
    found = list_choices(Known(source, EAST, (old, WEST), {"transcription_model": (), "options": ()}))
    assert [(choice.axis, choice.value, choice.target) for choice in found] == [
        ("target", "westus", WEST),
        ("dialect", "beta", old),
    ]


def test_what_the_failure_points_to_is_tried_first(source: Source) -> None:
    blamed = msgspec.structs.replace(source.recording, blamed=["session.audio.output.voice", f"{INPUT}.turn_detection"])
    found = choices(replace(source, recording=blamed), WEST)
    # Without the error, turn detection is as it would be unasked, and no option to leave out.
    assert f"{INPUT}.turn_detection" not in choices(source, WEST)
    assert list(found)[:3] == [f"{INPUT}.turn_detection", "session.audio.output.voice", "target"]


def test_a_choice_is_named_in_words() -> None:
    assert Choice("target", "westus").label == "westus"
    assert Choice(MODEL, "whisper-1").label == "transcription model=whisper-1"
