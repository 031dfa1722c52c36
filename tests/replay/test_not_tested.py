"""What a run leaves open, each with the command that would test it."""

from __future__ import annotations

from replay.runs import Axis
from replay.verdict import read_verdict
from tests.replay.test_verdict import MODEL, SESSION, SILENCE, run_of, square, verdict_of


def test_what_was_not_tested_comes_with_the_command_that_would() -> None:
    commands = {
        topic.what: topic.command for topic in verdict_of(square("FFFFF", ".....", ".....", ".....")).not_tested
    }
    assert commands["other audio"] == (
        "wiretape replay run 20261123T011500-4f3a9c12 --to eastus2 --vary audio=recorded,OTHER_CLIP.flac --trials 5"
    )
    assert commands["other options"] == (
        f"wiretape replay run {SESSION} --to eastus2 --vary {SILENCE}=500,1000 --trials 5"
    )
    assert commands["the realtime model"].endswith("--to eastus2 --to TARGET_WITH_ANOTHER_MODEL --trials 5")
    assert commands["the dialect"].endswith("--to eastus2 --to TARGET_THAT_SPEAKS_BETA --trials 5")
    assert any("another target in region eastus2" in what for what in commands)


def test_a_model_that_the_recording_names_is_varied_in_the_command_and_the_dialect_is_not_asked_for_twice() -> None:
    run = run_of(square("FFFFF", ".....", ".....", "....."))
    run.recordings[0].model = "gpt-realtime"
    run.axes.append(Axis(axis="dialect", values=["ga", "beta"]))
    commands = {topic.what: topic.command for topic in read_verdict(run).not_tested}
    assert "--vary model=gpt-realtime,ANOTHER_MODEL" in commands["the realtime model"]
    assert "the dialect" not in commands


def test_an_option_is_offered_in_the_contrast_that_tells_most() -> None:
    def offered(options: dict[str, object]) -> str:
        run = run_of(square("FFFFF", ".....", ".....", "....."))
        run.recordings[0].options = options
        [topic] = [topic for topic in read_verdict(run).not_tested if topic.what == "other options"]
        return topic.command

    noise = "session.audio.input.noise_reduction"
    assert f'--vary \'{noise}={{"type":"near_field"}},null\'' in offered({noise: {"type": "near_field"}, SILENCE: 500})
    prompt = "session.audio.input.transcription.prompt"
    assert f"--vary '{prompt}=\"Names: Ann, Bo\",null'" in offered({prompt: "Names: Ann, Bo"})
    assert offered({MODEL: "varied already"}) == ""
