from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import msgspec
import pytest
from websockets.frames import Frame, Opcode

from capture.journal import Direction, Gap, JournalRecord
from capture.recording.audio_blocks import decode_block
from capture.recording.facts import (
    Divergence,
    Fact,
    HandshakeRequest,
    HandshakeResponse,
    Rewrite,
    SessionEnd,
    SessionFacts,
    encode_fact,
)
from capture.rows import SessionRows

SESSION_ID = "20260212T083055-4f3a9c12"
Row = dict[str, Any]

START = SessionFacts(session_id=SESSION_ID, started_at_us=1_770_885_055_000_000)
REQUEST = HandshakeRequest(offset_ns=0, method="GET", path="/", headers=[("Upgrade", "websocket")])
SWITCHED = HandshakeResponse(offset_ns=5, status=101, headers=[])
ENDED = SessionEnd(offset_ns=9_000, closed_by="client")


def fact(told: Fact, offset_ns: int = 0) -> JournalRecord:
    return JournalRecord(Direction.FACT, offset_ns, encode_fact(told))


def client(content: str | bytes, offset_ns: int = 0, opcode: Opcode = Opcode.TEXT) -> JournalRecord:
    encoded = content.encode() if isinstance(content, str) else content
    return JournalRecord(Direction.CLIENT, offset_ns, Frame(opcode, encoded).serialize(mask=True))


def server(content: str | bytes, offset_ns: int = 0, opcode: Opcode = Opcode.TEXT) -> JournalRecord:
    encoded = content.encode() if isinstance(content, str) else content
    return JournalRecord(Direction.SERVER, offset_ns, Frame(opcode, encoded).serialize(mask=False))


def gap(told: Gap, offset_ns: int = 0) -> JournalRecord:
    return JournalRecord(Direction.GAP, offset_ns, msgspec.json.encode(told))


def unroll(*records: JournalRecord) -> tuple[dict[str, list[Row]], Row]:
    """Give the rows of each table, and the session's row."""
    rows = SessionRows(SESSION_ID)
    tables: dict[str, list[Row]] = {"events": [], "audio": [], "divergences": [], "rewrites": []}
    for record in records:
        for table, row in rows.feed(record):
            tables[table].append(row)
    for table, row in rows.finish():
        tables[table].append(row)
    return tables, rows.session_row()


def session(*records: JournalRecord) -> tuple[list[Row], Row]:
    tables, row = unroll(fact(START), fact(REQUEST), fact(SWITCHED), *records, fact(ENDED, 9_000))
    return tables["events"], row


# --- kinds ----------------------------------------------------------------------------------------------------


def test_an_event_has_its_header_in_columns() -> None:
    (row,), _ = session(
        server('{"type":"error","event_id":"event_1","error":{"type":"server_error","code":"x","message":"m"}}', 2_000)
    )
    assert {name: row[name] for name in ("seq", "offset_ns", "at", "sender", "kind", "type", "event_id")} == {
        "seq": 0,
        "offset_ns": 2_000,
        "at": 1_770_885_055_000_002,
        "sender": "server",
        "kind": "event",
        "type": "error",
        "event_id": "event_1",
    }
    assert (row["error_type"], row["error_code"], row["error_message"], row.get("error_param")) == (
        "server_error",
        "x",
        "m",
        None,
    )
    assert row["wire_bytes"] == 2 + len(row["payload"])
    assert (row["pinned"], row["redacted"]) == (False, False)


@pytest.mark.parametrize(
    ("record", "kind", "payload", "payload_bytes"),
    [
        (client("[1]"), "event", "[1]", None),
        (client("hello"), "text", "hello", None),
        (client(b"\xff{}"), "text", None, b"\xff{}"),
        (client(b"{}", opcode=Opcode.BINARY), "binary", None, b"{}"),
        (server(b"", opcode=Opcode.PING), "ping", None, b""),
        (server(b"a", opcode=Opcode.PONG), "pong", None, b"a"),
        (server(b"\x03\xe8bye", opcode=Opcode.CLOSE), "close", None, b"\x03\xe8bye"),
    ],
)
def test_each_kind_has_its_place(record: JournalRecord, kind: str, payload: str, payload_bytes: bytes) -> None:
    (row,), _ = session(record)
    assert (row["kind"], row.get("payload"), row.get("payload_bytes")) == (kind, payload, payload_bytes)


@pytest.mark.parametrize(
    ("said", "failure_keys"),
    [
        # Gemini Live sends JSON in binary frames; so do relays that pass on what a library gave them.
        ([server(b'{"setupComplete":{}}', opcode=Opcode.BINARY)], []),
        ([server("hello")], []),
        ([server(b"\xff")], []),
        ([server(b"", opcode=Opcode.PING)], ["absent:session.created"]),
        ([client(b"{}", opcode=Opcode.BINARY)], ["absent:session.created"]),
    ],
)
def test_an_endpoint_that_speaks_another_protocol_is_not_silent(
    said: list[JournalRecord], failure_keys: list[str]
) -> None:
    waited = SessionEnd(offset_ns=60_000_000_000, closed_by="client")
    _, summary = unroll(fact(START), fact(REQUEST), fact(SWITCHED), *said, fact(waited, 60_000_000_000))
    assert summary["failure_keys"] == failure_keys


def test_messages_are_numbered_in_the_order_they_ended() -> None:
    split = client('{"type":"slow"}')
    rows, summary = session(
        split._replace(content=split.content[:5]),
        server('{"type":"fast"}', 1),
        split._replace(content=split.content[5:], offset_ns=2),
    )
    assert [(row["seq"], row["type"], row["offset_ns"]) for row in rows] == [(0, "fast", 1), (1, "slow", 2)]
    assert (summary["events_sent"], summary["events_received"]) == (1, 1)


# --- audio ----------------------------------------------------------------------------------------------------


def test_audio_goes_to_its_track() -> None:
    spoken, answered = b"\x01\x02\x03\x04", b"\x05\x06"
    append = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(spoken).decode()})
    delta = json.dumps({"type": "response.output_audio.delta", "delta": base64.b64encode(answered).decode()})
    tables, summary = unroll(fact(START), fact(SWITCHED), client(append), server(delta), client(append))
    assert [
        tuple(row[name] for name in ("audio_track", "audio_start", "audio_bytes", "audio_at"))
        for row in tables["events"]
    ] == [
        ("client", 0, 4, append.index("AQ")),
        ("server", 0, 2, delta.index("BQ")),
        ("client", 4, 4, append.index("AQ")),
    ]
    assert tables["events"][0]["payload"] == '{"type": "input_audio_buffer.append", "audio": ""}'
    assert {(row["track"], row["data"]) for row in tables["audio"]} == {("client", spoken * 2), ("server", answered)}
    assert (summary["audio_in_ms"], summary["audio_out_ms"]) == (8 / 48, 2 / 48)


def test_audio_has_the_format_that_was_declared_before_it() -> None:
    update = (
        '{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcmu"}}}}}'
    )
    append = '{"type":"input_audio_buffer.append","audio":"AQID"}'
    tables, _ = unroll(fact(START), fact(SWITCHED), client(append), client(update), client(append))
    assert [(row["format"], row["rate"]) for row in tables["audio"]] == [("audio/pcm", 24_000), ("audio/pcmu", 8000)]
    assert [row.get("audio_ms") for row in tables["events"]] == [3 / 48, None, 3 / 8]


# --- no WebSocket ---------------------------------------------------------------------------------------------


def test_a_refused_upgrade_is_one_http_row_with_its_error() -> None:
    refused = HandshakeResponse(offset_ns=1, status=401, headers=[])
    body = b'{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}'
    pieces = [JournalRecord(Direction.SERVER, 10 * n, body[20 * n : 20 * n + 20]) for n in range(5)]
    tables, summary = unroll(fact(START), fact(REQUEST), fact(refused), *pieces, fact(ENDED))
    (row,) = tables["events"]
    assert (row["kind"], row["sender"], row["payload"], row["offset_ns"]) == ("http", "server", body.decode(), 40)
    assert (row["error_code"], row["wire_bytes"]) == ("401", len(body))
    assert summary["outcome"] == "failed"
    assert "Access denied" in summary["first_error"]


def test_a_plain_exchange_is_a_row_a_sender() -> None:
    asked = HandshakeRequest(offset_ns=0, method="POST", path="/openai/v1/realtime/client_secrets", headers=[])
    tables, summary = unroll(
        fact(START),
        fact(asked),
        fact(HandshakeResponse(offset_ns=1, status=200, headers=[])),
        JournalRecord(Direction.CLIENT, 1, b'{"session":{}}'),
        JournalRecord(Direction.SERVER, 2, b'{"value":"ek_1234567890abcdef"}'),
        fact(ENDED),
    )
    sent, received = tables["events"]
    assert (sent["http_method"], sent["payload"]) == ("POST", '{"session":{}}')
    assert "http_method" not in received
    assert received["redacted"]
    assert "ek_1234567890abcdef" not in received["payload"]
    assert summary["outcome"] == "ok"


def compressed_refusal(body: bytes, *rules: str, coding: str = "gzip") -> tuple[Row, Row]:
    refused = HandshakeResponse(offset_ns=1, status=401, headers=[("Content-Encoding", coding)])
    record = JournalRecord(Direction.SERVER, 2, body)
    tables, summary = unroll(redacting(*rules), fact(REQUEST), fact(refused), record, fact(ENDED))
    (row,) = tables["events"]
    return row, summary


def test_the_reason_in_a_compressed_refusal_is_read_and_its_bytes_stay() -> None:
    body = gzip.compress(b'{"error":{"type":"invalid_request_error","code":"no_such_deployment","message":"None"}}')
    row, summary = compressed_refusal(body)
    assert (row["payload_bytes"], row.get("payload"), row["redacted"]) == (body, None, False)
    assert (row["error_code"], row["wire_bytes"]) == ("no_such_deployment", len(body))
    assert summary["failure_keys"] == ["handshake|invalid_request_error|401|None"]


def test_a_secret_in_a_compressed_body_goes_and_the_rest_is_kept_as_text() -> None:
    body = gzip.compress(b'{"value":"ek_68af296e8e408191a1120ab6383263c2","expires_at":1}')
    row, _ = compressed_refusal(body)
    assert (row["payload"], row.get("payload_bytes")) == ('{"value":"[redacted]","expires_at":1}', None)
    assert (row["redacted"], row["wire_bytes"]) == (True, len(body))


def test_of_a_compressed_body_that_was_cut_off_the_start_is_kept_as_text() -> None:
    body = gzip.compress(b'{"error":{"message":"the deployment is gone","code":"DeploymentNotFound"}}')[:-9]
    row, _ = compressed_refusal(body)
    assert row["payload"].startswith('{"error":{"message":"the deployment')
    assert row["redacted"]


def test_a_body_that_nobody_can_read_is_kept_as_so_many_zeroes() -> None:
    row, _ = compressed_refusal(b"sk-compressed-with-something-new", coding="lzfoo")
    assert (row["payload_bytes"], row["redacted"]) == (bytes(32), True)


def test_what_a_company_must_not_keep_goes_out_of_compressed_bodies_too() -> None:
    row, _ = compressed_refusal(gzip.compress(b"call 555-0199 now"), "/[0-9]{3}-[0-9]{4}/")
    assert (row["payload"], row["redacted"]) == ("call xxxxxxxx now", True)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_client_secret_goes_out_of_a_body_in_another_encoding(encoding: str) -> None:
    minted = '{"value":"ek_68af296e8e408191a1120ab6383263c2","expires_at":1}'
    row, _ = compressed_refusal(minted.encode(encoding), coding="identity")
    assert (row["payload"], row.get("payload_bytes")) == ('{"value":"[redacted]","expires_at":1}', None)
    assert row["redacted"]
    harmless = '{"error":{"message":"gone","code":"DeploymentNotFound"}}'.encode(encoding)
    row, _ = compressed_refusal(harmless, coding="identity")
    assert (row["payload_bytes"], row["error_code"], row["redacted"]) == (harmless, "DeploymentNotFound", False)


def test_a_body_that_is_no_text_is_kept_as_bytes() -> None:
    tables, _ = unroll(
        fact(START),
        fact(REQUEST),
        fact(HandshakeResponse(offset_ns=1, status=503, headers=[])),
        JournalRecord(Direction.SERVER, 2, b"\x1f\x8b\x08"),
    )
    (row,) = tables["events"]
    assert (row["payload_bytes"], row.get("payload")) == (b"\x1f\x8b\x08", None)


def test_bytes_that_overtook_the_handshakes_fact_are_decoded_all_the_same() -> None:
    tables, _ = unroll(fact(START), server('{"type":"session.created"}'), fact(SWITCHED), client("{}"))
    assert [(row["sender"], row["kind"]) for row in tables["events"]] == [("server", "event"), ("client", "event")]


def test_a_journal_that_stops_before_the_answer() -> None:
    tables, summary = unroll(fact(START), fact(REQUEST))
    assert tables["events"] == []
    assert (summary["outcome"], summary["handshake_status"]) == ("incomplete", None)


# --- what is lost, secret or unknown --------------------------------------------------------------------------


def test_a_gap_costs_its_message_and_is_told() -> None:
    whole = client('{"type":"input_audio_buffer.append","audio":""}')
    rows, summary = session(
        client('{"type":"first"}'),
        whole._replace(content=whole.content[:20]),
        gap(Gap("client", 1, 2, len(whole.content) - 20, "slow disk")),
        client('{"type":"last"}'),
    )
    assert [row["type"] for row in rows] == ["first", "last"]
    assert summary["lost_bytes"] == len(whole.content)
    assert (summary["outcome"], summary["complete"]) == ("incomplete", False)
    assert summary["gaps"] == [
        {"sender": "client", "from_ns": 1, "to_ns": 2, "bytes": len(whole.content) - 20, "reason": "slow disk"}
    ]


def test_bytes_behind_damage_are_kept_as_raw() -> None:
    rows, summary = session(gap(Gap("server", 1, 2, -1, "the journal is damaged")), server("{}"), client("{}"))
    assert [(row["sender"], row["kind"]) for row in rows] == [("server", "raw"), ("client", "event")]
    assert rows[0]["payload_bytes"] == b"\x81\x02{}"
    assert (summary["undecodable_bytes"], summary["complete"]) == (4, False)


def test_a_gap_in_a_body_is_told() -> None:
    tables, summary = unroll(
        fact(START),
        fact(REQUEST),
        fact(HandshakeResponse(offset_ns=1, status=503, headers=[])),
        JournalRecord(Direction.SERVER, 2, b"busy"),
        gap(Gap("server", 1, 2, 10, "slow disk")),
        fact(ENDED),
    )
    assert tables["events"][0]["payload"] == "busy"
    assert (summary["lost_bytes"], summary["complete"]) == (10, False)


def test_secrets_in_messages_are_taken_out_and_the_row_says_so() -> None:
    text = '{"type":"session.update","session":{"tools":[{"type":"mcp","authorization":"very-secret"}]}}'
    (row,), _ = session(client(text))
    assert row["payload"] == text.replace("very-secret", "[redacted]")
    assert row["redacted"]


def test_a_secret_that_an_endpoint_puts_where_a_column_is_read_from_goes_out_of_the_column() -> None:
    key = "sk-proj-0123456789abcdef0123"
    created = {"type": "session.created", "session": {"id": f"for {key}", "model": f"m {key}", "voice": key}}
    refused = {"type": key, "code": f"c {key}", "message": f"no {key}", "param": f"tools[0].{key}"}
    error = {"type": "error", "event_id": key, "error": refused, "item_id": key, "response_id": key}
    rows, summary = session(server(json.dumps(created)), server(json.dumps(error)))
    assert rows[1]["error_param"] == "tools[0].[redacted]"
    assert rows[1]["item_id"] == "[redacted]"
    assert (summary["model_echoed"], summary["voice"]) == ("m [redacted]", "[redacted]")
    assert key not in str((rows, summary))


def test_audio_beside_a_secret_is_cut_out_of_what_is_left() -> None:
    text = '{"type":"input_audio_buffer.append","session":{"client_secret":{"value":"ek_very_secret"}},"audio":"AQID"}'
    (row,), _ = session(client(text))
    left = row["payload"]
    assert row["redacted"]
    assert "very_secret" not in left
    assert left[row["audio_at"] - 9 :] == '"audio":""}'


def test_divergences_and_rewrites_have_tables_of_their_own() -> None:
    diverged = Divergence(offset_ns=7, step=2, kind="missing", expected="a", seen="b", action="waited")
    rewrote = Rewrite(offset_ns=8, step=3, kind="override", path="session.voice", before='"a"', after='"b"')
    tables, _ = unroll(fact(START), fact(SWITCHED), fact(diverged), fact(rewrote))
    assert tables["divergences"] == [
        {"offset_ns": 7, "step": 2, "kind": "missing", "expected": "a", "seen": "b", "action": "waited"}
    ]
    assert tables["rewrites"] == [
        {"offset_ns": 8, "step": 3, "kind": "override", "path": "session.voice", "before": '"a"', "after": '"b"'}
    ]


def test_a_fact_of_a_newer_recorder_does_not_cost_the_session() -> None:
    rows, _ = session(JournalRecord(Direction.FACT, 1, b'{"type":"from the future"}'), client("{}"))
    assert len(rows) == 1


def test_real_sessions_are_read_event_by_event(shared: Any) -> None:
    for path in sorted((shared / "fixtures").glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        said = [(line["direction"], json.dumps(line["data"])) for line in lines if line.get("kind") == "message"]
        rows, summary = session(*(client(text) if sent == "sent" else server(text) for sent, text in said))
        assert [row["type"] for row in rows] == [json.loads(text)["type"] for _, text in said], path.name
        assert summary["complete"], path.name
        assert summary["events_sent"] + summary["events_received"] == len(said), path.name


# --- what is not kept -----------------------------------------------------------------------------------------


def redacting(*rules: str) -> JournalRecord:
    return fact(SessionFacts(session_id=SESSION_ID, started_at_us=START.started_at_us, redact=list(rules)))


TRANSCRIBED = '{"type":"conversation.item.input_audio_transcription.completed","transcript":"I am Zo\\u00eb"}'
FAILED = '{"type":"error","error":{"type":"server_error","code":"x","message":"Zoë is unknown"}}'


def test_a_transcript_that_must_not_be_kept_leaves_its_length() -> None:
    tables, _ = unroll(redacting("transcripts"), fact(SWITCHED), server(TRANSCRIBED), server(FAILED))
    [said, failed] = tables["events"]
    assert (said["payload"], said["redacted"]) == (TRANSCRIBED.replace("I am Zo\\u00eb", "x" * 8), True)
    assert (failed["payload"], failed["redacted"]) == (FAILED, False)


def test_silenced_audio_keeps_its_place_its_length_and_its_measures() -> None:
    spoken = (b"\x00\x40\x00\xc0" * 480) + b"\x01"
    append = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(spoken).decode()})
    (kept, _), (silenced, summary) = (
        unroll(redacting(*rules), fact(SWITCHED), client(append)) for rules in ([], ["audio"])
    )
    assert silenced["events"] == [kept["events"][0] | {"redacted": True}]
    [block, rest] = silenced["audio"]
    assert decode_block(block) + decode_block(rest) == bytes(len(spoken))
    measures = ("rms_dbfs", "peak", "clipped", "dc_offset", "speech_ms", "silence_ms", "duplicated_chunks", "bytes")
    assert [block[name] for name in measures] == [kept["audio"][0][name] for name in measures]
    assert summary["audio_in_ms"] == len(spoken) / 48


@pytest.mark.parametrize("rule", ["transcripts", "audio"])
def test_what_cannot_be_read_keeps_its_length_alone_where_speech_must_go(rule: str) -> None:
    said = b"who knows"
    tables, _ = unroll(
        redacting(rule),
        fact(SWITCHED),
        client(said, opcode=Opcode.BINARY),
        client(said),
        client(b"who\xffknows"),
        server(b"alive", opcode=Opcode.PING),
    )
    assert [
        (row["kind"], row.get("payload", row.get("payload_bytes")), row["redacted"]) for row in tables["events"]
    ] == [
        ("binary", bytes(9), True),
        ("text", "x" * 9, True),
        ("text", bytes(9), True),
        ("ping", b"alive", False),
    ]


def test_a_pattern_goes_out_of_payloads_columns_and_the_session() -> None:
    close = server(b"\x0b\xb8" + "bye Zoë".encode(), opcode=Opcode.CLOSE)
    tables, summary = unroll(redacting("/Zoë/"), fact(SWITCHED), server(TRANSCRIBED), server(FAILED), close)
    said, failed, closed = tables["events"]
    assert said["payload"] == TRANSCRIBED.replace("Zo\\u00eb", "xxx")
    assert (failed["payload"], failed["error_message"]) == (FAILED.replace("Zoë", "xxx"), "xxx is unknown")
    assert closed["payload_bytes"] == b"\x0b\xb8bye xxxx"
    assert summary["outcome"] == "failed"
    assert "Zoë" not in str(summary)
    assert summary["failure_keys"][0] == "error|server_error|x|xxx is unknown"


def test_audio_goes_back_where_it_was_behind_what_was_taken_out() -> None:
    append = '{"note":"Zo\\u00eb sk-planted-0123456789abcdef","type":"input_audio_buffer.append","audio":"AQIDBA=="}'
    tables, _ = unroll(redacting("/Zoë/"), fact(SWITCHED), client(append))
    [row] = tables["events"]
    assert row["payload"] == '{"note":"xxx [redacted]","type":"input_audio_buffer.append","audio":""}'
    assert row["payload"][: row["audio_at"]].endswith('"audio":"')


def test_an_upgrade_that_was_refused_keeps_its_words() -> None:
    refused = HandshakeResponse(offset_ns=1, status=503, headers=[])
    body = JournalRecord(Direction.SERVER, 1, b"overloaded")
    tables, _ = unroll(redacting("transcripts"), fact(REQUEST), fact(refused), body, fact(ENDED))
    assert [row["payload"] for row in tables["events"]] == ["overloaded"]


def test_a_key_in_bytes_that_cannot_be_read_is_covered() -> None:
    key = b"sk-planted-0123456789abcdef"
    tables, _ = unroll(fact(START), fact(SWITCHED), client(b"\xff " + key, opcode=Opcode.BINARY))
    [row] = tables["events"]
    assert (row["payload_bytes"], row["redacted"]) == (b"\xff " + b"x" * len(key), True)


def test_a_key_that_the_endpoint_repeats_is_in_no_column() -> None:
    told = json.dumps({"type": "error", "error": {"message": "Incorrect API key provided: Sup3rs3cret. Try again."}})
    [row], summary = session(server(told))
    assert row["error_message"] == "Incorrect API key provided: [redacted]. Try again."
    assert "Sup3rs3cret" not in str(row) + str(summary)


def test_a_journal_that_lost_its_first_record_still_knows_what_must_not_be_kept() -> None:
    switched = HandshakeResponse(offset_ns=5, status=101, headers=[], redact=["transcripts"])
    tables, _ = unroll(fact(switched), server(TRANSCRIBED))
    assert [row["redacted"] for row in tables["events"]] == [True]
