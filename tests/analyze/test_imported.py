"""Sessions from files without times: every question has an answer, and none of it looks measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyze.printing.session import what_is_missing
from analyze.queries import Queries
from analyze.store import Store
from analyze.tui.payload import event_lines
from capture.importers.importing import Importer
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from replay.planning import make_plan

Json = dict[str, Any]


def speech(number: int) -> list[tuple[str, Json]]:
    item, response = f"item_{number}", f"resp_{number}"
    transcription = "conversation.item.input_audio_transcription.completed"
    return [
        ("sent", {"type": "input_audio_buffer.append", "audio": "AAECAwQFBgc="}),
        ("received", {"type": "input_audio_buffer.speech_started", "item_id": item}),
        ("received", {"type": "input_audio_buffer.speech_stopped", "item_id": item}),
        ("received", {"type": "input_audio_buffer.committed", "item_id": item}),
        ("received", {"type": "response.created", "response": {"id": response}}),
        ("received", {"type": "response.output_audio.delta", "response_id": response, "delta": "AAECAwQFBgc="}),
        ("received", {"type": "response.output_audio_transcript.done", "response_id": response, "transcript": "hello"}),
        ("received", {"type": transcription, "item_id": item, "transcript": f"words {number}"}),
        ("received", {"type": "response.done", "response": {"id": response, "status": "completed"}}),
    ]


CREATED = {
    "type": "session.created",
    "session": {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}},
}
SAID = [("received", CREATED), *speech(1), *speech(2)]


@pytest.fixture
def session_id(root: Root, tmp_path: Path) -> str:
    path = tmp_path / "call.jsonl"
    path.write_text("\n".join(json.dumps({"direction": who, "data": event}) for who, event in SAID))
    Importer(root).import_file(path)
    (session_id,) = list_session_ids(root)
    return session_id


@pytest.fixture
def queries(root: Root, session_id: str) -> Iterator[Queries]:
    with Store(root) as store:
        yield Queries(store)


def test_turns_are_told_apart_by_their_order(queries: Queries, session_id: str) -> None:
    detail = queries.session(session_id)
    assert [(turn.transcript, turn.answer) for turn in detail.turns] == [("words 1", "hello"), ("words 2", "hello")]
    assert [turn.response_status for turn in detail.turns] == ["completed"] * 2
    assert list(what_is_missing(detail)) == []


def test_no_time_and_no_latency_is_claimed(queries: Queries, session_id: str) -> None:
    (summary,) = queries.sessions()
    assert (summary.started_at, summary.duration_ms, summary.first_audio_ms) == (None, None, None)
    for turn in queries.session(session_id).turns:
        assert (turn.end_of_speech_ms, turn.first_audio_latency_ms, turn.transcription_latency_ms) == (None, None, None)
    assert {row.offset_ms for row in queries.timeline(session_id)} == {None}
    assert queries.store.rows("SELECT * FROM latencies") == []
    assert queries.store.rows("SELECT * FROM events AS e WHERE offset_ms IS NOT NULL OR e.at IS NOT NULL") == []


def test_an_event_is_shown_without_a_time(queries: Queries, session_id: str) -> None:
    (event,) = queries.events(session_id, 0, 0)
    assert (event.at, event.offset_ms, event.wire_bytes) == (None, None, None)
    facts = ["".join(run.text for run in line) for line in event_lines(event)]
    assert facts[1:3] == ["seq 0 · server", "event"]


def test_sessions_compare_and_sort(queries: Queries, session_id: str) -> None:
    assert queries.side_by_side([session_id, session_id]).diffs[0].rows
    assert queries.levels(session_id, "client", 4)
    assert [queries.sessions_in_order(order=(name, True)).session_ids for name in ("started", "duration")] == [
        [session_id]
    ] * 2


def test_a_replay_can_be_planned(root: Root, session_id: str) -> None:
    plan = make_plan(open_recording(root, session_id).messages())
    assert len(plan.steps) >= 2
