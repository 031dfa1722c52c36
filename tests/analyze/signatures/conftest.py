"""Recordings made from a readable transcript, sealed as a recorder's journal would be.

A transcript is a list of lines `(offset_ms, sender, event)`; the functions below give the usual stretches of one.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import pytest
from websockets.frames import Frame, Opcode

from analyze.findings import Finding
from analyze.queries import Queries
from analyze.store import Store
from capture.journal import Direction, Gap, JournalRecord
from capture.keeping import Window
from capture.realtime.dialects import GA_NAMES
from capture.recording.facts import (
    Fact,
    HandshakeRequest,
    HandshakeResponse,
    ReplayFacts,
    Sender,
    SessionEnd,
    SessionFacts,
    encode_fact,
)
from capture.recording.root import Root
from capture.recording.writer import SessionWriter
from capture.rows import SessionRows

Event = dict[str, Any]
Line = tuple[float, Sender, Event | bytes]
"""Milliseconds from the session's start, who said it, and the event; bytes are the content of a close frame."""
LOST: Event = {}
"""In the place of an event: here bytes of this sender did not reach the journal."""

_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_numbers = itertools.count(1)


class Record(Protocol):
    """Seals a transcript and gives the session's id; see `record_transcript`."""

    def __call__(self, lines: Sequence[Line], **facts: Any) -> str: ...


@pytest.fixture
def twins() -> dict[str, str]:
    """Tell of each session in the beta dialect which one says the same in GA."""
    return {}


@pytest.fixture
def record(root: Root, twins: dict[str, str], request: pytest.FixtureRequest) -> Record:
    """Seal transcripts; of tests marked with `dialects("ga", "beta")` each in beta, too, unseen."""
    marked = request.node.get_closest_marker("dialects")

    def sealed(lines: Sequence[Line], **facts: Any) -> str:
        session = record_transcript(root, lines, **facts)
        if marked and "beta" in marked.args:
            twins[record_transcript(root, in_beta(lines), **facts)] = session
        return session

    return sealed


@pytest.fixture
def root(reused_store: Store) -> Root:
    """Give an empty root, for which a store is open."""
    return reused_store.root


@pytest.fixture
def findings(reused_store: Store, twins: dict[str, str]) -> Callable[[], list[Finding]]:
    """Give all findings of the root; those of twins are the same, and left out."""

    def found() -> list[Finding]:
        reused_store.refresh()
        everything = Queries(reused_store).findings()
        in_ga = [finding for finding in everything if finding.session_id not in twins]
        of_twins = [replace(each, session_id=twins[each.session_id]) for each in everything if each.session_id in twins]
        assert of_twins == [finding for finding in in_ga if finding.session_id in twins.values()]
        return in_ga

    return found


@pytest.fixture
def names(findings: Callable[[], list[Finding]]) -> Callable[[], dict[str, list[str]]]:
    """Give the names found, by session; a session without a finding is not among them."""

    def found() -> dict[str, list[str]]:
        by_session: dict[str, list[str]] = {}
        for finding in findings():
            by_session.setdefault(finding.session_id, []).append(finding.name)
        return by_session

    return found


class NamesOf(Protocol):
    """Records sessions side by side and gives the names found, by case; see `names_of`."""

    def __call__(self, cases: Mapping[str, Sequence[Line]], **facts: Any) -> dict[str, list[str]]: ...


@pytest.fixture
def names_of(record: Record, names: Callable[[], dict[str, list[str]]]) -> NamesOf:
    """Take all cases into one root: a pass over it costs as much as a pass over each. No case may explain another."""

    def found(cases: Mapping[str, Sequence[Line]], **facts: Any) -> dict[str, list[str]]:
        sessions = {record(lines, **facts): case for case, lines in cases.items()}
        return {sessions[session]: having for session, having in names().items()}

    return found


def record_transcript(
    root: Root,
    lines: Sequence[Line],
    *,
    at: str = "2026-02-12T08:30:55",
    ended_ms: float | None = None,
    closed: tuple[Sender, int, str] | None = ("client", 1000, ""),
    closed_by: Any = None,
    status: int = 101,
    headers: Mapping[str, str] | None = None,
    asked_headers: Mapping[str, str] | None = None,
    health: Mapping[str, float] | None = None,
    method: str = "GET",
    upgrade: bool = True,
    sent: str | None = None,
    body: str | None = None,
    replay: ReplayFacts | None = None,
    **facts: Any,
) -> str:
    """Seal a transcript; `at` is UTC, `closed` the close frame (None: the connection just ended).

    With a `status` other than 101 there is no WebSocket: `sent` and `body` are what went and
    came. `asked_headers` are more of the request's, `health` is what the recorder tells of itself: fields of
    `SessionEnd`. All other facts are those of `SessionFacts`.
    """
    started_at = datetime.fromisoformat(at).replace(tzinfo=UTC)
    session_id = f"{started_at:%Y%m%dT%H%M%S}-{next(_numbers):08x}"
    usual = {
        "target": "azure-eastus2",
        "provider": "azure",
        "region": "eastus2",
        "url": "wss://contoso.openai.azure.com/openai/v1/realtime?model=gpt-realtime",
    }
    whole = list(lines)
    last_ms = whole[-1][0] if whole else 0.0
    if closed is not None and status == 101:
        last_ms = max(last_ms + 100, ended_ms or 0.0)
        sender, code, reason = closed
        whole.append((last_ms, sender, code.to_bytes(2, "big") + reason.encode()))
    end_ns = _ns(max(last_ms, ended_ms or 0.0))
    started_us = int(started_at.timestamp()) * 1_000_000
    told: list[Fact] = [
        SessionFacts(session_id=session_id, started_at_us=started_us, replay=replay, **(usual | facts)),
        HandshakeRequest(
            offset_ns=0,
            method=method,
            path="/openai/v1/realtime",
            headers=[*([("Upgrade", "websocket")] if upgrade else []), *(asked_headers or {}).items()],
        ),
        HandshakeResponse(
            offset_ns=0,
            status=status,
            headers=list((headers or {"apim-request-id": "b1c4", "x-ms-region": "x"}).items()),
        ),
    ]
    records = [_fact(fact, 0) for fact in told]
    bodies = ((Direction.CLIENT, sent), (Direction.SERVER, body))
    records += [JournalRecord(direction, 0, text.encode()) for direction, text in bodies if text is not None]
    records += [_record(line) for line in whole]
    end = {"closed_by": closed_by, **(health or {})}
    records.append(_fact(SessionEnd(offset_ns=end_ns, **end), end_ns))
    rows = SessionRows(session_id, _windows(session_id, records))
    with SessionWriter(root, session_id) as writer:
        for each in records:
            for table, row in rows.feed(each):
                writer.add(table, row)
        for table, row in rows.finish():
            writer.add(table, row)
        writer.commit(rows.session_row())
    return session_id


def _windows(session_id: str, records: Sequence[JournalRecord]) -> Sequence[Window] | None:
    """Find what its `keep_rule` keeps, as sealing does."""
    survey = SessionRows(session_id, windows=())
    for each in records:
        survey.feed(each)
    survey.finish()
    survey.session_row()
    return survey.decision.windows


def _ns(offset_ms: float) -> int:
    return int(offset_ms * 1_000_000)


def _fact(fact: Fact, offset_ns: int) -> JournalRecord:
    return JournalRecord(Direction.FACT, offset_ns, encode_fact(fact))


def _record(line: Line) -> JournalRecord:
    offset_ms, sender, said = line
    if said == LOST:
        return Gap(sender, _ns(offset_ms), _ns(offset_ms), 100, "full", ends_at_frame=True).record()
    direction = Direction.CLIENT if sender == "client" else Direction.SERVER
    opcode, content = (Opcode.CLOSE, said) if isinstance(said, bytes) else (Opcode.TEXT, json.dumps(said).encode())
    return JournalRecord(direction, _ns(offset_ms), Frame(opcode, content).serialize(mask=sender == "client"))


def sound(duration_ms: float, amplitude: float = 0.5, hertz: float = 440) -> str:
    """Give a tone of 24 kHz PCM as the base64 of a message."""
    at = np.arange(int(24 * duration_ms)) / 24_000
    samples = (np.sin(2 * np.pi * hertz * at) * amplitude * 32767).astype("<i2")
    return base64.b64encode(samples.tobytes()).decode()


def opening(
    transcription: str | None = "gpt-4o-transcribe",
    *,
    turn_detection: str | None = "server_vad",
    modalities: Sequence[str] = ("audio",),
    at_ms: float = 0.0,
) -> list[Line]:
    """Give the beginning of a GA session."""
    audio_input: Event = {
        "transcription": {"model": transcription} if transcription else None,
        "turn_detection": {"type": turn_detection} if turn_detection else None,
    }
    session: Event = {"type": "realtime", "output_modalities": list(modalities), "audio": {"input": audio_input}}
    told = {"id": "sess_1", "model": "gpt-realtime"}
    return [
        (at_ms, "server", {"type": "session.created", "session": told}),
        (at_ms + 5, "client", {"type": "session.update", "session": session}),
        (at_ms + 10, "server", {"type": "session.updated", "session": told | session}),
    ]


def speech(at_ms: float, item: str = "item_u1", *, vad: bool = True, amplitude: float = 0.5) -> list[Line]:
    """Give 400 ms of speech that the endpoint takes in, by its own turn detection or by the client's commit."""
    lines: list[Line] = []
    for number in range(4):
        append = {"type": "input_audio_buffer.append", "audio": sound(100, amplitude, 440 + number)}
        lines.append((at_ms + 100 * number, "client", append))
    started = {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": 0}
    stopped = {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": 300}
    if vad:
        lines.insert(2, (at_ms + 150, "server", started))
        lines.append((at_ms + 400, "server", stopped))
    else:
        lines.append((at_ms + 400, "client", {"type": "input_audio_buffer.commit"}))
    user = {"id": item, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    lines.append((at_ms + 410, "server", {"type": "input_audio_buffer.committed", "item_id": item}))
    lines.append((at_ms + 411, "server", {"type": "conversation.item.added", "item": user}))
    return lines


def transcribed(at_ms: float, item: str = "item_u1", text: str = "What is the weather?") -> list[Line]:
    """Give a transcription that completes."""
    event = {"type": f"{_TRANSCRIPTION}.completed", "item_id": item, "content_index": 0, "transcript": text}
    return [(at_ms, "server", event)]


def not_transcribed(at_ms: float, item: str = "item_u1", code: str | None = None) -> list[Line]:
    """Give a transcription that fails."""
    words = f"Input transcription failed for item '{item}'."
    error = {"type": "server_error", "code": code, "message": words, "param": None}
    return [
        (at_ms, "server", {"type": f"{_TRANSCRIPTION}.failed", "item_id": item, "content_index": 0, "error": error})
    ]


def answer(
    at_ms: float,
    response: str = "resp_1",
    *,
    said: str = "Sunny, all day.",
    audio_ms: float = 1000.0,
    chunk_ms: float = 200.0,
    every_ms: float = 50.0,
    done: bool = True,
    status: str = "completed",
    details: Event | None = None,
    tokens: tuple[int, int] = (120, 40),
) -> list[Line]:
    """Give a spoken answer: announced, streamed faster than it plays, and done; each line 1 ms after the one before."""
    of_response = {"response_id": response, "item_id": f"{response}_item", "output_index": 0, "content_index": 0}
    lines: list[Line] = [
        (at_ms, "server", {"type": "response.created", "response": {"id": response, "status": "in_progress"}})
    ]
    now_ms = at_ms
    for _ in range(int(audio_ms // chunk_ms)):
        now_ms += every_ms
        delta = {"type": "response.output_audio.delta", "delta": sound(chunk_ms), **of_response}
        lines.append((now_ms, "server", delta))
    if said:
        heard = {"type": "response.output_audio_transcript.done", "transcript": said, **of_response}
        lines.append((now_ms + 1, "server", heard))
    if done:
        lines.append((now_ms + 2, "server", response_done(response, status=status, details=details, tokens=tokens)))
    return lines


def response_done(
    response: str = "resp_1",
    *,
    status: str = "completed",
    details: Event | None = None,
    tokens: tuple[int, int] = (120, 40),
) -> Event:
    """Give the end of a response; `details` are its status_details."""
    usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
    told = {"id": response, "status": status, "status_details": details, "output_modalities": ["audio"], "usage": usage}
    return {"type": "response.done", "response": told}


def healthy_turn(at_ms: float, number: int = 1) -> list[Line]:
    """Give a turn that is heard, transcribed and answered; it takes less than 2 s."""
    item = f"item_u{number}"
    return [
        *speech(at_ms, item),
        *answer(at_ms + 500, f"resp_{number}"),
        *transcribed(at_ms + 1000, item),
    ]


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Sort lines by their time; those of the same time stay as they are."""
    return sorted(lines, key=lambda line: line[0])


def in_beta(lines: Sequence[Line]) -> list[Line]:
    """Say the same in the beta dialect: its names of events, and its flat sessions."""
    return [(at_ms, sender, _beta(said) if isinstance(said, dict) else said) for at_ms, sender, said in lines]


_BETA_NAMES = {ga: beta for beta, ga in GA_NAMES.items() if not beta.startswith("transcription_session.")}
_TRANSCRIPTION_ONLY = {"session.update", "session.updated", "session.created"}


def _beta(event: Event) -> Event:
    said = event | {"type": _BETA_NAMES.get(event["type"], event["type"])} if "type" in event else event
    if isinstance(session := said.get("session"), dict):
        if session.get("type") == "transcription" and said["type"] in _TRANSCRIPTION_ONLY:
            said["type"] = f"transcription_{said['type']}"
        said["session"] = _flat(session)
    response = said.get("response")
    if isinstance(response, dict) and "output_modalities" in response:
        told = {name: value for name, value in response.items() if name != "output_modalities"}
        said["response"] = told | {"modalities": _beta_modalities(response["output_modalities"])}
    return said


def _flat(session: Event) -> Event:
    flat = {name: value for name, value in session.items() if name not in ("type", "audio", "output_modalities")}
    heard, spoken = (session.get("audio", {}).get(side, {}) for side in ("input", "output"))
    if "output_modalities" in session:
        flat["modalities"] = _beta_modalities(session["output_modalities"])
    flat |= {_FLAT[name]: value for name, value in heard.items() if name in _FLAT}
    if "voice" in spoken:
        flat["voice"] = spoken["voice"]
    for side, told in (("input", heard), ("output", spoken)):
        if "format" in told:
            flat[f"{side}_audio_format"] = _BETA_FORMATS[told["format"]["type"]]
    return flat


_FLAT = {
    "transcription": "input_audio_transcription",
    "noise_reduction": "input_audio_noise_reduction",
    "turn_detection": "turn_detection",
}
_BETA_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


def _beta_modalities(modalities: Sequence[str]) -> list[str]:
    return ["audio", "text"] if "audio" in modalities else ["text"]
