"""Tell what of a recording that windows cut a replay has a counterpart of; pure.

A replay begins at the window. Of what came before it gets the configuration and the items that the client made
itself; turns that were spoken there, and their answers, do not happen again. What refers to them cannot be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from capture.keeping import OUTSIDE_WINDOW
from capture.realtime.events import object_of
from replay.id_map import IdIndex
from replay.rewrite import id_fields

Json = dict[str, Any]

_SESSION = ("session.", "transcription_session.")
_ITEM_ADDED = {"conversation.item.added", "conversation.item.created"}


class WindowScope:
    """Follows one windowed recording; what the replay will have is in `ids`, the plan's own index."""

    def __init__(self, gaps: Iterable[Mapping[str, Any]], ids: IdIndex) -> None:
        timed = [gap for gap in gaps if None not in (gap["from_ns"], gap["to_ns"])]
        left_out = [gap for gap in timed if gap["reason"] == OUTSIDE_WINDOW]
        self.holes_ns: list[tuple[int, int]] = sorted({(gap["from_ns"], gap["to_ns"]) for gap in left_out})
        """From when to when nothing but pinned messages was kept."""
        self.not_sent = [_describe(gap) for gap in timed if gap["sender"] == "client"]
        """What the client sent outside the windows, and what of it the recorder lost, in words."""
        self._ids = ids
        self._left_out: set[str] = set()
        self._creates: list[object] = []

    @property
    def is_cut(self) -> bool:
        """Whether the recording was cut at all."""
        return bool(self.holes_ns)

    def elapsed_ns(self, offset_ns: int) -> int:
        """Give a time of the session without the holes before it: nobody waits through what was left out."""
        inside_holes_ns = sum(max(0, min(offset_ns, to_ns) - from_ns) for from_ns, to_ns in self.holes_ns)
        return offset_ns - inside_holes_ns

    def note_create(self, event: Json) -> None:
        """Take in a pinned item that the replay creates again: the endpoint's answer to it is another's too."""
        item = object_of(event, "item")
        if event.get("type") == "conversation.item.create" and "id" not in item:
            self._creates.append(_shape(item))

    def will_happen(self, event: Json, *, pinned: bool) -> bool:
        """Tell whether the new session will have an event of the endpoint too; what it brings else is left out."""
        subjects = set(_subjects(event))
        is_left_out = bool(subjects & self._left_out)
        if pinned and not is_left_out:
            known = any(self._ids.exists(subject) or subject in self._ids.chosen for subject in subjects)
            is_left_out = not (known or str(event.get("type")).startswith(_SESSION) or self._answers_create(event))
        if is_left_out:
            self._left_out.update(_brought(event))
        return not is_left_out

    def missing(self, event: Json) -> str | None:
        """Give the id of something left out that a message of the client refers to."""
        return next((text for _, text in id_fields(event) if text in self._left_out), None)

    def _answers_create(self, event: Json) -> bool:
        if event.get("type") not in _ITEM_ADDED:
            return False
        shape = _shape(object_of(event, "item"))
        if shape not in self._creates:
            return False
        self._creates.remove(shape)
        return True


def _describe(gap: Mapping[str, Any]) -> str:
    size = "unknown bytes" if gap["bytes"] is None else f"{gap['bytes']} bytes"
    return f"{size} from {gap['from_ns'] / 1e9:.1f} s to {gap['to_ns'] / 1e9:.1f} s, {gap['reason']}"


def _subjects(event: Json) -> Iterator[str]:
    """Give the ids of the response and the item that an event is about."""
    found = (
        event.get("response_id"),
        event.get("item_id"),
        object_of(event, "response").get("id"),
        object_of(event, "item").get("id"),
    )
    return (text for text in found if isinstance(text, str))


def _brought(event: Json) -> Iterator[str]:
    """Give the ids of everything that an event tells of: responses, items, calls."""
    yield from _subjects(event)
    output = object_of(event, "response").get("output")
    for item in (object_of(event, "item"), *(output if isinstance(output, list) else ())):
        if isinstance(item, dict):
            yield from (text for text in (item.get("id"), item.get("call_id")) if isinstance(text, str))


def _shape(item: Json) -> object:
    """Give what an item has in common with the endpoint's copy of it."""
    content = item.get("content")
    parts = [part.get("type") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return (item.get("type"), item.get("role"), item.get("call_id"), parts)
