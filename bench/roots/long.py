"""Write sessions of very many events that do not fold: a written conversation without end, and one without turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capture.private_files import make_private_folder
from capture.realtime.events import EventHeader, read_header
from capture.recording.root import Root
from capture.recording.schema import TABLES
from capture.recording.writer import tuning

Json = dict[str, Any]
_STARTED_AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
_EVERY_MS = 7.0
_FAILS_EVERY = 1_000
"""Turns, or events, from one failure to the next."""


@dataclass(frozen=True)
class Long:
    """One session: how many events, and whether they are the turns of a conversation."""

    session_id: str
    events: int
    has_turns: bool = True
    variant: int = 0
    """Sessions of two variants differ in a word here and an event there."""


def write_long(root: Root, long: Long) -> None:
    """Write a session as sealing would leave it."""
    story = _turns(long.variant) if long.has_turns else _announcements(long.variant)
    events = [_event(seq, *next(story)) for seq in range(long.events)]
    _write(root, "events", long.session_id, events)
    _write(root, "audio", long.session_id, [])
    _write(root, "sessions", long.session_id, [_session(events)])


def _turns(variant: int) -> Iterator[tuple[str, Json]]:
    turn = 0
    while True:
        turn += 1
        user, answer, response = (f"{kind}_{variant}{turn:06}" for kind in ("item_u", "item_a", "resp"))
        asked = {"id": user, "type": "message", "role": "user", "content": [{"type": "input_text", "text": "next?"}]}
        words = f"Line {turn}" + (", again" if variant and not turn % 50 else "")
        said = {"id": answer, "type": "message", "role": "assistant", "content": [{"type": "text", "text": words}]}
        about = {"response_id": response, "item_id": answer, "output_index": 0, "content_index": 0}
        yield "client", {"type": "conversation.item.create", "item": asked}
        yield "client", {"type": "response.create"}
        yield "server", {"type": "conversation.item.added", "item": asked}
        yield "server", {"type": "conversation.item.done", "item": asked}
        yield "server", {"type": "response.created", "response": {"id": response, "status": "in_progress"}}
        yield "server", {"type": "response.output_item.added", "response_id": response, "item": said}
        yield "server", {"type": "conversation.item.added", "item": said}
        yield "server", {"type": "response.content_part.added", **about, "part": {"type": "text", "text": ""}}
        if variant and not turn % 40:
            yield "server", {"type": "rate_limits.updated", "rate_limits": [{"name": "tokens", "remaining": turn}]}
        yield "server", {"type": "response.output_text.done", **about, "text": words}
        yield "server", {"type": "response.content_part.done", **about, "part": {"type": "text", "text": words}}
        yield "server", {"type": "response.output_item.done", "response_id": response, "item": said}
        if not turn % _FAILS_EVERY:
            yield "server", {"type": "error", "error": {"type": "server_error", "code": None, "message": "try again"}}
        done = {"id": response, "status": "completed", "usage": {"input_tokens": 40 * turn % 9_000, "output_tokens": 9}}
        yield "server", {"type": "response.done", "response": done}


def _announcements(variant: int) -> Iterator[tuple[str, Json]]:
    number = 0
    while True:
        number += 1
        limits = [{"name": "requests", "remaining": number + variant}, {"name": "tokens", "remaining": 9_000 - variant}]
        if not number % _FAILS_EVERY:
            yield "server", {"type": "error", "error": {"type": "server_error", "code": None, "message": "try again"}}
        elif variant and not number % 90:
            yield "server", {"type": "conversation.item.deleted", "item_id": f"item_{number}"}
        elif number % 3:
            yield "server", {"type": "rate_limits.updated", "rate_limits": limits}
        else:
            yield "client", {"type": "conversation.item.retrieve", "item_id": f"item_{variant}{number}"}


def _event(seq: int, sender: str, message: Json) -> Json:
    payload = json.dumps({"event_id": f"event_{seq:08}", **message})
    header = read_header(payload)
    told = {name: getattr(header, name) for name in EventHeader.__struct_fields__} if header else {}
    offset_ms = seq * _EVERY_MS
    return {
        "seq": seq,
        "offset_ns": int(offset_ms * 1e6),
        "at": _STARTED_AT + timedelta(milliseconds=offset_ms),
        "sender": sender,
        "kind": "event",
        "payload": payload,
        "wire_bytes": len(payload) + 4,
        "redacted": False,
        **told,
    }


def _session(events: list[Json]) -> Json:
    failures = sum(event["type"] == "error" for event in events)
    return {
        "format_version": 1,
        "role": "captured",
        "started_at": _STARTED_AT,
        "ended_at": events[-1]["at"],
        "duration_ms": events[-1]["offset_ns"] / 1e6,
        "target": "azure-swedencentral",
        "provider": "azure",
        "dialect": "ga",
        "model": "gpt-realtime",
        "handshake_status": 101,
        "turns": sum(event["type"] == "response.created" for event in events),
        "events_sent": sum(event["sender"] == "client" for event in events),
        "events_received": sum(event["sender"] == "server" for event in events),
        "errors": failures,
        "failure_keys": ["error|server_error||try again"] if failures else [],
        "outcome": "failed" if failures else "ok",
        "complete": True,
        "tags": [],
        "turn_latencies": [],
    }


def _write(root: Root, table: str, session_id: str, rows: list[Json]) -> None:
    schema = TABLES[table]
    path = root.table_file(table, session_id)
    make_private_folder(path.parent)
    named = [{"session_id": session_id, **row} for row in rows]
    pq.write_table(
        pa.Table.from_pylist(named, schema=schema), path, row_group_size=8192, compression="zstd", **tuning(schema)
    )
