"""What `wiretape replay run` does: read the request, play the matrix, print the table and the verdict."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from capture.arguments import parse_redactions, parse_setting, parse_values
from capture.errors import UsageProblem
from capture.event_loop import choose_loop
from capture.journal.spooled import open_journals
from capture.narration import print_json, tell
from capture.recorder import Recorder
from capture.recording.reader import list_session_ids, open_recording, resolve_session
from capture.recording.root import Root, open_root
from capture.redaction import redact_setting
from capture.targets import Target, load_targets, resolve_target
from replay.as_recorded import obstacles, refuse
from replay.audio_choice import AUDIO_AXIS, AudioChoice
from replay.junit import write_junit
from replay.matrix import (
    Job,
    Source,
    Variation,
    adapt_for,
    plan_jobs,
    plan_run,
    prepare,
    run_matrix,
    shortened,
)
from replay.plan import Plan
from replay.printing import ANSWER_S, make_table, output, raise_if_refused
from replay.rewrite import Change
from replay.runs import ClockKind, OnNewTool, Run, RunCell, Trial, without_secrets
from replay.transposition import left_out
from replay.verdict import CellResult, Verdict, read_verdicts

if TYPE_CHECKING:
    from rich.progress import TaskID

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The command line, unread."""

    sessions: list[str]
    to: list[str]
    vary: list[str]
    settings: list[str]
    trials: int = 5
    concurrency: int = 8
    speed: float = 1.0
    clock: ClockKind | None = None
    """None: anchored, and absolute with `as_recorded`."""
    on_new_tool: OnNewTool | None = None
    """None: recorded; with `as_recorded` such a call stays unanswered."""
    timeout_s: float = 15.0
    seed: int = 0
    expect: Literal["ok", "failed"] | None = None
    junit: Path | None = None
    redact: Sequence[str] = ()
    audio: Path | None = None
    """A clip in the place of the recorded speech."""
    silence: bool = False
    noise_snr_db: float | None = None
    until_turn: int | None = None
    longest_idle_s: float | None = None
    unset: Sequence[str] = ()
    as_recorded: bool = False


def run(request: RunRequest, recordings: Path | None, *, dry_run: bool, as_json: bool) -> int:
    """Do what was asked; the exit status is 1 where a gate failed.

    Raises `UsageProblem`, and `EndpointRefused` where no target took a single session.
    """
    root = open_root(recordings)
    # Before anything is sent.
    redact = parse_redactions(request.redact)
    targets = find_targets(request.to)
    recorded = [prepare(open_recording(root, find_recording(root, text))) for text in request.sessions]
    _check_sources(recorded)
    sources = [
        shortened(source, until_turn=request.until_turn, longest_idle_s=request.longest_idle_s) for source in recorded
    ]
    planned = plan_run(
        sources,
        targets,
        variations=[parse_variation(text) for text in request.vary],
        settings=read_settings(request),
        unset=[path.strip() for path in request.unset],
        trials=request.trials,
        seed=request.seed,
        concurrency=request.concurrency,
        speed=request.speed,
    )
    planned.until_turn, planned.longest_idle_s = request.until_turn, request.longest_idle_s
    planned.clock = read_clock(request.clock, as_recorded=request.as_recorded)
    planned.on_new_tool = read_on_new_tool(request.on_new_tool, as_recorded=request.as_recorded)
    jobs = plan_jobs(planned, sources, targets)
    if request.as_recorded:
        refuse(_obstacles(jobs))
    tell_left_out((job.target, job.plan) for job in _first_of_each_cell(jobs))
    if dry_run:
        _print_plan(planned, sources, targets, as_json=as_json)
        return 0
    for target in targets:
        # A missing key is the user's to fix, before the first trial and not in each.
        target.credential_headers()
    finished = _play(planned, jobs, root, request, redact)
    if request.junit is not None:
        write_junit(planned, request.junit)
    verdicts = read_verdicts(planned)
    _print_result(planned, verdicts, as_json=as_json)
    raise_if_refused(planned)
    if not finished:
        return INTERRUPTED
    return 0 if meets(planned, request.expect) else 1


def find_recording(root: Root, text: str) -> str:
    """Resolve an id, a unique prefix, or `last`: here the newest session that is no replay itself.

    A second `replay run last` means the same call as the first, and not one of the trials in between.
    """
    if text == "last":
        for session_id in reversed(list_session_ids(root)):
            # One that cannot be read is no candidate.
            with suppress(UsageProblem):
                if open_recording(root, session_id).session["role"] != "replayed":
                    return session_id
    return resolve_session(root, text)


def read_settings(request: RunRequest) -> dict[str, Any]:
    """Read what is put in every cell; `--audio`, `--silence` and `--noise` set the audio.

    Raises `UsageProblem` where the audio is chosen more than once.
    """
    settings = dict(parse_setting(text) for text in request.settings)
    chosen = [AudioChoice("clip", clip=request.audio)] if request.audio is not None else []
    chosen += [AudioChoice("silence")] if request.silence else []
    chosen += [AudioChoice("noise", snr_db=request.noise_snr_db)] if request.noise_snr_db is not None else []
    if len(chosen) + (AUDIO_AXIS in settings) > 1:
        raise UsageProblem("the audio is chosen twice: give one of --audio, --silence, --noise and --set audio=…")
    return settings | ({AUDIO_AXIS: str(chosen[0])} if chosen else {})


def read_clock(asked: ClockKind | None, *, as_recorded: bool = False) -> ClockKind:
    """Tell by which clock trials go.

    Raises `UsageProblem` for an anchored one that is to change nothing: it adds silence, or leaves some out.
    """
    if as_recorded and asked == "anchored":
        raise UsageProblem("--as-recorded sends everything at its recorded time: leave --clock anchored out")
    return asked or ("absolute" if as_recorded else "anchored")


def read_on_new_tool(asked: OnNewTool | None, *, as_recorded: bool = False) -> OnNewTool:
    """Tell what a function call gets that the recording does not have.

    Raises `UsageProblem` where nothing is to be changed: then it gets nothing.
    """
    if as_recorded and asked is not None:
        raise UsageProblem("--as-recorded answers no call that the recording does not have: leave --on-new-tool out")
    return asked or "recorded"


def find_targets(names: Sequence[str]) -> list[Target]:
    """Resolve the names or URLs given with `--to`."""
    known = load_targets()
    return [resolve_target(name, known) for name in names]


def parse_variation(text: str) -> Variation:
    """Read `PATH=A,B`: values are JSON, or bare strings.

    Raises `UsageProblem` without a path or values, and for a value given twice.
    """
    path, separator, listed = text.partition("=")
    if not separator or not path.strip() or not listed.strip():
        raise UsageProblem(f"{text!r} varies nothing: write PATH=A,B with a path, or audio, dialect, model …")
    values = parse_values(listed)
    if len({json.dumps(value, sort_keys=True) for value in values}) < len(values):
        raise UsageProblem(f"{text!r} gives a value twice: for more trials use --trials")
    return Variation(path.strip(), tuple(values))


def meets(run: Run, expect: str | None) -> bool:
    """Tell whether a run is what `--expect` asks for."""
    outcomes = [trial.outcome for cell in run.cells for trial in cell.trials]
    if expect == "ok":
        return all(outcome == "ok" for outcome in outcomes)
    return expect is None or "failed" in outcomes


def _check_sources(sources: Sequence[Source]) -> None:
    ids = [source.recording.session_id for source in sources]
    twice = {session_id for session_id in ids if ids.count(session_id) > 1}
    if twice:
        raise UsageProblem(f"recording {', '.join(sorted(twice))} is given twice: for more trials use --trials")
    for source in sources:
        if not source.plan.steps:
            raise UsageProblem(
                f"recording {source.recording.session_id} holds no message of its client: there is nothing to replay"
            )


def tell_left_out(sent: Iterable[tuple[Target, Plan]]) -> None:
    """Tell once for each target what its dialect has no place for."""
    by_target: dict[str, dict[str, None]] = {}
    for target, plan in sent:
        by_target.setdefault(target.name, {}).update(dict.fromkeys(left_out(plan.changes)))
    for name, paths in by_target.items():
        if paths:
            tell(f"{name} speaks a dialect that has nothing for {', '.join(paths)}: left out")


def _first_of_each_cell(jobs: Sequence[Job]) -> list[Job]:
    # One trial of a cell is changed as all of them are.
    return [job for job in jobs if job.trial == 1]


def _obstacles(jobs: Sequence[Job]) -> list[tuple[str, list[str]]]:
    return [
        (job.cell.cell, obstacles(job.plan, job.upgrade.changes_for(job.target))) for job in _first_of_each_cell(jobs)
    ]


def _play(planned: Run, jobs: Sequence[Job], root: Root, request: RunRequest, redact: Sequence[str]) -> bool:
    timeout_ns = int(request.timeout_s * 1e9)
    try:
        with _Narrator(planned) as narrator, Recorder(root, journals=open_journals) as recorder:
            playing = run_matrix(
                planned,
                jobs,
                root,
                recorder,
                timeout_ns=timeout_ns,
                redact=redact,
                as_recorded=request.as_recorded,
                on_progress=narrator.note,
            )
            with asyncio.Runner(loop_factory=choose_loop()) as runner:
                runner.run(playing)
    except KeyboardInterrupt:
        done, whole = planned.finished_trials, len(jobs)
        tell(f"interrupted: {done} of {whole} trials were done and are kept in run {planned.run_id}")
        return False
    return True


class _Narrator:
    """Shows on stderr how far a run is: a bar on a terminal, two lines elsewhere."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._total = len(run.cells) * run.trials
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[failing]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._failed = 0
        self._task: TaskID | None = None

    def __enter__(self) -> _Narrator:
        self._console.print(
            f"run {self._run.run_id} of {', '.join(recording.session_id for recording in self._run.recordings)}:"
            f" {_count(len(self._run.cells), 'cell')} x {_count(self._run.trials, 'trial')},"
            f" {self._run.concurrency} at a time",
            highlight=False,
            # Lines of a log are not broken; a terminal breaks them itself.
            soft_wrap=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("replaying", total=self._total, failing="")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def note(self, _job: Job, trial: Trial | None) -> None:
        if trial is None or self._task is None:
            return
        self._failed += trial.outcome == "failed"
        self._bar.update(self._task, advance=1, failing=f"{self._failed} failed" if self._failed else "")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _print_plan(planned: Run, sources: Sequence[Source], targets: Sequence[Target], *, as_json: bool) -> None:
    by_session = {source.recording.session_id: source for source in sources}
    by_name = {target.name: target for target in targets}
    cells = [_describe_plan(cell, by_session[cell.session_id], by_name, planned.seed) for cell in planned.cells]
    seconds = [by_session[cell.session_id].plan.duration_ns / 1e9 / planned.speed for cell in planned.cells]
    audio_minutes = sum(seconds) * planned.trials / 60
    minutes = (
        (sum(seconds) + ANSWER_S * len(cells))
        * planned.trials
        / min(planned.concurrency, len(cells) * planned.trials)
        / 60
    )
    estimate = {
        "sessions": len(cells) * planned.trials,
        "sent_minutes": round(audio_minutes, 2),
        "about_minutes": round(minutes, 2),
    }
    if as_json:
        print_json({"cells": cells, "estimate": estimate})
        return
    table = make_table("cell", "recording", "messages", "changes against the recording", right=["messages"])
    for cell in cells:
        changes = [f"{c['path'] or c['kind']}: {c['before']} → {c['after']}" for c in cell["changes"]]
        name = f"{cell['cell']} (baseline)" if cell["baseline"] else cell["cell"]
        table.add_row(name, cell["recording"], str(cell["messages"]), "\n".join(changes) or "none")
    output().print(table)
    tell(
        f"{estimate['sessions']} sessions, {estimate['sent_minutes']} minutes sent in all,"
        f" about {estimate['about_minutes']} minutes; nothing was sent"
    )


def _describe_plan(cell: RunCell, source: Source, targets: dict[str, Target], seed: int) -> dict[str, Any]:
    adapted = adapt_for(cell, source, targets, seed=seed)
    plan, target, upgrade = adapted.plan, adapted.target, adapted.upgrade
    return {
        "cell": cell.cell,
        "recording": cell.session_id,
        "target": cell.target,
        "url": target.request_url(upgrade.path_and_query).split("?")[0],
        "baseline": cell.baseline,
        "messages": len(plan.steps),
        "changes": [_shown(change) for change in [*upgrade.changes_for(target), *plan.changes]],
        "left_out": list(plan.not_sent),
    }


def _shown(change: Change) -> dict[str, str]:
    # Logs of CI systems keep what is printed.
    before, after = (redact_setting(change.path, text) for text in (change.before, change.after))
    return asdict(change) | {"before": before, "after": after}


def _print_result(run: Run, verdicts: Sequence[Verdict], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "run_id": run.run_id,
                "status": run.status,
                "cells": [_as_json(cell) for cell in run.cells],
                "verdicts": [
                    {"session_id": v.session_id, "pattern": v.pattern, "sentence": v.sentence} for v in verdicts
                ],
            }
        )
        return
    for verdict in verdicts:
        console = output()
        if len(verdicts) > 1:
            console.print(f"recording {verdict.session_id}", highlight=False)
        console.print(_result_table(verdict))
        console.print()
        console.print(verdict.sentence, highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())
    tell(f"look further: wiretape analyze verdict {run.run_id}")


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
            {"trial": t.trial, "session_id": t.session_id, "outcome": t.outcome, "note": t.note} for t in cell.trials
        ],
    }


def _result_table(verdict: Verdict) -> Table:
    table = make_table("", "cell", "failed", "95 % (Wilson)", "not counted", "sessions", right=["failed"])
    for cell in verdict.cells:
        table.add_row(
            _mark(cell),
            f"{cell.cell} (baseline)" if cell.baseline else cell.cell,
            cell.ratio,
            f"{cell.low:.0%} to {cell.high:.0%}" if cell.trials else "",
            str(cell.not_counted or ""),
            _first_and_more(cell.session_ids),
        )
    return table


def _mark(cell: CellResult) -> str:
    if not cell.trials:
        return "◐"
    return "▲" if cell.failed else "●"


def _first_and_more(session_ids: Sequence[str]) -> str:
    if not session_ids:
        return ""
    return session_ids[0] + (f" +{len(session_ids) - 1}" if len(session_ids) > 1 else "")
