from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from analyze.session_parts import (
    find_in_payloads,
    read_event_levels,
    read_failing_seqs,
    read_levels,
    read_messages,
    read_rows_at,
    read_timeline,
)
from analyze.store import Store, open_store
from capture.recording.root import Root
from tests.analyze.conftest import FAILED_KEY, Trace


def test_the_timeline_has_errors_in_their_place(failed_session: str, store: Store) -> None:
    rows = read_timeline(store, failed_session, fold=True)
    assert len(rows) == 15
    (error,) = [row for row in rows if row.error]
    assert error.offset_ms == 730.0
    assert error.error == "server_error · Input transcription failed for item 'item_u1'."
    appends = rows[3]
    assert (appends.type, appends.count, appends.audio_ms) == ("input_audio_buffer.append", 5, 100.0)
    assert len(read_timeline(store, failed_session, fold=False)) == 20


def test_the_rows_of_a_failure(failed_session: str, store: Store) -> None:
    told = read_failing_seqs(store, failed_session)
    (row,) = read_rows_at(store, failed_session, told[FAILED_KEY])
    assert (list(told), row.offset_ms, row.count) == ([FAILED_KEY], 730.0, 1)


def test_the_row_of_a_failed_mcp_call_is_that_which_says_why(root: Root, store: Store) -> None:
    trace = Trace()
    item = {"id": "item_m", "type": "mcp_call", "name": "search", "error": {"type": "http_error", "code": 503}}
    trace.server(10, "response.mcp_call.failed", item_id="item_m", output_index=0)
    trace.server(20, "response.output_item.done", response_id="resp_1", output_index=0, item=item)
    session_id = trace.write(root)
    store.refresh()
    assert read_failing_seqs(store, session_id)["response.mcp_call.failed|http_error|503|"] == [1]


def test_the_messages_behind_a_row(failed_session: str, store: Store) -> None:
    audio = next(
        row for row in read_timeline(store, failed_session, fold=True) if row.type == "response.output_audio.delta"
    )
    everything = read_messages(store, failed_session, audio.first_seq, audio.last_seq, None)
    assert [event.type for event in everything].count("response.output_audio_transcript.delta") == 1
    first, second = read_messages(store, failed_session, audio.first_seq, audio.last_seq, audio.type)
    assert "«0.02 s of audio»" in first.payload
    assert second.at == datetime(2026, 2, 12, 8, 30, 55, 722_000, tzinfo=UTC)


def test_levels_over_the_session(failed_session: str, store: Store) -> None:
    levels = read_levels(store, failed_session, "client", 10)
    assert levels == pytest.approx([0.5, 0.5, *[0.0] * 8], abs=0.01)


def test_the_levels_of_the_audio_that_a_row_carries(failed_session: str, store: Store) -> None:
    rows = read_timeline(store, failed_session, fold=True)
    audio = next(row for row in rows if row.type == "response.output_audio.delta")
    assert read_event_levels(store, failed_session, audio, 4) == pytest.approx([0.5] * 4, abs=0.01)
    assert read_event_levels(store, failed_session, rows[0], 4) == []


def test_words_are_found_in_payloads_whatever_their_case(failed_session: str, store: Store) -> None:
    (failed,) = read_failing_seqs(store, failed_session)[FAILED_KEY]
    assert find_in_payloads(store, failed_session, "SERVER_error") == [failed]
    assert find_in_payloads(store, failed_session, "100 %_") == []


def test_words_are_found_however_json_spells_them(root: Root) -> None:
    trace = Trace()
    said = 'Viele GRÜ\u00dfe 😀, "Ann"\\n'
    for ensure_ascii in (True, False):
        event = {"type": "response.output_text.done", "text": said}
        trace.text("server", 10, json.dumps(event, ensure_ascii=ensure_ascii))
    trace.text("server", 20, "no JSON: \\x \\u12 \\ud800 grüße", kind="text")
    trace.text("server", 30, r'{"type": "x", "path": "C:\\u0067r\u00fc\u00dfe"}')
    session_id = trace.write(root)
    with open_store(root) as store:
        assert find_in_payloads(store, session_id, "grüße") == [0, 1, 2]
        assert find_in_payloads(store, session_id, "😀") == [0, 1]
        assert find_in_payloads(store, session_id, '"ann"') == [0, 1]
        # As the message has it, too.
        assert find_in_payloads(store, session_id, r"\u00DF") == [0, 3]
