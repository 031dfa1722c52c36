"""What a replay form asks for, planned and estimated; nothing is sent here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyze.answers import FailureMatrix
from analyze.matrix import count_failures
from analyze.plain_text import hidden
from capture.arguments import parse_value, parse_values
from capture.errors import UsageProblem
from capture.recording.root import Root
from capture.redaction import redact_setting
from capture.targets import Target, load_targets, resolve_target
from replay.comparison import short_path
from replay.runs import TARGET_AXIS, Run

if TYPE_CHECKING:
    from replay.matrix import Job, Source

CONCURRENCY = 8
MOST_TRIALS = 200
_TOKENS_A_MINUTE_SENT = 600
"""OpenAI counts a token for each 100 ms of audio that it is sent, and one for each 50 ms that it sends."""
_TOKENS_A_MINUTE_RECEIVED = 1200
_ANSWER_S = 5
"""Rough time for the last answer of a trial."""
_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class ReplayForm:
    """What a person filled in."""

    targets: tuple[str, ...]
    """Names in wiretape.toml, or URLs."""
    changes: tuple[str, ...] = ()
    """`PATH=VALUE` sets, `PATH=A,B` varies, `-PATH` takes out."""
    trials: int = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a replay will send, and about what it costs."""

    sessions: int
    sent_minutes: float
    """Minutes that the client's side lasts, over all sessions."""
    about_minutes: float
    """Until all is done, trials side by side."""
    tokens: int
    tokens_from: str
    """What the tokens were reckoned from."""


@dataclass(frozen=True)
class PlannedReplay:
    """A run that is ready to be played."""

    run: Run
    jobs: list[Job]
    targets: tuple[Target, ...]
    estimate: Estimate
    left_out: dict[str, tuple[str, ...]]
    """Target -> settings that its dialect has no place for."""


@dataclass(frozen=True)
class Recorded:
    """The recording that is to be replayed."""

    source: Source
    target: str | None
    """Name or URL that it went to, where that can be gone to again."""
    tokens: int | None
    """What the endpoint said it used; None: it said nothing."""
    sent_ms: float
    received_ms: float

    @property
    def suggestions(self) -> list[str]:
        """Settings that can be changed, each as `PATH=VALUE` with the value it had, the innermost only."""
        return list(suggest(self.source.plan.configurations))


def read_recorded(root: Root, session_id: str) -> Recorded:
    """Read a recording; raises `UsageProblem` where there is nothing to replay."""
    from capture.recording.reader import open_recording
    from replay.matrix import prepare

    recording = open_recording(root, session_id)
    row = recording.session
    source = prepare(recording)
    if not source.plan.steps:
        raise UsageProblem(f"recording {session_id} holds no message of its client: there is nothing to replay")
    used = [row["input_tokens"], row["output_tokens"]]
    return Recorded(
        source=source,
        target=row["target"],
        tokens=None if None in used else sum(used),
        sent_ms=row["audio_in_ms"] or 0.0,
        received_ms=row["audio_out_ms"] or 0.0,
    )


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
    from replay.matrix import plan_jobs, plan_run
    from replay.transposition import left_out

    if not form.targets:
        raise UsageProblem("choose at least one target with space, or type a URL")
    if not 1 <= form.trials <= MOST_TRIALS:
        raise UsageProblem(f"trials are 1 to {MOST_TRIALS}")
    known = load_targets()
    targets = tuple(resolve_target(name, known) for name in form.targets)
    settings, variations, unset = read_changes(form.changes)
    run = plan_run(
        [recorded.source],
        targets,
        variations=variations,
        settings=settings,
        unset=unset,
        trials=form.trials,
        concurrency=CONCURRENCY,
    )
    jobs = plan_jobs(run, [recorded.source], targets)
    nowhere = {job.target.name: tuple(left_out(list(job.plan.changes))) for job in jobs if job.trial == 1}
    return PlannedReplay(run, jobs, targets, estimate(recorded, jobs, run.concurrency), nowhere)


def read_changes(changes: Sequence[str]) -> tuple[dict[str, Any], list[Any], list[str]]:
    """Read changes as settings, variations and what is taken out; raises `UsageProblem`."""
    from replay.matrix import Variation

    settings: dict[str, Any] = {}
    variations: list[Any] = []
    unset: list[str] = []
    for change in changes:
        path, equals, listed = change.partition("=")
        path = path.strip()
        if not equals and path.startswith("-") and path[1:].strip():
            unset.append(path[1:].strip())
            continue
        if not equals or not path or not listed.strip():
            raise UsageProblem(f"{change!r} changes nothing: write PATH=VALUE, PATH=A,B or -PATH")
        if path in settings or any(variation.path == path for variation in variations):
            raise UsageProblem(f"{path} is changed twice")
        values = parse_values(listed)
        if len(values) > 1:
            variations.append(Variation(path, tuple(values)))
        else:
            settings[path] = values[0] if values else parse_value(listed)
    return settings, variations, unset


def shell_command(session_id: str, form: ReplayForm, root: Root) -> str:
    """Write the command that does the same in a shell; `form` names targets, not URLs with a key in them.

    Raises `UsageProblem` for changes that cannot be read.
    """
    settings, variations, unset = read_changes(form.changes)
    words = ["wiretape", "replay", "run", session_id]
    words += [word for target in form.targets for word in ("--to", target)]
    for change in form.changes:
        path = change.partition("=")[0].strip()
        if path in settings or any(variation.path == path for variation in variations):
            words += ["--set" if path in settings else "--vary", change]
    words += [word for path in unset for word in ("--unset", path)]
    words += ["--trials", str(form.trials)]
    if str(root.path) != "recordings":
        words += ["--recordings", str(root.path)]
    return shlex.join(words)


def estimate(recorded: Recorded, jobs: Sequence[Job], concurrency: int) -> Estimate:
    """Reckon what trials will send: the time is that of their plans, the tokens those of the recording."""
    sessions = len(jobs)
    seconds = sum(job.plan.duration_ns for job in jobs) / 1e9
    about_s = (seconds + _ANSWER_S * sessions) / max(1, min(concurrency, sessions))
    tokens, source = recorded.tokens, "what the recording used"
    if not tokens:
        sent = recorded.sent_ms / 60_000 * _TOKENS_A_MINUTE_SENT
        tokens = round(sent + recorded.received_ms / 60_000 * _TOKENS_A_MINUTE_RECEIVED)
        source = "its minutes of audio, instructions and history not counted"
    return Estimate(sessions, seconds / 60, about_s / 60, tokens * sessions, source)


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
