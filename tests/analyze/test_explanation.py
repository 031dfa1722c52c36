from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from analyze.explanation import ROWS_SHOWN, _commands, explain, failure_words, recorder_health
from analyze.queries import Queries
from analyze.store import Store, open_store
from capture.errors import UsageProblem
from capture.realtime.outcomes import failure_key
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn

Row = dict[str, Any]

STRANGE = failure_key("error", "odd_error", "never_seen", "no 'item_1' today")


@pytest.fixture
def root(reused_store: Store) -> Root:
    return reused_store.root


@pytest.fixture
def queries(reused_store: Store) -> Queries:
    """Ask what was recorded; recordings must be asked for before it."""
    reused_store.refresh()
    return Queries(reused_store)


def strange_session(root: Root, **columns: Any) -> str:
    """Record a session that fails as no signature knows it, seven times."""
    failed: Row = {"outcome": "failed", "errors": 7, "failure_keys": [STRANGE]}
    trace = Trace("20260212T083055-0000000c", failed | columns)
    configure(trace)
    spoken_turn(trace, 20)
    for number in range(7):
        error = {"type": "odd_error", "code": "never_seen", "message": f"no 'item_{number}' today"}
        trace.server(1000 + number, "error", error=error)
    trace.frame("client", 1100, "close", b"\x03\xe8")
    return trace.write(root)


def test_a_finding_comes_with_its_rows_and_its_replays(failed_session: str, ok_session: str, queries: Queries) -> None:
    explanation = explain(queries, failed_session)
    (found,) = explanation.findings

    assert explanation.sentence.startswith(found.signature.happened)
    assert [row.type for row in found.evidence.rows] == ["conversation.item.input_audio_transcription.failed"]
    assert found.evidence.rows[0].first_seq == found.finding.evidence[0]
    assert explanation.unknown == ()
    words = shlex.split(found.commands[0])
    assert words[:4] == ["wiretape", "replay", "run", failed_session]
    assert words[words.index("--to") + 1] == "azure-eastus2"


def test_what_no_signature_knows_leads_under_its_key(root: Root, reused_store: Store) -> None:
    session_id = strange_session(root)
    reused_store.refresh()
    explanation = explain(Queries(reused_store), session_id)
    (unknown,) = explanation.unknown

    assert explanation.findings == ()
    assert explanation.sentence == (
        "No signature knows one failure of this session: error · odd_error · never_seen · no 'item_…' today."
    )
    assert unknown.failure_key == STRANGE
    assert [row.type for row in unknown.evidence.rows] == ["error"] * ROWS_SHOWN
    assert unknown.evidence.more == 2


def test_the_command_for_an_unknown_failure_finds_its_sessions(
    root: Root, ok_session: str, reused_store: Store
) -> None:
    session_id = strange_session(root)
    reused_store.refresh()
    queries = Queries(reused_store)
    (unknown,) = explain(queries, session_id).unknown
    _, _, command, words, *_ = shlex.split(unknown.commands[1])
    assert command == "sessions"
    assert [session.session_id for session in queries.sessions(words)] == [session_id]


def test_what_no_message_told_of_is_looked_for_among_the_replays(failed_session: str, queries: Queries) -> None:
    (told,) = explain(queries, failed_session).findings
    assert "wiretape analyze failures --run last" not in " ".join(told.commands)

    detail = queries.session(failed_session)
    commands = list(_commands(queries, detail, told.signature.replays, is_failure=False))
    assert commands[:-1] == list(told.commands)
    assert commands[-1].startswith("wiretape analyze failures --run last --recordings ")


def test_a_client_that_sent_nothing_is_not_replayed(root: Root, reused_store: Store) -> None:
    refused: Row = {"outcome": "failed", "failure_keys": ["handshake|404|404|no such deployment"]}
    asked = [("upgrade", "websocket")]
    session_id = Trace(columns=refused | {"handshake_status": 404, "events_sent": 0, "request_headers": asked}).write(
        root
    )
    reused_store.refresh()
    (found,) = explain(Queries(reused_store), session_id).findings

    (command,) = found.commands
    assert command.startswith("wiretape capture call --to azure-eastus2 --audio KNOWN_GOOD.wav --recordings ")


def test_a_healthy_session_says_so(ok_session: str, queries: Queries) -> None:
    explanation = explain(queries, ok_session)
    assert explanation.sentence == (
        "Healthy: 1 turn, 1 answered, 1 transcribed, first audio after 722 ms (median)."
        " Nothing failed, and no signature matched."
    )
    assert (explanation.findings, explanation.unknown) == ((), ())


def test_messages_that_only_seed_the_conversation_are_no_turns_that_went_unanswered(
    root: Root, reused_store: Store
) -> None:
    trace = Trace(columns={"turns": 3})
    configure(trace)
    for number, role in enumerate(["user", "assistant", "user"]):
        item = {"id": f"item_s{number}", "type": "message", "role": role, "content": []}
        trace.client(12 + number, "conversation.item.create", item=item)
    spoken_turn(trace, 20)
    trace.frame("client", 3000, "close", b"\x03\xe8")
    trace.write(root)
    reused_store.refresh()
    sentence = explain(Queries(reused_store), trace.session_id).sentence
    assert sentence.startswith("Healthy: 1 turn, 1 answered")


def test_an_incomplete_session_is_not_called_healthy(root: Root, reused_store: Store) -> None:
    trace = Trace(columns={"outcome": "incomplete", "complete": False, "lost_bytes": 1200})
    configure(trace)
    spoken_turn(trace, 20)
    trace.frame("client", 1000, "close", b"\x03\xe8")
    trace.write(root)
    reused_store.refresh()
    explanation = explain(Queries(reused_store), trace.session_id)
    assert explanation.sentence.startswith("The recording is incomplete; in what is here nothing failed")
    assert not explanation.recorder.clean


def test_a_file_that_tells_no_end_is_not_called_healthy(root: Root, reused_store: Store) -> None:
    trace = Trace(columns={"role": "imported", "complete": None})
    configure(trace)
    spoken_turn(trace, 20)
    trace.write(root)
    reused_store.refresh()
    explanation = explain(Queries(reused_store), trace.session_id)
    assert explanation.sentence.startswith("In what the file holds nothing failed, and no signature matched: 1 turn")
    assert "the file does not tell whether all is there" in explanation.recorder.words


def test_a_session_whose_events_are_damaged_is_neither_healthy_nor_unknown(tmp_path: Path) -> None:
    root = Root(tmp_path / "recordings")
    trace = Trace(columns={"events_sent": 4, "events_received": 9})
    configure(trace)
    spoken_turn(trace, 20)
    trace.write(root)
    root.table_file("events", trace.session_id).write_bytes(b"no parquet")
    with open_store(root) as store:
        explanation = explain(Queries(store), trace.session_id)
    assert explanation.sentence.startswith("The session's events cannot be read, so no signature could look at them")


def test_support_gets_what_exists_only_at_the_handshake(root: Root, reused_store: Store) -> None:
    headers: Row = {
        "request_ids": [("apim-request-id", "b1c4-\x1b[31m"), ("x-request-id", "77")],
        "response_headers": [("x-ms-region", "East US 2")],
        "url": "wss://contoso.openai.azure.com/openai/v1/realtime?model=gpt-realtime",
        "close_code": 1000,
        "closed_by": "client",
        "user_agent": "OpenAI/Python 2.0",
        "model_echoed": "gpt-realtime-2025-08-28",
    }
    session_id = strange_session(root, **headers)
    reused_store.refresh()
    facts = dict(explain(Queries(reused_store), session_id).support)
    assert facts["apim-request-id"] == r"b1c4-\x1b[31m"
    assert facts["x-request-id"] == "77"
    assert facts["x-ms-region"] == "East US 2"
    assert facts["session"] == "sess_0000000c"
    assert facts["model"] == "gpt-realtime asked · gpt-realtime-2025-08-28 echoed"
    assert facts["close"] == "code 1000 · by the client"
    assert facts["client"] == "OpenAI/Python 2.0"
    assert facts["started"] == "2026-02-12 08:30:55.000 UTC"


def test_the_first_and_last_failure_are_those_that_no_signature_knows_too(root: Root, reused_store: Store) -> None:
    session_id = strange_session(root)
    reused_store.refresh()
    facts = dict(explain(Queries(reused_store), session_id).support)
    assert facts["first failure"] == "2026-02-12 08:30:56.000 UTC"
    assert facts["last failure"] == "2026-02-12 08:30:56.006 UTC"


def test_what_failed_nothing_is_no_failure_s_time(root: Root, reused_store: Store) -> None:
    failed: Row = {"outcome": "failed", "errors": 1, "failure_keys": [STRANGE]}
    trace = Trace(columns=failed | {"not_honoured": ["audio.output.voice"]})
    configure(trace)
    spoken_turn(trace, 20)
    trace.server(3000, "error", error={"type": "odd", "code": "response_cancel_not_active", "message": "None."})
    trace.server(12_000, "error", error={"type": "odd_error", "code": "never_seen", "message": "no 'item_1' today"})
    trace.write(root)
    reused_store.refresh()
    explanation = explain(Queries(reused_store), trace.session_id)
    facts = dict(explanation.support)
    assert [each.finding.name for each in explanation.findings] == ["configuration_not_honoured"]
    assert facts["first failure"] == "2026-02-12 08:31:07.000 UTC"
    assert "last failure" not in facts


def test_a_close_and_what_no_message_told_have_times_too(root: Root, reused_store: Store) -> None:
    closed: Row = {"outcome": "failed", "failure_keys": ["close|server|4999|odd"], "close_code": 4999}
    unknown = Trace("20260212T083055-0000000a", closed)
    configure(unknown)
    unknown.frame("server", 2500, "close", b"\x13\x87odd")
    refused: Row = {"outcome": "failed", "failure_keys": ["handshake|404|404|no such deployment"]}
    known = Trace("20260212T083155-0000000b", refused | {"handshake_status": 404, "events_sent": 0})
    for trace in (unknown, known):
        trace.write(root)
    reused_store.refresh()
    queries = Queries(reused_store)
    ended, refusal = (dict(explain(queries, each.session_id).support) for each in (unknown, known))
    assert ended["first failure"] == "2026-02-12 08:30:57.500 UTC"
    assert refusal["first failure"] == "2026-02-12 08:31:55.000 UTC"


def test_a_healthy_session_has_no_failure_s_time(ok_session: str, queries: Queries) -> None:
    facts = dict(explain(queries, ok_session).support)
    assert not facts.keys() & {"first failure", "last failure"}


HEALTHY: Row = {
    "role": "captured",
    "complete": True,
    "lost_bytes": 0,
    "undecodable_bytes": None,
    "gaps": None,
    "relay_lag_max_us": 16_200.0,
    "relay_lag_p99_us": 900.0,
    "backpressure_client_ms": None,
    "backpressure_server_ms": 0.0,
    "pacing_p99_us": None,
}


@pytest.mark.parametrize(
    ("columns", "clean", "words"),
    [
        ({}, True, "clean: nothing lost; bytes waited 16.2 ms in it at most (p99 0.9 ms)"),
        ({"relay_lag_max_us": 240_000.0}, False, "bytes waited 240.0 ms in it at most (p99 0.9 ms)"),
        ({"relay_lag_max_us": None}, True, "clean: nothing lost; it stood beside the call, not in its path"),
        ({"lost_bytes": 9, "gaps": [{"reason": "disk"}]}, False, "9 bytes were forwarded but not recorded (disk)"),
        ({"complete": False}, False, "the end of the session was not seen"),
        (
            {
                "kept": "window",
                "duration_ms": 60_000,
                "gaps": [{"reason": "outside the window", "from_ns": 0, "to_ns": 9e9}],
            },
            True,
            "clean: nothing lost; cut to the windows around its failures: 9.0 of 60.0 s are left out (0.0 to 9.0 s)",
        ),
        (
            {
                "role": "imported",
                "complete": False,
                "gaps": [{"sender": None, "reason": "line 5 of the file: no JSON"}],
            },
            False,
            "1 message could not be read: line 5 of the file: no JSON",
        ),
        ({"backpressure_client_ms": 1500.0}, True, "bytes waited 1,500 ms because the client was slow to read"),
        ({"pacing_p99_us": 15_700.0}, True, "sends of the replay off their time by 15.7 ms (p99)"),
    ],
)
def test_the_recorder_is_ruled_out_or_not(columns: Row, clean: bool, words: str) -> None:
    health = recorder_health(HEALTHY | columns)
    assert health.clean == clean
    assert words in health.words


def test_a_failure_key_is_written_for_people() -> None:
    assert failure_words("absent:response.done") == "response.done never came"
    assert failure_words("error|a||b\x1b") == r"error · a · b\x1b"


def test_an_unknown_session_is_a_usage_problem(failed_session: str, queries: Queries) -> None:
    with pytest.raises(UsageProblem, match="there is no recording"):
        explain(queries, "20260101T000000-00000000")
