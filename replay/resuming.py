"""Go on with a run that was stopped: what was asked for, kept in its file, and whether it still means the same.

A run is laid out anew from what was asked and compared with its file, so that a trial is never compared with others
that sent something else, or to somewhere else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from capture.arguments import parse_values
from capture.errors import UsageProblem
from capture.redaction import REDACTED, redact_headers, redact_setting, redact_url
from replay.audio_choice import AUDIO_AXIS, parse_audio
from replay.experiment import Batch
from replay.isolation import read_experiment
from replay.runs import NO_CLOCK, Run, RunCell, RunDesign, RunTarget, without_secrets

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from capture.targets import Target
    from replay.source import Source

    Request = TypeVar("Request", bound=DataclassInstance)

HOW_FIELDS = frozenset(
    {"concurrency", "timeout_s", "retries", "redact", "max_sessions", "max_minutes", "expect", "junit"}
)
"""What may be given anew when a run goes on: how it is played, not what."""
_PER_COMMAND = frozenset({"expect", "junit"})
"""Not kept: they belong to one command."""
_VALUES_AT_PATHS = ("settings", "vary", "axes")
_COMMANDS: dict[RunDesign, str] = {"factorial": "run", "adaptive": "isolate"}


def keep_request(request: DataclassInstance, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Write down what was asked for, to be asked again; credentials are `[redacted]`.

    `resolved` has fields in the place of the request's own: `last` means another recording tomorrow.
    """
    asked = {name: value for name, value in asdict(request).items() if name not in _PER_COMMAND} | dict(resolved)
    for name in _VALUES_AT_PATHS:
        if name in asked:
            asked[name] = [_without_credentials(text) for text in asked[name]]
    for name in ("to", "baseline"):
        if asked.get(name):
            asked[name] = [redact_url(text) for text in asked[name]] if name == "to" else redact_url(asked[name])
    if asked.get("speed") == math.inf:
        # JSON has no infinity.
        asked["speed"] = NO_CLOCK
    kept: dict[str, Any] = json.loads(msgspec.json.encode(asked, enc_hook=_to_text))
    return kept


def ask_again(run: Run, request: Request, given: Collection[str], design: RunDesign) -> Request:
    """Give what was asked for when a run was begun, with what may be given anew in its place.

    `request` is the command line, of which `given` names the fields that were given. Raises `UsageProblem` where the
    run is of the other command or of an older wiretape, where something is given that would make it another run, and
    where a credential was part of what was asked: it is not kept.
    """
    if run.design != design:
        command = f"wiretape replay {_COMMANDS[run.design]} --resume {run.run_id}"
        raise UsageProblem(f"run {run.run_id} goes on with `{command}`")
    if not run.request:
        raise UsageProblem(f"run {run.run_id} does not say what was asked for: it cannot go on; start another one")
    strange = sorted(set(given) - HOW_FIELDS)
    if strange:
        raise UsageProblem(
            f"--resume goes on with what was asked before: leave out {', '.join(map(_option_name, strange))}, or start"
            " another run"
        )
    if REDACTED in json.dumps(run.request):
        raise UsageProblem(
            f"run {run.run_id} was given a credential on its command line, which is not kept: it cannot go on; start"
            " another one"
        )
    known = {field.name for field in fields(request)}
    new = {name: getattr(request, name) for name in known & (set(given) | _PER_COMMAND)}
    asked = {name: value for name, value in run.request.items() if name in known} | new
    if asked.get("speed") == NO_CLOCK:
        asked["speed"] = math.inf
    if "redact" in given:
        # What was not to be kept of the trials before is not to be kept of the others.
        asked["redact"] = list(dict.fromkeys([*run.request.get("redact", ()), *new["redact"]]))
    return msgspec.convert(asked, type(request), strict=False, dec_hook=_from_text)


def check_unchanged(saved: Run, planned: Run) -> None:
    """Check that a run that was laid out anew is the one in its file; raises `UsageProblem` with what is not."""
    changed = [
        *_changed_recordings(saved, planned),
        *_changed_targets(saved, planned),
        *(f"the clip {clip} is not the one of then" for clip, is_same in _compare_clips(saved, planned) if not is_same),
    ]
    if not changed and not _same_cells(saved.cells, planned.cells):
        changed = ["its cells would be others now"]
    if changed:
        raise UsageProblem(
            f"run {saved.run_id} cannot go on: {'; '.join(changed)}. What was tried before would not compare; start"
            " another run"
        )


def take_over(saved: Run, planned: Run) -> None:
    """Give a run that was laid out anew the trials and the identity of its file."""
    planned.run_id, planned.started_at = saved.run_id, saved.started_at
    planned.status, planned.ended_at, planned.paused_until = saved.status, saved.ended_at, saved.paused_until
    planned.cut_short_ms = saved.cut_short_ms
    made = {cell.key: cell for cell in saved.cells}
    for cell in planned.cells:
        before = made.pop(cell.key)
        cell.trials, cell.remade = before.trials, before.remade
    # Of an adaptive run: cells that were added on the way.
    planned.cells += made.values()
    if (
        saved.design == "adaptive"
        and saved.status == "done"
        and isinstance(read_experiment(planned).decide_next(), Batch)
    ):
        # By an earlier version, to which fewer trials were enough.
        planned.status = "interrupted"


def pauses_left(run: Run, now: datetime) -> list[str]:
    """Say of each target that still wants to be left alone until when."""
    return [
        f"{name} wants to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC"
        for name, until in run.paused_until.items()
        if until > now
    ]


def describe_targets(targets: Iterable[Target]) -> list[RunTarget]:
    """Write down where a run is sent to, without credentials."""
    return [
        RunTarget(
            name=target.name,
            url=redact_url(target.url),
            model=target.model,
            dialect=target.dialect,
            transcription_models=target.transcription_models,
            models=target.models,
            headers=dict(redact_headers(target.headers.items())),
            query=redact_url(f"?{'&'.join(f'{name}={value}' for name, value in sorted(target.query.items()))}"),
        )
        for target in {target.name: target for target in targets}.values()
    ]


def mapping_homes(sources: Iterable[Source]) -> list[Target]:
    """List the recorded targets whose names of deployments say what is sent elsewhere."""
    homes = (source.home for source in sources if source.home is not None)
    return [home for home in homes if home.transcription_models or home.models]


def digest_clips(cells: Iterable[RunCell]) -> dict[str, str]:
    """Sum up the clips that cells say in the place of what was recorded; a file that is gone has no sum."""
    chosen = [parse_audio(cell.overrides[AUDIO_AXIS]).clip for cell in cells if AUDIO_AXIS in cell.overrides]
    return {str(clip): _digest(clip) for clip in chosen if clip is not None}


def _digest(clip: Path) -> str:
    return hashlib.sha256(clip.read_bytes()).hexdigest()[:32] if clip.is_file() else ""


def _without_credentials(text: str) -> str:
    path, separator, listed = text.partition("=")
    values = [json.dumps(value, ensure_ascii=False) for value in parse_values(listed)]
    kept = [redact_setting(path.strip(), value) for value in values]
    # What needs no redaction stays as it was written.
    return text if kept == values else f"{path}{separator}{','.join(kept)}"


def _to_text(value: object) -> str:
    if isinstance(value, Path):
        # As it was given: it stands so in the cells, and its digest tells whether it still is the same.
        return str(value)
    raise NotImplementedError(type(value))


def _from_text(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind)


def _option_name(field: str) -> str:
    names = {
        "settings": "--set",
        "axes": "--axis",
        "sessions": "SESSION",
        "session": "SESSION",
        "until_turn": "--until",
    }
    names |= {"longest_idle_s": "--skip-idle", "noise_snr_db": "--noise"}
    return names.get(field, f"--{field.replace('_', '-')}")


def _changed_recordings(saved: Run, planned: Run) -> list[str]:
    now = {recording.session_id: recording for recording in planned.recordings}
    return [
        f"recording {then.session_id} is not what it was"
        for then in saved.recordings
        if (found := now.get(then.session_id)) is None
        or (found.digest, found.failure_keys) != (then.digest, then.failure_keys)
    ]


def _changed_targets(saved: Run, planned: Run) -> list[str]:
    now = {target.name: target for target in planned.targets}
    changed = []
    for then in saved.targets:
        found = now.get(then.name)
        if found is None:
            changed.append(f"target {then.name} is missing")
            continue
        differing = [name for name in RunTarget.__struct_fields__ if getattr(then, name) != getattr(found, name)]
        changed += [
            f"target {then.name} has another {name} now: {getattr(found, name)}, then {getattr(then, name)}"
            for name in differing
        ]
    return changed


def _compare_clips(saved: Run, planned: Run) -> list[tuple[str, bool]]:
    return [(clip, planned.clips.get(clip) == digest) for clip, digest in saved.clips.items()]


def _same_cells(saved: Iterable[RunCell], planned: Iterable[RunCell]) -> bool:
    def keys(cells: Iterable[RunCell]) -> list[str]:
        return [
            json.dumps(
                [c.session_id, c.cell, c.target, c.values, without_secrets(c.overrides), c.unset], sort_keys=True
            )
            for c in cells
        ]

    then, now = keys(saved), keys(planned)
    return then[: len(now)] == now
