"""Say in a few words what an event tells, where its type does not; pure."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from capture.plain_text import shorten, visible
from capture.recording.facts import Sender, answer_words

Json = dict[str, Any]

FAILED_ENDING = ".failed"
"""Of the types of events that say so even where they do not say why."""
SUMMARY_LENGTH = 200
"""Characters of a summary at most."""
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.")
_DEEPEST = 100
"""Levels of a message that are walked through; a tool's JSON schema is the deepest thing that is sane."""


class Event(NamedTuple):
    """The columns of the timeline view: an event, or a stretch of audio between two other events."""

    seq: int
    last_seq: int
    events: int
    """How many were joined."""
    offset_ms: float | None
    sender: Sender
    kind: str
    type: str | None
    item_id: str | None
    response_id: str | None
    error_type: str | None
    error_code: str | None
    error_message: str | None
    payload: str | None
    payload_bytes: bytes | None
    audio_track: str | None
    audio_start: int | None
    audio_bytes: int | None
    wire_bytes: int | None


def handshake_words(row: Mapping[str, Any]) -> str | None:
    """Say how an upgrade was answered, of a row of sessions; None: no answer came."""
    status = row["handshake_status"]
    return None if status is None else answer_words(status, row["response_headers"] or {})


def error_of(event: Event) -> str | None:
    """Say what failed in one line; None where nothing did."""
    parts = [part for part in (event.error_type, event.error_code, event.error_message) if part]
    if parts:
        return visible(" · ".join(parts))
    failed = event.type == "error" or (event.type or "").endswith(FAILED_ENDING)
    return "failed, without saying why" if failed else None


def summary_of(first: Event, payloads: Iterable[str | None]) -> str:
    """Sum up the events of one row, of which the first and the texts of all are given.

    Characters that act or hide are escaped; no more texts are taken than a summary has room for.
    """
    # An escape is no shorter than what it stands for: one character more tells that there is more.
    return shorten(visible(_summary_of(first, payloads)[: SUMMARY_LENGTH + 1]), SUMMARY_LENGTH)


def _summary_of(first: Event, payloads: Iterable[str | None]) -> str:
    if first.kind == "close":
        return _close_words(first.payload_bytes or b"")
    if first.kind in ("ping", "pong"):
        return ""
    if first.kind != "event":
        return f"{first.wire_bytes or 0:,} bytes"
    if first.audio_track is not None:
        return ""
    event_type = first.type or ""
    if event_type.endswith(".delta"):
        return _beginning(map(delta_of, payloads))
    return _words(event_type, parse_payload(first.payload))


def _close_words(content: bytes) -> str:
    if len(content) < 2:
        return "no code"
    (code,) = struct.unpack("!H", content[:2])
    reason = content[2:].decode("utf-8", "replace")
    return f"{code} {reason}".rstrip()


def _beginning(pieces: Iterable[str]) -> str:
    begun = ""
    for piece in pieces:
        begun += piece
        if len(begun) > SUMMARY_LENGTH:
            break
    return begun


class _Delta(msgspec.Struct):
    delta: str = ""


_decode_delta = msgspec.json.Decoder(_Delta).decode


def delta_of(payload: str | None) -> str:
    """Give the piece of text that an event of a stream brings; empty where it brings none."""
    try:
        return _decode_delta(payload or "{}").delta
    except (msgspec.DecodeError, UnicodeEncodeError):
        return ""


def spelled_out(payload: str) -> str:
    """Write a message's text with the characters that its escapes stand for; what is no escape stays."""
    return _ESCAPES.sub(_spelled, payload)


def _spelled(escapes: re.Match[str]) -> str:
    # Several at once: a character beyond the first plane takes two.
    try:
        return str(json.loads(f'"{escapes[0]}"'))
    except ValueError:
        return escapes[0]


def parse_payload(payload: str | None) -> Json:
    """Parse a message's text; an empty object where it is no JSON object, or nested too deeply to walk through."""
    text = payload or "{}"
    try:
        parsed = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    if not isinstance(parsed, dict) or (text.count("{") + text.count("[") > _DEEPEST and _is_too_deep(parsed)):
        return {}
    return parsed


def _is_too_deep(parsed: Json) -> bool:
    level: list[Any] = [parsed]
    for _ in range(_DEEPEST):
        branches = [node.values() if isinstance(node, dict) else node for node in level]
        level = [child for branch in branches for child in branch if isinstance(child, (dict, list))]
    return bool(level)


def _words(event_type: str, event: Json) -> str:
    """Say in a few words what an event tells, where its type does not."""
    if isinstance(event.get("transcript"), str):
        return f"“{event['transcript']}”"
    if isinstance(event.get("text"), str):
        return f"“{event['text']}”"
    if event_type.endswith("_call_arguments.done"):
        return f"{event.get('name', '')}({event.get('arguments', '')})"
    for name, words in (("session", _session_words), ("response", _response_words), ("item", _item_words)):
        if isinstance(event.get(name), dict):
            return words(event[name])
    if isinstance(event.get("rate_limits"), list):
        limits = [limit for limit in event["rate_limits"] if isinstance(limit, dict)]
        return " · ".join(f"{limit.get('remaining')} {limit.get('name')} left" for limit in limits)
    return " · ".join(f"{name} {event[name]}" for name in ("audio_start_ms", "audio_end_ms") if name in event)


def _session_words(session: Json) -> str:
    audio = session.get("audio") if isinstance(session.get("audio"), dict) else {}
    heard = audio.get("input") if isinstance(audio, dict) and isinstance(audio.get("input"), dict) else {}
    transcription = (heard or {}).get("transcription") or session.get("input_audio_transcription")
    words = [session.get("id"), session.get("model")]
    if isinstance(transcription, dict):
        words.append(f"transcription {transcription.get('model', 'on')}")
    return " · ".join(str(word) for word in words if word)


def _response_words(response: Json) -> str:
    details = response.get("status_details")
    usage = response.get("usage")
    words = [response.get("status")]
    if isinstance(details, dict):
        words.append(details.get("reason"))
    if isinstance(usage, dict) and usage:
        words.append(f"{usage.get('input_tokens', 0)} tokens in, {usage.get('output_tokens', 0)} out")
    return " · ".join(str(word) for word in words if word)


def _item_words(item: Json) -> str:
    content = item.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    texts = [str(part.get("text") or part.get("transcript") or "") for part in parts]
    said = " ".join(text for text in texts if text) or str(item.get("output") or "")
    words = [
        item.get("role") or item.get("type"),
        item.get("server_label"),
        item.get("name"),
        f"“{said}”" if said else "",
    ]
    return " · ".join(str(word) for word in words if word)
