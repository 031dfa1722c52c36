"""`--expect`: what it takes, and what a run has to be for it."""

from __future__ import annotations

import pytest

from capture.errors import UsageProblem
from replay.gates import check_gates, parse_gates
from replay.runs import Run, RunCell, RunRecording, Trial, TrialOutcome


def run_of(*outcomes: TrialOutcome, recorded: str = "error|x||", trials: int | None = None) -> Run:
    made = [
        Trial(trial=number, block=number, session_id=f"s{number}", outcome=outcome)
        for number, outcome in enumerate(outcomes, 1)
    ]
    recording = RunRecording(session_id="s0", failure_keys=[recorded] if recorded else [])
    return Run(
        run_id="r",
        started_at="",  # type: ignore[arg-type]
        recordings=[recording],
        axes=[],
        cells=[RunCell(cell="eastus2", session_id="s0", target="eastus2", trials=made)],
        trials=trials or len(outcomes),
    )


def why(text: str, run: Run, latencies_ms: dict[str, list[float]] | None = None) -> tuple[str, ...]:
    [result] = check_gates(run, parse_gates([text]), latencies_ms)
    assert result.gate == text
    assert result.is_met == (not result.reasons)
    return result.reasons


@pytest.mark.parametrize(
    ("gate", "outcomes", "reasons"),
    [
        ("ok", ["ok", "ok"], ()),
        ("ok", ["ok", "throttled"], ("eastus2: 1 throttled of 2 trials",)),
        ("failed", ["ok", "failed"], ()),
        (
            "failed",
            ["ok", "failed_otherwise"],
            ("none of 2 trials failed as the recording did (1 ok, 1 failed otherwise)",),
        ),
        ("no-failures", ["ok", "throttled"], ()),
        ("no-failures", ["ok", "failed", "failed_otherwise"], ("eastus2: 1 failed, 1 failed otherwise of 3 trials",)),
        ("no-failures", ["throttled"], ("eastus2: no trial says anything (1 throttled)",)),
        ("same-outcome", ["failed", "failed", "not_run"], ()),
        ("same-outcome", ["failed", "ok"], ("eastus2: 1 ok of 2 trials, where the recording was failed",)),
        ("same-outcome", ["not_run"], ("eastus2: no trial says anything (1 not run)",)),
    ],
)
def test_a_gate_says_what_it_misses(gate: str, outcomes: list[TrialOutcome], reasons: tuple[str, ...]) -> None:
    assert why(gate, run_of(*outcomes)) == reasons


def test_a_recording_that_was_ok_has_to_stay_so() -> None:
    assert why("same-outcome", run_of("ok", "ok", recorded="")) == ()
    assert why("same-outcome", run_of("ok", "failed_otherwise", recorded="")) == (
        "eastus2: 1 failed otherwise of 2 trials, where the recording was ok",
    )


def test_the_longest_wait_is_named_and_a_run_without_audio_proves_no_wait() -> None:
    waits = {"s1": [400.0, 900.0], "s2": [1500.4]}
    assert why("max-latency-ms=2000", run_of("ok", "ok"), waits) == ()
    assert why("max-latency-ms=800", run_of("ok", "ok"), waits) == (
        "eastus2: 2 of 3 turns waited longer for their first audio; the longest 1,500 ms, turn 1 of s2",
    )
    assert why("max-latency-ms=800", run_of("ok")) == ("eastus2: no turn was answered with audio",)


def test_trials_that_were_not_made_meet_no_gate() -> None:
    assert why("no-failures", run_of("ok", trials=3)) == ("2 of 3 trials were not made",)


@pytest.mark.parametrize("text", ["", "fine", "ok=1", "max-latency-ms", "max-latency-ms=x", "max-latency-ms=0"])
def test_what_is_no_gate_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="--expect"):
        parse_gates([text])
