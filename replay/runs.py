"""One run of replay on disk: which cells, how many trials, what came of each; `runs/RUN.json` in a root."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from capture.errors import OutOfFiles, UsageProblem, is_out_of_files
from capture.private_files import make_private_folder, replacing
from capture.realtime.events import parse_event
from capture.recording.facts import TrialKind
from capture.recording.root import Root
from capture.redaction import redact_setting
from capture.regular_files import check_regular

RUN_FORMAT_VERSION = 1
_RUN_ID = re.compile(r"r\d{8}T\d{6}-[0-9a-f]{4}")
NO_CLOCK = "max"
"""How an infinite speed is written down."""
TARGET_AXIS = "target"
MODEL_AXIS = "model"
DIALECT_AXIS = "dialect"
CONNECTION_MODEL = "connection.model"
"""Path of the model that a session's URL asks for, or of the deployment."""
DROPPED = "(left out)"
"""Value of an option that a session.update does not name any more."""

TrialOutcome = Literal["failed", "ok", "failed_otherwise", "throttled", "not_run"]
RunStatus = Literal["running", "done", "interrupted"]
RunDesign = Literal["factorial", "adaptive"]


ClockKind = Literal["anchored", "absolute"]
"""`anchored`: the caller speaks as long after an answer as in the recording; `absolute`: at the recorded time."""


OnNewTool = Literal["stop", "empty", "recorded"]
"""What a call gets that the recording does not have: the trial's end, an empty output, or the last one of its name."""


class Trial(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One replay."""

    trial: int
    """From 1, within its cell."""
    block: int
    """Trials of one block ran close together, in random order."""
    session_id: str
    outcome: TrialOutcome
    not_again: list[str] = []
    """Of a failed one, the failures of the recording that did not come again, as keys."""
    kind: TrialKind = "variation"
    note: str = ""
    """Why it ended as it did, where the outcome does not say."""
    throttled: list[str] = []
    """Sessions of attempts before it that the endpoint throttled."""
    sent_ms: float = 0.0
    """Audio sent, in all attempts."""
    pacing_us: float | None = None
    """Median deviation of the sends from their due times."""
    divergences: int = 0
    """What came otherwise than in the recording: rows of that table."""

    @property
    def says_nothing(self) -> bool:
        """Whether the endpoint throttled it, or it never stood."""
        return self.outcome in ("throttled", "not_run")


class RunCell(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One target with one variation, for one recording."""

    cell: str
    """Its name, as in the column `sessions.cell`."""
    session_id: str
    """The recording that is replayed."""
    target: str
    region: str | None = None
    model: str | None = None
    """The target's realtime model, if the target sets one."""
    values: dict[str, str] = {}
    """Axis -> value, as text."""
    overrides: dict[str, Any] = {}
    """Path of the configuration, of response.create or of the connection -> value put in its place; `audio` -> what is
    sent instead of the recorded audio; `dialect` -> the dialect spoken."""
    unset: list[str] = []
    """Paths taken out."""
    baseline: bool = False
    unlike_recording: list[str] | None = None
    """Of a baseline: the paths at which it is not as recorded. None: nobody looked."""
    trials: list[Trial] = []
    remade: list[Trial] = []
    """Trials that said nothing (throttled, not run) and were made again when the run went on; they were paid for."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the other cells of a run: names are told apart within a recording."""
        return self.session_id, self.cell


class Axis(msgspec.Struct, kw_only=True):
    """Something that the run varied."""

    axis: str
    """`target`, `model`, `audio`, `dialect`, or a path (`replay/paths.py`)."""
    values: list[str]


class RunRecording(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a verdict needs to know of a replayed recording."""

    session_id: str
    outcome: str = "ok"
    failure_keys: list[str] = []
    target: str | None = None
    region: str | None = None
    model: str | None = None
    transcription_model: str | None = None
    dialect: str | None = None
    options: dict[str, Any] = {}
    """Options of the recorded configuration that further runs could vary: path -> value."""
    blamed: list[str] = []
    """Settings that the recorded failures point to, as paths: what errors name, and a failed transcription's model."""
    is_gone: bool = False
    """Whether it was not there any more when the run was put together afterwards: nothing is known of it then."""
    digest: str = ""
    """Of what its client sent and when; a run is resumed only with the same."""

    def failures_not_in(self, failure_keys: Collection[str]) -> list[str]:
        """List its failures, as keys, that are not among those of a trial."""
        return [key for key in self.failure_keys if key not in failure_keys]


class RunTarget(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where a run is sent to, as far as it may be kept."""

    name: str
    url: str
    """Redacted."""
    model: str | None = None
    dialect: str | None = None
    transcription_models: dict[str, str] = {}
    models: dict[str, str] = {}
    headers: dict[str, str] = {}
    query: str = ""


class Run(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A whole run: its plan and its progress."""

    run_id: str
    started_at: datetime
    recordings: list[RunRecording]
    axes: list[Axis]
    cells: list[RunCell]
    trials: int
    """Trials planned for each cell; of an adaptive run the most for all cells together."""
    format_version: int = RUN_FORMAT_VERSION
    design: RunDesign = "factorial"
    """`adaptive`: which trials were made followed from the results before (`replay/experiment.py`)."""
    status: RunStatus = "running"
    ended_at: datetime | None = None
    seed: int = 0
    """Seed of the order within blocks."""
    concurrency: int = 1
    speed: float = 1.0
    """Infinite: nothing waits for the clock."""
    clock: ClockKind = "anchored"
    on_new_tool: OnNewTool = "recorded"
    until_turn: int | None = None
    """The recorded turn after which every trial stopped."""
    longest_idle_s: float | None = None
    """What pauses with nothing due were shortened to."""
    composed_of: list[str] = []
    """Runs whose trials these are, where it was put together afterwards (`replay/composition.py`)."""
    of_calls: bool = False
    """Whether its trials are calls of their own, and no replays of one recording."""
    of_adaptive: bool = False
    """Whether trials of an adaptive run are among those it was put together from: tests of a fixed plan do not hold."""
    targets: list[RunTarget] = []
    clips: dict[str, str] = {}
    """Clips that are said in the place of the recorded speech, each with its digest."""
    request: dict[str, Any] = {}
    """What was asked for, so that the run can go on; empty where it cannot."""

    cut_short_ms: list[float] = []
    """Of each session that Ctrl-C cut short, the audio that it was to send: no trial, and spent."""
    paused_until: dict[str, datetime] = {}
    """Until when targets want to be left alone, as far as they said so."""

    @property
    def all_trials(self) -> list[Trial]:
        """The trials of all cells."""
        return [trial for cell in self.cells for trial in cell.trials]

    @property
    def finished_trials(self) -> int:
        """Trials that have an outcome."""
        return sum(len(cell.trials) for cell in self.cells)

    def model_of(self, cell: RunCell) -> str | None:
        """Give the realtime model of a cell: the recorded one where its target sets none.

        A deployment goes by its model, as far as its target tells that.
        """
        recorded = next((each for each in self.recordings if each.session_id == cell.session_id), None)
        model, place = cell.model, cell.target
        if model is None and recorded is not None:
            model, place = recorded.model, recorded.target or ""
        known = {name: each for target in self.targets if target.name == place for each, name in target.models.items()}
        return known.get(model, model) if model is not None else None


def describe_recording(row: Mapping[str, Any]) -> RunRecording:
    """Describe a recording by its sessions row."""
    return RunRecording(
        session_id=row["session_id"],
        outcome=row["outcome"],
        failure_keys=list(row["failure_keys"] or ()),
        target=row["target"],
        region=row["region"],
        model=row["model"] or row["model_echoed"],
        transcription_model=row["transcription_model"] or row["transcription_model_echoed"],
        dialect=row["dialect"],
    )


def new_run_id(started_at: datetime) -> str:
    """Make a sortable run id: `r`, UTC time to the second, 16 random bits."""
    return f"r{started_at.astimezone(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def without_secrets(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Put `[redacted]` in place of credentials in overrides, such as those of MCP tools, to be kept or shown."""
    return {
        path: json.loads(redact_setting(path, json.dumps(value, ensure_ascii=False)))
        for path, value in overrides.items()
    }


def shown(path: str, value: Any) -> str:
    """Write a configuration value as it may be kept: credentials are `[redacted]`, as they are in a recording."""
    return as_text(without_secrets({path: value})[path])


def as_text(value: Any) -> str:
    """Write a configuration value as on the command line: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def write_overrides(run: Run, cell: RunCell) -> str:
    """Write what a cell changes as the column `sessions.overrides` holds it: JSON, path -> value.

    What is taken out stands as a list under `unset`, and what shortens every trial under `until` and `skip_idle`: they
    are no paths, and a run that is put together from sessions knows of them by this alone.
    """
    shortened = {"until": run.until_turn, "skip_idle": run.longest_idle_s}
    changed = cell.overrides | ({"unset": cell.unset} if cell.unset else {})
    changed |= {name: value for name, value in shortened.items() if value is not None}
    return json.dumps(changed, ensure_ascii=False)


def encode_run(run: Run) -> bytes:
    """Encode a run as its file holds it: credentials in overrides stay in memory, where its trials need them."""
    cells = [replace(cell, overrides=without_secrets(cell.overrides)) for cell in run.cells]
    fields = msgspec.to_builtins(replace(run, cells=cells))
    if math.isinf(run.speed):
        # JSON has no infinity.
        fields["speed"] = NO_CLOCK
    try:
        return msgspec.json.format(msgspec.json.encode(fields), indent=1)
    except UnicodeEncodeError:
        # A client that cuts its instructions within an emoji leaves half of it, which UTF-8 cannot spell.
        return json.dumps(fields, indent=1).encode()


def decode_run(encoded: bytes) -> Run:
    """Decode a run's file; raises `msgspec.DecodeError`."""
    fields = parse_event(encoded)
    if fields is None:
        raise msgspec.DecodeError("it holds no JSON object")
    if fields.get("speed") == NO_CLOCK:
        fields["speed"] = math.inf
    return msgspec.convert(fields, Run)


def save_run(root: Root, run_id: str, encoded: bytes) -> None:
    """Replace a run's file atomically; raises `UsageProblem` where it cannot be written, as on a full disk."""
    path = root.runs / f"{run_id}.json"
    try:
        make_private_folder(root.runs)
        with replacing(path) as file:
            file.write(encoded)
    except OSError as error:
        if is_out_of_files(error):
            raise OutOfFiles from error
        raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error


def list_run_ids(root: Root) -> list[str]:
    """List the runs of a root, oldest first."""
    root.check_readable()
    return sorted(path.stem for path in root.runs.glob("r*.json") if _RUN_ID.fullmatch(path.stem))


def load_run(root: Root, text: str) -> Run:
    """Read a run by its id, a unique prefix, or `last`.

    Raises `UsageProblem` where there is none, naming the nearest, or where its file cannot be read.
    """
    run_id = resolve_run(root, text)
    path = root.runs / f"{run_id}.json"
    try:
        check_regular(path)
        run = decode_run(path.read_bytes())
    except (msgspec.DecodeError, OSError) as error:
        before = [known for known in list_run_ids(root) if known < run_id][-1:]
        raise UsageProblem(
            f"{path} is no run that can be read: {error}" + (f"; the run before it is {before[0]}" if before else "")
        ) from error
    if run.format_version > RUN_FORMAT_VERSION:
        raise UsageProblem(f"{path} was written by a newer wiretape (format {run.format_version}): update wiretape")
    # Its lock and its file are made by this name: in a file that came from elsewhere it may be a path.
    if run.run_id != run_id:
        raise UsageProblem(f"{path} is no run that can be read: it calls itself {run.run_id!r}")
    return run


def resolve_run(root: Root, text: str) -> str:
    """Give the id of a run by itself, a unique prefix, or `last`; whether its file can be read is another matter.

    Raises `UsageProblem` where there is none, naming the nearest.
    """
    known = list_run_ids(root)
    if not known:
        raise UsageProblem(f"there are no runs in {root.path}: make one with `wiretape replay run`")
    if text == "last":
        return known[-1]
    matches = [run_id for run_id in known if run_id.startswith(text)] if text else known
    if text in known or len(matches) == 1:
        return text if text in known else matches[0]
    if matches:
        raise UsageProblem(f"{text!r} fits {len(matches)} runs: {', '.join(matches[-5:])}")
    near = get_close_matches(text, known, n=3) or known[-3:]
    raise UsageProblem(f"there is no run {text!r}; nearest are {', '.join(near)}")
