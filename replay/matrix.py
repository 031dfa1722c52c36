"""Replay recordings over targets x variations x trials, and keep the run's file up to date."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from capture.errors import UsageProblem
from capture.event_loop import pass_over_the_heap
from capture.realtime.outcomes import COMPLETED
from capture.recording.facts import ReplayFacts, TrialKind
from capture.sealing import SealingFailed
from replay.audio_choice import AUDIO_AXIS, RECORDED, parse_audio
from replay.client import Played, Upgrade, play, read_upgrade
from replay.comparison import short_path
from replay.deadlines import Deadlines
from replay.foreign import protocol_of_url, refusal
from replay.handshake import dialect_of_target
from replay.plan import Plan, adapt, make_plan
from replay.player import WAIT_TIMEOUT_NS
from replay.rewrite import check_paths, check_unset
from replay.runs import (
    TARGET_AXIS,
    Axis,
    Run,
    RunCell,
    RunRecording,
    Trial,
    TrialOutcome,
    encode_run,
    new_run_id,
    save_run,
    without_secrets,
)
from replay.sent_audio import speak
from replay.shortening import shorten
from replay.transposition import Spoken

if TYPE_CHECKING:
    from capture.recorder import Recorder
    from capture.recording.reader import Recording
    from capture.recording.root import Root
    from capture.targets import Target

_OPTIONS = (
    "session.audio.input.transcription.language",
    "session.audio.input.transcription.prompt",
    "session.audio.input.noise_reduction",
    "session.audio.input.turn_detection.silence_duration_ms",
    "session.input_audio_transcription.language",
    "session.input_audio_noise_reduction",
    "session.turn_detection.silence_duration_ms",
)
"""Options most likely to matter to a failure, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Variation:
    """One configuration path, or `audio`, and the values it takes in turn."""

    path: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Source:
    """A recording, ready to be replayed."""

    recording: RunRecording
    plan: Plan
    upgrade: Upgrade
    url: str
    """The recorded URL, redacted."""


@dataclass(frozen=True, slots=True)
class Job:
    """One trial to play."""

    cell: RunCell
    source: Source
    target: Target
    plan: Plan
    upgrade: Upgrade
    trial: int
    block: int
    kind: TrialKind


OnProgress = Callable[[Job, Trial | None], None]
"""Called with None when a trial starts, and with its outcome when it is over."""


def prepare(recording: Recording) -> Source:
    """Read a recording and plan its replay."""
    session = recording.session
    plan = make_plan(recording.messages(), session["gaps"] or ())
    options = {path: value for path in _OPTIONS if (value := plan.setting(path)) is not None}
    return Source(
        recording=RunRecording(
            session_id=session["session_id"],
            outcome=session["outcome"],
            failure_keys=list(session["failure_keys"] or ()),
            target=session["target"],
            region=session["region"],
            model=session["model"] or session["model_echoed"],
            transcription_model=session["transcription_model"] or session["transcription_model_echoed"],
            dialect=session["dialect"],
            options=options,
        ),
        plan=plan,
        upgrade=read_upgrade(session),
        url=session["url"] or "",
    )


def shortened(source: Source, *, until_turn: int | None = None, longest_idle_s: float | None = None) -> Source:
    """Make every replay of a recording shorter, as `shorten` does."""
    return replace(source, plan=shorten(source.plan, until_turn=until_turn, longest_idle_s=longest_idle_s))


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
    jobs: Iterable[Job],
    root: Root,
    recorder: Recorder,
    *,
    timeout_ns: int = WAIT_TIMEOUT_NS,
    redact: Sequence[str] = (),
    as_recorded: bool = False,
    on_progress: OnProgress = lambda _job, _trial: None,
) -> None:
    """Play the trials, so many at a time as the run says; the run's file is replaced after each.

    `redact` names what must not be kept of the trials, as `--redact` does; `as_recorded` is as a `Player` takes it.

    Cancelled, it keeps what was done and marks the run interrupted.
    """
    save_run(root, run.run_id, encode_run(run))
    slots = asyncio.Semaphore(run.concurrency)
    try:
        await play_jobs(
            run,
            jobs,
            root,
            recorder,
            slot_of=lambda _: slots,
            timeout_ns=timeout_ns,
            redact=redact,
            as_recorded=as_recorded,
            on_progress=on_progress,
        )
        run.status = "done"
    finally:
        end_run(run, root)


async def play_jobs(
    run: Run,
    jobs: Iterable[Job],
    root: Root,
    recorder: Recorder,
    *,
    slot_of: Callable[[Job], asyncio.Semaphore],
    timeout_ns: int,
    redact: Sequence[str],
    as_recorded: bool = False,
    on_progress: OnProgress,
) -> None:
    """Play trials, each when its slot is free; the run's file is replaced after each."""
    one_writer = asyncio.Lock()

    async def save() -> None:
        async with one_writer:
            # Waiting for the disk would make the other trials late.
            await asyncio.to_thread(save_run, root, run.run_id, encode_run(run))

    async def play_job(job: Job) -> None:
        async with slot_of(job):
            on_progress(job, None)
            played = await _play(job, run, recorder, timeout_ns, redact, as_recorded=as_recorded, deadlines=deadlines)
        trial = await _judge(job, played)
        job.cell.trials.append(trial)
        await save()
        on_progress(job, trial)

    with pass_over_the_heap(), Deadlines() as deadlines:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(play_job(job), name=f"{job.cell.cell} {job.trial}")


def end_run(run: Run, root: Root) -> None:
    """Write down that a run is over: interrupted, unless it is marked done."""
    run.status = "done" if run.status == "done" else "interrupted"
    run.ended_at = datetime.now(UTC)
    for cell in run.cells:
        cell.trials.sort(key=lambda trial: trial.trial)
    save_run(root, run.run_id, encode_run(run))


async def _play(
    job: Job,
    run: Run,
    recorder: Recorder,
    timeout_ns: int,
    redact: Sequence[str],
    *,
    as_recorded: bool,
    deadlines: Deadlines,
) -> Played:
    facts = ReplayFacts(
        run_id=run.run_id,
        replay_of=job.source.recording.session_id,
        cell=job.cell.cell,
        trial=job.trial,
        block=job.block,
        trial_kind=job.kind,
        overrides=json.dumps(job.cell.overrides, ensure_ascii=False),
        expected_failure_keys=job.source.recording.failure_keys,
    )
    return await play(
        job.plan,
        job.target,
        recorder,
        replay=facts,
        upgrade=job.upgrade,
        as_recorded=as_recorded,
        speed=run.speed,
        timeout_ns=timeout_ns,
        redact=redact,
        deadlines=deadlines,
    )


async def _judge(job: Job, played: Played) -> Trial:
    outcome: TrialOutcome = "not_run"
    note = "" if played.end_reason == COMPLETED else played.end_reason
    try:
        sealed = await asyncio.wrap_future(played.sealed)
        outcome = cast("TrialOutcome", sealed.trial_outcome or "not_run")
        note = note or (sealed.first_error or "" if outcome == "failed_otherwise" else "")
    except SealingFailed as failure:
        note = str(failure)
    return Trial(
        trial=job.trial,
        block=job.block,
        session_id=played.session_id,
        outcome=outcome,
        kind=job.kind,
        note=note,
    )


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


def check_protocol(source: Source) -> None:
    """Check that a recording speaks a protocol that is replayed.

    Raises `UsageProblem` with the reason.
    """
    protocol = protocol_of_url(source.url) or source.plan.protocol
    if protocol is not None:
        raise UsageProblem(f"recording {source.recording.session_id} cannot be replayed: {refusal(protocol)}")


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


def nearness(target: Target, source: Source) -> int:
    """Tell how surely a target is the recorded one: by name, by URL, by region; 0 if not."""
    if target.name == source.recording.target:
        return 3
    asked = target.request_url(source.upgrade.path_and_query)
    if source.url and asked.split("?")[0] == source.url.split("?")[0]:
        return 2
    return 1 if target.region and target.region == source.recording.region else 0


def shown(path: str, value: Any) -> str:
    """Write a configuration value as it may be kept: credentials are `[redacted]`, as they are in a recording."""
    return as_text(without_secrets({path: value})[path])


def as_text(value: Any) -> str:
    """Write a configuration value as on the command line: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
