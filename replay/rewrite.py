"""Change what has to change in a recorded message before it is sent again, and say what was changed.

Every function gives the message's text and the changes; a message without changes keeps its very bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from capture.errors import UsageProblem
from capture.literals import Edit, apply_edits, literals
from capture.realtime.configuration import get_path, list_paths, set_path
from capture.realtime.events import write_json
from replay.audio_choice import AUDIO_AXIS
from replay.paths import SHORT_NAMES, nearest_hint
from replay.runs import DIALECT_AXIS

Json = dict[str, Any]

TRANSCRIPTION_MODEL_PATHS = (
    "session.audio.input.transcription.model",
    "session.input_audio_transcription.model",
)
"""Where GA and beta sessions name their transcription model."""

_REALTIME_MODEL = "session.model"
_MISSING = object()
_HOLDER = r"(?:item|response|response\.(?:input|output)\[\d+\])\."
_ID_FIELD = re.compile(
    # What else is called an id is another's: of prompts, voices, connectors, and whatever metadata holds.
    # Beta's references to items stand in the content of a message.
    rf"{_HOLDER}(?:content\[\d+\]\.)?id|(?:{_HOLDER})?(?:item_id|previous_item_id|response_id|call_id|approval_request_id)"
)


class _Members(tuple[tuple[str, Any], ...]):
    """The members of an object as its text has them, also where a key is given twice."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing changed in a message."""

    kind: str
    """`override`, `unset`, `deployment`, `dialect`, `id`, `clamp`, `inserted`, `trailing_silence`, `pause`,
    `tool_output`, `audio`, `until`, `idle`, or `model`."""
    path: str
    before: str
    after: str
    """`before` and `after` are JSON; for a URL its path and query, or its query. Empty where there is nothing."""


def check_paths(paths: Iterable[str], configurations: Sequence[Json], documented: Sequence[str] = ()) -> None:
    """Check that each path exists in one of the configurations (objects with `session` at their top), or is documented.

    Raises `UsageProblem` with the nearest paths that do exist, and for the realtime model, which is no setting.
    """
    told = list(dict.fromkeys(path for tree in configurations for path in list_paths(tree)))
    known = list(dict.fromkeys([*told, *documented]))
    for path in paths:
        if path == _REALTIME_MODEL:
            # It is echoed, so it looks like a setting; the endpoint takes it from the URL and from nowhere else.
            raise UsageProblem(f"the URL chooses the model, {path!r} changes nothing: set connection.model")
        if path in known:
            continue
        names = [] if "." in path else [*SHORT_NAMES, AUDIO_AXIS, DIALECT_AXIS]
        hint = nearest_hint(path, [*names, *known], otherwise="it was never configured")
        raise UsageProblem(f"the recorded session has no {path!r}: {hint}")


def override(updates: Sequence[str], overrides: Mapping[str, Any]) -> list[tuple[str, list[Change]]]:
    """Put values into the configuration that a session's updates ask for.

    `updates` are the texts of all session.update messages. A value replaces its path wherever an update names
    it; a path that no update names goes into the first one.
    """
    events = [json.loads(text) for text in updates]
    changes: list[list[Change]] = [[] for _ in events]
    for path, value in overrides.items():
        naming = [at for at, event in enumerate(events) if get_path(event, path, _MISSING) is not _MISSING]
        for at in naming or range(min(1, len(events))):
            before = get_path(events[at], path, _MISSING)
            if before is _MISSING or not is_same(before, value):
                events[at] = set_path(events[at], path, value)
                changes[at].append(Change("override", path, _json(before), _json(value)))
    return [
        (_json(event) if changed else text, changed)
        for text, event, changed in zip(updates, events, changes, strict=True)
    ]


def check_unset(paths: Iterable[str], asked: Json) -> None:
    """Check that each path to be taken out was asked for.

    `asked` has `session` at its top. Raises `UsageProblem`.
    """
    known = list(list_paths(asked))
    for path in paths:
        if path not in known:
            hint = nearest_hint(path, known, otherwise="it asked for nothing")
            raise UsageProblem(f"the recorded client never asked for {path!r}, so it cannot be unset: {hint}")


def unset(update: str, paths: Iterable[str]) -> tuple[str, list[Change]]:
    """Take settings out of a session.update, so that the endpoint's default or an earlier update holds."""
    event = json.loads(update)
    changes = []
    for path in paths:
        *parents, last = path.split(".")
        holder = get_path(event, ".".join(parents)) if parents else event
        if isinstance(holder, dict) and last in holder:
            changes.append(Change("unset", path, _json(holder.pop(last)), ""))
    return (_json(event) if changes else update), changes


def compose_update(overrides: Mapping[str, Any], session_type: str | None) -> tuple[str, list[Change]]:
    """Write a session.update that holds nothing but overrides, for a session that never sent one."""
    event: Json = {"type": "session.update", "session": {"type": session_type} if session_type else {}}
    for path, value in overrides.items():
        event = set_path(event, path, value)
    changes = [Change("inserted", path, "", _json(value)) for path, value in overrides.items()]
    return _json(event), changes


def name_deployment(
    update: str, recorded_models: Mapping[str, str], target_models: Mapping[str, str]
) -> tuple[str, list[Change]]:
    """Name the transcription model as the target does.

    `recorded_models` maps the recorded target's model ids to its deployment names, `target_models` the new one's.
    """
    model_ids = {deployment: model for model, deployment in recorded_models.items()}
    event = json.loads(update)
    for path in TRANSCRIPTION_MODEL_PATHS:
        recorded = get_path(event, path)
        if not isinstance(recorded, str):
            continue
        model = model_ids.get(recorded, recorded)
        named = target_models.get(model, model)
        if named != recorded:
            return _json(set_path(event, path, named)), [Change("deployment", path, _json(recorded), _json(named))]
    return update, []


def strings(node: object, path: str = "") -> Iterator[tuple[str, str]]:
    """List every string of a parsed message with its path; an element of a list is `name[0]`."""
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict | _Members):
        for name, child in node.items() if isinstance(node, dict) else node:
            yield from strings(child, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for position, child in enumerate(node):
            yield from strings(child, f"{path}[{position}]")


def id_fields(event: object) -> Iterator[tuple[str, str]]:
    """List the strings that stand where messages carry the ids of items, responses and calls, with their paths."""
    return ((path, text) for path, text in strings(event) if is_id_field(path))


def is_id_field(path: str) -> bool:
    """Tell whether messages carry the id of an item, a response or a call at a path, as `strings` writes it."""
    return _ID_FIELD.fullmatch(path) is not None


def substitute_ids(text: str, ids: Mapping[str, str]) -> tuple[str, list[Change]]:
    """Put new ids in the place of recorded ones, in the fields that carry ids.

    The text around them stays as it was, byte for byte.
    """
    # The places of an id, and not its spelling: `call_a\/b` is the id `call_a/b` too.
    values = (literal for literal in literals(text) if literal.is_string and not literal.is_key)
    edits: list[Edit] = []
    changes: list[Change] = []
    for (path, before), value in zip(strings(json.loads(text, object_pairs_hook=_Members)), values, strict=True):
        after = ids.get(before, before)
        if after != before and is_id_field(path):
            edits.append((value.start, value.end, _json(after)[1:-1]))
            changes.append(Change("id", path, _json(before), _json(after)))
    return apply_edits(text, edits), changes


def clamp_truncation(text: str, received_ms: float) -> tuple[str, list[Change]]:
    """Keep a truncation within the audio that was received: endpoints refuse what lies beyond its end."""
    event = json.loads(text)
    asked_ms = event.get("audio_end_ms")
    if not isinstance(asked_ms, int | float) or asked_ms <= received_ms:
        return text, []
    event["audio_end_ms"] = int(received_ms)
    return _json(event), [Change("clamp", "audio_end_ms", _json(asked_ms), _json(int(received_ms)))]


def is_same(left: object, right: object) -> bool:
    """Tell whether two values are the same in JSON."""
    # True == 1 in Python, not in JSON.
    return _json(left) == _json(right)


def _json(value: object) -> str:
    return "" if value is _MISSING else write_json(value)
