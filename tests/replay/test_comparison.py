"""Cells against the baseline: counts, levels, decisions."""

from __future__ import annotations

import pytest

from replay.comparison import CellResult, axis_label, decide, short_path, tally
from replay.runs import Axis, RunCell, Trial, TrialOutcome

AXES = [Axis(axis="target", values=["a", "b"]), Axis(axis="session.speed", values=["1", "2"])]


def cell_of(target: str, speed: str, failed: int, ok: int, *others: TrialOutcome) -> CellResult:
    repeated: list[tuple[TrialOutcome, int]] = [("failed", failed), ("ok", ok)]
    outcomes = [*(outcome for outcome, times in repeated for _ in range(times)), *others]
    trials = [Trial(trial=n, block=n, session_id=f"s{n}", outcome=outcome) for n, outcome in enumerate(outcomes, 1)]
    values = {"target": target, "session.speed": speed}
    return tally(RunCell(cell=f"{target} {speed}", session_id="s", target=target, values=values, trials=trials))


def test_a_tally_counts_what_is_evidence_and_what_is_not() -> None:
    cell = cell_of("a", "1", 3, 5, "throttled", "failed_otherwise")
    assert (cell.failed, cell.trials, cell.not_counted, cell.ratio) == (3, 8, 2, "3/8")
    assert cell.low < 3 / 8 < cell.high
    assert cell.open_reason == ""


def test_more_than_one_in_five_not_counted_leaves_a_cell_open() -> None:
    assert cell_of("a", "1", 4, 0, "not_run").open_reason == ""
    assert cell_of("a", "1", 3, 0, "not_run").open_reason == "1 of 4 trials do not count (1 not run)"
    assert cell_of("a", "1", 0, 0).open_reason == "no trial was made"


def test_the_level_is_shared_out_among_the_comparisons() -> None:
    baseline = cell_of("a", "1", 6, 0)
    cells = [baseline, cell_of("b", "1", 0, 6), cell_of("a", "2", 6, 0), cell_of("b", "2", 0, 6)]
    decisions = decide(baseline, cells, AXES)
    assert [decision.decision for decision in decisions] == ["implicated", "ruled_out"]
    assert {comparison.level for decision in decisions for comparison in decision.comparisons} == {0.025}
    assert [comparison.cell.cell for decision in decisions for comparison in decision.comparisons] == ["b 1", "a 2"]


def test_one_value_that_helps_implicates_its_axis_and_all_that_do_not_rule_it_out() -> None:
    baseline = cell_of("a", "1", 12, 0)
    helping, other = cell_of("b", "1", 0, 12), cell_of("c", "1", 12, 0)
    [mixed] = decide(baseline, [baseline, helping, other], AXES[:1])
    assert mixed.decision == "implicated"
    [none] = decide(baseline, [baseline, other], AXES[:1])
    assert none.decision == "ruled_out"


def test_an_open_baseline_leaves_all_open_and_is_the_reason() -> None:
    baseline = cell_of("a", "1", 3, 0, "throttled", "throttled")
    [decision] = decide(baseline, [baseline, cell_of("b", "1", 0, 5)], AXES[:1])
    assert decision.decision == "open"
    assert decision.comparisons[0].reason == "2 of 5 trials do not count (2 throttled)"


@pytest.mark.parametrize(
    ("axis", "label"),
    [
        ("target", "target"),
        ("session.audio.input.transcription.model", "transcription model"),
        ("session.input_audio_transcription.model", "transcription model"),
        ("session.audio.input.turn_detection.silence_duration_ms", "turn_detection.silence_duration_ms"),
        ("session.audio.output.voice", "output.voice"),
        ("session.temperature", "temperature"),
    ],
)
def test_axes_have_names_in_words(axis: str, label: str) -> None:
    assert axis_label(axis) == label


def test_a_path_that_is_no_setting_stays_whole() -> None:
    assert short_path("other.thing") == "other.thing"
