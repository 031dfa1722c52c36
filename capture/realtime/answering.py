"""Tell which of the client's open messages an event of the endpoint answers or refuses; pure.

Nothing but error.event_id and the ids of items says so: the rest goes by type, by what an error is about, and by order
(protocol section 1.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Any

from capture.realtime.configuration import get_path
from capture.realtime.dialects import ga_name
from capture.realtime.events import EventHeader, asks_out_of_band, object_of

Json = dict[str, Any]

CREATE, COMMIT, CANCEL = "response.create", "input_audio_buffer.commit", "response.cancel"
ITEM_CREATE = "conversation.item.create"
UPDATES = frozenset({"session.update", "transcription_session.update"})
ANSWERS = {
    "session.updated": UPDATES,
    "input_audio_buffer.cleared": frozenset({"input_audio_buffer.clear"}),
    "conversation.item.truncated": frozenset({"conversation.item.truncate"}),
    "conversation.item.deleted": frozenset({"conversation.item.delete"}),
    "conversation.item.retrieved": frozenset({"conversation.item.retrieve"}),
}
"""Events that answer one message of the client; first come, first answered."""
ANSWERED = UPDATES.union({CREATE, COMMIT, CANCEL, ITEM_CREATE}, *ANSWERS.values())
"""What the client says and an endpoint answers or refuses; audio is neither."""

_ALREADY_ACTIVE = "conversation_already_has_active_response"
_EMPTY, _EMPTY_IN_WORDS = "input_audio_buffer_commit_empty", "Error committing input audio buffer"
_ABOUT_NOTHING = frozenset[str]()
_OF_CODE = {
    _ALREADY_ACTIVE: frozenset({CREATE}),
    "response_cancel_not_active": frozenset({CANCEL}),
    _EMPTY: frozenset({COMMIT}),
    "invalid_tool_call_id": frozenset({ITEM_CREATE}),
    "cannot_update_voice": UPDATES,
    "session_expired": _ABOUT_NOTHING,
    "invalid_json": _ABOUT_NOTHING,
    "invalid_event": _ABOUT_NOTHING,
}
"""Error code -> what the client had sent, where the error names no event_id."""
_ITEM_CODE = re.compile(r"item_(create|delete|retrieve|truncate)_")
_OF_PARAM = {
    "session": UPDATES,
    "response": frozenset({CREATE}),
    "response_id": frozenset({CANCEL}),
    "item": frozenset({ITEM_CREATE}),
    "previous_item_id": frozenset({ITEM_CREATE}),
    "item_id": frozenset(f"conversation.item.{verb}" for verb in ("truncate", "delete", "retrieve")),
    "audio_end_ms": frozenset({"conversation.item.truncate"}),
    "content_index": frozenset({"conversation.item.truncate"}),
    # GA knows no transcription_session.update; other unknown types are nothing that an answer is awaited for.
    "type": frozenset({"transcription_session.update"}),
    "audio": _ABOUT_NOTHING,
}
"""The first name in error.param -> the same."""


def refuses_commit(error: EventHeader) -> bool:
    """Tell whether an error says that there was no audio to commit: by its code or, where it has none, in words."""
    return error.error_code == _EMPTY or (
        error.error_code is None and (error.error_message or "").startswith(_EMPTY_IN_WORDS)
    )


def find_answered(event: Json, unanswered: Sequence[Json]) -> int | None:
    """Give the place of the message that an event answers, refuses or makes needless; None where it is none."""
    kind = ga_name(str(event.get("type")))
    if kind in ANSWERS:
        return find_of(unanswered, ANSWERS[kind], item_id=event.get("item_id"))
    if kind == "input_audio_buffer.committed":
        return find_of(unanswered, {COMMIT})
    if kind == "conversation.item.added":
        return find_creation(object_of(event, "item"), unanswered)
    if kind == "response.created":
        return find_asker(object_of(event, "response"), unanswered)
    if kind == "response.done":
        # Whatever ended it: if the cancel came too late, its refusal says so by a code.
        return find_of(unanswered, {CANCEL})
    return find_culprit(object_of(event, "error"), unanswered) if kind == "error" else None


def find_of(unanswered: Sequence[Json], types: Set[str], *, item_id: object = None) -> int | None:
    """Give the first message of some types, about that item where one is named."""
    of_types = (place for place, event in enumerate(unanswered) if event.get("type") in types)
    return next((at for at in of_types if item_id is None or unanswered[at].get("item_id") == item_id), None)


def find_asker(response: Json, unanswered: Sequence[Json]) -> int | None:
    """Give the response.create of a response, in the conversation or beside it: with its metadata, else the first."""
    beside, metadata = response.get("conversation_id", "") is None, response.get("metadata")
    asked = [
        place
        for place, event in enumerate(unanswered)
        if event.get("type") == CREATE and asks_out_of_band(event) == beside
    ]
    # Responses beside the conversation begin in any order: nothing tells them but what the client labelled them with.
    labelled = (at for at in asked if metadata and get_path(unanswered[at], "response.metadata") == metadata)
    # Not all endpoints tell whether a response is one of the conversation.
    is_told = response.get("conversation_id") is not None
    return next(labelled, asked[0] if asked else None if is_told else find_of(unanswered, {CREATE}))


def find_creation(item: Json, unanswered: Sequence[Json]) -> int | None:
    """Give the message that made an item: by the id that the client chose, else by what it is."""
    waiting = [place for place, event in enumerate(unanswered) if event.get("type") == ITEM_CREATE]
    same_id = [at for at in waiting if get_path(unanswered[at], "item.id") == item.get("id") is not None]
    same_kind = (
        at
        for at in waiting
        if get_path(unanswered[at], "item.id") is None
        and all(get_path(unanswered[at], f"item.{name}") == item.get(name) for name in ("type", "role", "call_id"))
    )
    return same_id[0] if same_id else next(same_kind, None)


def find_culprit(error: Json, unanswered: Sequence[Json]) -> int | None:
    """Give the message that an error is about; None where it is about none, or that cannot be told.

    A response.create is it only where the error says so, or where nothing else is open that could be refused: to give
    up on an answer that still comes is worse than to wait for one that does not.
    """
    named = error.get("event_id")
    if isinstance(named, str) and named:
        for place, event in enumerate(unanswered):
            if event.get("event_id") == named:
                return place
    types = _types_meant(error)
    if types is not None and CREATE in types:
        return _last(unanswered, CREATE, beside=error.get("code") != _ALREADY_ACTIVE)
    if types is not None:
        return find_of(unanswered, types)
    if named:
        # One that was answered before, or audio.
        return None
    refusable = [place for place, event in enumerate(unanswered) if event.get("type") in ANSWERED]
    at_once = [place for place in refusable if unanswered[place]["type"] != CREATE]
    if at_once:
        # The last: an endpoint refuses at once. Other errors than refusals can be about anything.
        return at_once[-1] if error.get("type") == "invalid_request_error" else None
    return refusable[-1] if refusable else None


def _types_meant(error: Json) -> frozenset[str] | None:
    """Give the types of what an error is about, by its code or its param; None where these say nothing."""
    code, param = error.get("code"), error.get("param")
    if isinstance(code, str):
        if code in _OF_CODE:
            return _OF_CODE[code]
        if about_item := _ITEM_CODE.match(code):
            return frozenset({f"conversation.item.{about_item[1]}"})
    return _OF_PARAM.get(re.split(r"[.\[]", param, maxsplit=1)[0]) if isinstance(param, str) else None


def _last(unanswered: Sequence[Json], kind: str, *, beside: bool) -> int | None:
    """Give the last of a kind: the first may have been taken, and is answered in its own time.

    Responses beside the conversation do not stand in each other's way.
    """
    places = [place for place, event in enumerate(unanswered) if event.get("type") == kind]
    in_conversation = [place for place in places if beside or not asks_out_of_band(unanswered[place])]
    return next(reversed(in_conversation or places), None)
