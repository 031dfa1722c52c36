"""A recording that failed in two ways: what cures one of them is named, though the other comes with every trial."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec.structs import replace

from replay.experiment import Batch
from replay.isolation import find_changes, read_experiment
from replay.runs import Axis, Run, RunCell, RunRecording, Trial, TrialOutcome, decode_run, encode_run
from replay.several_failures import FailureCount, count_each, list_views
from replay.verdict import Verdict, read_verdict

SESSION = "20261123T011500-4f3a9c12"
MODEL = "session.audio.input.transcription.model"
TRANSCRIPTION = "conversation.item.input_audio_transcription.failed|server_error||"
MISTAKE = "error|invalid_request_error|unknown_parameter|Unknown parameter: 'session.colour'."
HOME = {"target": "eastus2", MODEL: "gpt-4o-transcribe"}
LETTERS: dict[str, tuple[TrialOutcome, list[str]]] = {
    "B": ("failed", []),
    "T": ("failed", [MISTAKE]),
    "M": ("failed", [TRANSCRIPTION]),
    ".": ("ok", []),
}
"""Both failures came again, only the transcription's, only the mistake's, none."""


def cell_of(letters: str = "", **changed: str) -> RunCell:
    values = HOME | {{"model": MODEL}.get(axis, axis): value for axis, value in changed.items()}
    name = " · ".join(values.values())
    trials = [
        Trial(trial=at, block=at, session_id=f"{name}-{at}", outcome=LETTERS[each][0], not_again=LETTERS[each][1])
        for at, each in enumerate(letters, 1)
    ]
    return RunCell(
        cell=name,
        session_id=SESSION,
        target=values["target"],
        values=values,
        baseline=not changed,
        trials=trials,
    )


def run_of(cells: Iterable[RunCell]) -> Run:
    return Run(
        run_id="r20261123T011500-3f2a",
        started_at=datetime(2026, 11, 23, 1, 15, tzinfo=UTC),
        recordings=[RunRecording(session_id=SESSION, outcome="failed", failure_keys=[TRANSCRIPTION, MISTAKE])],
        axes=[
            Axis(axis="target", values=["eastus2", "swedencentral"]),
            Axis(axis=MODEL, values=["gpt-4o-transcribe", "whisper-1"]),
        ],
        cells=list(cells),
        trials=6,
    )


def of_one_cell(letters: str, note: str = "") -> Verdict:
    cell = cell_of(letters)
    cell.trials = [replace(trial, note=note) for trial in cell.trials]
    run = run_of([cell])
    run.axes = []
    return read_verdict(run)


def test_a_mistake_that_comes_with_every_trial_does_not_hide_what_cures_the_transcription() -> None:
    run = run_of([cell_of("BBBBBB"), cell_of("BBBBBB", target="swedencentral"), cell_of("MMMMMM", model="whisper-1")])
    verdict = read_verdict(run)
    assert verdict.failure_key == TRANSCRIPTION
    assert verdict.pattern == "one_axis"
    assert "With this session transcription fails at eastus2 with gpt-4o-transcribe, 6/6;" in verdict.sentence
    assert "it is the transcription model. Changing it to whisper-1 clears the failure." in verdict.sentence
    # The mistake comes there all the same.
    assert " The same audio is without that failure in one other cell." in verdict.sentence
    assert verdict.sentence.endswith(" Apart from that the endpoint answers with an error in 18 of 18 trials.")
    assert [cell.ratio for cell in verdict.cells] == ["6/6", "6/6", "0/6"]
    assert {axis.axis: axis.decision for axis in verdict.axes} == {"target": "open", MODEL: "implicated"}
    assert {comparison.level for axis in verdict.axes for comparison in axis.comparisons} == {0.05 / 2 / 2}


def test_what_cures_the_other_failure_is_told_beside() -> None:
    run = run_of([cell_of("BBBBBB"), cell_of("TTTTTT", target="swedencentral"), cell_of("MMMMMM", model="whisper-1")])
    verdict = read_verdict(run)
    assert (verdict.failure_key, verdict.pattern) == (TRANSCRIPTION, "one_axis")
    assert "it is the transcription model." in verdict.sentence
    assert verdict.sentence.endswith(
        " Apart from that the endpoint answers with an error in 12 of 18 trials"
        " (implicated: target = swedencentral, 0/6)."
    )


def test_a_cause_of_one_failure_is_not_ruled_out_because_the_other_has_one_of_its_own() -> None:
    cells = [cell_of("B" * 9), cell_of("." * 9, target="swedencentral"), cell_of("M" * 9, model="whisper-1")]
    verdict = read_verdict(run_of(cells))
    assert (verdict.failure_key, verdict.pattern) == (TRANSCRIPTION, "combination")
    assert {axis.axis: axis.decision for axis in verdict.axes} == {"target": "implicated", MODEL: "implicated"}
    assert verdict.sentence.endswith(
        " Apart from that the endpoint answers with an error in 18 of 27 trials"
        " (implicated: target = swedencentral, 0/9)."
    )


def test_what_comes_and_goes_with_the_failure_that_is_told_is_named_with_it() -> None:
    run = run_of([cell_of("BBBBBB"), cell_of("MMMMMM", model="whisper-1")])
    unanswered = "absent:response.created"
    run.recordings[0].failure_keys.append(unanswered)
    for trial in run.cells[1].trials:
        trial.not_again = [TRANSCRIPTION, unanswered]
    sentence = read_verdict(run).sentence
    assert sentence.startswith("With this session transcription fails and no response comes at eastus2")
    assert sentence.endswith(" Apart from that the endpoint answers with an error in 12 of 12 trials.")


def test_failures_that_always_come_together_are_one() -> None:
    run = run_of([cell_of("BBBBBB"), cell_of("BBBBBB", target="swedencentral"), cell_of("......", model="whisper-1")])
    verdict = read_verdict(run)
    assert len(list_views(run, run.recordings[0])) == 1
    assert (verdict.failure_key, verdict.pattern) == (None, "one_axis")
    assert {comparison.level for axis in verdict.axes for comparison in axis.comparisons} == {0.05 / 2}
    assert "Apart from that" not in verdict.sentence


def test_of_failures_that_come_in_turns_all_as_one_say_more_than_each() -> None:
    run = run_of([cell_of("TMTMTM"), cell_of("......", model="whisper-1")])
    verdict = read_verdict(run)
    assert (verdict.failure_key, verdict.pattern) == (None, "one_axis")
    assert [cell.ratio for cell in verdict.cells] == ["6/6", "0/6"]


def test_a_trial_that_the_other_failure_cut_short_says_nothing_of_this_one() -> None:
    cut_short = cell_of("MMMMMM", model="whisper-1")
    cut_short.trials = [replace(trial, note="the server closed: 1011") for trial in cut_short.trials]
    verdict = read_verdict(run_of([cell_of("BBBBBB"), cut_short]))
    assert "implicated" not in {axis.decision for axis in verdict.axes}


def test_each_failure_is_counted_by_itself_with_the_view_that_it_stands_for() -> None:
    run = run_of([cell_of("BBBM"), cell_of("MM..", model="whisper-1")])
    recording = run.recordings[0]
    everything, transcription = list_views(run, recording)
    assert (everything.failure_key, transcription.failure_key) == (None, TRANSCRIPTION)
    assert count_each(run, recording) == [
        FailureCount(TRANSCRIPTION, 3, 8, view=TRANSCRIPTION),
        FailureCount(MISTAKE, 6, 8, view=None),
    ]
    recording.failure_keys = [MISTAKE]
    assert count_each(run, recording) == []


def test_of_one_cell_in_which_only_the_mistake_came_again_it_is_told_what_did_not() -> None:
    verdict = of_one_cell("MMMM")
    assert (verdict.failure_key, verdict.pattern) == (None, "nothing_varied")
    assert verdict.sentence.startswith(
        "With this session the endpoint answers with an error at eastus2, 4/4:"
        " reproduced in part, and nothing was varied."
    )
    assert verdict.sentence.endswith(" That transcription fails did not come again, 0 of 4 trials.")


def test_of_one_cell_in_which_both_came_again_both_are_named() -> None:
    verdict = of_one_cell("BBBB")
    assert verdict.sentence.startswith(
        "With this session transcription fails and the endpoint answers with an error at eastus2, 4/4:"
        " reproduced, and nothing was varied."
    )
    assert "came again" not in verdict.sentence
    assert "Each by itself" not in verdict.sentence


def test_of_one_cell_in_which_they_came_in_turns_each_is_counted() -> None:
    verdict = of_one_cell("TMT.")
    assert "With this session transcription fails or the endpoint answers with an error at" in verdict.sentence
    assert ", 3/4: reproduced, and nothing was varied." in verdict.sentence
    assert verdict.sentence.endswith(
        " Each by itself: transcription fails in 2 of 4 trials and the endpoint answers with an error in 1 of 4 trials."
    )


def test_of_one_cell_in_which_none_came_again_none_is_told_apart() -> None:
    verdict = of_one_cell("....")
    assert verdict.pattern == "not_reproduced"
    assert "Not reproduced: with this session the recorded failure did not come again at eastus2" in verdict.sentence
    assert "0 of 4 trials" not in verdict.sentence


def test_what_another_failure_cut_short_every_time_is_not_said_to_have_stayed_away() -> None:
    assert of_one_cell("MMMM", note="the server closed: 1011").sentence.endswith(
        " Whether transcription fails is not known: another failure came before it in every trial."
    )


def test_two_mistakes_are_told_apart_by_what_they_say() -> None:
    run = run_of([cell_of("BBBBBB"), cell_of("MMMMMM", model="whisper-1")])
    told = "error|server_error||The server had an error."
    run.recordings[0].failure_keys = [told, MISTAKE]
    for trial in run.cells[1].trials:
        trial.not_again = [told]
    sentence = read_verdict(run).sentence
    assert sentence.startswith("With this session the endpoint answers with an error (server_error, The server had")
    assert "Apart from that the endpoint answers with an error (invalid_request_error, unknown_parameter," in sentence


def test_the_runs_file_keeps_which_failures_did_not_come_again() -> None:
    run = run_of([cell_of("BM")])
    assert [trial.not_again for trial in decode_run(encode_run(run)).cells[0].trials] == [[], [TRANSCRIPTION]]


def isolated(cure: dict[str, list[str]]) -> Run:
    """Make the trials that `isolate` asks for where the mistake always comes and changing these axes cures the rest."""
    run = run_of([cell_of(), cell_of(target="swedencentral"), cell_of(model="whisper-1")])
    run.design, run.trials = "adaptive", 200
    while isinstance(step := read_experiment(run).decide_next(), Batch):
        for number, block in enumerate(step.blocks):
            for changes in block:
                cell = next((c for c in run.cells if find_changes(run, c, run.cells[0]) == changes), None)
                if cell is None:
                    cell = cell_of(**{{MODEL: "model"}.get(axis, axis): value for axis, value in changes})
                    run.cells.append(cell)
                not_again = cure.get(" + ".join(axis for axis, _ in changes), [])
                cell.trials.append(
                    Trial(
                        trial=len(cell.trials) + 1,
                        block=step.first_block + number,
                        session_id=f"20261123T011500-{run.finished_trials:08x}",
                        outcome="failed",
                        not_again=not_again,
                        kind="control" if step.phase == "control" else "baseline" if cell.baseline else "variation",
                    )
                )
    return run


def test_isolate_tells_what_cures_the_other_beside() -> None:
    run = isolated({MODEL: [TRANSCRIPTION], "target": [MISTAKE]})
    verdict = read_verdict(run)
    assert (verdict.failure_key, verdict.pattern) == (TRANSCRIPTION, "one_axis")
    assert verdict.sentence.endswith(" (implicated: target = swedencentral, 0/12).")


def test_isolate_names_what_cures_one_of_them_and_tries_nothing_more_for_the_other() -> None:
    run = isolated({MODEL: [TRANSCRIPTION]})
    verdict = read_verdict(run)
    assert (verdict.failure_key, verdict.pattern) == (TRANSCRIPTION, "one_axis")
    assert {axis.axis: axis.decision for axis in verdict.axes} == {"target": "ruled_out", MODEL: "implicated"}
    # One to open, twelve blocks of three, one to close.
    assert run.finished_trials == 1 + 12 * 3 + 1
    assert verdict.sentence.endswith(" Apart from that the endpoint answers with an error in 38 of 38 trials.")


def test_isolate_finds_the_pair_that_cures_one_of_them() -> None:
    verdict = read_verdict(isolated({f"target + {MODEL}": [TRANSCRIPTION]}))
    assert (verdict.failure_key, verdict.pattern) == (TRANSCRIPTION, "two_causes")


def test_isolate_says_what_it_says_of_one_failure_where_nothing_cures_any() -> None:
    verdict = read_verdict(isolated({}))
    assert (verdict.failure_key, verdict.pattern) == (None, "not_in_these_axes")
