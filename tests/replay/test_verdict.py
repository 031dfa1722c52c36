"""What a run proves, on hand-written matrices: one for each pattern that can come out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product

import pytest
from msgspec.structs import replace

from capture.errors import UsageProblem
from replay.runs import Axis, Run, RunCell, RunRecording, RunTarget, Trial, TrialOutcome
from replay.verdict import Verdict, read_verdict, read_verdicts

MODEL = "session.audio.input.transcription.model"
SILENCE = "session.audio.input.turn_detection.silence_duration_ms"
SESSION = "20261123T011500-4f3a9c12"
TRANSCRIPTION_FAILED = (
    "conversation.item.input_audio_transcription.failed|server_error||Input transcription failed for item 'item_…'."
)
OUTCOMES: dict[str, TrialOutcome] = {
    "F": "failed",
    ".": "ok",
    "x": "failed_otherwise",
    "t": "throttled",
    "-": "not_run",
}

Matrix = Mapping[tuple[str, str], str]
"""(target, transcription model) -> one letter a trial; the first cell is the baseline."""


def run_of(matrix: Matrix, *, regions: Mapping[str, str] | None = None, failure_keys: list[str] | None = None) -> Run:
    regions = regions or {}
    cells = [
        RunCell(
            cell=f"{target} · transcription.model={model}",
            session_id=SESSION,
            target=target,
            region=regions.get(target, target),
            values={"target": target, MODEL: model},
            baseline=number == 0,
            trials=[
                Trial(trial=at, block=at, session_id=f"{target}-{model}-{at}", outcome=OUTCOMES[letter])
                for at, letter in enumerate(letters, start=1)
            ],
        )
        for number, ((target, model), letters) in enumerate(matrix.items())
    ]
    return Run(
        run_id="r20261123T011500-3f2a",
        started_at=datetime(2026, 11, 23, 1, 15, tzinfo=UTC),
        recordings=[
            RunRecording(
                session_id=SESSION,
                outcome="failed",
                failure_keys=[TRANSCRIPTION_FAILED] if failure_keys is None else failure_keys,
                target="eastus2",
                region="eastus2",
                transcription_model="gpt-4o-transcribe",
                dialect="ga",
                options={SILENCE: 500},
            )
        ],
        axes=[
            Axis(axis="target", values=list(dict.fromkeys(target for target, _ in matrix))),
            Axis(axis=MODEL, values=list(dict.fromkeys(model for _, model in matrix))),
        ],
        cells=cells,
        trials=5,
    )


def verdict_of(matrix: Matrix, *, regions: Mapping[str, str] | None = None) -> Verdict:
    return read_verdict(run_of(matrix, regions=regions))


def decisions(verdict: Verdict) -> dict[str, str]:
    return {axis.label: axis.decision for axis in verdict.axes}


def square(failing: str, region_cured: str, model_cured: str, both_changed: str) -> Matrix:
    return {
        ("eastus2", "gpt-4o-transcribe"): failing,
        ("swedencentral", "gpt-4o-transcribe"): region_cured,
        ("eastus2", "whisper-1"): model_cured,
        ("swedencentral", "whisper-1"): both_changed,
    }


def test_the_founding_incident_takes_both_the_region_and_the_model() -> None:
    verdict = verdict_of(square("FFFFF", ".....", ".....", "....."))
    assert verdict.pattern == "combination"
    assert decisions(verdict) == {"target": "implicated", "transcription model": "implicated"}
    assert verdict.sentence == (
        "With this session transcription fails at eastus2 with gpt-4o-transcribe, 5/5;"
        " 0/5 at swedencentral with gpt-4o-transcribe, 0/5 at eastus2 with whisper-1,"
        " 0/5 at swedencentral with whisper-1: it takes both."
        " Neither the target (region eastus2) nor the transcription model alone explains it."
        " The same audio passes in the three other cells."
        " Other audio, other options, the realtime model and the dialect were not tested."
    )


def test_the_model_alone_is_at_fault_when_it_fails_in_every_region() -> None:
    verdict = verdict_of(square("F" * 6, "F" * 6, "." * 6, "." * 6))
    assert verdict.pattern == "one_axis"
    assert decisions(verdict) == {"target": "ruled_out", "transcription model": "implicated"}
    assert "it is the transcription model. Changing it to whisper-1 clears the failure." in verdict.sentence
    assert "Ruled out: the target." in verdict.sentence
    assert "The same audio passes in two other cells." in verdict.sentence


def test_a_target_is_a_target_and_not_a_region_while_there_is_one_of_it() -> None:
    verdict = verdict_of(square("F" * 6, "." * 6, "F" * 6, "." * 6))
    assert "it is the target eastus2." in verdict.sentence
    assert "it is the region" not in verdict.sentence


def test_two_targets_of_one_region_that_agree_make_it_the_region() -> None:
    model = "gpt-4o-transcribe"
    matrix = {("contoso", model): "F" * 8, ("fabrikam", model): "F" * 8, ("sweden", model): "." * 8}
    regions = {"contoso": "eastus2", "fabrikam": "eastus2", "sweden": "swedencentral"}
    verdict = verdict_of(matrix, regions=regions)
    assert verdict.pattern == "one_axis"
    assert "it is the region eastus2. Changing it to sweden clears the failure." in verdict.sentence
    assert not any("another target in region" in topic.what for topic in verdict.not_tested)


def test_a_region_in_which_it_does_not_fail_alone_is_not_named() -> None:
    model = "gpt-4o-transcribe"
    regions = {"contoso": "eastus2", "fabrikam": "eastus2", "west": "westus", "sweden": "swedencentral"}
    alone = {(target, model): "." * 10 if target == "sweden" else "F" * 10 for target in regions}
    verdict = verdict_of(alone, regions=regions)
    assert (
        "it is the target. Changing it to sweden clears the failure. Changing it to fabrikam and west does not."
        in verdict.sentence
    )
    both = alone | {(target, "whisper-1"): "." * 10 for target in regions}
    said = verdict_of(both, regions=regions).sentence
    assert "it takes both. Neither the target nor the transcription model alone explains it." in said
    eight = {cell: letters[:8] for cell, letters in alone.items()}
    partly = verdict_of(eight | {("west", model): "FFFF...."}, regions=regions).sentence
    assert "it is the target. Changing it to sweden clears the failure. Changing it to fabrikam does not." in partly


def test_of_three_models_the_verdict_says_which_does_not_help() -> None:
    matrix = {("eastus2", model): "F" * 8 for model in ("gpt-4o-transcribe", "gpt-4o-mini-transcribe")}
    verdict = verdict_of(matrix | {("eastus2", "whisper-1"): "." * 8})
    assert (
        "it is the transcription model. Changing it to whisper-1 clears the failure."
        " Changing it to gpt-4o-mini-transcribe does not." in verdict.sentence
    )


def test_most_failures_take_both_where_a_few_remain_of_another_cause() -> None:
    verdict = verdict_of(square("F" * 12, "." * 12, "F" + "." * 11, "." * 12))
    assert verdict.pattern == "one_axis"
    assert (
        "it is the target eastus2. Changing it to swedencentral clears the failure."
        " Changing the transcription model to whisper-1 also lowers the rate to 1/12: most of the failures take both."
        in verdict.sentence
    )
    less = verdict_of(square("F" * 20, "." * 20, "F" * 11 + "." * 9, "." * 20)).sentence
    assert "also lowers the rate to 11/20. The same audio" in less


def on_models(matrix: Matrix, *models: str | None) -> Verdict:
    run = run_of(matrix)
    run.recordings[0].model = "gpt-realtime"
    for cell, model in zip(run.cells, models, strict=True):
        cell.model = model
    return read_verdict(run)


def test_a_target_that_names_the_recorded_model_changes_no_model() -> None:
    verdict = on_models(square("FFFFF", ".....", ".....", "....."), None, "gpt-realtime", None, "gpt-realtime")
    assert "the target (region eastus2) nor the transcription model alone explains it." in verdict.sentence
    assert "the realtime model and the dialect were not tested." in verdict.sentence


def test_a_target_with_another_model_is_told_together_with_it() -> None:
    model = "gpt-4o-transcribe"
    matrix = {("eastus2", model): "FFFFF", ("swedencentral", model): "....."}
    verdict = on_models(matrix, None, "gpt-realtime-mini")
    assert "it is the target eastus2 together with its realtime model." in verdict.sentence
    assert "the realtime model apart from the target and the dialect were not tested." in verdict.sentence
    verdict = on_models(square("FFFFF", ".....", ".....", "....."), None, "mini", None, "mini")
    assert "Neither the target (region eastus2) together with its realtime model nor" in verdict.sentence


def test_a_deployment_goes_by_its_model() -> None:
    run = run_of({("eastus2", "whisper-1"): "FFFFF", ("swedencentral", "whisper-1"): "....."})
    run.recordings[0].model = "east-deployment"
    run.cells[1].model = "sweden-deployment"
    run.targets = [
        RunTarget(name="eastus2", url="", models={"gpt-realtime": "east-deployment"}),
        RunTarget(name="swedencentral", url="", models={"gpt-realtime": "sweden-deployment"}),
    ]
    assert "it is the target eastus2. Changing it" in read_verdict(run).sentence


def test_two_targets_of_one_region_say_nothing_of_the_region() -> None:
    model = "gpt-4o-transcribe"
    regions = {"contoso": "eastus2", "fabrikam": "eastus2"}
    matrix = {("contoso", model): "F" * 8, ("fabrikam", model): "F" * 8}
    verdict = verdict_of(matrix, regions=regions)
    assert "it is not in what was varied: changing the target does not help." in verdict.sentence
    assert "other regions" in [topic.what for topic in verdict.not_tested]
    verdict = verdict_of(matrix | {("sweden", model): "F" * 8}, regions=regions | {"sweden": "swedencentral"})
    assert "changing the region does not help." in verdict.sentence
    assert "other regions" not in [topic.what for topic in verdict.not_tested]


def test_a_failure_in_every_cell_is_not_in_what_was_varied() -> None:
    verdict = verdict_of(square("F" * 8, "F" * 8, "F" * 8, "F" * 8))
    assert verdict.pattern == "not_in_these_axes"
    assert set(decisions(verdict).values()) == {"ruled_out"}
    assert (
        "it is not in what was varied: changing the target or the transcription model alone does not help, and both at"
        " once do not either." in verdict.sentence
    )
    assert "the audio, the client, the account, the service" in verdict.sentence


def test_two_causes_that_are_each_enough_need_both_changed() -> None:
    verdict = verdict_of(square("F" * 8, "F" * 8, "F" * 8, "." * 8))
    assert verdict.pattern == "two_causes"
    assert decisions(verdict) == {
        "target": "ruled_out",
        "transcription model": "ruled_out",
        "target + transcription model": "implicated",
    }
    assert (
        "0/8 at swedencentral with whisper-1: there are two causes, target and transcription model: only with both"
        " changed it passes. The same audio passes in one other cell." in verdict.sentence
    )
    less = verdict_of(square("F" * 8, "F" * 8, "F" * 8, "FF......"))
    assert "there are two causes, target and transcription model: only with both changed it fails less, 2/8." in (
        less.sentence
    )


def test_where_any_two_of_three_changes_help_no_pair_is_called_the_only_one_and_none_of_them_ruled_out() -> None:
    run = run_of({("eastus2", "gpt-4o-transcribe"): "F" * 10})
    axes = {"target": ["eastus2", "swedencentral"], MODEL: ["gpt-4o-transcribe", "whisper-1"], SILENCE: ["500", "200"]}
    run.axes = [Axis(axis=name, values=values) for name, values in axes.items()]
    run.cells = [
        replace(
            run.cells[0],
            cell=" · ".join(values),
            target=values[0],
            values=dict(zip(axes, values, strict=True)),
            baseline=number == 0,
            # In the order of `product` a bit of the number is an axis that is changed.
            trials=[
                replace(trial, outcome="ok" if number.bit_count() > 1 else "failed") for trial in run.cells[0].trials
            ],
        )
        for number, values in enumerate(product(*axes.values()))
    ]
    verdict = read_verdict(run)
    assert verdict.pattern == "several_causes"
    assert (
        "no change helps alone, and several at once do in more than one way:"
        " with transcription model and turn_detection.silence_duration_ms changed it passes;"
        " with target and transcription model changed it passes;"
        " with target and turn_detection.silence_duration_ms changed it passes. The same audio" in verdict.sentence
    )


def test_where_several_changes_at_once_are_not_decided_it_may_be_in_what_was_varied() -> None:
    verdict = verdict_of(square("F" * 8, "F" * 8, "F" * 8, "tttttttt"))
    assert verdict.pattern == "undecided"
    assert "Ruled out: the target and the transcription model." in verdict.sentence
    assert "Open: the target and the transcription model at once (8 of 8 trials do not count (8 throttled))." in (
        verdict.sentence
    )


def test_five_trials_are_too_few_to_rule_out_two_axes_and_the_verdict_says_how_many_would_do() -> None:
    verdict = verdict_of(square("FFFFF", "FFFFF", "FFFFF", "FFFFF"))
    assert verdict.pattern == "undecided"
    assert decisions(verdict) == {"target": "open", "transcription model": "open"}
    assert [comparison.trials_to_decide for axis in verdict.axes for comparison in axis.comparisons] == [6, 6]
    assert "too few trials: about 6 a cell would decide if these rates stay" in verdict.sentence


def test_two_trials_decide_nothing_however_clear_they_look() -> None:
    verdict = verdict_of(square("FF", "..", "..", ".."))
    assert verdict.pattern == "undecided"
    assert {axis.decision for axis in verdict.axes} == {"open"}
    assert "it takes both" not in verdict.sentence


def test_a_failure_that_does_not_come_again_is_not_reproduced_and_says_what_that_excludes() -> None:
    verdict = verdict_of(square(".....", ".....", ".....", "....."))
    assert verdict.pattern == "not_reproduced"
    assert "0/5; 5 trials exclude a rate above 45% (95%, exact one-sided)" in verdict.sentence
    assert "another time of day" in verdict.sentence


def test_a_failure_that_does_not_come_again_at_another_pace_may_come_at_the_recorded_one() -> None:
    run = run_of(square(".....", ".....", ".....", "....."))
    run.speed = 20
    assert read_verdict(run).sentence.endswith(
        "All trials ran at --speed 20: what goes by the endpoint's own clock comes at --speed 1 alone."
    )
    failing = run_of(square("FFFFF", ".....", ".....", "....."))
    failing.speed = float("inf")
    assert "--speed" not in read_verdict(failing).sentence


@pytest.mark.parametrize(
    ("recorded", "elsewhere", "passes"),
    [("F", ".", False), ("FFF", "...", True), ("F..F..F...", "..........", False), ("FFFFFFFFFF", "..........", True)],
)
def test_a_cell_passes_only_where_that_is_more_than_luck(recorded: str, elsewhere: str, passes: bool) -> None:
    verdict = verdict_of({("eastus2", "whisper-1"): recorded, ("swedencentral", "whisper-1"): elsewhere})
    assert ("The same audio passes in the other cell." in verdict.sentence) == passes


def test_a_failure_that_comes_elsewhere_only_is_said_to_be_there() -> None:
    verdict = verdict_of(square(".....", "FF...", ".....", "....."))
    assert verdict.pattern == "not_reproduced"
    assert "It did come 2/5 at swedencentral with gpt-4o-transcribe" in verdict.sentence


def test_a_flaky_failure_is_compared_as_a_rate() -> None:
    verdict = verdict_of(square("F" * 14 + "." * 6, "F" * 13 + "." * 7, "." * 18 + "FF", "." * 20))
    assert decisions(verdict)["transcription model"] == "implicated"
    assert "Changing the transcription model to whisper-1 lowers the rate to 2/20." in verdict.sentence
    assert "clears the failure" not in verdict.sentence


def test_two_partial_effects_are_no_combination() -> None:
    verdict = verdict_of(square("F" * 14, "F" * 4 + "." * 10, "F" * 5 + "." * 9, "." * 14))
    assert verdict.pattern == "several_causes"
    assert decisions(verdict) == {"target": "implicated", "transcription model": "implicated"}
    assert (
        "0/14 at swedencentral with whisper-1: the target (region eastus2) and the transcription model each have a part"
        " in it, and none alone clears it: there is more than one cause." in verdict.sentence
    )


def test_what_clears_it_is_named_before_what_only_lowers_its_rate() -> None:
    verdict = verdict_of(square("F" * 14, "F" * 4 + "." * 10, "." * 14, "." * 14))
    assert verdict.pattern == "one_axis"
    assert (
        "it is the transcription model. Changing it to whisper-1 clears the failure."
        " Changing the target to swedencentral also lowers the rate to 4/14: most of the failures take both."
        in verdict.sentence
    )


def test_a_flaky_failure_with_few_trials_stays_open() -> None:
    verdict = verdict_of(square("FFF..", ".F...", "..F..", "....."))
    assert verdict.pattern == "undecided"
    more = [comparison.trials_to_decide for axis in verdict.axes for comparison in axis.comparisons]
    assert all(trials is not None and trials > 5 for trials in more)


def test_throttled_trials_are_not_in_n_and_many_of_them_leave_a_cell_open() -> None:
    verdict = verdict_of(square("FFFFFF", "..tttt", "......", "......"))
    throttled = verdict.cells[1]
    assert (throttled.failed, throttled.trials, throttled.not_counted) == (0, 2, 4)
    assert throttled.open_reason == "4 of 6 trials do not count (4 throttled)"
    assert decisions(verdict) == {"target": "open", "transcription model": "implicated"}
    assert "Open: the target (4 of 6 trials do not count (4 throttled))." in verdict.sentence
    assert "three other cells" not in verdict.sentence


def test_another_failure_never_counts_as_reproduced() -> None:
    verdict = verdict_of(square("FFFFF", "xxxxx", ".....", "....."))
    assert verdict.cells[1].ratio == "0/0"
    assert decisions(verdict)["target"] == "open"
    assert "5 failed in another way" in verdict.cells[1].open_reason


def test_one_trial_in_five_may_be_missing() -> None:
    verdict = verdict_of(square("FFFFF", "....t", ".....", "....."))
    assert verdict.cells[1].open_reason == ""
    assert decisions(verdict)["target"] == "implicated"


def test_a_baseline_that_could_not_be_tried_proves_nothing() -> None:
    verdict = verdict_of(square("-----", ".....", ".....", "....."))
    assert verdict.pattern == "no_baseline"
    assert "5 of 5 trials do not count (5 not run)" in verdict.sentence


def test_a_recording_that_did_not_fail_has_nothing_to_reproduce() -> None:
    verdict = read_verdict(run_of(square(".....", "..x..", ".....", "....."), failure_keys=[]))
    assert verdict.pattern == "recording_did_not_fail"
    assert "of 20 replays these did not end well: 1 at swedencentral with gpt-4o-transcribe" in verdict.sentence


@pytest.mark.parametrize(
    ("recorded_at", "told"),
    [
        ("westus3", "It was recorded at westus3, and no trial went there by that name: replay it there too."),
        ("eastus2", "More trials or another time of day may show it."),
        ("wss://eastus2.example/realtime", "More trials or another time of day may show it."),
        (None, "More trials or another time of day may show it."),
    ],
)
def test_what_did_not_come_again_elsewhere_is_to_be_replayed_where_it_was_recorded(
    recorded_at: str | None, told: str
) -> None:
    run = run_of({("eastus2", "gpt-4o-transcribe"): "....."})
    run.recordings[0].target = recorded_at
    assert read_verdict(run).sentence.endswith(told)


def test_a_single_cell_reproduces_and_explains_nothing() -> None:
    verdict = verdict_of({("eastus2", "gpt-4o-transcribe"): "FFFFF"})
    assert verdict.pattern == "nothing_varied"
    assert "5/5: reproduced, and nothing was varied" in verdict.sentence
    assert {"other targets", "other transcription models"} <= {topic.what for topic in verdict.not_tested}


def test_an_interrupted_run_decides_by_what_was_done() -> None:
    verdict = verdict_of(square("FFFFF", "", ".....", ""))
    assert decisions(verdict) == {"target": "open", "transcription model": "implicated"}
    assert "Open: the target (no trial was made)." in verdict.sentence


def test_a_cell_that_changes_two_things_is_never_compared() -> None:
    matrix = {("eastus2", "gpt-4o-transcribe"): "FFFFF", ("swedencentral", "whisper-1"): "....."}
    verdict = verdict_of(matrix)
    assert verdict.pattern == "undecided"
    assert "no cell differs from the baseline in it alone" in verdict.sentence


def test_every_number_leads_to_its_sessions() -> None:
    baseline = verdict_of(square("FFFFF", ".....", ".....", ".....")).cells[0]
    assert baseline.session_ids == tuple(f"eastus2-gpt-4o-transcribe-{trial}" for trial in range(1, 6))


def test_each_recording_of_a_run_has_its_own_verdict() -> None:
    run = run_of(square("FFFFF", ".....", ".....", "....."))
    assert [verdict.session_id for verdict in read_verdicts(run)] == [SESSION]
    with pytest.raises(UsageProblem, match="did not replay other"):
        read_verdict(run, "other")
