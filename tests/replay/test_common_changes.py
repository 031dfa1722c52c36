"""What all trials of a run have otherwise than the recording, and what its verdict says of it."""

from __future__ import annotations

from typing import Any

import pytest

from replay.common_changes import is_as_recorded, list_common_changes, say_common_changes
from replay.runs import Run
from replay.verdict import Verdict, read_verdict
from tests.replay.test_verdict import MODEL, run_of, square

NOISE = "session.audio.input.noise_reduction"


def changed_run(letters: str, *, unset: list[str] | None = None, **overrides: Any) -> Run:
    """Make a run of one cell with these overrides; `model` is the transcription model."""
    run = run_of({("eastus2", "whisper-1"): letters})
    paths = {"model": MODEL, "voice": "session.audio.output.voice"}
    run.cells[0].overrides = {paths.get(name, name): value for name, value in overrides.items()}
    run.cells[0].unset = unset or []
    return run


def said(run: Run) -> str:
    return say_common_changes(list_common_changes(run, run.cells[0]))


def topics(verdict: Verdict) -> list[str]:
    return [topic.what for topic in verdict.not_tested]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (changed_run("."), ""),
        (changed_run(".", model="whisper-1"), " (whisper-1 in every trial)"),
        (changed_run(".", audio="silence"), " (silence in every trial)"),
        (changed_run(".", dialect="beta"), " (the dialect beta in every trial)"),
        (
            changed_run(".", voice="cedar", unset=[NOISE]),
            " (output.voice=cedar, without noise_reduction in every trial)",
        ),
        (changed_run(".", voice="x" * 900), f" (output.voice={'x' * 59}… in every trial)"),
    ],
)
def test_what_is_set_in_every_cell_is_said_in_brackets(run: Run, expected: str) -> None:
    assert said(run) == expected
    assert is_as_recorded(run, run.cells[0]) == (not expected)


def test_a_session_that_was_shortened_is_not_as_recorded() -> None:
    run = changed_run(".....")
    run.until_turn, run.longest_idle_s = 2, 0.5
    assert said(run) == " (up to turn 2, pauses of 0.5 s at most in every trial)"
    assert topics(read_verdict(run))[:2] == ["what comes after turn 2", "the pauses as recorded"]


def test_a_setting_that_is_the_recorded_one_changes_nothing() -> None:
    run = changed_run(".....", model="gpt-4o-transcribe", voice="cedar")
    run.cells[0].unlike_recording = ["session.audio.output.voice"]
    assert said(run) == " (output.voice=cedar in every trial)"
    run.cells[0].unlike_recording = []
    assert said(run) == ""
    assert read_verdict(run).pattern == "not_reproduced"


def test_what_passes_with_another_model_says_nothing_of_the_recorded_one() -> None:
    verdict = read_verdict(changed_run(".....", model="whisper-1"))
    assert verdict.pattern == "no_baseline"
    assert verdict.sentence == (
        "Open: with this session (whisper-1 in every trial) the recorded failure did not come at eastus2, 0/5;"
        " as recorded the session was not replayed, and no rate is excluded. Replay it as recorded first."
    )
    [first] = [topic for topic in verdict.not_tested if topic.what == "the transcription model as recorded"]
    assert first.command == "wiretape replay run 20261123T011500-4f3a9c12 --to eastus2 --trials 5"


def test_a_baseline_among_values_none_of_which_was_recorded_excludes_nothing_either() -> None:
    run = run_of({("eastus2", "whisper-1"): ".....", ("eastus2", "whisper-2"): "FF..."})
    run.cells[0].overrides, run.cells[0].unlike_recording = {MODEL: "whisper-1"}, [MODEL]
    sentence = read_verdict(run).sentence
    assert "Open: with this session the recorded failure did not come at eastus2 with whisper-1, 0/5;" in sentence
    assert "It did come 2/5 at eastus2 with whisper-2." in sentence


def test_a_failure_that_comes_all_the_same_is_said_with_what_was_set() -> None:
    run = run_of(square("FFFFF", ".....", ".....", "....."))
    for cell in run.cells:
        cell.overrides = {"audio": "silence", "connection.model": "mini", "dialect": "beta"}
    verdict = read_verdict(run)
    assert verdict.sentence.startswith(
        "With this session (silence, model=mini, the dialect beta in every trial) transcription fails at eastus2 with"
        " gpt-4o-transcribe, 5/5;"
    )
    assert "It passes in the three other cells." in verdict.sentence
    assert not verdict.is_of_recorded_audio
    assert topics(verdict)[:3] == ["the audio as recorded", "the realtime model as recorded", "the dialect as recorded"]
    assert not {"the realtime model", "the dialect"} & set(topics(verdict))


def test_a_recording_that_did_not_fail_says_what_was_set_too() -> None:
    run = changed_run(".....", audio="silence")
    run.recordings[0].failure_keys = []
    assert "none of 5 replays (silence in every trial) failed either." in read_verdict(run).sentence
