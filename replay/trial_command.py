"""What the commands that make trials, `run` and `isolate`, do alike before the first of them and after the last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Protocol, TypeVar

from capture.errors import EndpointRefused
from capture.narration import tell
from replay.adaptation import asked_as_recorded
from replay.connection import find_misspelt
from replay.resuming import ask_again, check_unchanged, pauses_left, take_over
from replay.runs import Run, RunDesign, load_run
from replay.transposition import left_out

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from capture.recording.root import Root
    from capture.targets import Target
    from replay.plan import Plan
    from replay.source import Source

    Request = TypeVar("Request", bound=DataclassInstance)

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


class LaidOut(Protocol):
    """What was asked for, laid out."""

    @property
    def run(self) -> Run:
        """Its run."""


Planned = TypeVar("Planned", bound=LaidOut)


def take_up(
    text: str,
    request: Request,
    given: Collection[str],
    root: Root,
    design: RunDesign,
    plan: Callable[[Request, Root], Planned],
) -> tuple[Request, Planned]:
    """Lay out a run again from what was asked for when it was begun, with the trials that it has.

    `given` names the fields of `request` that were given on the command line: those of how it is played may be. Raises
    `UsageProblem` where it would be another run.
    """
    saved = load_run(root, text)
    request = ask_again(saved, request, given, design)
    planned = plan(request, root)
    check_unchanged(saved, planned.run)
    take_over(saved, planned.run)
    run = planned.run
    most = f"at most {run.trials}" if design == "adaptive" else str(run.trials * len(run.cells))
    tell(f"run {run.run_id} goes on after {run.finished_trials} of {most} trials")
    for pause in pauses_left(run, datetime.now(UTC)):
        tell(pause)
    return request, planned


def tell_left_out(sent: Iterable[tuple[Target, Plan]]) -> None:
    """Tell once for each target what its dialect has no place for."""
    by_target: dict[str, dict[str, None]] = {}
    for target, plan in sent:
        by_target.setdefault(target.name, {}).update(dict.fromkeys(left_out(plan.changes)))
    for name, paths in by_target.items():
        if paths:
            tell(f"{name} speaks a dialect that has nothing for {', '.join(paths)}: left out")


def tell_misspelt(run: Run, sources: Iterable[Source], targets: Iterable[Target]) -> None:
    """Warn of queries and headers that look misspelt; they are sent as they are."""
    asked = [asked_as_recorded(source, target) for source, target in product(sources, targets)]
    for path, near in find_misspelt({path: None for cell in run.cells for path in cell.overrides}, asked).items():
        tell(f"{path} is known to no recording, target or protocol here, and is sent so: is it {near}?")


def raise_if_refused(run: Run) -> None:
    """Raise `EndpointRefused` where no target took a single session."""
    trials = run.all_trials
    if trials and all(trial.outcome == "not_run" for trial in trials):
        reasons = dict.fromkeys(trial.note.removeprefix("refused: ") for trial in trials)
        raise EndpointRefused("no target took a session:", "; ".join(reasons))
