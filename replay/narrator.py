"""Tell on stderr how the trials of a run go: a line each, with the pacing, and on a terminal a bar below them."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from capture.narration import console as stderr_console
from capture.narration import counted
from capture.plain_text import visible
from replay.attempts import Job
from replay.estimate import say_duration
from replay.runs import Run, Trial
from replay.trials import Pause
from replay.wording import symptom


class Narrator:
    """Shows trials as they come in; `note` and `note_pause` are what a run calls while it is played.

    Without `lines` only the bar of a terminal shows them, for who tells of the run in another way.
    """

    def __init__(self, run: Run, total: int, *, lines: bool = True, console: Console | None = None) -> None:
        """Take the run, and how many trials there will be with those that it has already."""
        self._run = run
        self._lines = lines
        self._console = console or stderr_console()
        self._outcomes = Counter(trial.outcome for trial in run.all_trials)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[outcomes]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("replaying", total=total, completed=run.finished_trials, outcomes="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, said: str) -> None:
        """Say something above the bar."""
        # Endpoints are quoted here; and lines of a log are not broken, a terminal breaks them itself.
        self._console.print(Text(visible(said)), soft_wrap=True)

    def note(self, job: Job, trial: Trial | None) -> None:
        """Take in that a trial began, or what came of it."""
        if trial is None:
            return
        self._outcomes[trial.outcome] += 1
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self._outcomes.items())
        self._bar.update(self._task, advance=1, outcomes=counts)
        if self._lines:
            self.tell(say_trial(self._run, job, trial))

    def note_pause(self, pause: Pause) -> None:
        """Take in that a target is left alone for a while."""
        self.tell(say_pause(pause))


def say_trial(run: Run, job: Job, trial: Trial) -> str:
    """Say in a line what came of a trial, how punctually it was sent, and how much came otherwise."""
    said = f"  {job.cell.cell} {trial.trial}"
    if run.design == "factorial":
        said += f"/{run.trials}"
    said += f": {trial.outcome.replace('_', ' ')}"
    if trial.not_again:
        said += f" ({say_not_again(job, trial)})"
    if trial.pacing_us is not None:
        said += f", sent within {trial.pacing_us / 1000:.2f} ms of its times (median)"
    if trial.divergences:
        said += f", {counted(trial.divergences, 'divergence')}"
    if trial.note:
        said += f", {trial.note}"
    return f"{said}  {trial.session_id}"


def say_not_again(job: Job, trial: Trial) -> str:
    """Say which of the recorded failures did not come again in a trial that failed; empty where all of them did."""
    recorded = job.source.recording.failure_keys
    names = ", ".join(symptom(key, recorded) for key in trial.not_again)
    return f"not again: {names}" if names else ""


def say_pause(pause: Pause) -> str:
    """Say why a target is left alone, for how long, and what comes then."""
    name = pause.job.target.name
    if pause.ends_target:
        return (
            f"  {name} throttles and wants to be left alone for {say_duration(pause.wait_s)} ({pause.told_by}): it gets"
            " nothing more in this run"
        )
    why = f"as its {pause.told_by} says" if pause.told_by.startswith(("retry", "x-", "rate")) else "as its error says"
    why = why if pause.told_by else "it does not say how long"
    said = f"  {name} throttles: it is left alone for {say_duration(pause.wait_s)}, {why}"
    trial = f"trial {pause.job.trial} of {pause.job.cell.cell}"
    if pause.goes_on:
        return f"{said}; then {trial} is tried again ({pause.retry} of {pause.retries})"
    return f"{said}; {trial} is not tried again"
