"""Who speaks when: turn detection that is deaf, requests that race, tools, echoes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analyze.findings import Finding
from capture.recording.facts import KeepRule
from capture.recording.root import Root
from capture.recording.schema import SESSIONS
from tests.analyze.signatures.conftest import (
    Line,
    NamesOf,
    Record,
    answer,
    healthy_turn,
    in_order,
    opening,
    response_done,
    speech,
)

pytestmark = pytest.mark.dialects("ga", "beta")
Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

INTERRUPTED = {"type": "cancelled", "reason": "turn_detected"}


def error(at_ms: float, **told: object) -> Line:
    usual = {"type": "invalid_request_error", "code": None, "message": "No.", "param": None}
    return (at_ms, "server", {"type": "error", "event_id": "event_e", "error": usual | told})


def spoken(at_ms: float, ms: int, dbfs: float = -10.0, pause_ms: int = 200) -> list[Line]:
    """Give noise in bursts of 400 ms with pauses: what speech looks like by its energy."""
    rng = np.random.default_rng(1)
    lines: list[Line] = []
    for start_ms in range(0, ms, 400 + pause_ms):
        loud = rng.standard_normal(24 * 400) * 10 ** (dbfs / 20) * 32767 / 4
        quiet = rng.standard_normal(24 * pause_ms) * 3
        samples = np.concatenate([loud, quiet]).clip(-32768, 32767).astype("<i2")
        append = {"type": "input_audio_buffer.append", "audio": base64.b64encode(samples.tobytes()).decode()}
        lines.append((at_ms + start_ms, "client", append))
    return lines


@pytest.mark.parametrize("kind", ["semantic_vad", "server_vad"])
def test_a_turn_detection_that_hears_nothing(record: Record, findings: Findings, kind: str) -> None:
    record([*opening(turn_detection=kind), *spoken(100, 3000)], ended_ms=9000)

    (finding,) = findings()

    assert (finding.name, finding.confidence, finding.evidence) == ("vad_accepted_but_dead", "likely", (2,))
    assert 1000 < finding.numbers["speech_sent_ms"] < finding.numbers["audio_sent_ms"]


def test_a_cleared_buffer_is_no_turn(record: Record, names: Names) -> None:
    cleared: Line = (50, "client", {"type": "input_audio_buffer.clear"})
    session = record([*opening(turn_detection="semantic_vad"), cleared, *spoken(100, 3000)], ended_ms=9000)

    assert names() == {session: ["vad_accepted_but_dead"]}


def test_clicks_on_a_long_silent_line_may_be_what_was_loud(record: Record, findings: Findings) -> None:
    lines = [*spoken(100, 1800), *spoken(2000, 30_000, dbfs=-75)]
    record([*opening(turn_detection="semantic_vad"), *lines], ended_ms=40_000)

    assert [(finding.name, finding.confidence) for finding in findings()] == [("vad_accepted_but_dead", "possible")]


@pytest.mark.dialects("ga")
def test_what_was_lost_may_have_been_heard(record: Record, root: Root, names: Names) -> None:
    session = record([*opening(turn_detection="semantic_vad"), *spoken(100, 3000)], ended_ms=9000)
    file = root.table_file("sessions", session)
    (row,) = pq.read_table(file, partitioning=None).to_pylist()
    pq.write_table(pa.Table.from_pylist([row | {"complete": False}], schema=SESSIONS), file)

    assert names() == {}


def test_steady_noise_may_be_what_it_heard(record: Record, findings: Findings) -> None:
    record([*opening(turn_detection="semantic_vad"), *spoken(100, 3000, pause_ms=0)], ended_ms=9000)

    assert [(finding.name, finding.confidence) for finding in findings()] == [("vad_accepted_but_dead", "possible")]


def test_nothing_said_or_nothing_to_hear_with(names_of: NamesOf) -> None:
    cases = {
        "silence": [*opening(turn_detection="semantic_vad"), *spoken(100, 3000, dbfs=-75)],
        "a word": [*opening(turn_detection="semantic_vad"), *spoken(100, 600)],
        "manual turns": [*opening(turn_detection=None), *spoken(100, 3000)],
        "heard later": [*opening(turn_detection="semantic_vad"), *spoken(100, 3000), *healthy_turn(4000)],
    }

    assert names_of(cases, ended_ms=9000) == {}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "conversation_already_has_active_response",
            "Conversation already has an active response in progress: resp_1.",
        ),
        (None, "Conversation already has an active response"),
        ("response_already_active", "A response is active."),
    ],
)
def test_a_request_while_an_answer_is_under_way(
    record: Record, findings: Findings, code: str | None, message: str
) -> None:
    asked = (700.0, "client", {"type": "response.create"})
    lines = [*opening(None), *speech(100), *answer(600), asked, error(720, code=code, message=message)]
    record(in_order(lines))  # type: ignore[arg-type]

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("active_response_race", "certain")
    assert len(finding.evidence) == 2
    assert len(finding.explains) == 1


EMPTY = (
    "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has "
    "0.00ms of audio."
)


def test_a_commit_of_nothing(record: Record, findings: Findings) -> None:
    commit: Line = (50, "client", {"type": "input_audio_buffer.commit"})
    refusal = error(60, code="input_audio_buffer_commit_empty", message=EMPTY)
    record([*opening(turn_detection=None), commit, refusal])

    (finding,) = findings()

    assert (finding.name, finding.confidence, finding.evidence) == ("commit_empty", "certain", (4,))
    assert finding.numbers == {"empty_commits": 1, "audio_sent_ms": 0}
    assert len(finding.explains) == 1


def test_a_commit_that_turn_detection_was_faster_than(record: Record, names: Names) -> None:
    refusal = error(2900, code="input_audio_buffer_commit_empty", message=EMPTY)
    record([*opening(), *healthy_turn(100), (2800, "client", {"type": "input_audio_buffer.commit"}), refusal])

    assert names() == {}


def test_a_cut_where_there_was_no_audio(record: Record, findings: Findings) -> None:
    cut = {"type": "conversation.item.truncate", "item_id": "resp_1_item", "content_index": 0, "audio_end_ms": 5700}
    refusal = error(2900, message="Audio content of 1000ms is already shorter than 5700ms")
    record([*opening(), *healthy_turn(100), (2800, "client", cut), refusal])

    (finding,) = findings()

    assert (finding.name, finding.numbers) == ("truncate_beyond_audio", {"refused": 1, "worst_beyond_ms": 4700})
    assert len(finding.explains) == 1


def tool_call(at_ms: float, call: str = "call_1", response: str = "resp_1") -> list[Line]:
    item = {"id": f"item_{call}", "type": "function_call", "call_id": call, "name": "weather", "arguments": "{}"}
    done = {"type": "response.output_item.done", "response_id": response, "output_index": 0, "item": item}
    return [*answer(at_ms, response, said="", audio_ms=0, done=False), (at_ms + 50, "server", done),
            *answer(at_ms + 60, response, said="", audio_ms=0)[1:]]  # fmt: skip


def output(at_ms: float, call: str = "call_1") -> Line:
    item = {"type": "function_call_output", "call_id": call, "output": "sunny"}
    return (at_ms, "client", {"type": "conversation.item.create", "item": item})


def mcp_call(at_ms: float, response: str = "resp_1", *, before: str = "") -> list[Line]:
    """Give a response that calls an MCP server for a second, after it said something; it is not done."""
    item = {"id": "item_m", "type": "mcp_call", "name": "search_orders", "server_label": "crm", "arguments": "{}"}
    told = {"response_id": response, "output_index": 0}
    of_call = {"item_id": "item_m", "output_index": 0}
    return [
        *answer(at_ms, response, said=before, audio_ms=200 if before else 0, done=False),
        (at_ms + 60, "server", {"type": "response.output_item.added", "item": item, **told}),
        (at_ms + 70, "server", {"type": "response.mcp_call.in_progress", **of_call}),
        (at_ms + 1070, "server", {"type": "response.mcp_call.completed", **of_call}),
        (at_ms + 1071, "server", {"type": "response.output_item.done", "item": item | {"output": "[]"}, **told}),
    ]


def ask(at_ms: float) -> Line:
    return (at_ms, "client", {"type": "response.create"})


def test_a_tools_output_that_nobody_went_on_with(record: Record, findings: Findings) -> None:
    record([*opening(None), *speech(100), *tool_call(600), output(1000)], ended_ms=9000)

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("tool_call_without_followup", "likely")
    assert finding.numbers == {"outputs_without_answer": 1, "longest_wait_s": 8.0}
    assert finding.explains == ()


@pytest.mark.parametrize("before", ["", "One moment."])
def test_what_an_mcp_server_gave_that_nobody_went_on_with(record: Record, findings: Findings, before: str) -> None:
    done: Line = (1700, "server", response_done("resp_1"))
    record([*opening(None), *speech(100), *mcp_call(600, before=before), done], ended_ms=9000)

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("tool_call_without_followup", "likely")
    assert finding.numbers == {"outputs_without_answer": 1, "longest_wait_s": 7.3}


def test_a_needless_cancel_later_on_hides_no_tool_that_nobody_went_on_with(record: Record, names: Names) -> None:
    cancel: list[Line] = [
        (8000, "client", {"type": "response.cancel"}),
        error(8010, code="response_cancel_not_active", message="Cancellation failed: no active response found"),
    ]
    session = record([*opening(None), *speech(100), *tool_call(600), output(1000), *cancel], ended_ms=9000)

    assert names() == {session: ["tool_call_without_followup"]}


def test_a_goodbye_is_heard_before_its_tool_hangs_up(record: Record, names: Names) -> None:
    goodbye = answer(600, "resp_1", said="Have a pleasant day, and goodbye.", audio_ms=5000, done=False)
    called = [line for line in tool_call(1900) if line[2].get("type") != "response.created"]  # type: ignore[union-attr]
    lines = [*opening(None), *speech(100), *goodbye, *called, output(2000)]
    waits_for_nothing = record(lines, ended_ms=12_000)
    record(lines, ended_ms=7500)

    assert names() == {waits_for_nothing: ["tool_call_without_followup"]}


def test_a_tool_that_comes_back_while_another_answer_is_heard(record: Record, names: Names) -> None:
    weather, small_talk = tool_call(600), answer(3600, "resp_2", audio_ms=9000)
    lines = [*weather, *speech(3000, "item_u2"), *small_talk, output(4000), ask(12_700), *answer(12_900, "resp_3")]
    record(in_order([*opening(None), *speech(100), *lines]))

    assert names() == {}


def test_an_answer_that_only_the_next_turn_brought(record: Record, findings: Findings) -> None:
    lines = [*opening(None), *speech(100), *tool_call(600), output(1000)]
    record([*lines, *speech(8000, "item_u2"), *answer(8500, "resp_2")])

    assert [(finding.name, finding.confidence) for finding in findings()] == [
        ("tool_call_without_followup", "possible")
    ]


@pytest.mark.parametrize(
    ("lines", "ended_ms"),
    [
        ([*tool_call(600), output(1000), ask(1001), *answer(1100, "resp_2")], 9000),
        ([*tool_call(600), output(1000), *answer(1100, "resp_2")], 9000),
        ([*tool_call(600), output(1000)], 3000),
        (
            [*tool_call(600), *tool_call(700, "call_2", "resp_1b"), output(1000), output(9000, "call_2"), ask(9001),
             *answer(9100, "resp_2")],
            20_000,
        ),
        ([output(1000, "call_of_last_week")], 9000),
        ([*mcp_call(600), *answer(1700, "resp_1")[1:]], 9000),
        ([*mcp_call(600), (1700, "server", response_done("resp_1")), ask(1701), *answer(1800, "resp_2")], 9000),
    ],
    ids=["asked", "the endpoint went on", "hung up", "a slow second tool", "history", "mcp", "asked after mcp"],
)  # fmt: skip
def test_tools_that_were_gone_on_with(record: Record, names: Names, lines: list[Line], ended_ms: float) -> None:
    record([*opening(None), *speech(100), *lines], ended_ms=ended_ms)

    assert "tool_call_without_followup" not in str(names())


def test_a_call_id_that_the_endpoint_does_not_know(record: Record, findings: Findings) -> None:
    words = "Tool call ID 'call_9' not found in conversation."
    record([*opening(None), *speech(100), *answer(600), output(2000, "call_9"),
            error(2010, code="invalid_tool_call_id", message=words, param="item.call_id")])  # fmt: skip

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("bad_tool_call_id", "certain")
    assert finding.numbers == {"refused": 1, "malformed_ids": 0}
    assert len(finding.explains) == 1


def test_a_call_id_of_odd_characters(record: Record, findings: Findings) -> None:
    record([*opening(None), *speech(100), *answer(600), output(2000, "functions/weather:0")])

    assert [(finding.name, finding.confidence) for finding in findings()] == [("bad_tool_call_id", "likely")]


def test_odd_ids_of_the_endpoints_own_are_its_matter(record: Record, names: Names) -> None:
    call = "functions/weather:0"
    record(
        [*opening(None), *speech(100), *tool_call(600, call), output(1000, call), ask(1001), *answer(1100, "resp_2")]
    )

    assert names() == {}


def interrupted(at_ms: float, number: int, *, after_ms: float = 300, lasts_ms: float = 500) -> list[Line]:
    """Give an answer that speech cuts off, `after_ms` after its audio began."""
    response, item = f"resp_{number}", f"item_u{number}"
    begun_ms = at_ms + 50
    cut_ms = begun_ms + after_ms
    of_item: dict[str, Any] = {"item_id": item}
    stopped_ms = cut_ms + lasts_ms
    lines = [
        *answer(at_ms, response, audio_ms=4000, chunk_ms=200, every_ms=50, done=False, said=""),
        (cut_ms, "server", {"type": "input_audio_buffer.speech_started", **of_item, "audio_start_ms": 0}),
        *answer(cut_ms + 5, response, audio_ms=0, said="", status="cancelled", details=INTERRUPTED)[1:],
        (stopped_ms, "server", {"type": "input_audio_buffer.speech_stopped", **of_item, "audio_end_ms": 100}),
        (stopped_ms + 5, "server", {"type": "input_audio_buffer.committed", **of_item}),
    ]
    # Nothing more comes of an answer that was cut.
    return in_order([line for line in lines if line[0] <= cut_ms + 10 or line[2].get("item_id") == item])  # type: ignore[union-attr]


def test_an_endpoint_that_interrupts_itself(record: Record, findings: Findings) -> None:
    turns = [line for number in range(1, 5) for line in interrupted(1000 + 2000 * number, number)]
    record([*opening(None), *speech(100), *turns, *answer(12_000, "resp_9")])

    (finding,) = findings()

    assert (finding.name, finding.confidence) == ("self_interruption", "likely")
    assert finding.numbers == {
        "interruptions": 4,
        "answers": 5,
        "median_after_audio_began_ms": 300,
        "median_speech_ms": 500,
    }
    assert len(finding.evidence) == 8


@pytest.mark.parametrize("rule", [KeepRule(), KeepRule(keep="failed", pre_s=2.0, post_s=1.0)], ids=["whole", "window"])
def test_callers_who_barge_in_late_whatever_was_kept_of_the_call(record: Record, names: Names, rule: KeepRule) -> None:
    turns: list[Line] = []
    for number in range(4):
        at_ms, response, item = 1000 + 20_000 * number, f"resp_{number}", {"item_id": f"item_v{number}"}
        cut_ms = at_ms + 12_100
        # Twelve seconds of the answer are heard; of a window two.
        turns += answer(at_ms, response, audio_ms=12_000, every_ms=200, done=False, said="")
        turns += [
            (cut_ms, "server", {"type": "input_audio_buffer.speech_started", **item, "audio_start_ms": 0}),
            (cut_ms + 5, "server", response_done(response, status="cancelled", details=INTERRUPTED)),
            (cut_ms + 500, "server", {"type": "input_audio_buffer.speech_stopped", **item, "audio_end_ms": 100}),
            error(cut_ms + 600, code="nobody_knows"),
        ]
    record([*opening(None), *speech(100), *turns, *answer(90_000, "resp_9")], keep_rule=rule)

    assert names() == {}


def test_callers_who_barge_in(names_of: NamesOf) -> None:
    cases = {
        "twice": [interrupted(3000, 1), interrupted(5000, 2)],
        "long speech": [interrupted(3000 * number, number, lasts_ms=2500) for number in range(1, 6)],
        "late": [interrupted(4000 * number, number, after_ms=2500) for number in range(1, 6)],
    }

    def told(turns: list[list[Line]]) -> list[Line]:
        return [*opening(None), *speech(100), *(line for turn in turns for line in turn), *answer(25_000, "resp_9")]

    assert names_of({case: told(turns) for case, turns in cases.items()}) == {}
