"""Replay recordings over targets x variations x trials, and keep the run's file up to date."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

from capture.errors import UsageProblem
from capture.recording.facts import TrialKind
from replay.attempts import Job, SessionRunner
from replay.audio_choice import AUDIO_AXIS, RECORDED, parse_audio
from replay.budget import Budget
from replay.client import Upgrade
from replay.comparison import short_path
from replay.estimate import Cost, cost_of, total
from replay.foreign import protocol_of_url, refusal
from replay.handshake import dialect_of_target
from replay.plan import Plan, adapt
from replay.player import WAIT_TIMEOUT_NS
from replay.rewrite import check_paths, check_unset
from replay.runs import TARGET_AXIS, Axis, Run, RunCell, being_played, claimed, new_run_id, without_secrets
from replay.sent_audio import speak
from replay.source import Source, check_protocol, nearness
from replay.throttling import RETRIES
from replay.transposition import Spoken
from replay.trials import OnPause, OnProgress, Playing, TrialPlayer

if TYPE_CHECKING:
    from capture.recorder import Recorder
    from capture.recording.root import Root
    from capture.targets import Target


@dataclass(frozen=True, slots=True)
class Variation:
    """One configuration path, or `audio`, and the values it takes in turn."""

    path: str
    values: tuple[Any, ...]


def plan_run(
    sources: Sequence[Source],
    targets: Sequence[Target],
    *,
    variations: Sequence[Variation] = (),
    settings: Mapping[str, Any] | None = None,
    unset: Sequence[str] = (),
    trials: int = 5,
    seed: int = 0,
    concurrency: int = 8,
    speed: float = 1.0,
) -> Run:
    """Lay out a run: every recording over every target with every combination of the variations.

    Raises `UsageProblem` for a path that a recorded session does not have, for a target given twice, for a protocol
    that is not replayed, and for values that only a credential tells apart: it is not kept, and neither is what told
    them apart.
    """
    settings = settings or {}
    _check_targets(targets)
    _check_audio(settings, variations)
    paths = [path for path in [*settings, *(variation.path for variation in variations)] if path != AUDIO_AXIS]
    for source in sources:
        check_protocol(source)
        check_paths(paths, source.plan.configurations)
        check_unset(unset, paths, source.plan.configurations[0])
    cells = [
        cell
        for source in sources
        for cell in _cells_of(source, targets, variations=variations, settings=settings, unset=unset)
    ]
    started_at = datetime.now(UTC)
    axes = [Axis(axis=TARGET_AXIS, values=[target.name for target in targets])]
    axes += [_axis_of(variation) for variation in variations]
    return Run(
        run_id=new_run_id(started_at),
        started_at=started_at,
        recordings=[source.recording for source in sources],
        axes=axes,
        cells=cells,
        trials=trials,
        seed=seed,
        concurrency=concurrency,
        speed=speed,
    )


def plan_jobs(run: Run, sources: Sequence[Source], targets: Sequence[Target]) -> list[Job]:
    """Put a run's trials in order: in blocks of one trial a cell, each block shuffled by the run's seed.

    What changes while the run lasts then meets all cells alike.
    """
    by_session = {source.recording.session_id: source for source in sources}
    by_name = {target.name: target for target in targets}
    order = random.Random(run.seed)  # noqa: S311 - an order of trials, repeatable, and no secret
    first = [_first_job(cell, by_session[cell.session_id], by_name, seed=run.seed) for cell in run.cells]
    jobs: list[Job] = []
    for trial in range(1, run.trials + 1):
        block = [replace(job, trial=trial, block=trial) for job in first]
        order.shuffle(block)
        jobs += block
    return jobs


def _first_job(cell: RunCell, source: Source, targets: Mapping[str, Target], *, seed: int) -> Job:
    target = targets[cell.target]
    kind: TrialKind = "baseline" if cell.baseline else "variation"
    plan, upgrade = adapt_for(cell, source, targets, seed=seed), upgrade_for(source, target)
    return Job(cell, source, target, plan, upgrade, trial=1, block=1, kind=kind)


def unplayed(run: Run, jobs: Sequence[Job]) -> list[Job]:
    """List the trials of a run that have no outcome yet, or one that says nothing: throttled, not run.

    Those are taken out of the run, to be made again.
    """
    for cell in run.cells:
        cell.trials = [trial for trial in cell.trials if trial.outcome not in ("throttled", "not_run")]
    done = {(cell.session_id, cell.cell, trial.trial) for cell in run.cells for trial in cell.trials}
    return [job for job in jobs if (job.cell.session_id, job.cell.cell, job.trial) not in done]


def estimate_run(jobs: Sequence[Job], *, speed: float = 1.0) -> Cost:
    """Estimate what jobs cost before they are played: sessions, minutes of audio, tokens, minutes at a concurrency.

    Pure; reads the audio of each cell's plan once (a second for an hour of it), so a screen does it in a worker.
    """
    each = {job.cell.session_id + job.cell.cell: job for job in jobs}
    costs = {key: cost_of(job.source, job.plan, speed=speed) for key, job in each.items()}
    return total(costs[job.cell.session_id + job.cell.cell] for job in jobs)


def adapt_for(cell: RunCell, source: Source, targets: Mapping[str, Target], *, seed: int = 0) -> Plan:
    """Change a recording's plan to what one cell asks for; `seed` makes its noise."""
    recorded = targets.get(source.recording.target or "")
    configured = adapt(
        source.plan,
        {path: value for path, value in cell.overrides.items() if path != AUDIO_AXIS},
        recorded_models=recorded.transcription_models if recorded else {},
        target_models=targets[cell.target].transcription_models,
        unset_paths=cell.unset,
        dialect=dialect_to_write(source, targets[cell.target]),
    )
    # Last, for the audio has to be in the format that the configuration asks for.
    return speak(configured, parse_audio(cell.overrides.get(AUDIO_AXIS, RECORDED)), seed=seed)


def upgrade_for(source: Source, target: Target) -> Upgrade:
    """Give the handshake that a target is asked with, in its dialect."""
    dialect = dialect_to_write(source, target)
    return source.upgrade if dialect is None else source.upgrade.transposed(target, dialect)


def dialect_to_write(source: Source, target: Target) -> Spoken | None:
    """Tell which dialect a recording has to be written in for a target; None where it stays in its own."""
    recorded = source.recording.dialect
    spoken = dialect_of_target(target, source.url, recorded)
    return spoken if recorded in ("ga", "beta") and spoken != recorded else None


async def run_matrix(
    run: Run,
    jobs: Sequence[Job],
    root: Root,
    recorder: Recorder,
    *,
    timeout_ns: int = WAIT_TIMEOUT_NS,
    redact: Sequence[str] = (),
    as_recorded: bool = False,
    retries: int = RETRIES,
    budget: Budget | None = None,
    on_progress: OnProgress = lambda _job, _trial: None,
    on_pause: OnPause = lambda _pause: None,
) -> None:
    """Play the trials, so many at a time as the run says; the run's file is replaced after each.

    Knows of no terminal, so that a screen can run it: `on_progress` and `on_pause` are called on the event loop and
    must return at once. Cancelled, it keeps what was done and marks the run interrupted; `estimate_run` says before
    what it costs.

    `redact` names what must not be kept of the trials, as `--redact` does; `as_recorded` is as a `Player` takes it.
    A throttled trial is tried again up to `retries` times, where the `budget`, which has the jobs in it, has room. A
    target that wants to be left alone for longer than is waited for leaves trials undone: the run is then marked
    interrupted too, and `unplayed` gives what a resumed run has to play.
    """
    run_session = SessionRunner(run, recorder, timeout_ns=timeout_ns, redact=redact, as_recorded=as_recorded)
    how = Playing(retries=retries, budget=budget or Budget(), on_progress=on_progress, on_pause=on_pause)
    slots = asyncio.Semaphore(run.concurrency)
    player = TrialPlayer(run, root, how, run_session=run_session, slot_of=lambda _: slots)
    with claimed(root, run.run_id), being_played(run, root):
        if not await player.play(jobs):
            run.status = "done"


def _check_targets(targets: Sequence[Target]) -> None:
    names = [target.name for target in targets]
    if not names:
        raise UsageProblem("name at least one target with --to")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageProblem(f"target {', '.join(sorted(twice))} is given twice: for more trials use --trials")
    for target in targets:
        if (protocol := protocol_of_url(target.url)) is not None:
            raise UsageProblem(f"target {target.name} cannot be replayed to: {refusal(protocol)}")


def _check_audio(settings: Mapping[str, Any], variations: Sequence[Variation]) -> None:
    asked = [settings[AUDIO_AXIS]] if AUDIO_AXIS in settings else []
    for variation in variations:
        if variation.path == AUDIO_AXIS:
            if asked:
                raise UsageProblem("the audio is chosen twice: vary it, or set it")
            asked = list(variation.values)
    for value in asked:
        parse_audio(value)


def _cells_of(
    source: Source,
    targets: Sequence[Target],
    *,
    variations: Sequence[Variation],
    settings: Mapping[str, Any],
    unset: Sequence[str],
) -> list[RunCell]:
    cells = []
    for target, values in product(targets, product(*(variation.values for variation in variations))):
        varied = {variation.path: value for variation, value in zip(variations, values, strict=True)}
        cells.append(
            RunCell(
                cell=" · ".join([target.name, *(f"{short_path(p)}={shown(p, v)}" for p, v in varied.items())]),
                session_id=source.recording.session_id,
                target=target.name,
                region=target.region,
                model=target.model,
                values={TARGET_AXIS: target.name, **{path: shown(path, value) for path, value in varied.items()}},
                overrides={**settings, **varied},
                unset=list(unset),
            )
        )
    by_name = {target.name: target for target in targets}
    _find_baseline(cells, source, by_name).baseline = True
    return cells


def _axis_of(variation: Variation) -> Axis:
    axis = Axis(axis=variation.path, values=[shown(variation.path, value) for value in variation.values])
    if len(set(axis.values)) < len(axis.values):
        raise UsageProblem(
            f"values of {variation.path} differ only in a credential, which is never kept: give them different labels"
        )
    return axis


def _find_baseline(cells: Sequence[RunCell], source: Source, targets: Mapping[str, Target]) -> RunCell:
    # The cell that is the recording as it was; without one, the first that was asked for.
    models = {model: name for name, model in _recorded_models(source, targets).items()}

    def is_unchanged(cell: RunCell) -> bool:
        recorded = {path: RECORDED if path == AUDIO_AXIS else source.plan.setting(path) for path in cell.overrides}
        return not cell.unset and all(
            shown(path, models.get(was, was) if isinstance(was, str) else was) == shown(path, cell.overrides[path])
            for path, was in recorded.items()
        )

    unchanged = [cell for cell in cells if is_unchanged(cell)]
    home = max(unchanged, key=lambda cell: nearness(targets[cell.target], source), default=None)
    return home if home is not None and nearness(targets[home.target], source) else cells[0]


def _recorded_models(source: Source, targets: Mapping[str, Target]) -> dict[str, str]:
    recorded = targets.get(source.recording.target or "")
    return recorded.transcription_models if recorded else {}


def shown(path: str, value: Any) -> str:
    """Write a configuration value as it may be kept: credentials are `[redacted]`, as they are in a recording."""
    return as_text(without_secrets({path: value})[path])


def as_text(value: Any) -> str:
    """Write a configuration value as on the command line: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
