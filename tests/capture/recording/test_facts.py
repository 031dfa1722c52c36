"""Facts travel through the journal as JSON."""

from __future__ import annotations

import json

import msgspec
import pytest

from capture.recording.facts import (
    Divergence,
    Fact,
    HandshakeRequest,
    HandshakeResponse,
    ReplayFacts,
    Rewrite,
    SessionEnd,
    SessionFacts,
    answer_words,
    decode_fact,
    encode_fact,
)

SESSION = SessionFacts(
    session_id="20260212T083055-4f3a9c12",
    started_at_us=1_770_885_055_000_000,
    recorder_id="host-1",
    role="replayed",
    target="azure-eastus2",
    tags={"team": "voice"},
    replay=ReplayFacts(
        run_id="r1",
        replay_of="20260211T083055-4f3a9c12",
        cell="eastus2 · transcription.model=whisper-1",
        trial=3,
        overrides='{"audio.input.transcription.model": "whisper-1"}',
        expected_failure_keys=["error|server_error||It failed"],
    ),
)

FACTS: list[Fact] = [
    SESSION,
    SessionFacts(session_id="s", started_at_us=0),
    HandshakeRequest(offset_ns=0, method="GET", path="/v1/realtime?model=m", headers=[("Host", "h"), ("host", "ü")]),
    HandshakeResponse(offset_ns=5, status=101, headers=[("x-ms-region", "East US 2")], remote_ip="::1"),
    Divergence(offset_ns=1, step=2, kind="missing", expected="a", seen="b", action="go on"),
    Rewrite(offset_ns=1, step=2, kind="override", path="session.audio", before="1", after="2"),
    SessionEnd(offset_ns=9, closed_by="server", end_reason="done", relay_lag_p50_us=1.5, buffer_high_water=3),
    SessionEnd(offset_ns=9),
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back_as_it_went(fact: Fact) -> None:
    assert decode_fact(encode_fact(fact)) == fact


def test_a_fact_is_readable_json_that_says_what_it_is() -> None:
    assert json.loads(encode_fact(SessionEnd(offset_ns=9, closed_by="client"))) == {
        "type": "end",
        "offset_ns": 9,
        "closed_by": "client",
    }


def test_quoted_messages_with_lone_surrogates_can_be_noted() -> None:
    fact = Divergence(offset_ns=1, step=2, kind="text", expected="ok ü", seen="\ud800", action="go on")
    assert decode_fact(encode_fact(fact)) == msgspec.structs.replace(fact, seen="?")


def test_fields_of_a_newer_recorder_are_passed_over() -> None:
    assert decode_fact(b'{"type":"end","offset_ns":9,"mood":"fine"}') == SessionEnd(offset_ns=9)


@pytest.mark.parametrize(
    "record",
    [b"", b"[]", b'{"type":"weather"}', b'{"offset_ns":1}', b'{"type":"end"}', b'{"type":"end","offset_ns":"1"}'],
)
def test_what_is_no_fact_is_refused(record: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_fact(record)


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (101, {"location": "/elsewhere"}, "HTTP 101 Switching Protocols"),
        (308, {"location": "https://h/"}, "HTTP 308 Permanent Redirect, and sends to https://h/"),
        (302, {}, "HTTP 302 Found"),
        (599, {}, "HTTP 599"),
    ],
)
def test_an_answer_is_told_by_number_and_name_a_redirect_with_where_it_leads(
    status: int, headers: dict[str, str], words: str
) -> None:
    assert answer_words(status, headers) == words
