"""What the recording of a throttled session says of waiting."""

from __future__ import annotations

from typing import Any

import pytest

from capture.recorder import Recorder
from capture.recording.root import Root
from replay.cells import plan_run
from replay.matrix import plan_jobs, run_matrix
from replay.refusals import read_refusals
from replay.simulator import load_scenario, serve
from replay.source import prepare
from replay.throttling import read_wait
from replay.trials import Pause

QUOTA = """
name = "quota"
summary = "Answers fail: there is no money left."

[[server.faults]]
[server.faults.then.response_failed]
code = "insufficient_quota"
message = "You exceeded your current quota."
"""


@pytest.mark.slow
async def test_limits_within_a_session_are_read_from_its_errors(
    simulate: Any, call: Any, recorder: Recorder, root: Root, tmp_path: Any
) -> None:
    async with simulate("healthy") as simulator:
        source = prepare(await call(simulator.targets("gpt-realtime")[0], transcription="whisper-1"))
    pauses: list[Pause] = []
    (tmp_path / "quota.toml").write_text(QUOTA)
    for scenario in ("inference_rate_limited", str(tmp_path / "quota.toml"), "handshake_refused"):
        async with serve([load_scenario(scenario)], regions=["westus3"]) as simulator:
            targets = simulator.targets("gpt-realtime")
            run = plan_run([source], targets, trials=1, speed=20)
            # Without a retry nothing waits.
            jobs = plan_jobs(run, [source], targets)
            await run_matrix(run, jobs, root, recorder, retries=0, on_pause=pauses.append)
        [trial] = run.cells[0].trials
        assert trial.outcome == "throttled"
        said, is_hopeless = read_refusals(root, trial.session_id)
        # Of a quota that is used up no time tells, and no pause is made for it.
        assert is_hopeless == scenario.endswith("quota.toml")
        if scenario == "inference_rate_limited":
            assert "Rate limit reached for gpt-realtime: please try again in 8 s." in said.messages
            told = read_wait(said)
            assert told is not None
            assert (told.wait_s, told.by) == (8, "its error")
    assert [(pause.told_by, pause.wait_s, pause.goes_on) for pause in pauses] == [
        ("its error", 8, False),
        ("", 5, False),
    ]
