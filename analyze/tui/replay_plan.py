"""What a replay form asks for, planned and estimated; nothing is sent here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyze.answers import FailureMatrix
from analyze.matrix import count_failures
from capture.arguments import parse_values
from capture.errors import UsageProblem
from capture.plain_text import hidden
from capture.recording.root import Root
from capture.redaction import redact_setting
from capture.targets import Target, load_targets, resolve_target
from replay.comparison import short_path
from replay.runs import TARGET_AXIS, Run

if TYPE_CHECKING:
    from replay.attempts import Job
    from replay.estimate import Cost
    from replay.source import Source

CONCURRENCY = 8
MOST_TRIALS = 200
_LONGEST_VALUE = 60
_SIMULATE = (
    ". A simulator answered this one, and ended with its command: `wiretape replay simulate SCENARIO`"
    " in another terminal runs one at ws://127.0.0.1:8900"
)


@dataclass(frozen=True, slots=True)
class ReplayForm:
    """What a person filled in."""

    targets: tuple[str, ...]
    """Names in wiretape.toml, or URLs."""
    changes: tuple[str, ...] = ()
    """`PATH=VALUE` sets, `PATH=A,B` varies, `-PATH` takes out."""
    trials: int = 5


@dataclass(frozen=True)
class PlannedReplay:
    """A run that is ready to be played."""

    run: Run
    jobs: list[Job]
    targets: tuple[Target, ...]
    cost: Cost
    left_out: dict[str, tuple[str, ...]]
    """Target -> settings that its dialect has no place for."""


@dataclass(frozen=True)
class Recorded:
    """The recording that is to be replayed."""

    source: Source
    target: str | None
    """Name or URL that it went to, where that can be gone to again."""
    is_simulated: bool = False
    """Whether a simulator answered: it is gone with the command that ran it, as with the demo."""

    @property
    def suggestions(self) -> list[str]:
        """Settings that can be changed, those that were told first, each as `PATH=VALUE` with the value it had."""
        from replay.settable import settable_paths

        told = list(suggest(self.source.plan.configurations))
        known = {line.partition("=")[0] for line in told}
        others = (
            path for path in settable_paths(self.source) if not any(f"{it}.".startswith(f"{path}.") for it in known)
        )
        return [*told, *(f"{path}=" for path in others)]


def read_recorded(root: Root, session_id: str) -> Recorded:
    """Read a recording; raises `UsageProblem` where there is nothing to replay."""
    from capture.recording.reader import open_recording
    from replay.source import check_not_empty, prepare

    recording = open_recording(root, session_id)
    source = prepare(recording)
    check_not_empty(source)
    is_simulated = recording.session["provider"] == "simulator"
    return Recorded(source=source, target=source.recording.target, is_simulated=is_simulated)


def known_targets(recorded: Recorded) -> list[Target]:
    """List the targets of wiretape.toml, and where the recording went, that one first."""
    targets = load_targets()
    # A URL was the target's name where nothing else was known of it; `[redacted]` in it cannot be gone to.
    if recorded.target is not None and "://" in recorded.target and "[redacted]" not in recorded.target:
        targets.setdefault(recorded.target, resolve_target(recorded.target, targets))
    return sorted(targets.values(), key=lambda target: target.name != recorded.target)


def plan_replay(recorded: Recorded, form: ReplayForm) -> PlannedReplay:
    """Lay out what a form asks for.

    Raises `UsageProblem` with what is missing or wrong.
    """
    from replay.matrix import estimate_run
    from replay.run_request import RunRequest, lay_out
    from replay.transposition import left_out

    known = load_targets()
    if not form.targets:
        is_gone = recorded.is_simulated and recorded.target not in known
        raise UsageProblem(f"choose at least one target with space, or type a URL{_SIMULATE if is_gone else ''}")
    if not 1 <= form.trials <= MOST_TRIALS:
        raise UsageProblem(f"trials are 1 to {MOST_TRIALS}")
    targets = tuple(resolve_target(name, known) for name in form.targets)
    changes = sort_changes(form.changes)
    request = RunRequest(
        sessions=[recorded.source.recording.session_id],
        to=list(form.targets),
        trials=form.trials,
        concurrency=CONCURRENCY,
        settings=changes["settings"],
        vary=changes["vary"],
        unset=changes["unset"],
    )
    planned = lay_out(request, [recorded.source], targets)
    nowhere = {job.target.name: tuple(left_out(list(job.plan.changes))) for job in planned.jobs if job.trial == 1}
    return PlannedReplay(planned.run, planned.jobs, targets, estimate_run(planned.jobs), nowhere)


def sort_changes(changes: Sequence[str]) -> dict[str, list[str]]:
    """Tell what of the changes is set, what varied, and what taken out, as the command's options take it.

    Raises `UsageProblem` for what is none of them.
    """
    sorted_out: dict[str, list[str]] = {"settings": [], "vary": [], "unset": []}
    changed: set[str] = set()
    for change in changes:
        path, equals, listed = change.partition("=")
        path = path.strip()
        if not equals and path.startswith("-") and path[1:].strip():
            sorted_out["unset"].append(path[1:].strip())
            continue
        if not equals or not path or not listed.strip():
            raise UsageProblem(f"{change!r} changes nothing: write PATH=VALUE, PATH=A,B or -PATH")
        if path in changed:
            raise UsageProblem(f"{path} is changed twice")
        changed.add(path)
        sorted_out["vary" if len(parse_values(listed)) > 1 else "settings"].append(change)
    return sorted_out


def shell_command(session_id: str, form: ReplayForm, root: Root) -> str:
    """Write the command that does the same in a shell; `form` names targets, not URLs with a key in them.

    Raises `UsageProblem` for changes that cannot be read.
    """
    changes = sort_changes(form.changes)
    words = ["wiretape", "replay", "run", session_id]
    words += [word for target in form.targets for word in ("--to", target)]
    for option, name in (("--set", "settings"), ("--vary", "vary"), ("--unset", "unset")):
        words += [word for change in changes[name] for word in (option, change)]
    return shlex.join([*words, "--trials", str(form.trials), *root.words])


def run_matrix_of(run: Run) -> FailureMatrix:
    """Count what came of a run's trials so far, over the axes it varies."""
    varied = [axis.axis for axis in run.axes if len(axis.values) > 1]
    # The target stands at the top, as regions do on the Failures screen.
    by = sorted(varied, key=lambda axis: axis == TARGET_AXIS)[-2:] or [TARGET_AXIS]
    rows = [
        {"session_ids": [trial.session_id], "outcome": trial.outcome}
        | {f"label_{at}": cell.values.get(axis, "–") for at, axis in enumerate(by)}
        for cell in run.cells
        for trial in cell.trials
    ]
    return count_failures([short_path(axis) for axis in by], rows)


def suggest(configurations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write each innermost setting once, as `PATH=VALUE`; the value stays out where it is long or a list."""
    seen: set[str] = set()
    # Asked for before echoed: that is what can be changed.
    for tree in configurations:
        for path, value in _leaves(tree, ""):
            # What the endpoint echoed may hold anything, and a text field shows it as it is.
            if path not in seen and hidden(path) == path:
                seen.add(path)
                text = redact_setting(path, value if isinstance(value, str) else json.dumps(value))
                is_short = len(text) <= _LONGEST_VALUE and "," not in text and hidden(text) == text
                yield f"{path}={text if is_short else ''}"


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
