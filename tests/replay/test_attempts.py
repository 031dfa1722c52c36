"""Attempts at a trial over real sockets: what came again in them, and throttled ones, which are waited for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from capture.recorder import Recorder
from capture.recording.reader import open_recording
from capture.recording.root import Root
from replay.cells import Variation, plan_run
from replay.matrix import plan_jobs, run_matrix
from replay.runs import load_run
from replay.simulator import load_scenario, serve
from replay.source import prepare
from replay.trials import Pause
from replay.verdict import read_verdict

MODEL = "session.audio.input.transcription.model"
SCENARIO = """
name = "busy"
summary = "Sweden refuses upgrades at first."

[[server.faults]]
when = { region = "swedencentral", until_s = 1.5 }

[server.faults.then.refuse_handshake]
status = 429
code = "429"
message = "Too many requests."
headers = { "retry-after-ms" = "400" }
"""


@pytest.mark.slow
async def test_a_refused_upgrade_is_tried_again_when_its_header_says_and_is_a_recording_of_its_own(
    simulate: Any, call: Any, recorder: Recorder, root: Root, tmp_path: Path
) -> None:
    scenario = tmp_path / "busy.toml"
    scenario.write_text(SCENARIO)
    async with simulate("healthy") as simulator:
        source = prepare(await call(simulator.targets("gpt-realtime")[0], transcription="whisper-1"))
    pauses: list[Pause] = []
    async with serve([load_scenario(str(scenario))]) as simulator:
        targets = simulator.targets("gpt-realtime")
        run = plan_run([source], targets, trials=1, speed=10)
        jobs = plan_jobs(run, [source], targets)
        await run_matrix(run, jobs, root, recorder, retries=20, on_pause=pauses.append)
    east, sweden = run.cells
    assert (run.status, east.trials[0].outcome, sweden.trials[0].outcome) == ("done", "ok", "ok")
    assert pauses
    assert {(pause.job.target.name, pause.told_by, pause.wait_s) for pause in pauses} == {
        ("swedencentral", "retry-after-ms", 0.4)
    }
    [trial] = load_run(root, run.run_id).cells[1].trials
    assert trial.throttled == [pause.session_id for pause in pauses]
    attempts = [open_recording(root, session_id).session for session_id in (*trial.throttled, trial.session_id)]
    assert [row["handshake_status"] for row in attempts] == [429] * len(pauses) + [101]
    assert [row["trial_outcome"] for row in attempts] == ["throttled"] * len(pauses) + ["ok"]
    assert all(row["run_id"] == run.run_id and row["cell"] == "swedencentral" for row in attempts)
    for before, after in pairwise(attempts):
        assert (after["started_at"] - before["ended_at"]).total_seconds() >= 0.4
    assert [row["audio_in_ms"] for row in attempts[:-1]] == [0] * len(pauses)
    assert trial.sent_ms == pytest.approx(attempts[-1]["audio_in_ms"])


BOTH_FAIL = """
name = "both"
summary = "Every session gets an error, and gpt-4o-transcribe fails."

[[server.faults]]
[server.faults.then.error]
after_event = "session.created"
after_s = 0
type = "server_error"
message = "The server had an error."

[[server.faults]]
when = { transcription_model = "gpt-4o-transcribe" }

[server.faults.then.transcription_failed]
type = "server_error"
message = "Input transcription failed for item '{item_id}'."
"""


@pytest.mark.slow
async def test_of_two_recorded_failures_a_trial_keeps_which_did_not_come_again(
    call: Any, recorder: Recorder, root: Root, tmp_path: Path
) -> None:
    scenario = tmp_path / "both.toml"
    scenario.write_text(BOTH_FAIL)
    async with serve([load_scenario(str(scenario))]) as simulator:
        target = simulator.targets("gpt-realtime")[0]
        source = prepare(await call(target, transcription="gpt-4o-transcribe"))
        error, transcription = source.recording.failure_keys
        variation = Variation(MODEL, ("gpt-4o-transcribe", "whisper-1"))
        run = plan_run([source], [target], variations=[variation], trials=5, speed=10, concurrency=10)
        await run_matrix(run, plan_jobs(run, [source], [target]), root, recorder)
    recorded, whisper = load_run(root, run.run_id).cells
    assert [(trial.outcome, trial.not_again) for trial in recorded.trials] == [("failed", [])] * 5
    assert [(trial.outcome, trial.not_again) for trial in whisper.trials] == [("failed", [transcription])] * 5
    verdict = read_verdict(load_run(root, run.run_id))
    assert (verdict.failure_key, verdict.pattern) == (transcription, "one_axis")
    assert error.startswith("error|server_error")
    assert verdict.sentence.endswith("Apart from that the endpoint answers with an error in 10 of 10 trials.")
