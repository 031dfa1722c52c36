"""What is asked of `wiretape replay run`, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from capture.errors import UsageProblem
from capture.recording.root import Root
from capture.sealing import seal
from capture.targets import CONFIG_VARIABLE
from replay.cells import Variation
from replay.client import Upgrade
from replay.planning import make_plan
from replay.run_request import (
    RunRequest,
    find_recording,
    find_targets,
    lay_out,
    parse_variation,
    read_clock,
    read_on_new_tool,
    read_settings,
)
from replay.runs import RunRecording
from replay.source import Source
from tests.capture.conftest import write_session_journal


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("p=gpt-4o-transcribe,whisper-1", ("gpt-4o-transcribe", "whisper-1")),
        ("p=500, 1000", (500, 1000)),
        ("p=true,null", (True, None)),
        ('p={"type": "near_field"},null', ({"type": "near_field"}, None)),
        ("p=500,auto", (500, "auto")),
        ("p=one", ("one",)),
    ],
)
def test_values_of_a_variation_are_json_or_bare_words(text: str, values: tuple[Any, ...]) -> None:
    assert parse_variation(text) == Variation("p", values)


CONFIGURED = """
[targets.dep-east]
url = "wss://east.example/openai/v1/realtime"
transcription_models = {gpt-4o-transcribe = "transcribe-prod"}

[targets.dep-west]
url = "wss://west.example/openai/v1/realtime"
transcription_models = {gpt-4o-transcribe = "west-transcribe"}
"""


@pytest.mark.parametrize("recorded_as", ["dep-east", "wss://east.example/openai/v1/realtime"])
def test_a_deployment_is_mapped_from_the_recorded_target_wherever_it_is_sent(
    recorded_as: str, script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = tmp_path / "wiretape.toml"
    configuration.write_text(CONFIGURED)
    monkeypatch.setenv(CONFIG_VARIABLE, str(configuration))
    update = {"audio": {"input": {"transcription": {"model": "transcribe-prod"}}}}
    script.server({"type": "session.created", "session": {}}).client({"type": "session.update", "session": update})
    recording = RunRecording(session_id="s", target=recorded_as, dialect="ga")
    url = "wss://east.example/openai/v1/realtime?model=rt"
    source = Source(recording, make_plan(script.messages), Upgrade("/openai/v1/realtime?model=rt"), url)
    request = RunRequest(["s"], ["dep-west", url], [], [], trials=1)
    planned = lay_out(request, [source], find_targets(request.to))
    asked = {job.target.name: job.plan.steps[0].content for job in planned.jobs}
    assert '"west-transcribe"' in str(asked["dep-west"])
    assert '"transcribe-prod"' in str(asked[url])
    # Another map there would make other trials of what is left of the run.
    assert [target.name for target in planned.run.targets] == ["dep-east", "dep-west", url]


@pytest.mark.parametrize("text", ["", "path", "=a,b", "path="])
def test_a_variation_without_a_path_or_values_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="varies nothing"):
        parse_variation(text)


def test_a_value_given_twice_is_refused() -> None:
    with pytest.raises(UsageProblem, match="use --trials"):
        parse_variation("p=a,b,a")


@pytest.mark.parametrize(
    ("options", "audio"),
    [
        ({"audio": Path("good.flac")}, "good.flac"),
        ({"silence": True}, "silence"),
        ({"noise_snr_db": 20.0}, "noise:20"),
        ({"settings": ["audio=noise:5"]}, "noise:5"),
    ],
)
def test_options_of_the_audio_are_settings_of_its_axis(options: dict[str, Any], audio: str) -> None:
    request = RunRequest(**({"sessions": ["last"], "to": ["t"], "vary": [], "settings": []} | options))
    assert read_settings(request) == {"audio": audio}


def test_a_setting_is_given_once() -> None:
    with pytest.raises(UsageProblem, match="voice is set twice: leave one out, or try both with --vary voice=A,B"):
        read_settings(RunRequest(["last"], ["t"], [], ["voice=cedar", "voice=marin"]))


def test_the_audio_is_chosen_once() -> None:
    with pytest.raises(UsageProblem, match="the audio is chosen twice"):
        read_settings(RunRequest(["last"], ["t"], [], [], silence=True, noise_snr_db=20))
    with pytest.raises(UsageProblem, match="the audio is chosen twice"):
        read_settings(RunRequest(["last"], ["t"], [], ["audio=silence"], audio=Path("good.flac")))


def test_the_clock_is_anchored_unless_nothing_is_to_be_changed() -> None:
    assert (read_clock(None), read_clock("absolute"), read_clock(None, as_recorded=True)) == (
        "anchored",
        "absolute",
        "absolute",
    )
    with pytest.raises(UsageProblem, match="leave --clock anchored out"):
        read_clock("anchored", as_recorded=True)


def test_a_new_call_gets_the_recorded_output_unless_nothing_is_to_be_changed() -> None:
    assert (read_on_new_tool(None), read_on_new_tool("stop")) == ("recorded", "stop")
    assert read_on_new_tool(None, as_recorded=True) == "recorded"
    with pytest.raises(UsageProblem, match="leave --on-new-tool out"):
        read_on_new_tool("empty", as_recorded=True)


def test_a_session_in_flight_cannot_be_replayed_yet(root: Root) -> None:
    session_id = write_session_journal(root, [("server", '{"type":"session.created"}')])
    with pytest.raises(UsageProblem, match=f"session {session_id} is no recording yet: waiting"):
        find_recording(root, session_id[:-2])
    seal(root.path, session_id)
    assert find_recording(root, session_id[:-2]) == session_id
