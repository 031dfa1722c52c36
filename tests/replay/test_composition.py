"""Runs put together from sessions: of several runs, of one whose file is gone, of calls that somebody tagged."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from capture.errors import UsageProblem
from replay.composition import compose_run
from replay.verdict import read_verdict, read_verdicts

MODEL = "session.audio.input.transcription.model"
VOICE = "session.audio.output.voice"
KEY = "conversation.item.input_audio_transcription.failed|server_error||"
RECORDED = {MODEL: "gpt-4o-transcribe", VOICE: "marin"}
Row = dict[str, Any]
_USUAL: Row = {
    "started_at": datetime(2026, 11, 23, tzinfo=UTC),
    "target": "eastus2",
    "host": "h",
    "url": "wss://eastus2/p",
    "region": "eastus2",
    "model": "rt",
    "model_echoed": None,
    "dialect": "ga",
    "voice": "marin",
    "transcription_model": "gpt-4o-transcribe",
    "transcription_model_echoed": None,
    "turn_detection": "server_vad",
    "input_format": "audio/pcm",
    "handshake_status": 101,
    "end_reason": "completed",
    "outcome": "ok",
    "failure_keys": [],
    "first_error": None,
    "run_id": None,
    "replay_of": None,
    "block": None,
    "trial": None,
    "trial_kind": None,
    "trial_outcome": None,
    "overrides": None,
    "tags": {},
}


class World:
    """Sessions in the order in which they were made."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.original = _USUAL | {"session_id": "20261123T010000-00000001", "outcome": "failed", "failure_keys": [KEY]}

    def replays(self, run_id: str, target: str, outcome: str, count: int, **more: Any) -> World:
        overrides = json.dumps(more.pop("overrides", {}))
        for _ in range(count):
            ended = {"outcome": "failed", "failure_keys": [KEY]} if outcome == "failed" else {}
            trial = {"run_id": run_id, "replay_of": self.original["session_id"], "block": 1, "trial_kind": "variation"}
            self._add(
                trial
                | {
                    "target": target,
                    "region": target,
                    "url": f"wss://{target}/p",
                    "overrides": overrides,
                    "trial_outcome": outcome,
                }
                | ended
                | more
            )
        return self

    def calls(self, count: int, **columns: Any) -> World:
        for _ in range(count):
            self._add(columns)
        return self

    def compose(self, name: str = "r1 + r2") -> Any:
        return compose_run(
            name, self.rows, {self.original["session_id"]: self.original}, lambda _, path: RECORDED.get(path)
        )

    def _add(self, columns: Row) -> None:
        self.rows.append(_USUAL | {"session_id": f"20261123T02{len(self.rows):04}-00000001"} | columns)


def test_cells_of_two_runs_are_compared_as_those_of_one() -> None:
    world = World().replays("r1", "eastus2", "failed", 6).replays("r1", "swedencentral", "ok", 6)
    # The second run set the model; its recorded value makes a cell with the first run's.
    world.replays("r2", "eastus2", "ok", 6, overrides={MODEL: "whisper-1"})
    world.replays("r2", "eastus2", "failed", 2, overrides={MODEL: "gpt-4o-transcribe"})
    run = world.compose()
    assert [(cell.cell, len(cell.trials), cell.baseline) for cell in run.cells] == [
        ("eastus2 · transcription.model=gpt-4o-transcribe", 8, True),
        ("swedencentral · transcription.model=gpt-4o-transcribe", 6, False),
        ("eastus2 · transcription.model=whisper-1", 6, False),
    ]
    verdict = read_verdict(run)
    assert verdict.pattern == "combination"
    assert verdict.sentence.startswith("With this session transcription fails at eastus2 with gpt-4o-transcribe, 8/8;")
    assert verdict.sentence.endswith(
        "The trials are those of two runs (r1, r2): what changed from one to the next is not told from what was varied."
    )


def test_what_was_varied_with_one_recording_is_not_tested_with_another() -> None:
    world = World().replays("r1", "eastus2", "failed", 6).replays("r1", "swedencentral", "ok", 6)
    other = world.original | {"session_id": "20261123T010000-00000002"}
    of_other = {"replay_of": other["session_id"]}
    world.replays("r2", "eastus2", "failed", 6, **of_other)
    world.replays("r2", "eastus2", "ok", 6, overrides={MODEL: "whisper-1"}, **of_other)
    originals = {row["session_id"]: row for row in (world.original, other)}
    run = compose_run("r1 + r2", world.rows, originals, lambda _, path: RECORDED.get(path))
    first, second = read_verdicts(run)
    assert first.sentence.startswith("With this session transcription fails at eastus2, 6/6; 0/6 at swedencentral")
    assert "other transcription models" in [topic.what for topic in first.not_tested]
    assert "other transcription models" not in [topic.what for topic in second.not_tested]
    assert "other targets" in [topic.what for topic in second.not_tested]


def test_what_was_unset_is_a_value_of_its_own() -> None:
    world = (
        World().replays("r1", "eastus2", "failed", 6).replays("r1", "eastus2", "ok", 6, overrides={"unset": [VOICE]})
    )
    run = world.compose("r1")
    assert run.axes[1].values == ["marin", "(left out)"]
    verdict = read_verdict(run)
    assert (verdict.pattern, [axis.axis for axis in verdict.axes if axis.decision == "implicated"]) == (
        "one_axis",
        [VOICE],
    )
    assert "The trials are those of" not in verdict.sentence


def test_trials_that_were_shortened_are_no_baseline_and_are_told_from_whole_ones() -> None:
    world = World().replays("r1", "eastus2", "ok", 6, overrides={"until": 1})
    assert read_verdict(world.compose()).pattern == "no_baseline"
    world.replays("r2", "eastus2", "failed", 6)
    verdict = read_verdict(world.compose())
    assert "transcription fails at eastus2 with until=as recorded, 6/6; 0/6 at eastus2 with until=1" in verdict.sentence
    assert verdict.pattern == "one_axis"


def test_trials_that_opened_or_closed_an_experiment_are_no_evidence() -> None:
    world = (
        World().replays("r1", "eastus2", "failed", 3, block=0).replays("r1", "eastus2", "ok", 1, trial_kind="control")
    )
    assert [len(cell.trials) for cell in world.replays("r1", "eastus2", "failed", 2).compose().cells] == [2]


def test_an_experiment_that_never_came_to_compare_is_no_run_of_calls() -> None:
    opened = World().replays("r1", "eastus2", "failed", 2, block=0).replays("r1", "eastus2", "ok", 2, block=0)
    with pytest.raises(UsageProblem, match="of r1 there are only trials that opened or closed it"):
        opened.compose("r1")


def test_without_the_recorded_cell_there_is_no_baseline_to_compare_with() -> None:
    verdict = read_verdict(World().replays("r1", "swedencentral", "ok", 6).compose())
    assert verdict.pattern == "no_baseline"


def test_a_recording_that_is_gone_failed_as_its_trials_did() -> None:
    world = World().replays("r1", "eastus2", "failed", 2)
    run = compose_run("r1", world.rows, {}, lambda *_: None)
    assert run.recordings[0].failure_keys == [KEY]


@pytest.mark.parametrize("outcome", ["failed", "ok"])
def test_of_a_recording_that_is_gone_the_verdict_says_so_and_what_to_do(outcome: str) -> None:
    world = World().replays("r1", "eastus2", outcome, 5).replays("r2", "swedencentral", "ok", 5)
    verdict = read_verdict(compose_run("r1 r2", world.rows, {}, lambda *_: None))
    assert verdict.pattern == "no_baseline"
    assert verdict.sentence.startswith(
        "Open: recording 20261123T010000-00000001, which these trials replayed, is gone, and without it nobody knows"
        " which of them are as recorded. Put its files back, or ask for the verdict of one run alone, whose file"
    )
    # What would test more replays the recording.
    assert verdict.not_tested == ()


def test_calls_are_compared_with_the_first_that_failed_which_is_none_of_them() -> None:
    world = (
        World().calls(7, outcome="failed", failure_keys=[KEY]).calls(6, target="swedencentral", region="swedencentral")
    )
    world.calls(1, outcome="incomplete")
    run = world.compose("monday")
    assert [(cell.cell, len(cell.trials), cell.baseline) for cell in run.cells] == [
        ("eastus2", 7, True),
        ("swedencentral", 6, False),
    ]
    assert [trial.outcome for trial in run.cells[0].trials] == ["failed"] * 6 + ["not_run"]
    verdict = read_verdict(run)
    assert verdict.pattern == "one_axis"
    assert verdict.sentence.startswith("With these calls transcription fails at eastus2, 6/6; 0/6 at swedencentral")
    assert "same audio" not in verdict.sentence
    assert verdict.sentence.endswith("such as their audio and their time, was not compared.")


def test_what_differs_between_calls_is_an_axis() -> None:
    world = (
        World().calls(2, outcome="failed", failure_keys=[KEY]).calls(1, transcription_model="whisper-1", voice="cedar")
    )
    assert [axis.axis for axis in world.compose().axes] == ["target", MODEL, VOICE]


def test_what_leaves_nothing_to_compare_is_refused() -> None:
    with pytest.raises(UsageProblem, match="none of the 2 sessions of monday failed"):
        World().calls(2).compose("monday")
    with pytest.raises(UsageProblem, match="holds one session"):
        World().calls(1, outcome="failed", failure_keys=[KEY]).compose()


@pytest.mark.parametrize("overrides", ["{", "[]", "7", '{"unset": 1}', '{"a":' * 5000])
def test_overrides_that_are_none_of_ours_are_named(overrides: str) -> None:
    world = World().replays("r1", "eastus2", "failed", 2)
    world.rows[1]["overrides"] = overrides
    with pytest.raises(UsageProblem, match=r"the overrides of session \S+ say nothing of what it changed"):
        world.compose()


def test_sessions_of_which_little_is_known_make_a_run_all_the_same() -> None:
    world = World().replays("r1", "eastus2", "failed", 2, started_at=None, trial_outcome="\x1b[31m")
    run = world.compose()
    assert run.started_at == datetime(1970, 1, 1, tzinfo=UTC)
    assert {trial.outcome for trial in run.all_trials} == {"not_run"}
