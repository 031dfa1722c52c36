"""Sessions that went well, in all their kinds: none of them is given a name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.analyze.signatures.conftest import (
    Line,
    NamesOf,
    Record,
    answer,
    healthy_turn,
    in_order,
    opening,
    speech,
    transcribed,
)

pytestmark = pytest.mark.dialects("ga", "beta")
Names = Callable[[], dict[str, list[str]]]


def with_a_tool() -> list[Line]:
    item = {"id": "item_c", "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    called, *_, done = answer(600, "resp_1", said="", audio_ms=0)
    return [
        *opening("whisper-1"),
        *speech(100),
        called,
        (601, "server", {"type": "response.output_item.done", "response_id": "resp_1", "item": item}),
        done,
        *transcribed(700),
        (900, "client", {"type": "conversation.item.create", "item": output}),
        (901, "client", {"type": "response.create"}),
        *answer(1000, "resp_2"),
    ]


def with_barge_in() -> list[Line]:
    """Give an answer that the caller cuts off, and the one to what was said."""
    cancelled = {"type": "cancelled", "reason": "turn_detected"}
    begun, *deltas, _ = answer(600, "resp_1", said="", audio_ms=2000)
    done = (820.0, "server", answer(600, "resp_1", status="cancelled", details=cancelled)[-1][2])
    cut = {"type": "conversation.item.truncate", "item_id": "resp_1_item", "content_index": 0, "audio_end_ms": 150}
    return [
        *opening("whisper-1"),
        *speech(100),
        *transcribed(580),
        begun,
        *deltas[:4],
        *[line for line in speech(660, "item_u2") if line[0] < 820],
        done,  # type: ignore[list-item]
        (830, "client", cut),
        (840, "server", {"type": "conversation.item.truncated", "item_id": "resp_1_item", "audio_end_ms": 150}),
        *[line for line in speech(660, "item_u2") if line[0] > 840],
        *answer(1200, "resp_2"),
        *transcribed(1500, "item_u2"),
    ]


def with_manual_turns() -> list[Line]:
    return [
        *opening("whisper-1", turn_detection=None),
        *speech(100, vad=False),
        (520, "client", {"type": "response.create"}),
        *answer(600),
        *transcribed(1000),
    ]


def transcription_only() -> list[Line]:
    heard = {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": {"type": "server_vad"}}
    session = {"type": "transcription", "audio": {"input": heard}}
    told = {"id": "sess_1", "object": "realtime.transcription_session"}
    return [
        (0, "server", {"type": "session.created", "session": told | {"type": "transcription"}}),
        (5, "client", {"type": "session.update", "session": session}),
        (10, "server", {"type": "session.updated", "session": told | session}),
        *speech(100),
        *transcribed(900),
        *speech(2000, "item_u2"),
        *transcribed(2900, "item_u2"),
    ]


@pytest.mark.parametrize("ended_ms", [0, 60_000], ids=["hung up", "went on"])
def test_a_session_that_went_well_has_no_finding(names_of: NamesOf, ended_ms: float) -> None:
    kinds = {
        "turns": [*opening(), *healthy_turn(100, 1), *healthy_turn(3000, 2)],
        "tools": with_a_tool(),
        "barge-in": with_barge_in(),
        "manual": with_manual_turns(),
        "transcription": transcription_only(),
    }

    assert names_of({kind: in_order(lines) for kind, lines in kinds.items()}, ended_ms=ended_ms) == {}


def test_real_sessions_have_no_finding(record: Record, names: Names, shared: Path) -> None:
    logs = {}
    for log in sorted((shared / "fixtures").glob("*.jsonl")):
        messages = [json.loads(line) for line in log.read_text().splitlines()]
        said = [each for each in messages if each["kind"] == "message" and isinstance(each["data"], dict)]
        lines: list[Line] = [
            (10.0 * number, "client" if each["direction"] == "sent" else "server", each["data"])
            for number, each in enumerate(said)
        ]
        logs[record(lines, ended_ms=60_000)] = log.name

    assert {logs[session]: found for session, found in names().items()} == {}
