"""Say in one dialect what a message says in the other (protocol sections 1.4, 1.5). Pure.

What both know is moved to where the target keeps it. What only the recording's dialect knows is left out, with a
change that names it. What neither knows stays as it is: the endpoint is the one to judge it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from capture.realtime.configuration import get_path, set_path
from capture.realtime.dialects import GA_NAMES, ga_name
from capture.realtime.events import parse_event, write_json
from capture.realtime.session_fields import (
    BETA_ONLY,
    GA_ONLY,
    PART_NAMES,
    PARTS,
    RESPONSE_PATHS,
    SESSION_PATHS,
)
from replay.dialect_values import NOTHING, beta_value, ga_value
from replay.rewrite import Change

Json = dict[str, Any]
Spoken = Literal["ga", "beta"]

_BETA_NAMES = {ga: beta for beta, ga in GA_NAMES.items() if not beta.startswith("transcription_session.")}
_SESSION_UPDATES = {"session.update": "realtime", "transcription_session.update": "transcription"}
_MISSING = object()
_NO_PART_OF_BETA = {"input_image"}
_NO_ITEM_OF_BETA = {"mcp_approval_response", "mcp_list_tools", "mcp_call", "mcp_approval_request"}
# In beta only sessions that transcribe have `include`; in GA only those that answer have modalities.
_NOT_IN_BETA = {"realtime": ("include",), "transcription": (), "response": ()}
_NOT_IN_GA = {"realtime": (), "transcription": ("modalities",), "response": ()}


def transpose(text: str, to: Spoken) -> tuple[str | None, list[Change]]:
    """Transpose a client's message, written in the other dialect; None where the target has nothing like it.

    A message that both dialects write alike keeps its very bytes.
    """
    event = parse_event(text)
    if event is None:
        return text, []
    sheet = _Sheet(to)
    match event:
        case {"type": "session.update" | "transcription_session.update", "session": dict()}:
            event = _transpose_update(event, sheet)
        case {"type": "response.create", "response": dict()}:
            event = {**event, "response": _transpose_response(event["response"], sheet)}
        case {"type": "conversation.item.create", "item": dict()}:
            item = _transpose_item(event["item"], "item", sheet)
            if item is None:
                return None, sheet.changes
            event = {**event, "item": item}
    return (write_json(event) if sheet.changes else text), sheet.changes


def transpose_server_event(event: Json, to: Spoken) -> Json | None:
    """Write an endpoint's event in the other dialect, to compare it; None where that one has no such event.

    `conversation.item.done` repeats what beta has said in `conversation.item.created`.
    """
    event_type = str(event.get("type"))
    if to == "beta" and event_type == "conversation.item.done":
        return None
    sheet = _Sheet(to)
    named = ga_name(event_type) if to == "ga" else _BETA_NAMES.get(event_type, event_type)
    shown = {**event, "type": named}
    if isinstance(session := event.get("session"), dict):
        shown |= _transpose_echo(event_type, session, sheet)
    if isinstance(item := event.get("item"), dict):
        shown["item"] = _transpose_item(item, "item", sheet) or item
    if isinstance(response := event.get("response"), dict):
        shown["response"] = _transpose_answer(response, sheet)
    return shown


def left_out(changes: list[Change]) -> list[str]:
    """List the paths of what had no counterpart in the target's dialect."""
    return [change.path for change in changes if change.kind == "dialect" and change.before and not change.after]


class _Sheet:
    """Writes down what was changed on the way to one dialect."""

    def __init__(self, to: Spoken) -> None:
        self.to = to
        self.changes: list[Change] = []

    def move(self, path: str, before: object, new_path: str, after: object) -> None:
        if path != new_path:
            self._note(path, before, {new_path: after})
        elif write_json(before) != write_json(after):
            self._note(path, before, after)

    def leave_out(self, path: str, before: object) -> None:
        self._note(path, before, _MISSING)

    def add(self, path: str, after: object) -> None:
        self._note(path, _MISSING, after)

    def _note(self, path: str, before: object, after: object) -> None:
        texts = ("" if value is _MISSING else write_json(value) for value in (before, after))
        self.changes.append(Change("dialect", path, *texts))


def _transpose_update(event: Json, sheet: _Sheet) -> Json:
    asked, event_type = event["session"], event["type"]
    if sheet.to == "ga":
        session_type = _SESSION_UPDATES[event_type]
        sheet.move("type", event_type, "type", "session.update")
        session = _to_ga(asked, SESSION_PATHS, session_type, "session", sheet)
        if "type" not in asked:
            sheet.add("session.type", session_type)
            session = {"type": session_type, **session}
        return {**event, "type": "session.update", "session": session}
    session_type = "transcription" if asked.get("type") == "transcription" else "realtime"
    named = "transcription_session.update" if session_type == "transcription" else "session.update"
    if "type" in asked:
        # The type of the event says it.
        sheet.move("session.type", asked["type"], "type", named)
    kept = {name: value for name, value in asked.items() if name != "type"}
    return {**event, "type": named, "session": _to_beta(kept, SESSION_PATHS, session_type, "session", sheet)}


def _transpose_response(asked: Json, sheet: _Sheet) -> Json:
    made = (_to_ga if sheet.to == "ga" else _to_beta)(asked, RESPONSE_PATHS, "response", "response", sheet)
    if isinstance(asked.get("input"), list):
        places = enumerate(asked["input"])
        items = [_transpose_item(item, f"response.input[{at}]", sheet) for at, item in places]
        made["input"] = [item for item in items if item is not None]
    return made


def _to_ga(asked: Json, paths: Mapping[str, str], kind: str, place: str, sheet: _Sheet) -> Json:
    made: Json = {}
    for name, value in asked.items():
        if name in BETA_ONLY or name in _NOT_IN_GA[kind]:
            sheet.leave_out(f"{place}.{name}", value)
        elif name in paths:
            new = ga_value(name, value)
            made = set_path(made, paths[name], new)
            sheet.move(f"{place}.{name}", value, f"{place}.{paths[name]}", new)
        elif isinstance(value, dict) and isinstance(made.get(name), dict):
            made[name] = value | made[name]
        else:
            made[name] = value
    return made


def _to_beta(asked: Json, paths: Mapping[str, str], kind: str, place: str, sheet: _Sheet) -> Json:
    left = asked
    for path in (*GA_ONLY, *_NOT_IN_BETA[kind]):
        if (value := get_path(left, path, _MISSING)) is not _MISSING:
            sheet.leave_out(f"{place}.{path}", value)
            left = _without(left, path)
    made: Json = {}
    for name, path in paths.items():
        if (value := get_path(left, path, _MISSING)) is _MISSING:
            continue
        left = _without(left, path)
        kept, lost = beta_value(name, value)
        for end, what in lost.items():
            sheet.leave_out(f"{place}.{path}{end}", what)
        if kept is not NOTHING:
            made[name] = kept
            sheet.move(f"{place}.{path}", value, f"{place}.{name}", kept)
    audio = left.get("audio")
    for half, settings in audio.items() if isinstance(audio, dict) else ():
        for name, value in settings.items() if isinstance(settings, dict) else (("", settings),):
            sheet.leave_out(f"{place}.audio.{half}.{name}".rstrip("."), value)
    return made | {name: value for name, value in left.items() if not (name == "audio" and isinstance(value, dict))}


def _transpose_item(item: object, path: str, sheet: _Sheet) -> Any:
    """Give the item, or None where beta has no such item, or none of its content."""
    if not isinstance(item, dict):
        return item
    if sheet.to == "beta" and str(item.get("type")) in _NO_ITEM_OF_BETA:
        sheet.leave_out(path, item)
        return None
    content = item.get("content")
    if not isinstance(content, list) or not content:
        return item
    kept = []
    for at, part in enumerate(content):
        part_path = f"{path}.content[{at}]"
        if sheet.to == "beta" and isinstance(part, dict) and str(part.get("type")) in _NO_PART_OF_BETA:
            sheet.leave_out(part_path, part)
        else:
            kept.append(_transpose_part(part, part_path, sheet) if item.get("role") == "assistant" else part)
    return {**item, "content": kept} if kept else None


def _transpose_part(part: object, path: str, sheet: _Sheet) -> object:
    if not isinstance(part, dict):
        return part
    names = PARTS if sheet.to == "ga" else PART_NAMES
    before = part.get("type")
    after = names.get(before, before) if isinstance(before, str) else before
    sheet.move(f"{path}.type", before, f"{path}.type", after)
    return {**part, "type": after} if "type" in part else part


def _transpose_echo(event_type: str, session: Json, sheet: _Sheet) -> Json:
    end = event_type.rsplit(".", 1)[-1]
    if sheet.to == "ga":
        kind = "transcription" if event_type.startswith("transcription_session.") else "realtime"
        return {"type": f"session.{end}", "session": {"type": kind, **_to_ga(session, SESSION_PATHS, kind, "", sheet)}}
    kind = "transcription" if session.get("type") == "transcription" else "realtime"
    named = f"transcription_session.{end}" if kind == "transcription" else f"session.{end}"
    kept = {name: value for name, value in session.items() if name != "type"}
    return {"type": named, "session": _to_beta(kept, SESSION_PATHS, kind, "", sheet)}


def _transpose_answer(response: Json, sheet: _Sheet) -> Json:
    # Of an endpoint's response both call the limit `max_output_tokens`.
    paths = {name: path for name, path in RESPONSE_PATHS.items() if path != "max_output_tokens"}
    shown = (_to_ga if sheet.to == "ga" else _to_beta)(response, paths, "response", "", sheet)
    if isinstance(output := response.get("output"), list):
        shown["output"] = [_transpose_item(item, "", sheet) or item for item in output]
    return shown


def _without(tree: Json, path: str) -> Json:
    """Copy a tree without what stands at a path, and without the objects that this leaves empty."""
    name, _, rest = path.partition(".")
    if not rest:
        return {key: value for key, value in tree.items() if key != name}
    child = _without(tree[name], rest)
    return {key: (child if key == name else value) for key, value in tree.items() if key != name or child}
