"""What an adaptive run says for the ticket: one for each pattern that can come out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from replay.isolation import read_isolation
from replay.isolation_wording import find_pattern, say
from replay.runs import Run, TrialOutcome
from replay.verdict import read_verdict
from replay.wording import symptom
from tests.replay.test_isolation import MODEL, NOISE, UNUSUAL, World, fails_unless, run_in


def told(run: Run) -> tuple[str, str]:
    reading = read_isolation(run)
    pattern = find_pattern(reading)
    verdict = read_verdict(run)
    assert verdict.pattern == pattern
    assert verdict.sentence.startswith(say(pattern, symptom(run.recordings[0].failure_keys[0]), reading).sentence)
    return pattern, verdict.sentence


def tell(world: World, *, max_trials: int = 300) -> tuple[str, str]:
    return told(run_in(world, max_trials=max_trials))


def tell_of(world: World, axes: Iterable[str], *, max_trials: int = 300) -> tuple[str, str]:
    return told(run_in(world, axes=axes, max_trials=max_trials))


def test_one_axis() -> None:
    pattern, sentence = tell(fails_unless("target"))
    assert pattern == "one_axis"
    assert sentence == (
        "With this session transcription fails at eastus2 with gpt-4o-transcribe, 12/12; 0/12 at swedencentral:"
        " it is the target eastus2. It passes at swedencentral."
        " Ruled out: the transcription model and the noise_reduction."
        " 0/12 excludes a rate above 22% (95%, exact one-sided)."
        " Other audio, the realtime model and the dialect were not tested."
    )


def test_an_option_is_the_cause_where_leaving_it_out_helps() -> None:
    pattern, sentence = tell(fails_unless(NOISE))
    assert pattern == "one_axis"
    assert "0/12 without noise_reduction: it is the noise_reduction. It passes without noise_reduction." in sentence


def test_a_target_with_another_model_is_told_together_with_it() -> None:
    run = run_in(fails_unless("target"))
    next(cell for cell in run.cells if cell.target == "swedencentral").model = "gpt-realtime-mini"
    _, sentence = told(run)
    assert "it is the target eastus2 together with its realtime model. It passes at swedencentral." in sentence
    assert "the realtime model apart from the target and the dialect were not tested." in sentence


def test_a_combination_says_that_it_takes_both() -> None:
    pattern, sentence = tell(fails_unless("target", MODEL))
    assert pattern == "combination"
    assert (
        "0/12 at swedencentral, 0/12 with whisper-1: it takes both."
        " Neither the target eastus2 nor the transcription model alone explains it."
        " Ruled out: the noise_reduction." in sentence
    )


def test_two_causes_need_both_changed() -> None:
    def world(changed: set[str], _: int) -> TrialOutcome:
        return "ok" if {"target", NOISE} <= changed else "failed"

    pattern, sentence = tell(world)
    assert pattern == "two_causes"
    assert "there are two causes, target and noise_reduction: only with both changed it passes." in sentence
    assert "0/12 at swedencentral without noise_reduction" in sentence


def test_where_several_pairs_help_none_of_them_is_called_the_only_one() -> None:
    def any_two(changed: set[str], _: int) -> TrialOutcome:
        return "ok" if len(changed) > 1 else "failed"

    pattern, sentence = tell(any_two)
    assert pattern == "several_causes"
    assert (
        ": no change helps alone, and several at once do in more than one way:"
        " with target and transcription model changed it passes; with target and noise_reduction changed it passes;"
        " with transcription model and noise_reduction changed it passes. Other audio" in sentence
    )


def test_where_no_pair_helps_and_all_at_once_do_it_takes_all_of_them() -> None:
    def all_three(changed: set[str], _: int) -> TrialOutcome:
        return "ok" if len(changed) > 2 else "failed"

    pattern, sentence = tell(all_three)
    assert pattern == "several_causes"
    assert (
        "0/12 with all of it changed: there are three causes, target, transcription model and noise_reduction:"
        " only with all three changed it passes. Other audio" in sentence
    )
    pattern, sentence = tell(all_three, max_trials=80)
    assert pattern == "undecided"
    assert "only with all of it changed it passes, and no pair is decided. Other audio" in sentence


def mostly(outcome: TrialOutcome, made: int, *, in_ten: int) -> TrialOutcome:
    """Give an outcome in so many of ten trials, spread evenly; the other one in the rest."""
    return outcome if made * in_ten % 10 < in_ten else "ok" if outcome == "failed" else "failed"


def test_what_clears_it_is_named_before_what_only_lowers_its_rate() -> None:
    def world(changed: set[str], made: int) -> TrialOutcome:
        if "target" in changed:
            return "ok"
        return mostly("failed", made, in_ten=6) if MODEL in changed else "failed"

    pattern, sentence = tell(world)
    assert pattern == "one_axis"
    assert "it is the target eastus2. It passes at swedencentral." in sentence
    assert "Changing the transcription model also lowers the rate, from " in sentence
    assert " with whisper-1. Ruled out: the noise_reduction." in sentence


def test_most_failures_take_both_where_a_few_remain_of_another_cause() -> None:
    def world(changed: set[str], made: int) -> TrialOutcome:
        if "target" in changed:
            return "ok"
        return mostly("failed", made, in_ten=3) if MODEL in changed else "failed"

    pattern, sentence = tell(world)
    assert pattern == "one_axis"
    assert "it is the target eastus2. It passes at swedencentral." in sentence
    assert " with whisper-1: most of the failures take both. Ruled out: the noise_reduction." in sentence


def test_a_combination_names_what_only_lowers_the_rate_beside_it() -> None:
    def world(changed: set[str], made: int) -> TrialOutcome:
        if changed & {"target", MODEL}:
            return "ok"
        return mostly("failed", made, in_ten=6) if NOISE in changed else "failed"

    pattern, sentence = tell(world)
    assert pattern == "combination"
    assert "it takes both. Neither the target eastus2 nor the transcription model alone explains it." in sentence
    assert "Changing the noise_reduction also lowers the rate, from " in sentence


def test_two_partial_effects_are_no_combination() -> None:
    def world(changed: set[str], made: int) -> TrialOutcome:
        if {"target", MODEL} <= changed:
            return "ok"
        return mostly("failed", made, in_ten=4) if changed & {"target", MODEL} else "failed"

    pattern, sentence = tell(world)
    assert pattern == "several_causes"
    assert "the target eastus2 and the transcription model each have a part in it, and none alone clears it" in sentence
    assert "it takes" not in sentence


def both_needed(changed: set[str], _: int) -> TrialOutcome:
    return "ok" if {"target", MODEL} <= changed else "failed"


def test_two_axes_are_not_ruled_out_before_both_at_once_are() -> None:
    two = ["target", MODEL]
    assert tell_of(both_needed, two)[0] == "two_causes"
    run = run_in(both_needed, axes=two, max_trials=40)
    assert read_isolation(run).together[0].comparisons[0].reason == "undecided at 1 trial"
    pattern, sentence = told(run)
    assert pattern == "undecided"
    assert "no single change helps, and whether both at once do is open (undecided at 1 trial)." in sentence
    assert "Ruled out: the target and the transcription model." in sentence
    pattern, sentence = told(run_in(both_needed, axes=two, stop_after=37))
    assert pattern == "undecided"
    assert "whether both at once do is open (no trial counts yet)" in sentence


def test_two_axes_that_do_not_help_do_not_help_at_once_either() -> None:
    pattern, sentence = tell_of(fails_unless(), ["target", MODEL])
    assert pattern == "not_in_these_axes"
    assert "changing the target or the transcription model does not help, and both at once do not either." in sentence


@pytest.mark.parametrize(
    ("in_ten", "pattern", "said"),
    [
        (7, "undecided", "changed together it fails less, from "),
        (3, "two_causes", "only with both changed it fails far less, from "),
    ],
)
def test_both_at_once_that_only_lower_the_rate_are_not_said_to_pass(in_ten: int, pattern: str, said: str) -> None:
    def world(changed: set[str], made: int) -> TrialOutcome:
        return mostly("failed", made, in_ten=in_ten) if {"target", MODEL} <= changed else "failed"

    found, sentence = tell_of(world, ["target", MODEL])
    assert found == pattern
    assert said in sentence
    assert "passes" not in sentence


def test_none_of_them() -> None:
    pattern, sentence = tell(fails_unless())
    assert pattern == "not_in_these_axes"
    assert (
        "24/24: it is not in what was varied: changing the target or the transcription model or the noise_reduction"
        " does not help, and all at once do not either. Look at what the cells have in common" in sentence
    )


def test_not_reproduced_says_what_that_excludes() -> None:
    pattern, sentence = tell(lambda *_: "ok")
    assert pattern == "not_reproduced"
    assert "0/12; 12 trials exclude a rate above 22% (95%, exact one-sided)." in sentence


def test_it_cleared_with_the_times() -> None:
    pattern, sentence = tell(lambda _, made: "failed" if made < 20 else "ok")
    assert pattern == "cleared"
    assert sentence.startswith("Open: it cleared during the experiment.")
    assert "it failed last in the trial of 2026-11-23 01:15:" in sentence


def test_what_passed_before_it_cleared_is_not_implicated() -> None:
    run = run_in(lambda changed, made: "ok" if "target" in changed or made >= 43 else "failed")
    assert read_isolation(run).experiment.stages[0][0].state == "implicated"
    verdict = read_verdict(run)
    assert verdict.pattern == "cleared"
    target = verdict.axes[0]
    assert (target.decision, target.comparisons[0].reason) == ("open", "it cleared during the experiment")


def test_a_baseline_that_cannot_run_decides_nothing() -> None:
    pattern, sentence = tell(lambda *_: "throttled")
    assert pattern == "no_baseline"
    assert "6 of 6 trials do not count (6 throttled)" in sentence


def test_what_the_cap_left_undecided_is_open() -> None:
    pattern, sentence = tell(fails_unless("target"), max_trials=10)
    assert pattern == "undecided"
    assert "Open: the target (undecided at 4 trials)" in sentence
    assert "no trial was made" in sentence


def test_a_run_that_was_interrupted_tells_of_what_it_has() -> None:
    pattern, sentence = told(run_in(fails_unless("target"), stop_after=49))
    assert pattern == "one_axis"
    assert "It was not checked at the end that it still fails." in sentence


def test_what_an_interrupted_run_would_try_next_comes_with_the_command_that_goes_on_with_it() -> None:
    run = run_in(fails_unless("target"), stop_after=30)
    run.request = {"session": run.recordings[0].session_id}
    first, *_ = read_verdict(run).not_tested
    assert first.what == "another look at what is open"
    assert first.command == f"wiretape replay isolate --resume {run.run_id}"
    # One that is through, or cannot go on, offers nothing of the kind.
    whole = run_in(fails_unless("target"))
    whole.request = dict(run.request)
    run.request = {}
    for each in (whole, run):
        assert all("--resume" not in topic.command for topic in read_verdict(each).not_tested)


def test_a_partial_cause_lowers_the_rate() -> None:
    def world(changed: set[str], made: int) -> TrialOutcome:
        return "ok" if "target" in changed and made % 3 == 0 else "failed"

    pattern, sentence = tell(world, max_trials=1000)
    assert pattern == "one_axis"
    assert "which lowers the rate from" in sentence


def test_what_was_tried_is_named_and_is_not_said_to_be_untested() -> None:
    _, sentence = told(run_in(fails_unless("audio"), axes=UNUSUAL))
    assert "0/12 with the clip good.flac: it is the audio. It passes with the clip good.flac." in sentence
    assert "Ruled out: the target and the dialect." in sentence
    assert sentence.endswith("Other transcription models, other options and the realtime model were not tested.")
    _, sentence = told(run_in(fails_unless("dialect"), axes=UNUSUAL))
    assert "0/12 in the dialect beta: it is the dialect." in sentence
    _, sentence = told(run_in(fails_unless(), axes=UNUSUAL))
    assert sentence.count("have in common: the client, the account, the service.") == 1
