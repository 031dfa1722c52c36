"""Each view over a tiny trace: what goes in, what comes out."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyze.store import VIEWS, Store, open_store
from capture.realtime.events import EventHeader
from capture.recording.root import Root
from capture.recording.schema import TABLES
from capture.recording.writer import SessionWriter
from capture.turn_latencies import TurnLatencies
from tests.analyze.conftest import Trace, configure, spoken_turn, tone

Row = dict[str, Any]
Ask = Callable[..., list[Row]]
"""Takes a view, columns, and their order; gives the rows of what is recorded by now."""

TRANSCRIPTION_FAILED = "conversation.item.input_audio_transcription.failed"


def rows_of(store: Store, view: str, columns: str, order: str = "ALL") -> list[Row]:
    return store.rows(f"SELECT {columns} FROM {view} ORDER BY {order}")  # noqa: S608 - the test's own words


@pytest.fixture
def root(reused_store: Store) -> Root:
    return reused_store.root


@pytest.fixture
def store(reused_store: Store) -> Store:
    """Give the store with what was recorded; recordings must be asked for before it."""
    reused_store.refresh()
    return reused_store


@pytest.fixture
def ask(reused_store: Store) -> Ask:
    def ask_now(view: str, columns: str, order: str = "ALL") -> list[Row]:
        reused_store.refresh()
        return rows_of(reused_store, view, columns, order)

    return ask_now


def test_sessions_holds_every_column_of_the_format(failed_session: str, store: Store) -> None:
    (row,) = store.rows("SELECT * FROM sessions")
    assert row.keys() == {*TABLES["sessions"].names, "date", "notes"}
    assert row["session_id"] == failed_session
    assert str(row["started_at"]) == "2026-02-12 08:30:55"


def test_events_holds_every_column_of_the_format(failed_session: str, store: Store) -> None:
    first, *_ = store.rows("SELECT * FROM events ORDER BY seq")
    assert first.keys() == {*TABLES["events"].names, "date", "offset_ms"}
    assert (first["session_id"], first["type"], first["offset_ms"]) == (failed_session, "session.created", 0.0)


def test_events_without_a_sessions_row_are_ignored(root: Root, failed_session: str, ask: Ask) -> None:
    uncommitted = Trace("20260212T090000-0000000c")
    spoken_turn(uncommitted)
    uncommitted.write(root, committed=False)
    assert ask("events", "DISTINCT session_id") == [{"session_id": failed_session}]
    assert ask("audio", "DISTINCT session_id") == [{"session_id": failed_session}]


def test_events_of_a_shared_file_need_their_sessions_row_too(root: Root, failed_session: str, ask: Ask) -> None:
    own = root.table_file("events", failed_session)
    own.rename(own.with_name("compacted-0.parquet"))
    root.table_file("sessions", failed_session).unlink()
    assert ask("events", "*") == []


def test_timeline_joins_the_pieces_of_audio_between_other_events(root: Root, ask: Ask) -> None:
    trace = Trace()
    for number in range(3):
        trace.client(20 * number, "input_audio_buffer.append", audio=tone(20))
        trace.server(20 * number + 1, "response.output_audio.delta", response_id="resp_1", delta=tone(10))
    trace.server(60, "rate_limits.updated", rate_limits=[])
    trace.client(70, "input_audio_buffer.append", audio=tone(20))
    trace.write(root)
    columns = "seq, last_seq, events, offset_ms, type, audio_start, audio_bytes, payload IS NULL AS is_joined"
    assert [tuple(row.values()) for row in ask("timeline", columns, order="seq")] == [
        (0, 4, 3, 0.0, "input_audio_buffer.append", 0, 2880, True),
        (1, 5, 3, 1.0, "response.output_audio.delta", 0, 1440, True),
        (6, 6, 1, 60.0, "rate_limits.updated", None, None, False),
        (7, 7, 1, 70.0, "input_audio_buffer.append", 2880, 960, True),
    ]


def test_audio_tells_how_long_a_block_plays(failed_session: str, store: Store) -> None:
    rows = store.rows("SELECT track, block, bytes, duration_ms FROM audio ORDER BY track")
    assert rows == [
        {"track": "client", "block": 0, "bytes": 4800, "duration_ms": 100.0},
        {"track": "server", "block": 0, "bytes": 1920, "duration_ms": 40.0},
    ]


def test_tracks_add_up_powers_not_decibels(root: Root, ask: Ask) -> None:
    trace = Trace()
    for number in range(1000):
        trace.client(20 * number, "input_audio_buffer.append", audio=tone(20, 0.5 if number < 500 else 0.05))
    trace.write(root)
    (row,) = ask("tracks", "bytes, duration_ms, rms_dbfs")
    assert (row["bytes"], row["duration_ms"]) == (960_000, 20_000.0)
    # Half the time at -9 dBFS, half at -29: a hundredth of the power, so 3 dB less in all.
    assert row["rms_dbfs"] == pytest.approx(-12.0, abs=0.1)


def test_tracks_know_silence(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.client(0, "input_audio_buffer.append", audio=tone(20, 0.0))
    trace.write(root)
    assert ask("tracks", "ROUND(rms_dbfs) AS rms_dbfs, peak") == [{"rms_dbfs": -150.0, "peak": 0.0}]


@pytest.mark.parametrize(
    ("joined", "done"),
    [("conversation.item.added", "conversation.item.done"), ("conversation.item.created", None)],
    ids=["ga", "beta"],
)
def test_items_in_either_dialect(root: Root, joined: str, done: str | None, ask: Ask) -> None:
    trace = Trace()
    user = {"id": "item_u", "type": "message", "role": "user", "status": "completed"}
    call = {"id": "item_c", "type": "function_call", "name": "weather", "call_id": "call_1", "status": "completed"}
    trace.server(10, "input_audio_buffer.committed", item_id="item_u")
    trace.server(11, joined, item=user)
    if done:
        trace.server(12, done, item=user)
    trace.server(20, joined, item=call, previous_item_id="item_u")
    trace.server(30, "response.output_item.done", item=call, response_id="resp_1")
    trace.write(root)
    columns = "item_id, item_type, role, tool, call_id, previous_item_id, response_id, added_ms, done_ms"
    assert ask("items", columns, order="added_ms") == [
        {
            "item_id": "item_u",
            "item_type": "message",
            "role": "user",
            "tool": None,
            "call_id": None,
            "previous_item_id": None,
            "response_id": None,
            "added_ms": 11.0,
            "done_ms": 12.0 if done else None,
        },
        {
            "item_id": "item_c",
            "item_type": "function_call",
            "role": None,
            "tool": "weather",
            "call_id": "call_1",
            "previous_item_id": "item_u",
            "response_id": "resp_1",
            "added_ms": 20.0,
            "done_ms": 30.0,
        },
    ]


@pytest.mark.parametrize("audio", ["output_audio", "audio"], ids=["ga", "beta"])
def test_responses_in_either_dialect(root: Root, audio: str, ask: Ask) -> None:
    trace = Trace()
    trace.server(10, "response.created", response={"id": "resp_1", "status": "in_progress"})
    trace.server(20, f"response.{audio}.delta", response_id="resp_1", item_id="item_a", delta=tone(20))
    trace.server(30, f"response.{audio}.delta", response_id="resp_1", item_id="item_a", delta=tone(20))
    trace.server(31, f"response.{audio}_transcript.delta", response_id="resp_1", item_id="item_a", delta="Sun")
    trace.server(32, f"response.{audio}_transcript.done", response_id="resp_1", item_id="item_a", transcript="Sunny.")
    usage = {"input_tokens": 7, "output_tokens": 9}
    trace.server(40, "response.done", response={"id": "resp_1", "status": "completed", "usage": usage})
    trace.write(root)
    (row,) = ask("responses", "* EXCLUDE (session_id)")
    assert row == {
        "response_id": "resp_1",
        "created_ms": 10.0,
        "first_audio_ms": 20.0,
        "last_audio_ms": 30.0,
        "audio_bytes": 1920,
        "done_ms": 40.0,
        "status": "completed",
        "status_reason": None,
        "error_type": None,
        "error_code": None,
        "error_message": None,
        "input_tokens": 7,
        "output_tokens": 9,
        "answer": "Sunny.",
    }


def test_a_response_that_was_cut_off_says_how_far_it_came(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.server(10, "response.created", response={"id": "resp_1"})
    for offset_ms, word in ((20, "The"), (21, " sun")):
        trace.server(offset_ms, "response.output_audio_transcript.delta", response_id="resp_1", delta=word)
    details = {"reason": "turn_detected"}
    trace.server(30, "response.done", response={"id": "resp_1", "status": "cancelled", "status_details": details})
    trace.write(root)
    columns = "answer, status, status_reason, first_audio_ms"
    assert ask("responses", columns) == [
        {"answer": "The sun", "status": "cancelled", "status_reason": "turn_detected", "first_audio_ms": None}
    ]


def test_a_failed_response_keeps_its_error(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.server(10, "response.created", response={"id": "resp_1"})
    error = {"type": "server_error", "code": None, "message": "The server had an error"}
    failed = {"id": "resp_1", "status": "failed", "status_details": {"type": "failed", "error": error}}
    trace.server(20, "response.done", response=failed)
    trace.write(root)
    columns = "status, error_type, error_code, error_message"
    assert ask("responses", columns) == [
        {"status": "failed", "error_type": "server_error", "error_code": None, "error_message": error["message"]}
    ]


def test_transcriptions_complete_fail_or_stay_partial(root: Root, ask: Ask) -> None:
    trace, name = Trace(), "conversation.item.input_audio_transcription"
    error = {"type": "server_error", "code": "DeploymentNotFound", "message": "no"}
    trace.server(10, f"{name}.delta", item_id="item_1", content_index=0, delta="hel")
    trace.server(20, f"{name}.completed", item_id="item_1", content_index=0, transcript="hello")
    trace.server(30, f"{name}.failed", item_id="item_2", content_index=0, error=error)
    trace.server(40, f"{name}.delta", item_id="item_3", content_index=0, delta="by")
    # xAI completes again and again, with growing text.
    trace.server(50, f"{name}.completed", item_id="item_4", content_index=0, transcript="Hello?")
    trace.server(60, f"{name}.completed", item_id="item_4", content_index=0, transcript="Hello, my name is")
    trace.write(root)
    columns = "item_id, state, ended_ms, completions, transcript, error_code"
    assert [tuple(row.values()) for row in ask("transcriptions", columns, order="item_id")] == [
        ("item_1", "completed", 20.0, 1, "hello", None),
        ("item_2", "failed", 30.0, 0, None, "DeploymentNotFound"),
        ("item_3", "partial", None, 0, None, None),
        ("item_4", "completed", 60.0, 2, "Hello, my name is", None),
    ]


def test_turns_under_voice_detection(root: Root, ask: Ask) -> None:
    trace = Trace()
    configure(trace)
    spoken_turn(trace, 1000)
    spoken_turn(trace, 3000, item="item_u2", response="resp_2", transcript=None, answer="Bye.")
    trace.write(root)
    first, second = ask("turns", "* EXCLUDE (session_id)", order="turn")
    assert first == {
        "turn": 1,
        "turn_kind": "speech",
        "item_id": "item_u1",
        "speech_started_ms": 1030.0,
        "speech_stopped_ms": 1100.0,
        "asked_ms": None,
        "committed_ms": 1110.0,
        "first_audio_ms": 1700.0,
        "response_done_ms": 1730.0,
        "response_id": "resp_1",
        "response_status": "completed",
        "answer": "Sunny, all day.",
        "transcription": "completed",
        "first_transcript_ms": 1710.0,
        "transcribed_ms": 1710.0,
        "transcript": "what is the weather",
    }
    assert (second["turn"], second["transcription"], second["transcript"]) == (2, "failed", None)
    assert (second["response_id"], second["answer"], second["transcribed_ms"]) == ("resp_2", "Bye.", 3710.0)


def test_a_manual_turn_ends_when_the_client_commits(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.client(100, "input_audio_buffer.commit")
    trace.server(130, "input_audio_buffer.committed", item_id="item_1")
    trace.client(131, "response.create")
    trace.server(150, "response.created", response={"id": "resp_1"})
    trace.client(900, "input_audio_buffer.commit")
    trace.server(940, "input_audio_buffer.committed", item_id="item_2")
    trace.write(root)
    columns = "turn, asked_ms, committed_ms, speech_stopped_ms, response_id, transcription"
    assert [tuple(row.values()) for row in ask("turns", columns, order="turn")] == [
        (1, 100.0, 130.0, None, "resp_1", None),
        (2, 900.0, 940.0, None, None, None),
    ]


def test_each_commit_is_held_against_what_the_endpoint_took_in_for_it(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.client(100, "input_audio_buffer.commit")
    trace.client(400, "input_audio_buffer.commit")
    trace.server(500, "input_audio_buffer.committed", item_id="item_1")
    trace.client(700, "input_audio_buffer.commit")
    trace.server(800, "input_audio_buffer.committed", item_id="item_2")
    trace.server(1100, "error", error={"code": "input_audio_buffer_commit_empty"})
    trace.server(9000, "input_audio_buffer.committed", item_id="item_3")
    trace.write(root)
    assert [tuple(row.values()) for row in ask("turns", "turn, asked_ms, committed_ms", order="turn")] == [
        (1, 100.0, 500.0),
        (2, 400.0, 800.0),
        (3, None, 9000.0),
    ]
    assert ask("latencies WHERE name = 'commit'", "latency_ms", order="turn") == [
        {"latency_ms": 400.0},
        {"latency_ms": 400.0},
        {"latency_ms": 0.0},
    ]


def test_a_tool_call_belongs_to_the_turn_that_asked_for_it(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.server(110, "response.created", response={"id": "resp_1"})
    trace.server(120, "response.done", response={"id": "resp_1", "status": "completed"})
    output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    trace.client(130, "conversation.item.create", item=output)
    trace.client(131, "response.create")
    trace.server(140, "response.created", response={"id": "resp_2"})
    trace.server(150, "response.output_audio.delta", response_id="resp_2", delta=tone(20))
    trace.server(160, "response.done", response={"id": "resp_2", "status": "completed"})
    trace.write(root)
    columns = "turn, response_id, first_audio_ms, response_done_ms"
    assert ask("turns", columns) == [
        {"turn": 1, "response_id": "resp_2", "first_audio_ms": 150.0, "response_done_ms": 160.0}
    ]


def test_a_turn_ends_with_the_answer_behind_the_tool_and_not_with_the_call(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.server(110, "response.created", response={"id": "resp_1"})
    trace.server(120, "response.done", response={"id": "resp_1", "status": "completed"})
    trace.client(130, "conversation.item.create", item={"type": "function_call_output", "call_id": "call_1"})
    trace.server(140, "response.created", response={"id": "resp_2"})
    trace.server(150, "response.output_audio.delta", response_id="resp_2", delta=tone(20))
    trace.write(root)
    assert ask("turns", "response_id, response_status, response_done_ms, first_audio_ms") == [
        {"response_id": "resp_2", "response_status": None, "response_done_ms": None, "first_audio_ms": 150.0}
    ]
    assert ask("latencies WHERE name = 'response'", "latency_ms") == []


def moderate(trace: Trace, at_ms: float) -> None:
    """Note a response out of band that writes and fails."""
    trace.client(at_ms - 10, "response.create", response={"conversation": "none"})
    beside = {"id": "resp_m", "conversation_id": None, "status": "in_progress"}
    trace.server(at_ms, "response.created", response=beside)
    trace.server(at_ms + 10, "response.output_text.done", response_id="resp_m", text='{"flagged": false}')
    trace.server(at_ms + 20, "response.done", response=beside | {"status": "failed"})


def test_a_response_out_of_band_is_no_turn_s_answer(root: Root, ask: Ask) -> None:
    trace = Trace()
    configure(trace)
    spoken_turn(trace, 20)
    moderate(trace, 3700)
    trace.write(root)
    assert ask("turns", "turn, response_id, response_status, response_done_ms, answer") == [
        {
            "turn": 1,
            "response_id": "resp_1",
            "response_status": "completed",
            "response_done_ms": 750.0,
            "answer": "Sunny, all day.",
        }
    ]
    assert ask("latencies WHERE name = 'response'", "latency_ms") == [{"latency_ms": 630.0}]
    assert {row["response_id"] for row in ask("responses", "response_id")} == {"resp_1", "resp_m"}


def asides(trace: Trace, *said: tuple[str, dict[str, Any]]) -> None:
    """Note what the client asks (`none` or `auto`) and what the endpoint begins, each 10 ms after the one before."""
    trace.server(0, "input_audio_buffer.committed", item_id="item_1")
    for place, (kind, told) in enumerate(said, start=1):
        if kind == "asks":
            trace.client(10 * place, "response.create", response=told)
        else:
            trace.server(10 * place, "response.created", response={"id": kind, **told})


ASK_ASIDE = ("asks", {"conversation": "none"})
OF_CONV_1 = {"conversation_id": "conv_1"}
OF_NONE = {"conversation_id": None}


@pytest.mark.parametrize(
    ("said", "last_answer"),
    [
        # What the endpoint says of no answer, or of none but those out of band, is not said of the answers.
        ([("resp_1", OF_NONE), ("resp_2", OF_NONE)], "resp_2"),
        ([("resp_1", OF_NONE), ASK_ASIDE, ("resp_2", OF_NONE)], "resp_1"),
        ([("resp_1", OF_NONE), ASK_ASIDE, ("resp_2", OF_NONE), ("resp_3", OF_NONE)], "resp_3"),
        ([("resp_1", {}), ASK_ASIDE, ("resp_2", {})], "resp_1"),
        ([ASK_ASIDE, ("resp_1", OF_CONV_1), ("resp_2", OF_NONE)], "resp_1"),
        # A log of what was received alone does not hold what was asked.
        ([("resp_1", OF_CONV_1), ("resp_2", OF_NONE)], "resp_1"),
    ],
    ids=["names none", "asked", "asked once", "tells none", "named", "received alone"],
)
def test_an_answer_out_of_band_is_told_by_what_was_asked_where_no_conversation_is_named(
    root: Root, said: list[tuple[str, dict[str, Any]]], last_answer: str, ask: Ask
) -> None:
    trace = Trace()
    asides(trace, *said)
    trace.write(root)
    assert ask("turns", "response_id") == [{"response_id": last_answer}]


@pytest.mark.parametrize("told", [{}, {"conversation_id": "conv_1"}], ids=["beta", "ga"])
def test_a_response_of_the_conversation_is_an_answer(root: Root, told: Row, ask: Ask) -> None:
    trace = Trace()
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.server(120, "response.created", response={"id": "resp_1", "metadata": {"conversation_id": "null"}, **told})
    trace.write(root)
    assert ask("turns", "response_id") == [{"response_id": "resp_1"}]


def test_a_written_message_opens_a_turn_and_seeded_history_does_not(root: Root, ask: Ask) -> None:
    trace = Trace()
    for offset_ms, role in ((10, "user"), (11, "assistant"), (12, "user")):
        item = {"id": f"item_{offset_ms}", "type": "message", "role": role, "content": []}
        trace.client(offset_ms, "conversation.item.create", item=item)
    trace.client(13, "response.create")
    trace.server(20, "response.created", response={"id": "resp_1"})
    trace.write(root)
    columns = "turn, turn_kind, item_id, asked_ms, committed_ms, response_id"
    assert ask("turns", columns) == [
        {
            "turn": 1,
            "turn_kind": "text",
            "item_id": "item_12",
            "asked_ms": 12.0,
            "committed_ms": None,
            "response_id": "resp_1",
        }
    ]


def test_of_silence_that_the_endpoint_takes_in_no_transcription_is_missing(root: Root, ask: Ask) -> None:
    trace = Trace()
    configure(trace)
    spoken_turn(trace, 100)
    silence = {"item_id": "item_s", "audio_start_ms": 100, "audio_end_ms": 6100}
    trace.server(7000, "input_audio_buffer.timeout_triggered", **silence)
    trace.server(7001, "input_audio_buffer.committed", item_id="item_s")
    trace.server(7002, "response.created", response={"id": "resp_2"})
    trace.server(7300, "response.output_audio.delta", response_id="resp_2", delta=tone(20))
    # Room noise, in words.
    trace.server(13_000, "input_audio_buffer.timeout_triggered", item_id="item_n")
    trace.server(13_001, "input_audio_buffer.committed", item_id="item_n")
    trace.server(13_500, TRANSCRIPTION_FAILED.replace("failed", "completed"), item_id="item_n", transcript="Thanks.")
    for place, event_type in enumerate(("speech_started", "speech_stopped", "committed")):
        trace.server(20_000 + 500 * place, f"input_audio_buffer.{event_type}", item_id="item_u2")
    trace.write(root)
    assert ask("turns", "turn, item_id, transcription, transcript, committed_ms, first_audio_ms", "turn")[1:] == [
        {
            "turn": 2,
            "item_id": "item_s",
            "transcription": None,
            "transcript": None,
            "committed_ms": 7001.0,
            "first_audio_ms": 7300.0,
        },
        {
            "turn": 3,
            "item_id": "item_n",
            "transcription": "completed",
            "transcript": "Thanks.",
            "committed_ms": 13_001.0,
            "first_audio_ms": None,
        },
        {
            "turn": 4,
            "item_id": "item_u2",
            "transcription": "missing",
            "transcript": None,
            "committed_ms": 21_000.0,
            "first_audio_ms": None,
        },
    ]


OUTPUT = {"type": "function_call_output", "call_id": "call_1"}
BRIEF = {"type": "message", "role": "system", "content": []}
APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "item_a", "approve": True}


@pytest.mark.parametrize("said", [[OUTPUT, BRIEF], [BRIEF, OUTPUT], [APPROVAL]], ids=["behind", "ahead", "approval"])
def test_what_the_client_says_beside_a_tool_s_output_opens_no_turn(root: Root, said: list[Row], ask: Ask) -> None:
    trace = Trace()
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.server(110, "response.created", response={"id": "resp_1"})
    trace.server(120, "response.done", response={"id": "resp_1", "status": "completed"})
    for item in said:
        trace.client(4000, "conversation.item.create", item=item | {"id": "item_2"})
    trace.client(4010, "response.create")
    trace.server(4100, "response.created", response={"id": "resp_2"})
    trace.server(4200, "response.output_audio.delta", response_id="resp_2", delta=tone(20))
    trace.write(root)
    assert ask("turns", "turn, item_id, first_audio_ms") == [{"turn": 1, "item_id": "item_1", "first_audio_ms": 4200.0}]


def test_a_message_of_the_user_opens_a_turn_though_a_tool_s_output_was_followed_by_nothing(
    root: Root, ask: Ask
) -> None:
    trace = Trace()
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.server(110, "response.created", response={"id": "resp_1"})
    trace.client(200, "conversation.item.create", item=OUTPUT)
    written = {"id": "item_2", "type": "message", "role": "user", "content": []}
    trace.client(9000, "conversation.item.create", item=written)
    trace.server(9100, "response.created", response={"id": "resp_2"})
    trace.write(root)
    assert [row["item_id"] for row in ask("turns", "item_id", order="turn")] == ["item_1", "item_2"]


def test_context_given_along_with_speech_opens_no_turn(root: Root, ask: Ask) -> None:
    trace = Trace()
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    context = {"id": "item_2", "type": "message", "role": "system", "content": []}
    trace.client(110, "conversation.item.create", item=context)
    trace.client(111, "response.create")
    trace.server(120, "response.created", response={"id": "resp_1"})
    trace.write(root)
    assert ask("turns", "turn, item_id, response_id") == [{"turn": 1, "item_id": "item_1", "response_id": "resp_1"}]


def test_a_transcription_that_never_came_is_missing(root: Root, ask: Ask) -> None:
    trace = Trace()
    configure(trace)
    trace.server(100, "input_audio_buffer.committed", item_id="item_1")
    trace.write(root)
    assert ask("turns", "transcription") == [{"transcription": "missing"}]


def test_latencies_count_from_the_end_of_speech(failed_session: str, store: Store) -> None:
    rows = store.rows("SELECT turn, name, latency_ms FROM latencies ORDER BY name")
    assert [tuple(row.values()) for row in rows] == [
        (1, "commit", 10.0),
        (1, "first_audio", 600.0),
        (1, "response", 630.0),
        (1, "transcription", 600.0),
    ]


def test_errors_of_every_kind(root: Root, failed_session: str, ask: Ask) -> None:
    trace = Trace("20260212T083100-0000000d")
    error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "no", "param": "session.voice"}
    trace.server(10, "error", error=error)
    trace.server(20, "mcp_list_tools.failed", item_id="item_m")
    failed = {"id": "resp_1", "status": "failed", "status_details": {"error": {"type": "server_error"}}}
    trace.server(30, "response.done", response=failed)
    trace.server(40, "response.done", response={"id": "resp_2", "status": "completed"})
    trace.write(root)
    columns = "session_id, offset_ms, type, error_type, error_code, error_param, item_id, response_id"
    assert [tuple(row.values()) for row in ask("errors", columns, order="session_id, seq")] == [
        (failed_session, 730.0, TRANSCRIPTION_FAILED, "server_error", None, None, "item_u1", None),
        (trace.session_id, 10.0, "error", "invalid_request_error", "unknown_parameter", "session.voice", None, None),
        (trace.session_id, 20.0, "mcp_list_tools.failed", None, None, None, "item_m", None),
        (trace.session_id, 30.0, "response.done", "server_error", None, None, None, "resp_1"),
    ]


@pytest.mark.parametrize(
    "payload", ['{"type": "response.done", "x": NaN}', r'{"type": "response.done", "x": "\ud800"}']
)
def test_text_that_is_no_json_for_the_engine_gives_null_not_an_error(root: Root, payload: str, ask: Ask) -> None:
    trace = Trace()
    trace.text("server", 10, payload)
    trace.events[0]["response_id"] = "resp_1"
    trace.write(root)
    assert ask("responses", "response_id, status") == [{"response_id": "resp_1", "status": None}]


@pytest.mark.parametrize("count", ["many", 1e30, True, {"text": 7}, [7]])
def test_a_count_of_tokens_that_is_none_gives_null_and_spoils_no_other_response(
    root: Root, count: object, ask: Ask
) -> None:
    trace = Trace()
    for number, tokens in enumerate((count, 7)):
        usage = {"input_tokens": tokens, "output_tokens": tokens}
        trace.server(10 * number, "response.done", response={"id": f"resp_{number}", "usage": usage})
    trace.write(root)
    assert ask("responses", "input_tokens, output_tokens", order="response_id") == [
        {"input_tokens": None, "output_tokens": None},
        {"input_tokens": 7, "output_tokens": 7},
    ]


def test_what_a_replay_did_otherwise(root: Root, ask: Ask) -> None:
    with SessionWriter(root, "20260212T083055-0000000a") as writer:
        told = {"kind": "new_tool", "expected": "get_time never called", "seen": "get_time #1 {}", "action": "ended"}
        writer.add("divergences", {"offset_ns": 2_500_000, "step": 3} | told)
        writer.add(
            "rewrites", {"offset_ns": 0, "step": 0, "kind": "override", "path": "voice", "before": "", "after": "1"}
        )
        writer.commit({})
    assert ask("divergences", "offset_ms, step, kind, expected, seen, action", order="step") == [
        {"offset_ms": 2.5, "step": 3} | told
    ]
    assert ask("rewrites", "kind, path, before, after", order="step") == [
        {"kind": "override", "path": "voice", "before": "", "after": "1"}
    ]


@pytest.mark.parametrize("view", [view for view in VIEWS if not view.startswith("_")])
def test_every_public_column_says_what_it_is(view: str, store: Store) -> None:
    text = (files("analyze") / "sql" / "views" / f"{view}.sql").read_text()
    for public in re.findall(r"VIEW ([a-z]\w*) AS", text):
        names = [row["column_name"] for row in store.rows(f"DESCRIBE {public}")]
        commented = "\n".join(line for line in text.splitlines() if "--" in line)
        assert names, public
        for name in names:
            assert re.search(rf"\b{name}\b.*--\s*\S", commented), f"{public}.{name} has no comment"


def test_real_wire_logs_of_every_server(root: Root, shared: Path, ask: Ask) -> None:
    logs = sorted((shared / "fixtures").glob("*.jsonl"))
    assert logs
    for number, log in enumerate(logs):
        trace = Trace(f"20260212T0900{number:02}-000000ff", {"tags": [("log", log.stem)]})
        for offset_ms, line in enumerate(log.read_text().splitlines()):
            message = json.loads(line)
            event = message["data"]
            say = trace.client if message["direction"] == "sent" else trace.server
            say(float(offset_ms), event.pop("type"), **{k: v for k, v in event.items() if k != "event_id"})
        trace.write(root)
    columns = "turn_kind, transcription, response_status, answer, first_audio_ms IS NOT NULL AS spoken"
    turns = ask("turns JOIN sessions USING (session_id)", f"tags['log'] AS log, {columns}")
    assert {row["log"] for row in turns} == {log.stem for log in logs}
    assert {row["response_status"] for row in turns} == {"completed"}
    assert all(row["answer"] for row in turns)
    spoken = [row for row in turns if "server_vad" in row["log"]]
    assert len(spoken) == 4
    assert all(row["turn_kind"] == "speech" and row["spoken"] for row in spoken)
    assert {row["transcription"] for row in spoken} == {"completed"}


MARKS = (
    ("client", "input_audio_buffer.commit"),
    ("server", "input_audio_buffer.committed"),
    ("server", "input_audio_buffer.speech_started"),
    ("server", "input_audio_buffer.speech_stopped"),
    ("server", "input_audio_buffer.timeout_triggered"),
    ("server", "error"),
    ("client", "conversation.item.create"),
    ("client", "response.create"),
    ("server", "response.created"),
    ("server", "response.output_audio.delta"),
    ("server", "response.audio.delta"),
    ("server", "response.done"),
    ("server", "conversation.item.input_audio_transcription.completed"),
    ("server", "conversation.item.input_audio_transcription.failed"),
)
ROLES = {1: "user", 2: "system", 3: None}
ERRORS = {
    1: {"code": "input_audio_buffer_commit_empty", "message": "buffer too small"},
    2: {"code": None, "message": "Error committing input audio buffer: the buffer is empty."},
    3: {"code": "invalid_value", "message": "Error committing input audio buffer"},
}
marks = st.tuples(st.sampled_from(MARKS), st.integers(1, 3), st.sampled_from([None, "call_1"]), st.integers(0, 1))


def told(number: int, said: list[tuple[tuple[str, str], int, str | None, int]], **columns: Any) -> Trace:
    """Note events of these kinds, each 10 ms after the one before, about the items and responses of these numbers."""
    trace = Trace(f"20260212T083055-{number:08x}", columns)
    for place, ((sender, event_type), about, call_id, content_index) in enumerate(said):
        fields: Row = {"response_id": f"resp_{about}"}
        if not event_type.startswith("response."):
            item_id = f"item_{about}"
            is_message = event_type.endswith(".create")
            item = {"id": item_id, "call_id": call_id, "role": ROLES[about]}
            fields = {"item": item} if is_message else {"item_id": item_id}
            fields |= {} if is_message else {"content_index": content_index}
            if event_type == "error":
                fields = {"error": ERRORS[about]}
        elif event_type == "response.created":
            fields["response"] = {} if call_id else {"conversation_id": "conv_1" if content_index else None}
        elif event_type == "response.create":
            fields = {"response": {"conversation": "none" if content_index else "auto"}}
        (trace.client if sender == "client" else trace.server)(10.0 * place, event_type, **fields)
    return trace


def sealed_latencies(trace: Trace) -> list[Row]:
    """Measure as sealing does."""
    latencies = TurnLatencies()
    for event in trace.events:
        names = EventHeader.__struct_fields__
        header = EventHeader(**{name: event.get(name) for name in names})
        latencies.observe(header, event["offset_ns"], json.loads(event["payload"]))
    return latencies.rows()


buffers = st.tuples(st.sampled_from([*MARKS[:2], *MARKS[:2], *MARKS[:6]]), st.integers(1, 3), st.none(), st.just(0))


_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def two_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    roots = (Root(tmp_path_factory.mktemp(name) / "recordings") for name in ("older", "newer"))
    with open_store(next(roots)) as older, open_store(next(roots)) as newer:
        yield older, newer


@given(calls=st.lists(st.lists(marks | buffers, min_size=2, max_size=24), min_size=4, max_size=8))
@settings(max_examples=8, deadline=None)
def test_latencies_are_the_same_from_the_row_and_from_the_events(
    two_stores: tuple[Store, Store], calls: list[list[Any]]
) -> None:
    older, newer = two_stores
    for store in two_stores:
        rmtree(store.root.path, ignore_errors=True)
        store.refresh()
    for said in calls:
        # A file that comes again under its name within a tick of the clock is the old one to DuckDB 1.5.6.
        number = next(_NUMBERS)
        trace = told(number, said)
        trace.write(older.root)
        told(number, said, turn_latencies=sealed_latencies(trace)).write(newer.root)
    for store in two_stores:
        store.refresh()
        assert rows_of(store, "sessions", "COUNT(*) AS n") == [{"n": len(calls)}]
    order = "session_id, turn, name"
    assert rows_of(newer, "latencies", "*", order) == rows_of(older, "latencies", "*", order)


def test_latencies_of_older_recordings_stand_beside_measured_ones(root: Root, failed_session: str, ask: Ask) -> None:
    measured = Trace("20260212T090000-0000000c", {"turn_latencies": [{"first_audio_ms": 250.0}, {}]})
    configure(measured)
    measured.write(root)
    assert [tuple(row.values()) for row in ask("latencies", "*", "session_id, turn, name")] == [
        (failed_session, 1, "commit", 10.0),
        (failed_session, 1, "first_audio", 600.0),
        (failed_session, 1, "response", 630.0),
        (failed_session, 1, "transcription", 600.0),
        (measured.session_id, 1, "first_audio", 250.0),
    ]
