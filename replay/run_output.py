"""What `wiretape replay run` prints: the plan and its cost, the table of cells, the verdict, the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from capture.narration import print_json, tell
from capture.recording.root import Root
from replay.attempts import Job
from replay.comparison import CellResult
from replay.estimate import Cost
from replay.gates import GateResult
from replay.printing.changes import changes_cell, redacted_texts, say_change
from replay.printing.page import cell, first_and_more, print_all, shares, table
from replay.rewrite import Change
from replay.run_request import Planned
from replay.runs import Run, RunCell, without_secrets
from replay.verdict import Verdict


def first_of_each_cell(jobs: Sequence[Job]) -> list[Job]:
    """Take one trial of each cell: all of them are changed alike."""
    return list({job.cell.key: job for job in reversed(jobs)}.values())[::-1]


def print_plan(planned: Planned, cost: Cost, *, as_json: bool) -> None:
    """Show the cells, every change against the recording, and what it costs."""
    by_cell = {job.cell.key: job for job in planned.jobs}
    jobs = [by_cell[cell.key] for cell in planned.run.cells if cell.key in by_cell]
    if as_json:
        about_minutes = cost.minutes_at(planned.run.concurrency)
        estimate = cost.as_json() | {"about_minutes": about_minutes}
        print_json({"cells": [_describe_plan(job) for job in jobs], "estimate": estimate})
        return
    print_all(_plan_table(jobs))
    tell(f"{cost.in_words}; {cost.time_in_words(planned.run.concurrency)}; nothing was sent")


def _plan_table(jobs: Sequence[Job]) -> Table:
    made = table("cell", "recording", "messages", "changes against the recording", right=["messages"])
    for job in jobs:
        name = f"{job.cell.cell} (baseline)" if job.cell.baseline else job.cell.cell
        said = map(say_change, _changes_of(job))
        made.add_row(cell(name), job.cell.session_id, f"{len(job.plan.steps):,}", changes_cell(said))
    return made


def print_result(
    run: Run, verdicts: Sequence[Verdict], root: Root, expectations: Sequence[GateResult] = (), *, as_json: bool
) -> None:
    """Print what came of the cells, what that proves, and on stderr which gates are missed."""
    if as_json:
        print_json(
            {
                "run_id": run.run_id,
                "status": run.status,
                "cells": [_as_json(cell) for cell in run.cells],
                "verdicts": [
                    {
                        "session_id": verdict.session_id,
                        "failure_key": verdict.failure_key,
                        "pattern": verdict.pattern,
                        "sentence": verdict.sentence,
                        "conclusion": verdict.conclusion,
                    }
                    for verdict in verdicts
                ],
                "expectations": [
                    {"expect": each.gate, "met": each.is_met, "reasons": list(each.reasons)} for each in expectations
                ],
            }
        )
    else:
        _print_tables(verdicts)
    for each in expectations:
        tell(f"--expect {each.gate}: " + ("met" if each.is_met else f"missed: {'; '.join(each.reasons)}"))
    if not as_json:
        tell("look further: " + root.command(f"wiretape analyze verdict {run.run_id}"))


def _print_tables(verdicts: Sequence[Verdict]) -> None:
    for verdict in verdicts:
        if len(verdicts) > 1:
            print_all(cell(f"recording {verdict.session_id}"))
        print_all(_result_table(verdict), cell(""), cell(verdict.sentence))


def _describe_plan(job: Job) -> dict[str, Any]:
    cell, plan, target, upgrade = job.cell, job.plan, job.target, job.upgrade
    return {
        "cell": cell.cell,
        "recording": cell.session_id,
        "target": cell.target,
        "url": target.request_url(upgrade.path_and_query).split("?")[0],
        "baseline": cell.baseline,
        "messages": len(plan.steps),
        "changes": [_shown(change) for change in _changes_of(job)],
        "left_out": list(plan.not_sent),
    }


def _changes_of(job: Job) -> list[Change]:
    return [*job.upgrade.changes_for(job.target), *job.plan.changes]


def _shown(change: Change) -> dict[str, str]:
    before, after = redacted_texts(change)
    return asdict(change) | {"before": before, "after": after}


def _as_json(cell: RunCell) -> dict[str, Any]:
    return {
        "cell": cell.cell,
        "recording": cell.session_id,
        "target": cell.target,
        "region": cell.region,
        "overrides": without_secrets(cell.overrides),
        "unset": cell.unset,
        "baseline": cell.baseline,
        "trials": [
            {
                name: getattr(trial, name)
                for name in ("trial", "session_id", "outcome", "not_again", "note", "divergences")
            }
            for trial in cell.trials
        ],
    }


def _result_table(verdict: Verdict) -> Table:
    made = table("", "cell", "failed", "95 % (Wilson)", "not counted", "sessions", right=["failed"])
    for each in verdict.cells:
        made.add_row(
            _mark(each),
            cell(f"{each.cell} (baseline)" if each.baseline else each.cell),
            each.ratio,
            shares(each.low, each.high) if each.trials else "",
            str(each.not_counted or ""),
            first_and_more(each.session_ids),
        )
    return made


def _mark(cell: CellResult) -> str:
    if not cell.trials:
        return "◐"
    return "▲" if cell.failed else "●"
