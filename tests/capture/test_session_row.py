from __future__ import annotations

import json
from typing import Any

import pytest

from capture.journal import Gap
from capture.realtime.events import read_header
from capture.realtime.outcomes import COMPLETED
from capture.recording.facts import (
    ClosedBy,
    HandshakeRequest,
    HandshakeResponse,
    ReplayFacts,
    Sender,
    SessionEnd,
    SessionFacts,
)
from capture.session_row import SessionSummary

SESSION_ID = "20260212T083055-4f3a9c12"
SECOND_NS = 1_000_000_000


def summary(
    *said: tuple[Sender, dict[str, Any]], status: int | None = 101, ended: bool = True, **facts: Any
) -> SessionSummary:
    session = SessionSummary(SESSION_ID)
    connection = session.connection
    connection.take_fact(SessionFacts(session_id=SESSION_ID, started_at_us=1_770_885_055_000_000, **facts))
    connection.take_fact(HandshakeRequest(offset_ns=0, method="GET", path="/", headers=[("Upgrade", "websocket")]))
    if status is not None:
        connection.take_fact(HandshakeResponse(offset_ns=0, status=status, headers=[]))
    for number, message in enumerate(said):
        say(session, message, number * SECOND_NS)
    if ended:
        told = SessionEnd(offset_ns=60 * SECOND_NS, closed_by="client", end_reason=COMPLETED, drift_us=12.5)
        connection.take_fact(told)
    return session


def say(session: SessionSummary, message: tuple[Sender, dict[str, Any]], offset_ns: int = 0) -> None:
    sender, event = message
    text = json.dumps(event)
    header = read_header(text)
    assert header is not None
    session.observe(sender, header, text, offset_ns)


def row_of(session: SessionSummary) -> dict[str, Any]:
    return session.row(last_offset_ns=30 * SECOND_NS)


def created(**session: Any) -> tuple[Sender, dict[str, Any]]:
    return "server", {"type": "session.created", "session": {"type": "realtime", "id": "sess_1"} | session}


def test_times_count_from_the_start() -> None:
    row = row_of(summary(created()))
    assert row["started_at"] == 1_770_885_055_000_000
    assert row["ended_at"] - row["started_at"] == 60_000_000
    assert row["duration_ms"] == 60_000


def test_a_session_without_an_end_ends_with_its_last_record() -> None:
    row = row_of(summary(created(), ended=False))
    assert row["duration_ms"] == 30_000
    assert (row["outcome"], row["complete"], row["closed_by"]) == ("incomplete", False, "recorder")
    assert row["failure_keys"] == []


def test_a_lost_first_record_leaves_the_ids_time() -> None:
    row = row_of(SessionSummary(SESSION_ID))
    assert row["started_at"] == 1_770_885_055_000_000
    assert row_of(SessionSummary("whatever"))["started_at"] == 0


def test_configuration_is_told_as_asked_and_as_echoed() -> None:
    asked = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "format": {"type": "audio/pcmu"}}}}
    row = row_of(
        summary(
            created(model="gpt-realtime-2025", audio={"output": {"voice": "marin"}}),
            ("client", {"type": "session.update", "session": asked}),
            url="wss://host/v1/realtime?model=gpt-realtime",
        )
    )
    assert (row["model"], row["model_echoed"]) == ("gpt-realtime", "gpt-realtime-2025")
    assert (row["transcription_model"], row["transcription_model_echoed"]) == ("gpt-4o-transcribe", None)
    assert (row["voice"], row["server_session_id"], row["dialect"]) == ("marin", "sess_1", "ga")
    assert (row["input_format"], row["output_format"]) == ("audio/pcmu", "audio/pcm")


def test_formats_follow_the_configuration() -> None:
    session = summary(created())
    assert session.formats["client"].rate == 24_000
    text = '{"type":"session.update","session":{"audio":{"input":{"format":{"type":"audio/pcma"}}}}}'
    header = read_header(text)
    assert header is not None
    session.observe("client", header, text, 0)
    assert (session.formats["client"].type, session.formats["server"].type) == ("audio/pcma", "audio/pcm")


def test_turns_are_commits_and_typed_messages() -> None:
    user = {"type": "message", "role": "user", "content": []}
    row = row_of(
        summary(
            created(),
            ("server", {"type": "input_audio_buffer.committed", "item_id": "item_1"}),
            ("client", {"type": "conversation.item.create", "item": user}),
            ("client", {"type": "conversation.item.create", "item": user | {"role": "system"}}),
            ("client", {"type": "conversation.item.create", "item": {"type": "function_call_output"}}),
            ("client", {"type": "input_audio_buffer.commit"}),
        )
    )
    assert row["turns"] == 2
    assert (row["events_sent"], row["events_received"]) == (4, 2)


def test_tokens_are_summed_over_responses() -> None:
    def done(usage: object) -> tuple[Sender, dict[str, Any]]:
        return "server", {"type": "response.done", "response": {"id": "r", "status": "completed", "usage": usage}}

    row = row_of(
        summary(
            created(),
            done({"input_tokens": 10, "output_tokens": 1}),
            done(None),
            done({"input_tokens": 5, "output_tokens": "many"}),
        )
    )
    assert (row["input_tokens"], row["output_tokens"]) == (15, 1)
    assert row_of(summary(created()))["input_tokens"] is None


def test_a_failure_is_told_for_people_and_for_comparison() -> None:
    error = {"type": "server_error", "code": None, "message": "Input transcription failed for item 'item_1'."}
    row = row_of(
        summary(
            created(),
            (
                "server",
                {"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_1", "error": error},
            ),
            (
                "server",
                {"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_2", "error": error},
            ),
        )
    )
    assert row["outcome"] == "failed"
    assert row["errors"] == 2
    assert "server_error" in row["first_error"]
    assert "Input transcription failed for item 'item_1'." in row["first_error"]
    (key,) = row["failure_keys"]
    assert key.startswith("conversation.item.input_audio_transcription.failed|server_error||")
    assert "item_1" not in key


def test_a_refused_handshake_is_a_failure_in_the_endpoints_words() -> None:
    session = summary(status=401)
    session.observe_answer(read_header('{"error":{"code":"401","message":"Access denied"}}'), "…")
    row = row_of(session)
    assert row["outcome"] == "failed"
    assert row["handshake_status"] == 401
    assert "Access denied" in row["first_error"]
    assert (row["input_format"], row["close_code"]) == (None, None)


def test_an_endpoint_that_never_answered_is_a_failure() -> None:
    row = row_of(summary(status=None))
    assert (row["outcome"], row["handshake_status"]) == ("failed", None)


def test_what_was_lost_is_told() -> None:
    session = summary(created())
    session.take_gap(Gap("client", 1, 2, 500, "slow disk"))
    session.take_gap(Gap("server", 3, 4, -1, "the journal is damaged"))
    session.lost_bytes = 500
    row = row_of(session)
    assert (row["outcome"], row["complete"], row["lost_bytes"]) == ("incomplete", False, 500)
    assert [gap["bytes"] for gap in row["gaps"]] == [500, None]


def test_a_replay_is_judged_against_its_recording() -> None:
    replay = ReplayFacts(
        run_id="r1",
        replay_of="20260101T000000-00000000",
        cell="eastus2",
        trial=3,
        expected_failure_keys=["error|x|y|z"],
    )
    row = row_of(summary(created(), replay=replay, role="replayed"))
    assert (row["role"], row["run_id"], row["cell"], row["trial"], row["block"]) == ("replayed", "r1", "eastus2", 3, 0)
    assert (row["trial_kind"], row["trial_outcome"], row["overrides"]) == ("variation", "ok", "{}")
    assert "expected_failure_keys" not in row
    assert row_of(summary(created())).get("trial_outcome") is None


def test_the_recorders_own_measures_are_kept() -> None:
    row = row_of(summary(created()))
    assert (row["drift_us"], row["relay_lag_p50_us"]) == (12.5, None)


def test_what_was_asked_is_compared_with_what_was_echoed() -> None:
    asked: tuple[Sender, dict[str, Any]] = ("client", {"type": "session.update", "session": {"voice": "marin"}})
    echoed: tuple[Sender, dict[str, Any]] = ("server", {"type": "session.updated", "session": {"voice": "alloy"}})

    assert row_of(summary(created()))["not_honoured"] is None
    assert row_of(summary(created(), asked))["not_honoured"] is None
    assert row_of(summary(created(), asked, echoed))["not_honoured"] == ["audio.output.voice"]
    assert row_of(summary(created(), asked, asked, echoed))["not_honoured"] is None


def test_the_end_that_the_endpoint_announced_is_a_time() -> None:
    assert row_of(summary(created(expires_at=1_770_888_655)))["expires_at"] == 1_770_888_655_000_000
    assert row_of(summary(created()))["expires_at"] is None


def test_lone_surrogates_do_not_reach_a_column() -> None:
    session = summary(created(id="\ud800", model="a\udfff"))
    row = row_of(session)
    assert (row["server_session_id"], row["model_echoed"]) == ("?", "a?")


@pytest.mark.parametrize(
    ("closed_by", "close_code", "failure_keys"), [("server", None, []), ("network", 1006, ["close||1006|"])]
)
def test_behind_a_gap_nobody_knows_that_there_was_no_close_frame(
    closed_by: ClosedBy, close_code: int | None, failure_keys: list[str]
) -> None:
    session = summary(created(), ended=False)
    session.connection.take_fact(SessionEnd(offset_ns=60 * SECOND_NS, closed_by=closed_by))
    session.take_gap(Gap("server", 1, 2, 500, "the disk was full"))
    row = row_of(session)
    assert (row["closed_by"], row["close_code"], row["failure_keys"]) == (closed_by, close_code, failure_keys)


@pytest.mark.parametrize(("closes_first", "absent"), [(True, []), (False, ["absent:response.created"])])
def test_no_answer_is_due_to_what_crosses_the_endpoints_goodbye(closes_first: bool, absent: list[str]) -> None:
    """A client that sends all it has at once, to an endpoint that takes the upgrade and then not the key."""
    refusal = {"type": "error", "error": {"type": "invalid_request_error", "code": "invalid_api_key"}}
    session = summary(("server", refusal))
    create: tuple[Sender, dict[str, Any]] = ("client", {"type": "response.create"})
    if not closes_first:
        say(session, create)
    session.connection.observe_close("server", b"\x0b\xb8")
    if closes_first:
        say(session, create)
    keys = ["error|invalid_request_error|invalid_api_key|", "close|server|3000|"]
    assert row_of(session)["failure_keys"] == keys + absent


def test_a_response_out_of_band_lengthens_no_turn() -> None:
    """A moderation that fails 3 s later is a failure of the session, and no part of the answer."""
    committed: tuple[Sender, dict[str, Any]] = ("server", {"type": "input_audio_buffer.committed", "item_id": "item_1"})
    row = row_of(summary(created(), committed, *response("resp_1", "conv_1"), *response("resp_m", None, "failed")))
    assert [turn["response_ms"] for turn in row["turn_latencies"]] == [2000]
    assert (row["outcome"], row["errors"]) == ("failed", 1)


def response(response_id: str, conversation_id: str | None, status: str = "completed") -> list[tuple[Sender, Any]]:
    told = {"id": response_id, "conversation_id": conversation_id}
    return [
        ("server", {"type": "response.created", "response": told}),
        ("server", {"type": "response.done", "response": told | {"status": status}}),
    ]
