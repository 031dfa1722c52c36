"""The demo: stage the founding incident, record it, replay it over two regions and two models, explain it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from capture.call import CallPlan, CallProgress, place_call
from capture.narration import console, tell
from capture.policy import RecordingPolicy
from capture.proxy import serve_proxy
from capture.queued_output import queued_output
from capture.recorder import Recorder
from capture.recording.reader import open_recording
from capture.recording.root import Root, open_root
from capture.sealing import SealedSession
from capture.targets import Target
from replay.attempts import Job
from replay.cells import Variation, plan_run
from replay.matrix import plan_jobs, run_matrix
from replay.simulator import load_scenario, serve
from replay.simulator.clips import clip_path
from replay.simulator.loopback import loopback_directly
from replay.source import prepare

if TYPE_CHECKING:
    from replay.runs import Run, Trial

SCENARIO = "transcription_model_path_failure"
REGIONS = ("eastus2", "swedencentral")
REALTIME_MODEL = "gpt-realtime"
TRANSCRIPTION_MODELS = ("gpt-4o-transcribe", "whisper-1")
TRANSCRIPTION_PATH = "session.audio.input.transcription.model"
QUESTION = "question_weather"
_CONCURRENCY = 10


def run_demo(*, plain: bool, recordings: Path | None, trials: int) -> None:
    """Run the demo and show its result: the TUI in a terminal, else (or with `plain`) the verdict and its table.

    Everything but the recordings is gone afterwards: simulator and proxy listen on loopback, inside this process.
    """
    root = open_root(recordings)
    narration = console()
    narration.print(
        "A local simulator stands in for two regions: no key, no network. In eastus2 it fails the way a real endpoint"
        " was reported to: gpt-4o-transcribe ends every turn in server_error without a code."
    )
    try:
        with queued_output(), loopback_directly(), Recorder(root) as recorder:
            run = asyncio.run(_record_and_replay(root, recorder, narration, trials))
    except KeyboardInterrupt:
        tell(f"interrupted: what was recorded so far is kept in {root.path}; now: {root.command('wiretape analyze')}")
        raise
    _show(root, run, plain=plain)


async def _record_and_replay(root: Root, recorder: Recorder, narration: Console, trials: int) -> Run:
    columns = (TextColumn("{task.description:44}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
    async with serve([load_scenario(SCENARIO)], regions=REGIONS) as simulator:
        targets = simulator.targets(REALTIME_MODEL)
        with Progress(*columns, console=narration) as progress:
            session_id = await _record(targets[0], recorder, progress)
            run = await _replay(session_id, targets, root, recorder, progress, trials)
    narration.print(f"recorded {session_id}, replayed as run {run.run_id}: {root.path}")
    narration.print(
        "The two regions are gone with the demo; to go on with them: wiretape replay simulate"
        f" {SCENARIO}, and name them in wiretape.toml, each a table targets.NAME with its url."
    )
    return run


async def _record(target: Target, recorder: Recorder, progress: Progress) -> str:
    """Call through the proxy, as a client of one's own would, and give the id under which the proxy recorded it."""
    bar = progress.add_task("call eastus2 through the proxy", total=None)

    def tell(call: CallProgress) -> None:
        progress.update(bar, description=f"call eastus2 through the proxy: {call.phase}")

    loop = asyncio.get_running_loop()
    sealed: asyncio.Future[SealedSession] = loop.create_future()

    def pass_on(done: Future[SealedSession]) -> None:
        # The loop is gone where the demo was stopped before its call was sealed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_copy_result, done, sealed)

    plan = CallPlan(clip=clip_path(QUESTION), transcription=TRANSCRIPTION_MODELS[0])
    # The caller's own recording is not what the demo is about: it goes with the folder.
    with tempfile.TemporaryDirectory() as scratch, Recorder(Root(Path(scratch))) as callers:
        policy = RecordingPolicy(tags={"demo": SCENARIO})
        async with serve_proxy(target, recorder, listen="127.0.0.1:0", policy=policy, on_sealed=pass_on) as origin:
            await place_call(Target(name="proxy", url=origin), plan, callers, on_progress=tell)
    session_id = (await sealed).session_id
    progress.update(bar, description="call eastus2 through the proxy: recorded", total=1, completed=1)
    return session_id


async def _replay(
    session_id: str, targets: list[Target], root: Root, recorder: Recorder, progress: Progress, trials: int
) -> Run:
    source = prepare(open_recording(root, session_id))
    variations = [Variation(TRANSCRIPTION_PATH, TRANSCRIPTION_MODELS)]
    run = plan_run([source], targets, variations=variations, trials=trials, concurrency=_CONCURRENCY)
    jobs = plan_jobs(run, [source], targets)
    cells = f"{len(targets)} regions x {len(TRANSCRIPTION_MODELS)} models x {trials} trials"
    bar = progress.add_task(f"replay over {cells}", total=len(jobs))

    def count(_job: Job, trial: Trial | None) -> None:
        progress.advance(bar, trial is not None)

    await run_matrix(run, jobs, root, recorder, on_progress=count)
    return run


def _copy_result(done: Future[SealedSession], waiting: asyncio.Future[SealedSession]) -> None:
    error = done.exception()
    if error is not None:
        waiting.set_exception(error)
    else:
        waiting.set_result(done.result())


def _show(root: Root, run: Run, *, plain: bool) -> None:
    if plain or not sys.stdout.isatty():
        from analyze.cli import print_verdict

        print_verdict(root, run.run_id)
        return
    from analyze.tui.app import run as run_tui

    run_tui(root, start="failures")
