"""Plays a planned replay in a thread of its own, tells how far it is, and can be cancelled."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from threading import Lock
from typing import TYPE_CHECKING

from analyze.tui.replay_plan import PlannedReplay
from capture.recording.root import Root
from replay.runs import Run, Trial

if TYPE_CHECKING:
    from replay.attempts import Job
    from replay.trials import Pause


@dataclass(frozen=True, slots=True)
class TrialProgress:
    """How far one trial is."""

    cell: str
    trial: int
    outcome: str | None
    """None while it runs."""
    session_id: str | None = None
    note: str = ""
    pacing_ms: float | None = None
    """Median deviation of its sends from their due time; None while it runs, or where it was not measured."""

    @property
    def key(self) -> str:
        """What tells it from the run's other trials."""
        return f"{self.cell} {self.trial}"


class ReplayRunner:
    """One run; `play` blocks, `cancel` may be called from any thread."""

    def __init__(self, root: Root, planned: PlannedReplay, on_progress: Callable[[TrialProgress], None]) -> None:
        self._root = root
        self._planned = planned
        self._on_progress = on_progress
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    def play(self) -> Run:
        """Play all trials, recorded into the root; give the run, interrupted where it was cancelled.

        Raises `UsageProblem` where a target's key is missing or its proxy of no use, before anything is sent.
        """
        from capture.upstream import check_way

        for target in self._planned.targets:
            check_way(target)
        _start_tracker()
        with suppress(asyncio.CancelledError):
            asyncio.run(self._play())
        return self._planned.run

    def cancel(self) -> None:
        """End the run; trials that are done stay, those under way are hung up and recorded as far as they came."""
        with self._lock:
            self._cancelled = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _play(self) -> None:
        from capture.recorder import Recorder
        from replay.matrix import run_matrix

        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            if self._cancelled:
                return
        recorder = Recorder(self._root)
        try:
            await run_matrix(
                self._planned.run,
                self._planned.jobs,
                self._root,
                recorder,
                on_progress=self._note,
                on_pause=self._note_pause,
            )
        finally:
            with self._lock:
                self._loop = self._task = None
            # It waits for what is still to be sealed.
            await asyncio.to_thread(recorder.close)

    def _note(self, job: Job, trial: Trial | None) -> None:
        if trial is None:
            self._on_progress(TrialProgress(job.cell.cell, job.trial, None))
            return
        from replay.narrator import say_not_again

        pacing_ms = None if trial.pacing_us is None else trial.pacing_us / 1000
        note = trial.note or say_not_again(job, trial)
        told = TrialProgress(job.cell.cell, job.trial, trial.outcome, trial.session_id, note, pacing_ms)
        self._on_progress(told)

    def _note_pause(self, pause: Pause) -> None:
        from replay.narrator import say_pause

        job = pause.job
        self._on_progress(TrialProgress(job.cell.cell, job.trial, None, pause.session_id, say_pause(pause).strip()))


def _start_tracker() -> None:
    """Start what watches over processes of multiprocessing, such as the sealer: it inherits stderr.

    What stands in for stderr while a screen is drawn cannot be inherited.
    """
    with redirect_stderr(sys.__stderr__):
        resource_tracker.ensure_running()
