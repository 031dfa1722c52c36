"""Recordings made by hand: a few events with their times, written as the tables hold them."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.queries import Queries
from analyze.store import Store, open_store
from analyze.wording import Event
from capture.audio import PCM16_24K
from capture.realtime.audio_formats import audio_field
from capture.realtime.configuration import ConfigurationTracker
from capture.realtime.events import EventHeader, read_header
from capture.recording.audio_blocks import TrackWriter
from capture.recording.payload import cut_audio
from capture.recording.root import Root
from capture.recording.schema import TABLES

Row = dict[str, Any]

FAILED_KEY = (
    "conversation.item.input_audio_transcription.failed|server_error||Input transcription failed for item 'item_…'."
)


def tone(duration_ms: float, amplitude: float = 0.5) -> str:
    """Give a 440 Hz tone as the base64 of a message."""
    at = np.arange(int(24 * duration_ms)) / 24_000
    samples = (np.sin(2 * np.pi * 440 * at) * amplitude * 32767).astype("<i2")
    return base64.b64encode(samples.tobytes()).decode()


@dataclass
class Trace:
    """A session in the making: `client` and `server` note an event and when it came."""

    session_id: str = "20260212T083055-00000001"
    columns: Row = field(default_factory=dict)
    """Columns of the sessions row that are not as usual."""
    events: list[Row] = field(default_factory=list)
    audio: list[Row] = field(default_factory=list)
    tracks: dict[str, TrackWriter] = field(default_factory=dict)
    configuration: ConfigurationTracker = field(default_factory=ConfigurationTracker)

    def client(self, offset_ms: float, event_type: str, **fields: Any) -> None:
        self._note("client", offset_ms, {"type": event_type, **fields})

    def server(self, offset_ms: float, event_type: str, **fields: Any) -> None:
        self._note("server", offset_ms, {"type": event_type, "event_id": f"event_{len(self.events)}", **fields})

    def frame(self, sender: str, offset_ms: float, kind: str, content: bytes) -> None:
        self._append(sender, offset_ms, kind, payload_bytes=content, wire_bytes=len(content) + 2)

    def text(self, sender: str, offset_ms: float, payload: str, kind: str = "event") -> None:
        header = read_header(payload)
        self._append(sender, offset_ms, kind, header, payload=payload, wire_bytes=len(payload) + 4)

    def write(self, root: Root, *, committed: bool = True) -> str:
        for track in self.tracks.values():
            self.audio += track.finish()
        self._write(root, "audio", self.audio)
        self._write(root, "events", self.events)
        if committed:
            self._write(root, "sessions", [self._session_row()])
        return self.session_id

    @property
    def started_at(self) -> datetime:
        return datetime.strptime(self.session_id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)

    def _note(self, sender: str, offset_ms: float, event: Row) -> None:
        self.configuration.observe(sender, event)
        payload = json.dumps(event, ensure_ascii=False)
        columns: Row = {"wire_bytes": len(payload) + 4}
        found = audio_field(sender, event["type"], payload)
        if found is not None:
            payload, cut = cut_audio(payload, found.value)
            assert cut is not None
            track = self.tracks.setdefault(found.track, TrackWriter(found.track))
            columns |= {"audio_at": cut.at, "audio_track": found.track}
            columns |= {"audio_start": track.position, "audio_bytes": len(cut.audio)}
            self.audio += track.feed(cut.audio, PCM16_24K)
        self._append(sender, offset_ms, "event", read_header(payload), payload=payload, **columns)

    def _append(
        self, sender: str, offset_ms: float, kind: str, header: EventHeader | None = None, **columns: Any
    ) -> None:
        told = {name: getattr(header, name) for name in EventHeader.__struct_fields__} if header else {}
        self.events.append(
            {
                "seq": len(self.events),
                "offset_ns": int(offset_ms * 1e6),
                "at": self.started_at + timedelta(milliseconds=offset_ms),
                "sender": sender,
                "kind": kind,
                "redacted": False,
                **told,
                **columns,
            }
        )

    def _session_row(self) -> Row:
        ended_ms = self.events[-1]["offset_ns"] / 1e6 if self.events else 0.0
        types = [event.get("type") for event in self.events]
        usual: Row = {
            "format_version": 1,
            "role": "captured",
            "started_at": self.started_at,
            "ended_at": self.started_at + timedelta(milliseconds=ended_ms),
            "duration_ms": ended_ms,
            "target": "azure-eastus2",
            "provider": "azure",
            "region": "eastus2",
            "dialect": "ga",
            "model": "gpt-realtime",
            "model_echoed": self.configuration.model_echoed,
            "transcription_model": self.configuration.transcription_model,
            "transcription_model_echoed": self.configuration.transcription_model_echoed,
            "server_session_id": self.configuration.server_session_id,
            "handshake_status": 101,
            "turns": types.count("input_audio_buffer.committed"),
            "errors": 0,
            "failure_keys": [],
            "outcome": "ok",
            "complete": True,
            "tags": [],
        }
        return usual | self.columns

    def _write(self, root: Root, table: str, rows: list[Row]) -> None:
        path = root.table_file(table, self.session_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = [{"session_id": self.session_id, **row} for row in rows]
        pq.write_table(pa.Table.from_pylist(whole, schema=TABLES[table]), path)


def events_of(trace: Trace) -> list[Event]:
    """Give a trace's events as a timeline is made from."""
    nothing: Row = dict.fromkeys(Event._fields)
    alone = [row | {"last_seq": row["seq"], "events": 1, "offset_ms": row["offset_ns"] / 1e6} for row in trace.events]
    return [Event(**{name: (nothing | row)[name] for name in Event._fields}) for row in alone]


def spoken_turn(
    trace: Trace,
    start_ms: float = 0.0,
    *,
    item: str = "item_u1",
    response: str = "resp_1",
    transcript: str | None = "what is the weather",
    answer: str = "Sunny, all day.",
    answer_after_ms: float = 600.0,
) -> None:
    """Note one GA turn: 100 ms of speech, an answer of 40 ms, a transcription that fails where it has no text."""
    for number in range(5):
        trace.client(start_ms + 20 * number, "input_audio_buffer.append", audio=tone(20))
    trace.server(start_ms + 30, "input_audio_buffer.speech_started", item_id=item, audio_start_ms=0)
    trace.server(start_ms + 100, "input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=100)
    trace.server(start_ms + 110, "input_audio_buffer.committed", item_id=item, previous_item_id=None)
    user = {"id": item, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    trace.server(start_ms + 111, "conversation.item.added", item=user)
    trace.server(start_ms + 120, "response.created", response={"id": response, "status": "in_progress"})
    spoken = {"response_id": response, "item_id": f"{response}_item", "output_index": 0, "content_index": 0}
    first_ms = start_ms + 100 + answer_after_ms
    trace.server(first_ms, "response.output_audio.delta", delta=tone(20), **spoken)
    trace.server(first_ms + 1, "response.output_audio_transcript.delta", delta=answer, **spoken)
    trace.server(first_ms + 2, "response.output_audio.delta", delta=tone(20), **spoken)
    transcription = "conversation.item.input_audio_transcription"
    if transcript is None:
        error = {"type": "server_error", "code": None, "message": f"Input transcription failed for item '{item}'."}
        trace.server(first_ms + 10, f"{transcription}.failed", item_id=item, content_index=0, error=error)
    else:
        trace.server(first_ms + 10, f"{transcription}.completed", item_id=item, content_index=0, transcript=transcript)
    trace.server(first_ms + 20, "response.output_audio_transcript.done", transcript=answer, **spoken)
    done = {"id": response, "status": "completed", "usage": {"input_tokens": 10, "output_tokens": 20}}
    trace.server(first_ms + 30, "response.done", response=done)


def configure(trace: Trace, transcription_model: str | None = "gpt-4o-transcribe") -> None:
    """Note how a GA session begins."""
    transcription = {"model": transcription_model} if transcription_model else None
    audio = {"input": {"transcription": transcription, "turn_detection": {"type": "server_vad"}}}
    session = {"type": "realtime", "audio": audio}
    server_session = {"id": f"sess_{trace.session_id[-8:]}", "model": "gpt-realtime", "expires_at": 1770888655}
    trace.server(0, "session.created", session=server_session)
    trace.client(5, "session.update", session=session)
    trace.server(10, "session.updated", session=server_session | session)


@pytest.fixture
def failed_session(root: Root) -> str:
    """Record the founding incident: the answer is healthy, the transcription failed."""
    failed: Row = {"outcome": "failed", "errors": 1, "failure_keys": [FAILED_KEY], "first_error": "server_error"}
    trace = Trace("20260212T083055-0000000a", failed)
    configure(trace)
    spoken_turn(trace, 20, transcript=None)
    trace.frame("client", 1000, "close", b"\x03\xe8bye")
    return trace.write(root)


@pytest.fixture
def ok_session(root: Root) -> str:
    """Record the same call with another transcription model, which worked, and a slower answer."""
    trace = Trace("20260212T083155-0000000b", {"region": "swedencentral", "target": "azure-sweden"})
    configure(trace, "whisper-1")
    spoken_turn(trace, 20, item="item_x1", response="resp_9", answer="Sunny, most of the day.", answer_after_ms=722)
    trace.frame("client", 1200, "close", b"\x03\xe8bye")
    return trace.write(root)


@pytest.fixture
def store(root: Root) -> Iterator[Store]:
    """Open the root; recordings must be asked for before it."""
    with open_store(root) as opened:
        yield opened


@pytest.fixture(scope="session")
def _store_of_many_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(Root(tmp_path_factory.mktemp("analyze") / "recordings")) as opened:
        yield opened


@pytest.fixture
def reused_store(_store_of_many_tests: Store) -> Iterator[Store]:
    """Give a store over an empty root, open already: to open one takes longer than most questions to it.

    A refresh takes in what a test records. What damages files, or is about opening, opens a root of its own.
    """
    yield _store_of_many_tests
    shutil.rmtree(_store_of_many_tests.root.path, ignore_errors=True)
    # The next test may give the same name to another recording.
    _store_of_many_tests.refresh()
    assert not _store_of_many_tests.unreadable


@pytest.fixture
def queries(store: Store) -> Queries:
    return Queries(store)
