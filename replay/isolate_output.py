"""What `wiretape replay isolate` prints: the plan and its cost, what is tried while it lasts, the verdict."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any, Self

from capture.narration import print_json, tell
from capture.recording.root import Root
from replay.arms import LOOKS
from replay.attempts import Job
from replay.estimate import Cost, cost_of
from replay.experiment import Batch
from replay.isolate import Isolation
from replay.isolation import read_isolation
from replay.narrator import Narrator
from replay.printing.changes import changes_cell, say_change
from replay.printing.page import cell, print_all, table
from replay.runs import Run, RunCell, Trial
from replay.trials import Pause
from replay.verdict import Verdict
from replay.wording import symptom


class IsolationNarrator:
    """Tells on stderr what is tried, what came of it, and why it stops; on a terminal with a bar below."""

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        self._told: set[tuple[str, str]] = set()
        self._batch: Batch | None = None
        self._outcomes: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._failure_key: str | None = None
        self._narrator = Narrator(isolation.run, isolation.run.trials, lines=False)

    def __enter__(self) -> Self:
        self._narrator.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._narrator.__exit__(kind, error, trace)

    def note_batch(self, batch: Batch) -> None:
        """Take in what is tried next."""
        self._end_batch()
        self.note_decisions()
        if self._batch is None or batch.why != self._batch.why:
            self._narrator.tell(f"{batch.phase}: {batch.why}")
        self._batch = batch

    def note(self, job: Job, trial: Trial | None) -> None:
        """Take in that a trial began, or what came of it."""
        self._narrator.note(job, trial)
        if trial is not None:
            self._outcomes[trial.outcome] += 1
            if trial.outcome == "failed":
                self._failures.update(key for key in self._keys if key not in trial.not_again)

    def note_pause(self, pause: Pause) -> None:
        """Take in that a target is left alone for a while."""
        self._narrator.note_pause(pause)

    def note_decisions(self) -> None:
        """Tell what has been decided since."""
        self._end_batch()
        reading = read_isolation(self._isolation.run)
        for axis in (*reading.singles, *reading.together):
            for each in axis.comparisons:
                if each.decision != "open" and (each.axis, each.value) not in self._told:
                    self._told.add((each.axis, each.value))
                    self._tell_what_counts(reading.view.failure_key)
                    decision = each.decision.replace("_", " ")
                    said = f"  {decision}: {axis.label} = {each.value}, {each.cell.ratio} (baseline {each.against})"
                    self._narrator.tell(said)

    def _end_batch(self) -> None:
        if self._outcomes:
            listed = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in self._outcomes.items())
            self._narrator.tell(f"  {listed}{self._say_failures()}")
        self._outcomes.clear()
        self._failures.clear()

    @property
    def _keys(self) -> list[str]:
        return self._isolation.run.recordings[0].failure_keys

    def _say_failures(self) -> str:
        """Say of a recording with several failures in how many trials each came: `failed` counts any of them."""
        if len(self._keys) < 2 or not self._outcomes["failed"]:
            return ""
        counts = [f"{symptom(key, self._keys)} in {self._failures[key]}" for key in self._keys]
        return f" ({', '.join(counts)})"

    def _tell_what_counts(self, failure_key: str | None) -> None:
        if failure_key != self._failure_key:
            named = f"{symptom(failure_key, self._keys)}, by itself" if failure_key else "all failures as one"
            self._narrator.tell(f"  counted from here: {named}")
            self._failure_key = failure_key


def estimate_isolation(isolation: Isolation) -> tuple[Cost, Cost]:
    """Estimate what is still to be made: of a failure that is certain, and at the most; by the baseline's plan.

    A certain failure takes the first look in each cell, and one trial each to open and to close.
    """
    run = isolation.run
    plan, _, _ = isolation.plan_for(run.cells[0])
    one = cost_of(isolation.known.source, plan, speed=run.speed)
    certain = min(run.trials, LOOKS[0] * len(run.cells) + 2)
    left = [0 if run.status == "done" else max(0, count - run.finished_trials) for count in (certain, run.trials)]
    return one.times(left[0]), one.times(left[1])


def say_estimate(isolation: Isolation) -> str:
    """Say in a line what it costs."""
    certain, most = estimate_isolation(isolation)
    return (
        f"about {certain.size_in_words} if the failure is certain; at most {most.in_words},"
        f" {most.time_in_words(isolation.run.concurrency)}"
    )


def print_plan(isolation: Isolation, *, as_json: bool) -> None:
    """Show the cells, every change against the recording, and what it costs."""
    cells = [_describe(isolation, cell) for cell in isolation.run.cells]
    if as_json:
        print_json({"cells": cells, "estimate": _estimate_as_json(isolation)})
        return
    planned_cells = table("cell", "changes against the recording")
    for shown in cells:
        name = f"{shown['cell']} (baseline)" if shown["baseline"] else shown["cell"]
        planned_cells.add_row(cell(name), changes_cell(shown["changes"]))
    print_all(planned_cells)
    tell(f"{say_estimate(isolation)}; nothing was sent")


def _estimate_as_json(isolation: Isolation) -> dict[str, Any]:
    certain, most = estimate_isolation(isolation)
    figures = {
        f"{name}_{when}": value
        for when, cost in (("if_certain", certain), ("at_most", most))
        for name, value in cost.as_json().items()
        if name != "tokens_from"
    }
    minutes = most.minutes_at(isolation.run.concurrency)
    return figures | {"about_minutes_at_most": minutes, "tokens_from": most.basis}


def _describe(isolation: Isolation, cell: RunCell) -> dict[str, Any]:
    plan, target, upgrade = isolation.plan_for(cell)
    changes = [*upgrade.changes_for(target), *plan.changes]
    return {
        "cell": cell.cell,
        "baseline": cell.baseline,
        "url": target.request_url(upgrade.path_and_query).split("?")[0],
        "changes": [say_change(change) for change in changes],
    }


def print_verdict(run: Run, verdict: Verdict, root: Root, *, as_json: bool) -> None:
    """Print what the run proved, and the decision on each axis."""
    if as_json:
        print_json(
            {
                "run_id": run.run_id,
                "status": run.status,
                "trials": run.finished_trials,
                "failure_key": verdict.failure_key,
                "pattern": verdict.pattern,
                "sentence": verdict.sentence,
                "conclusion": verdict.conclusion,
                "axes": [
                    {
                        "axis": each.axis,
                        "value": each.value,
                        "decision": each.decision,
                        "reason": each.reason,
                        "failed": each.cell.ratio,
                        "baseline": each.against,
                        "p_implicated": each.p_implicated,
                        "p_ruled_out": each.p_ruled_out,
                        "level": each.level,
                        "sessions": list(each.cell.session_ids),
                    }
                    for axis in verdict.axes
                    for each in axis.comparisons
                ],
            }
        )
        return
    compared = table("axis", "instead", "failed", "baseline", "decision")
    for axis in verdict.axes:
        for each in axis.comparisons:
            decision = each.decision.replace("_", " ") + (f": {each.reason}" if each.reason else "")
            compared.add_row(cell(axis.label), cell(each.value), each.cell.ratio, each.against, cell(decision))
    print_all(cell(verdict.sentence), cell(""), compared)
    tell("tests, intervals, sessions: " + root.command(f"wiretape analyze verdict {run.run_id}"))
