"""Sentences; the whole ones are tested with the verdicts they belong to."""

from __future__ import annotations

import pytest

from replay.comparison import AxisDecision, CellResult, tally
from replay.runs import Axis, RunCell, Trial, TrialOutcome
from replay.wording import place, say_elsewhere, say_no_baseline, say_not_in_these, say_not_tested, symptom

AXES = [
    Axis(axis="target", values=["eastus2", "westus"]),
    Axis(axis="session.audio.input.transcription.model", values=["whisper-1", "gpt-4o-transcribe"]),
    Axis(axis="session.audio.input.turn_detection.silence_duration_ms", values=["200", "500"]),
]

AUDIO_AXES = [Axis(axis="target", values=["eastus2"]), Axis(axis="audio", values=["recorded", "good.flac"])]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("conversation.item.input_audio_transcription.failed|server_error||x", "transcription fails"),
        ("absent:conversation.item.input_audio_transcription.completed", "transcription never ends"),
        ("response.done|server_error||The server had an error", "the response fails"),
        ("absent:response.created", "no response comes"),
        ("handshake||401|no", "the connection is refused"),
        ("close|server|1011|", "the connection breaks off"),
        ("error|invalid_request_error|x|y", "the endpoint answers with an error"),
        ("mcp_list_tools.failed|||", "it fails (mcp_list_tools.failed|||)"),
    ],
)
def test_the_symptom_is_said_by_the_first_failure_key(key: str, said: str) -> None:
    assert symptom(key, [key, "close|server|1011|"]) == said


def test_a_cell_is_named_by_what_was_varied() -> None:
    values = {axis.axis: axis.values[0] for axis in AXES}
    cell = tally(RunCell(cell="x", session_id="s", target="eastus2", values=values))
    assert place(cell, AXES) == "at eastus2 with whisper-1 and turn_detection.silence_duration_ms=200"
    assert place(cell, AXES[:1]) == "at eastus2"


def by_audio(audio: str, *, baseline: bool = False, outcome: TrialOutcome = "ok") -> CellResult:
    trials = [Trial(trial=number, block=number, session_id="t", outcome=outcome) for number in (1, 2, 3)]
    values = {"target": "eastus2", "audio": audio}
    return tally(RunCell(cell=audio, session_id="s", target="eastus2", values=values, baseline=baseline, trials=trials))


@pytest.mark.parametrize(
    ("audio", "named"),
    [
        ("recorded", "at eastus2 with the recorded audio"),
        ("clips/good.flac", "at eastus2 with the clip good.flac"),
        ("silence", "at eastus2 with silence"),
        ("noise:20", "at eastus2 with noise at 20 dB SNR"),
    ],
)
def test_a_cell_is_named_by_its_audio(audio: str, named: str) -> None:
    assert place(by_audio(audio), AUDIO_AXES) == named


def test_the_same_audio_is_claimed_only_of_cells_that_have_it() -> None:
    baseline = by_audio("recorded", baseline=True, outcome="failed")
    cells = [baseline, by_audio("good.flac")]
    assert say_elsewhere(baseline, cells, AUDIO_AXES) == " It passes in the other cell."


def test_audio_that_was_varied_is_not_what_cells_have_in_common() -> None:
    baseline = by_audio("recorded", baseline=True, outcome="failed")
    decision = AxisDecision("audio", "audio", "ruled_out", ())
    said = say_not_in_these([decision], baseline)
    assert said.endswith(
        "changing the audio does not help. Look at what the cells have in common: the client, the account, the service."
    )


def test_without_a_baseline_nothing_is_claimed() -> None:
    assert say_no_baseline(None, AXES) == "Open: the run has no baseline to compare with."


def test_what_was_not_tested_is_one_sentence() -> None:
    assert say_not_tested([]) == ""
    assert say_not_tested(["the dialect"]) == " The dialect was not tested."
    assert say_not_tested(["other audio", "the dialect"]) == " Other audio and the dialect were not tested."
