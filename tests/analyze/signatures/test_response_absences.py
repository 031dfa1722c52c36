"""Answers that do not come, do not end, or lack their audio, though no event says that anything failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from analyze.findings import Finding
from tests.analyze.signatures.conftest import (
    Line,
    Record,
    answer,
    healthy_turn,
    opening,
    response_done,
    speech,
    transcribed,
)

pytestmark = pytest.mark.dialects("ga", "beta")
Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

NEVER_DONE = "response_never_done"
NEVER_STARTED = "response_never_started"
STARVED = "audio_starvation_midresponse"
TRUNCATED = "audio_truncated_transcript_complete"
WRITTEN = "text_only_response"

LONG = "It will be sunny all day with a light breeze from the west, and warm in the evening."


def heard(*answered: Line) -> list[Line]:
    """Give a session whose one turn is answered with these lines."""
    return [*opening(), *speech(100), *transcribed(560), *answered]


def test_an_answer_that_never_ends(record: Record, findings: Findings) -> None:
    session = record(heard(*answer(600, done=False)), ended_ms=20_000)

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, NEVER_DONE, "certain")
    assert finding.numbers["waited_s"] > 5
    assert finding.explains == ("absent:response.done",)


def test_an_answer_that_waits_for_an_mcp_server_is_not_surely_lost(record: Record, findings: Findings) -> None:
    item = {"id": "item_m", "type": "mcp_call", "name": "search_orders", "server_label": "crm", "arguments": "{}"}
    waiting: list[Line] = [
        (620, "server", {"type": "response.output_item.added", "response_id": "resp_1", "item": item}),
        (630, "server", {"type": "response.mcp_call.in_progress", "item_id": "item_m", "output_index": 0}),
    ]
    record([*opening(None), *speech(100), *answer(600, audio_ms=0, said="", done=False), *waiting], ended_ms=25_000)

    assert [(finding.name, finding.confidence) for finding in findings()] == [("response_never_done", "possible")]


def test_who_hangs_up_in_the_middle_of_an_answer_did_not_wait(record: Record, names: Names) -> None:
    record(heard(*answer(600, done=False)), ended_ms=3000)

    assert names() == {}


def test_a_connection_that_breaks_in_the_middle_explains_it(record: Record, names: Names) -> None:
    session = record(heard(*answer(600, done=False)), closed=None, closed_by="network")

    assert NEVER_DONE not in names().get(session, [])


def test_an_answer_that_was_due_and_never_came(record: Record, findings: Findings) -> None:
    session = record(
        [*opening(), *healthy_turn(100, 1), *speech(3000, "item_u2"), *transcribed(3500, "item_u2")], ended_ms=12_000
    )

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, NEVER_STARTED)
    assert len(finding.evidence) == 1
    assert finding.explains == ("absent:response.created",)


def test_a_moderation_is_no_answer(record: Record, findings: Findings) -> None:
    moderated = response_done("resp_m")
    moderated["response"] |= {"conversation_id": None, "output_modalities": ["text"]}
    ask = {"type": "response.create", "response": {"conversation": "none"}}
    begun = {"type": "response.created", "response": {"id": "resp_m", "conversation_id": None}}
    moderation: list[Line] = [(650, "client", ask), (700, "server", begun), (900, "server", moderated)]
    session = record(heard(*moderation), ended_ms=12_000)

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, NEVER_STARTED)
    assert finding.explains == ("absent:response.created",)


def test_a_response_create_that_nobody_answers(record: Record, names: Names) -> None:
    manual = [*opening(turn_detection=None), *speech(100, vad=False), *transcribed(560)]
    session = record([*manual, (600, "client", {"type": "response.create"})], ended_ms=12_000)

    assert names() == {session: [NEVER_STARTED]}


def test_without_response_create_a_manual_turn_waits_for_none(record: Record, names: Names) -> None:
    record([*opening(turn_detection=None), *speech(100, vad=False), *transcribed(560)], ended_ms=12_000)

    assert names() == {}


def starved(*gaps_ms: float, chunk_ms: float = 200) -> list[Line]:
    """Give an answer in pieces that come these times after one another."""
    of_response = {"response_id": "resp_1", "item_id": "item_a"}
    piece = next(line for line in answer(0, audio_ms=chunk_ms, chunk_ms=chunk_ms) if "delta" in line[2])[2]
    assert isinstance(piece, dict)
    lines: list[Line] = [(600, "server", {"type": "response.created", "response": {"id": "resp_1"}})]
    now_ms = 700.0
    for gap_ms in (0, *gaps_ms):
        now_ms += gap_ms
        lines.append((now_ms, "server", piece | of_response))
    return [*lines, (now_ms + 5, "server", response_done())]


def test_a_listener_who_waits_inside_an_answer(record: Record, findings: Findings) -> None:
    session = record(heard(*starved(50, 50, 2600, 50, 1900)))

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, STARVED)
    assert finding.numbers == {"waits": 2, "longest_wait_ms": 2100}
    assert len(finding.evidence) == 2
    assert finding.first_at is not None and finding.first_at.isoformat() == "2026-02-12T08:30:58.400000+00:00"


def test_gaps_that_the_audio_before_bridges_are_heard_by_nobody(record: Record, names: Names) -> None:
    record(heard(*starved(10, 10, 10, 10, 10, 10, 10, 10, 10, 1900)))

    assert names() == {}


def test_audio_that_ends_before_its_transcript_does(record: Record, findings: Findings) -> None:
    session = record(heard(*answer(600, said=LONG, audio_ms=1400)))

    (finding,) = findings()

    assert (finding.session_id, finding.name) == (session, TRUNCATED)
    assert finding.numbers["audio_ms"] == pytest.approx(1400)
    assert finding.numbers["transcript_characters"] == len(LONG)


@pytest.mark.parametrize(
    "answered",
    [
        pytest.param({"audio_ms": 5400}, id="audio as long as its words"),
        pytest.param({"audio_ms": 3000}, id="spoken fast"),
        pytest.param({"audio_ms": 1400, "status": "cancelled", "details": {"reason": "turn_detected"}}, id="barge-in"),
        pytest.param({"audio_ms": 3, "chunk_ms": 0.5}, id="audio cut out of the log"),
    ],
)
def test_these_answers_are_not_cut(record: Record, names: Names, answered: dict[str, Any]) -> None:
    record(heard(*answer(600, said=LONG, **answered)))

    assert names() == {}


def test_words_without_audio(record: Record, findings: Findings) -> None:
    session = record(heard(*answer(600, audio_ms=0)))

    (finding,) = findings()

    assert (finding.session_id, finding.name, finding.confidence) == (session, WRITTEN, "certain")
    assert finding.numbers["answers_without_audio"] == 1


def test_who_asks_for_text_gets_text(record: Record, names: Names) -> None:
    written = {"type": "response.output_text.done", "response_id": "resp_1", "text": "Sunny."}
    done = response_done()
    done["response"]["output_modalities"] = ["text"]
    answered: list[Line] = [
        (600, "server", {"type": "response.created", "response": {"id": "resp_1"}}),
        (700, "server", written),
        (710, "server", done),
    ]
    record(heard(*answered))

    assert names() == {}


def test_a_tool_call_has_no_audio(record: Record, names: Names) -> None:
    called = {"type": "response.function_call_arguments.done", "response_id": "resp_1", "call_id": "call_1"}
    answered: list[Line] = [
        (600, "server", {"type": "response.created", "response": {"id": "resp_1"}}),
        (700, "server", called),
        (710, "server", response_done()),
    ]
    record(heard(*answered))

    assert names() == {}


def test_beside_a_call_over_webrtc_no_audio_passes_here(record: Record, names: Names) -> None:
    record(heard(*answer(600, audio_ms=0)), url="wss://api.openai.com/v1/realtime?call_id=rtc_1")

    assert names() == {}
