"""What the commands that make trials, `run` and `isolate`, do alike before the first of them and after the last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Protocol, TypeVar

from capture.errors import EndpointRefused
from capture.narration import counted, first_of, tell
from replay.adaptation import asked_as_recorded
from replay.connection import find_misspelt, model_in
from replay.resuming import ask_again, check_unchanged, pauses_left, take_over
from replay.rewrite import TRANSCRIPTION_MODEL_PATHS
from replay.runs import CONNECTION_MODEL, Run, RunDesign, Trial, load_run
from replay.source import Source, is_home, recorded_target
from replay.transposition import left_out

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from capture.recording.root import Root
    from capture.targets import Target
    from replay.plan import Plan

    Request = TypeVar("Request", bound=DataclassInstance)

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
_SHOWN_PARTS = 5


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
    again = sum(trial.says_nothing for trial in run.all_trials) if design == "factorial" else 0
    if run.status == "done" and again:
        tell(f"run {run.run_id} is done, but for {counted(again, 'trial')} that came to nothing: made again")
    elif run.status == "done":
        tell(f"run {run.run_id} is done: nothing is left to make")
    else:
        tell(f"run {run.run_id} goes on after {run.finished_trials} of {most} trials")
    for pause in pauses_left(run, datetime.now(UTC)):
        tell(pause)
    return request, planned


def tell_beforehand(
    run: Run, sources: Sequence[Source], targets: Sequence[Target], sent: Iterable[tuple[Target, Plan]]
) -> None:
    """Tell before the first trial what of the recordings is not sent, and what may not be meant as it is."""
    sent = list(sent)
    tell_left_out(sent)
    tell_not_sent(sources)
    tell_muted(plan for _, plan in sent)
    tell_misspelt(run, sources, targets)
    tell_unmapped(run, sources, targets)


def tell_left_out(sent: Iterable[tuple[Target, Plan]]) -> None:
    """Tell once for each target what its dialect has no place for."""
    by_target: dict[str, dict[str, None]] = {}
    for target, plan in sent:
        by_target.setdefault(target.name, {}).update(dict.fromkeys(left_out(plan.changes)))
    for name, paths in by_target.items():
        if paths:
            tell(f"{name} speaks a dialect that has nothing for {', '.join(paths)}: left out")


def tell_not_sent(sources: Iterable[Source]) -> None:
    """Tell of each recording what no replay of it sends, because the recording does not hold it."""
    for source in sources:
        if parts := source.plan.not_sent:
            tell(f"not sent of {source.recording.session_id}: {first_of(parts, _SHOWN_PARTS)}")


def tell_muted(plans: Iterable[Plan]) -> None:
    """Tell what comes of trials that send silence, for the audio was redacted, and what to do instead."""
    if any(plan.is_muted for plan in plans):
        tell(
            "silence goes in the place of the redacted audio, for as long as that was: a trial in which nothing fails"
            " does not count. Say a clip instead, with `wiretape replay run … --audio FILE`"
        )


def tell_misspelt(run: Run, sources: Iterable[Source], targets: Iterable[Target]) -> None:
    """Warn of queries and headers that look misspelt; they are sent as they are."""
    asked = [asked_as_recorded(source, target) for source, target in product(sources, targets)]
    for path, near in find_misspelt({path: None for cell in run.cells for path in cell.overrides}, asked).items():
        tell(f"{path} is known to no recording, target or protocol here, and is sent so: is it {near}?")


def tell_unmapped(run: Run, sources: Iterable[Source], targets: Sequence[Target]) -> None:
    """Warn of a recorded model that a target with names of its own gets as it was recorded.

    On Azure it is a deployment's name, which means nothing at another resource.
    """
    by_id, by_name = {source.recording.session_id: source for source in sources}, {each.name: each for each in targets}
    told: dict[str, None] = {}
    for cell in run.cells:
        source, target = by_id[cell.session_id], by_name[cell.target]
        home = recorded_target(source, targets)
        heard = source.plan.configuration.transcription_model
        maps = [each.transcription_models for each in (target, home) if each]
        if not any(path in cell.overrides for path in TRANSCRIPTION_MODEL_PATHS) and _is_in_none(heard, *maps):
            told[_say_unmapped(target, "transcription models", heard, "transcription_model")] = None
        asked = None if is_home(target, source) or target.model else model_in(source.upgrade.path_and_query)
        maps = [each.models for each in (target, home) if each]
        if CONNECTION_MODEL not in cell.overrides and _is_in_none(asked, *maps):
            told[_say_unmapped(target, "realtime models", asked, "model")] = None
    for line in told:
        tell(line)


def _is_in_none(name: str | None, there: Mapping[str, str], *others: Mapping[str, str]) -> bool:
    known = {each for names in (there, *others) for pair in names.items() for each in pair}
    return bool(name and there) and name not in known


def _say_unmapped(target: Target, what: str, name: str | None, setting: str) -> str:
    return (
        f"{target.name} has other deployments for {what}, and {name} is in no {setting}s: it is sent as it is. Name the"
        f" recorded target's in wiretape.toml, or set {setting}"
    )


def raise_if_refused(run: Run) -> None:
    """Raise `EndpointRefused` where no target took a single session."""
    trials = run.all_trials
    if trials and not any(map(_was_taken, trials)):
        reasons = dict.fromkeys(trial.note.removeprefix("refused: ") for trial in trials)
        raise EndpointRefused("no target took a session:", "; ".join(reasons))


def _was_taken(trial: Trial) -> bool:
    if trial.outcome == "throttled":
        # At the upgrade, or in the middle of a session; audio is of an attempt that got so far.
        return trial.sent_ms > 0 or not trial.note.startswith("refused: ")
    return trial.outcome != "not_run"
