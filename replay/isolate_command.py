"""What `wiretape replay isolate` does: read the request, run the experiment, tell of it, print the verdict."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from capture.arguments import parse_redactions
from capture.errors import UsageProblem
from capture.narration import print_json, tell
from capture.recorder import Recorder
from capture.recording.reader import open_recording
from capture.recording.root import Root, open_root
from capture.redaction import redact_setting
from capture.targets import Target, load_targets, resolve_target
from replay.arms import LOOKS
from replay.axes import Known, list_choices, parse_axis
from replay.experiment import Batch, Ending
from replay.isolate import Isolation, plan_isolation, run_isolation
from replay.isolation import read_isolation
from replay.matrix import Job, Source, nearness, prepare
from replay.printing import ANSWER_S, make_table, output, raise_if_refused
from replay.run_command import INTERRUPTED, find_recording, find_targets, read_clock, read_on_new_tool, tell_left_out
from replay.runs import ClockKind, OnNewTool, Run, RunCell, Trial
from replay.verdict import Verdict, read_verdict

_ENDINGS: dict[Ending, str] = {
    "not_reproduced": "stopped: the failure did not come again",
    "no_baseline": "stopped: too many trials at the recorded target do not count",
    "cleared": "stopped: the failure is gone at the recorded target",
    "max_trials": "stopped: --max-trials",
    "decided": "stopped: nothing more to decide",
}


@dataclass(frozen=True, slots=True)
class IsolateRequest:
    """The command line, unread."""

    session: str
    to: Sequence[str]
    baseline: str | None = None
    axes: Sequence[str] = ()
    max_trials: int = 300
    concurrency: int = 1
    speed: float = 1.0
    clock: ClockKind | None = None
    """None: anchored."""
    on_new_tool: OnNewTool | None = None
    """None: recorded."""
    timeout_s: float = 15.0
    seed: int = 0
    redact: Sequence[str] = ()


def isolate(request: IsolateRequest, recordings: Path | None, *, dry_run: bool, as_json: bool) -> int:
    """Do what was asked; the exit status is 130 after Ctrl-C, else 0, whatever was found.

    Raises `UsageProblem`, and `EndpointRefused` where no target took a single session.
    """
    root = open_root(recordings)
    # Before anything is sent.
    redact = parse_redactions(request.redact)
    isolation = _plan(request, root)
    tell_left_out((target, plan) for plan, target, _ in map(isolation.plan_for, isolation.run.cells))
    if dry_run:
        _print_plan(isolation, as_json=as_json)
        return 0
    for target in (isolation.known.baseline, *isolation.known.targets):
        target.credential_headers()
    finished = _play(isolation, root, request, redact)
    run = isolation.run
    verdict = read_verdict(run)
    _print_verdict(run, verdict, as_json=as_json)
    raise_if_refused(run)
    return 0 if finished else INTERRUPTED


def find_baseline(source: Source, targets: Sequence[Target], named: str | None) -> Target:
    """Find the recorded target: as named, the nearest of those given, or by its recorded name.

    Raises `UsageProblem` where it is not known.
    """
    known = load_targets()
    if named is not None:
        return resolve_target(named, known)
    nearest = max(targets, key=lambda target: nearness(target, source), default=None)
    if nearest is not None and nearness(nearest, source) > 1:
        return nearest
    recorded = source.recording.target
    if recorded is not None and (recorded in known or "://" in recorded):
        return resolve_target(recorded, known)
    if nearest is not None and nearness(nearest, source):
        return nearest
    raise UsageProblem(f"the recorded target {recorded or ''} is not known here: name it with --baseline")


def _plan(request: IsolateRequest, root: Root) -> Isolation:
    targets = find_targets(request.to)
    source = prepare(open_recording(root, find_recording(root, request.session)))
    session_id = source.recording.session_id
    if not source.plan.steps:
        raise UsageProblem(f"recording {session_id} holds no message of its client: there is nothing to replay")
    if not source.recording.failure_keys:
        raise UsageProblem(f"recording {session_id} did not fail: there is nothing to isolate")
    asked: dict[str, tuple[Any, ...]] = {}
    for text in request.axes:
        name, values = parse_axis(text)
        asked[name] = (*asked.get(name, ()), *values)
    known = Known(source, find_baseline(source, targets, request.baseline), targets, asked)
    isolation = plan_isolation(
        known,
        list_choices(known),
        max_trials=request.max_trials,
        seed=request.seed,
        concurrency=request.concurrency,
        speed=request.speed,
    )
    isolation.run.clock = read_clock(request.clock)
    isolation.run.on_new_tool = read_on_new_tool(request.on_new_tool)
    return isolation


def _play(isolation: Isolation, root: Root, request: IsolateRequest, redact: Sequence[str]) -> bool:
    run = isolation.run
    narrator = _Narrator(isolation)
    narrator.begin()
    try:
        with Recorder(root) as recorder:
            stopped = asyncio.run(
                run_isolation(
                    isolation,
                    root,
                    recorder,
                    timeout_ns=int(request.timeout_s * 1e9),
                    redact=redact,
                    on_batch=narrator.note_batch,
                    on_progress=narrator.note,
                )
            )
    except KeyboardInterrupt:
        tell(f"interrupted: {run.finished_trials} trials were done and are kept in run {run.run_id}")
        return False
    narrator.note_decisions()
    tell(f"{_ENDINGS[stopped.ending]}, after {run.finished_trials} trials")
    return True


class _Narrator:
    """Tells on stderr what is tried, what came of it, and why it stops."""

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation
        self._told: set[tuple[str, str]] = set()
        self._batch: Batch | None = None
        self._outcomes: Counter[str] = Counter()

    def begin(self) -> None:
        run, estimate = self._isolation.run, estimate_cost(self._isolation)
        tell(
            f"run {run.run_id} isolates {run.recordings[0].session_id}: {len(run.cells) - 1} single changes;"
            f" {_say_estimate(estimate)}"
        )

    def note_batch(self, batch: Batch) -> None:
        self._end_batch()
        self.note_decisions()
        if self._batch is None or batch.why != self._batch.why:
            tell(f"{batch.phase}: {batch.why}")
        self._batch = batch

    def note(self, _job: Job, trial: Trial | None) -> None:
        if trial is not None:
            self._outcomes[trial.outcome] += 1

    def note_decisions(self) -> None:
        self._end_batch()
        reading = read_isolation(self._isolation.run)
        for axis in (*reading.singles, *reading.together):
            for each in axis.comparisons:
                if each.decision != "open" and (each.axis, each.value) not in self._told:
                    self._told.add((each.axis, each.value))
                    decision = each.decision.replace("_", " ")
                    tell(f"  {decision}: {axis.label} = {each.value}, {each.cell.ratio} (baseline {each.against})")

    def _end_batch(self) -> None:
        if self._outcomes:
            listed = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in self._outcomes.items())
            tell(f"  {listed}")
        self._outcomes.clear()


def estimate_cost(isolation: Isolation) -> dict[str, float]:
    """Estimate sessions and minutes: of a failure that is certain, and at the most.

    A certain failure takes the first two looks in each cell, and one trial each to open and to close.
    """
    run, known = isolation.run, isolation.known
    certain = min(run.trials, LOOKS[1] * len(run.cells) + 2)
    seconds = known.source.plan.duration_ns / 1e9 / run.speed
    return {
        "sessions_if_certain": certain,
        "sessions_at_most": run.trials,
        "sent_minutes_if_certain": round(certain * seconds / 60, 2),
        "sent_minutes_at_most": round(run.trials * seconds / 60, 2),
        "about_minutes_at_most": round(run.trials * (seconds + ANSWER_S) / 60 / run.concurrency, 2),
    }


def _say_estimate(estimate: dict[str, float]) -> str:
    return (
        f"about {estimate['sessions_if_certain']} sessions ({estimate['sent_minutes_if_certain']} minutes sent) if the"
        f" failure is certain, at most {estimate['sessions_at_most']} ({estimate['sent_minutes_at_most']} minutes sent,"
        f" {estimate['about_minutes_at_most']} minutes in all)"
    )


def _print_plan(isolation: Isolation, *, as_json: bool) -> None:
    cells = [_describe(isolation, cell) for cell in isolation.run.cells]
    estimate = estimate_cost(isolation)
    if as_json:
        print_json({"cells": cells, "estimate": estimate})
        return
    table = make_table("cell", "changes against the recording")
    for shown in cells:
        name = f"{shown['cell']} (baseline)" if shown["baseline"] else str(shown["cell"])
        # Recorded text is no markup.
        table.add_row(Text(name), Text("\n".join(shown["changes"]) or "none"))
    output().print(table)
    tell(f"{_say_estimate(estimate)}; nothing was sent")


def _describe(isolation: Isolation, cell: RunCell) -> dict[str, Any]:
    plan, target, upgrade = isolation.plan_for(cell)
    changes = [*upgrade.changes_for(target), *plan.changes]
    return {
        "cell": cell.cell,
        "baseline": cell.baseline,
        "url": target.request_url(upgrade.path_and_query).split("?")[0],
        "changes": [
            f"{change.path or change.kind}: {redact_setting(change.path, change.before) or 'absent'}"
            f" → {redact_setting(change.path, change.after) or 'left out'}"
            for change in changes
        ],
    }


def _print_verdict(run: Run, verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "run_id": run.run_id,
                "status": run.status,
                "trials": run.finished_trials,
                "pattern": verdict.pattern,
                "sentence": verdict.sentence,
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
    output().print(verdict.sentence, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    table = make_table("axis", "instead", "failed", "baseline", "decision")
    for axis in verdict.axes:
        for each in axis.comparisons:
            decision = each.decision.replace("_", " ") + (f": {each.reason}" if each.reason else "")
            table.add_row(*map(Text, (axis.label, each.value, each.cell.ratio, each.against, decision)))
    output().print()
    output().print(table)
    tell(f"tests, intervals, sessions: wiretape analyze verdict {run.run_id}")
