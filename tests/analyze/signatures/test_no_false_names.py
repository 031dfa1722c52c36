"""Sessions of which not all was kept, or that are unusual and well: what did not come is not named, nor anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyze.findings import Finding
from capture.importers.importing import Importer
from capture.recording.facts import KeepRule
from capture.recording.reader import open_recording
from capture.recording.root import Root
from tests.analyze.signatures.conftest import (
    LOST,
    Event,
    Line,
    Record,
    answer,
    healthy_turn,
    in_order,
    not_transcribed,
    opening,
    response_done,
    sound,
    speech,
    transcribed,
)

Names = Callable[[], dict[str, list[str]]]
Findings = Callable[[], list[Finding]]

LONG = "It will be sunny all day with a light breeze from the west, and warm in the evening."
WINDOWS = KeepRule(keep="failed", pre_s=2, post_s=2)


def lost(at_ms: float, sender: Any = "server") -> Line:
    return (at_ms, sender, LOST)


def without(lines: list[Line], *types: str) -> list[Line]:
    """Leave out the events of these types, with a gap in the place of the first."""
    places = [at_ms for at_ms, _, said in lines if isinstance(said, dict) and said.get("type") in types]
    kept = [line for line in lines if not (isinstance(line[2], dict) and line[2].get("type") in types)]
    return in_order([*kept, lost(places[0])])


def tool_call(at_ms: float, *calls: str) -> list[Line]:
    """Give a response that calls tools."""
    begun, *_, done = answer(at_ms, "resp_t", said="", audio_ms=0)
    items = [
        {"id": f"item_{call}", "type": "function_call", "call_id": call, "name": "weather", "arguments": "{}"}
        for call in calls
    ]
    told: list[Line] = [
        (at_ms + 1, "server", {"type": "response.output_item.done", "response_id": "resp_t", "item": item})
        for item in items
    ]
    return [begun, *told, (at_ms + 2, "server", done[2])]


def output(at_ms: float, call: str) -> Line:
    item = {"type": "function_call_output", "call_id": call, "output": "sunny"}
    return (at_ms, "client", {"type": "conversation.item.create", "item": item})


def ask(at_ms: float, **response: Any) -> Line:
    return (at_ms, "client", {"type": "response.create", **({"response": response} if response else {})})


TURN = in_order([*opening(), *healthy_turn(100)])
MANUAL = in_order([*opening(turn_detection=None), *speech(100, vad=False), ask(520), *answer(600), *transcribed(1000)])


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(without(TURN, "response.output_audio.delta"), id="the audio of an answer"),
        pytest.param(without(TURN, "conversation.item.input_audio_transcription.completed"), id="a transcription"),
        pytest.param(without(TURN, "response.created"), id="the beginning of an answer"),
        pytest.param(without(TURN, "response.done"), id="the end of an answer"),
        pytest.param(without(TURN, "session.updated"), id="the echo"),
        pytest.param(without(TURN, "session.created"), id="the greeting"),
        pytest.param(without(TURN, "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
                             "input_audio_buffer.committed"), id="the turn"),
        pytest.param(
            in_order([*without(opening(), "session.updated"),
                      (20, "server", {"type": "error", "error": {"type": "invalid_request_error", "code": None,
                                                                 "message": "No.", "param": "tools"}}),
                      *healthy_turn(100)]),
            id="the echo behind a refusal",
        ),
        pytest.param(
            in_order([*opening(None), *speech(100), *tool_call(600, "call_1"), output(1000, "call_1"), lost(1100)]),
            id="the answer to a tool",
        ),
        pytest.param(
            in_order([*opening(None), *speech(100), *without(tool_call(600, "a/b:1"), "response.output_item.done"),
                      output(1000, "a/b:1"), ask(1001), *answer(1100)]),
            id="the call of a tool with an odd id",
        ),
    ],
)  # fmt: skip
def test_what_was_lost_may_have_come(record: Record, findings: Findings, lines: list[Line]) -> None:
    record(lines, ended_ms=60_000)

    unexpected = [(finding.name, finding.confidence) for finding in findings() if finding.confidence != "possible"]
    assert unexpected == []


def test_an_update_that_was_lost_is_what_was_echoed(record: Record, names: Names) -> None:
    spoken = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    later = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    record(
        [
            (0, "server", {"type": "session.created", "session": {"id": "sess_1"}}),
            (5, "client", {"type": "session.update", "session": spoken}),
            (10, "server", {"type": "session.updated", "session": spoken}),
            lost(15, "client"),
            (20, "server", {"type": "session.updated", "session": later}),
        ]
    )

    assert names() == {}


def test_speech_that_was_lost_was_transcribed(record: Record, names: Names) -> None:
    silent = speech(100, vad=False, amplitude=0.0)
    record([*opening(turn_detection=None), *silent[:2], lost(250, "client"), *silent[2:], *transcribed(1000)])

    assert names() == {}


def test_audio_that_was_lost_was_heard_by_the_listener(record: Record, names: Names) -> None:
    begun, *deltas, words, done = answer(600, audio_ms=8000, every_ms=200)
    lines = [*opening(None), *speech(100), begun, *deltas[:10], lost(2700), *deltas[30:], words, done]
    record(in_order(lines))

    assert names() == {}


def test_a_goodbye_after_what_was_lost_is_no_early_one(record: Record, names: Names) -> None:
    record([*opening(), lost(20)], closed=("server", 1000, ""))

    assert names() == {}


def failed_late() -> list[Line]:
    """Give a call whose one failure comes after a minute of healthy turns."""
    turns = [line for number in range(1, 10) for line in healthy_turn(6000 * number, number)]
    failure = [*speech(70_000, "item_f"), *answer(70_500, "resp_f"), *not_transcribed(71_000, "item_f")]
    return in_order([*opening(), *turns, *failure])


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param([], id="plain"),
        pytest.param(
            [*speech(60_000, "item_c"), *answer(60_500, "resp_c", said=LONG, audio_ms=9000, every_ms=200),
             *transcribed(61_000, "item_c")],
            id="an answer that the window cuts in two",
        ),
        pytest.param(
            [*speech(65_500, "item_c"), *answer(66_000, "resp_c", audio_ms=1000, every_ms=50),
             *transcribed(66_900, "item_c"),
             (69_500, "server", {"type": "response.output_audio_transcript.done", "response_id": "resp_c",
                                 "transcript": LONG})],
            id="an answer whose audio lies before the window",
        ),
        pytest.param(
            [*tool_call(20_000, "a/b:1"), output(25_000, "a/b:1"), ask(25_010), *answer(25_100, "resp_c")],
            id="a tool before the window",
        ),
    ],
)  # fmt: skip
def test_what_a_window_left_out_did_come(record: Record, findings: Findings, turns: list[Line]) -> None:
    record(in_order([*failed_late(), *turns]), ended_ms=120_000, keep_rule=WINDOWS)

    assert {finding.name for finding in findings()} <= {"transcription_model_path_failure"}


def test_a_window_beside_a_fault_counts_that_fault_only(record: Record, findings: Findings) -> None:
    undone = [*speech(70_000, "item_f"), *transcribed(70_900, "item_f"), *answer(70_500, "resp_f", done=False)]
    turns = [line for number in range(1, 10) for line in healthy_turn(6000 * number, number)]
    record(in_order([*opening(), *turns, *undone]), ended_ms=120_000, keep_rule=WINDOWS)

    assert [(finding.name, finding.numbers["unfinished_responses"]) for finding in findings()] == [
        ("response_never_done", 1)
    ]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([*opening(), *speech(100), *answer(30_000, "resp_1"), *transcribed(900)], id="late answer"),
        pytest.param(
            [*opening(None), *speech(100), answer(600)[0], *answer(25_000)[1:]], id="long thinking in an answer"
        ),
        pytest.param(
            [*opening(None), *speech(100), *answer(600, "resp_1", done=False),
             *[(at, sender, {**said, "response_id": "resp_1"})
               for at, sender, said in answer(9000, "resp_2")[1:-1] if isinstance(said, dict)],
             (9990, "server", response_done("resp_1"))],
            id="thinking between two items of an answer",
        ),
        pytest.param(
            [*opening(None), *speech(100), *tool_call(600, "call_1"), output(300_000, "call_1"), ask(300_001),
             *answer(300_100)],
            id="a tool of five minutes",
        ),
        pytest.param(
            [*opening(None), *speech(100), *tool_call(600, "call_1", "call_2"), output(1000, "call_1"),
             output(181_000, "call_2"), ask(181_001), *answer(181_100)],
            id="two tools in one response",
        ),
        pytest.param(
            [*opening(None), *speech(100), *answer(600, "resp_1"),
             ask(3000, conversation="none", metadata={"topic": "summary"}, output_modalities=["text"])],
            id="an answer out of band that nobody waited for",
        ),
        pytest.param(
            [*opening(turn_detection=None), *speech(100, vad=False), ask(520), answer(600)[0],
             *answer(600)[1:3],
             (800, "client", {"type": "response.cancel"}),
             (810, "server", response_done(status="cancelled", details={"type": "cancelled",
                                                                         "reason": "client_cancelled"})),
             *transcribed(900)],
            id="cancelled by the client",
        ),
        pytest.param(
            [*MANUAL, (5000, "server", {"type": "session.created", "session": {"id": "sess_1",
                                                                               "model": "gpt-realtime"}}),
             *opening(turn_detection=None, at_ms=5001)[1:],
             *speech(5200, "item_u2", vad=False), ask(5620), *answer(5700, "resp_2"), *transcribed(6000, "item_u2")],
            id="resumed",
        ),
        pytest.param(
            [*opening(None, turn_detection=None),
             (100, "client", {"type": "conversation.item.create",
                              "item": {"type": "message", "role": "user",
                                       "content": [{"type": "input_text", "text": "Hello"}]}}),
             ask(101, output_modalities=["text"]),
             (200, "server", {"type": "response.created", "response": {"id": "resp_1"}}),
             (300, "server", {"type": "response.output_text.done", "response_id": "resp_1", "text": LONG}),
             (310, "server", {"type": "response.done",
                              "response": {"id": "resp_1", "status": "completed", "output_modalities": ["text"]}})],
            id="text only",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ended_ms", [0, 600_000], ids=["hung up", "went on"])
def test_unusual_and_well(record: Record, names: Names, lines: list[Line], ended_ms: float) -> None:
    record(in_order(lines), ended_ms=ended_ms)

    assert names() == {}


def test_a_second_tool_that_the_caller_did_not_wait_for(record: Record, names: Names) -> None:
    calls = tool_call(600, "call_1", "call_2")
    record([*opening(None), *speech(100), *calls, output(1000, "call_1")], ended_ms=60_000)

    assert names() == {}


def test_turns_that_are_sent_ahead_are_each_what_was_said(record: Record, names: Names) -> None:
    """Two turns go out at once; the first commit is acknowledged when the second is already sent."""
    first, second = (
        [line for line in speech(at_ms, item, vad=False) if line[1] == "client"]
        for at_ms, item in ((100, "item_u1"), (510, "item_u2"))
    )
    told: list[Line] = [
        (at_ms, "server", {"type": "input_audio_buffer.committed", "item_id": item})
        for at_ms, item in ((1500, "item_u1"), (1501, "item_u2"))
    ]
    quiet = {"type": "input_audio_buffer.append", "audio": sound(200, 0.0)}
    last: list[Line] = [(1490, "client", {"type": "input_audio_buffer.commit"})]
    lines = [*opening(turn_detection=None), *first, *second[:-1], *last, told[0], (1500.5, "client", quiet), told[1]]
    record([*lines, *transcribed(2000, "item_u1"), *transcribed(2100, "item_u2")])

    assert names() == {}


def test_turn_detection_on_audio_that_is_sent_faster_than_it_plays(record: Record, names: Names) -> None:
    spoken: list[Line] = [
        (100.0 + n, "client", said) for n, (_, sender, said) in enumerate(speech(0)) if sender == "client"
    ]
    quiet: Line = (450, "client", {"type": "input_audio_buffer.append", "audio": sound(500, 0.0)})
    told: list[list[Line]] = [
        [(at_ms, "server", {"type": f"input_audio_buffer.{what}", "item_id": item})
         for what in ("speech_started", "speech_stopped", "committed")]
        for at_ms, item in ((400, "item_u1"), (500, "item_u2"))
    ]  # fmt: skip
    lines = [*opening(), *spoken, *told[0], quiet, *told[1], *answer(600), *answer(2000, "resp_2")]
    record(in_order([*lines, *transcribed(700), *transcribed(710, "item_u2")]))

    assert names() == {}


def barge_in(at_ms: float, number: int, *, after_ms: float, lasts_ms: float) -> list[Line]:
    """Give an answer that the caller cuts off by a sentence of their own."""
    response, item = f"resp_{number}", f"item_b{number}"
    cut_ms = at_ms + 50 + after_ms
    begun, *deltas = answer(at_ms, response, audio_ms=6000, every_ms=50, said="", done=False)
    done = response_done(response, status="cancelled", details={"type": "cancelled", "reason": "turn_detected"})
    told: list[Line] = [
        (cut_ms, "server", {"type": "input_audio_buffer.speech_started", "item_id": item}),
        (cut_ms + 5, "server", done),
        (cut_ms + 6, "client", {"type": "conversation.item.truncate", "item_id": f"{response}_item",
                                "content_index": 0, "audio_end_ms": int(after_ms)}),
        (cut_ms + lasts_ms, "server", {"type": "input_audio_buffer.speech_stopped", "item_id": item}),
        (cut_ms + lasts_ms + 5, "server", {"type": "input_audio_buffer.committed", "item_id": item}),
    ]  # fmt: skip
    return [begun, *[delta for delta in deltas if delta[0] < cut_ms], *told]


def test_an_impatient_caller_is_at_most_possibly_an_echo(record: Record, findings: Findings) -> None:
    turns = [line for n in range(1, 6) for line in barge_in(4000 * n, n, after_ms=1500, lasts_ms=1200)]
    record([*opening(None), *speech(100), *turns, *answer(30_000, "resp_9")])

    assert {finding.confidence for finding in findings()} <= {"possible"}


def test_a_refused_request_of_the_client_is_not_the_endpoints_bad_start(record: Record, names: Names) -> None:
    asked = {"type": "conversation.item.delete", "item_id": "item_0"}
    words = "Error deleting item: the item with id 'item_0' does not exist."
    told = {"type": "invalid_request_error", "code": "item_delete_invalid_item_id", "message": words}
    record([*opening(), (50, "client", asked), (90, "server", {"type": "error", "error": told})])

    assert names() == {}


def test_audio_that_is_none_is_the_clients_fault(record: Record, names: Names) -> None:
    told = {"type": "invalid_request_error", "code": "invalid_value", "message": "Invalid audio.", "param": "audio"}
    lines: list[Line] = [(50, "client", {"type": "input_audio_buffer.append", "audio": "%%"})]
    record([*opening(), *lines, (90, "server", {"type": "error", "error": told})])

    assert names() == {}


def test_a_clip_that_was_sent_at_once_had_no_time_to_be_heard(record: Record, findings: Findings) -> None:
    append = {"type": "input_audio_buffer.append", "audio": sound(5000)}
    record([*opening(), (100, "client", append)], ended_ms=600)

    assert {finding.confidence for finding in findings()} <= {"possible"}


@pytest.mark.parametrize("encoding", ["audio/pcmu", "audio/pcma"])
def test_a_telephone_call(record: Record, names: Names, encoding: str) -> None:
    import base64

    of_phone = {"format": {"type": encoding}}
    begun = opening()
    for _, _, said in begun[1:]:
        assert isinstance(said, dict)
        audio = said["session"]["audio"]
        said["session"] |= {"audio": {"input": audio["input"] | of_phone, "output": of_phone | {"voice": "marin"}}}
    rng_bytes = bytes((n * 37 + n // 7) % 256 for n in range(1600))
    lines: list[Line] = []
    for at_ms, sender, said in [*begun, *healthy_turn(100), *healthy_turn(3000, 2)]:
        if isinstance(said, dict) and ("audio" in said or "delta" in said):
            name = "audio" if "audio" in said else "delta"
            of_line = rng_bytes[:800] if name == "audio" else rng_bytes
            said = said | {name: base64.b64encode(of_line[int(at_ms) % 100 :] + of_line[: int(at_ms) % 100]).decode()}
        lines.append((at_ms, sender, said))
    record(in_order(lines))

    assert not [name for found in names().values() for name in found if not name.startswith("audio_")]


def imported(root: Root, folder: Path, lines: list[Event]) -> None:
    path = folder / "log.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    done = Importer(root).import_file(path)
    assert done.sessions and not done.unreadable_count


def logged(lines: list[Line], *, cut: int | None = None, timed: bool = False) -> list[Event]:
    """Give a transcript as another tool's log: without times, or its audio cut to so many bytes a message."""
    import base64

    log = []
    for at_ms, sender, said in lines:
        assert isinstance(said, dict)
        name = "audio" if said.get("type") == "input_audio_buffer.append" else "delta"
        if cut is not None and name in said and (name == "audio" or "audio.delta" in said["type"]):
            if cut == 0:
                continue
            said = said | {name: base64.b64encode(base64.b64decode(said[name])[:cut]).decode()}
        line: Event = {"dir": "sent" if sender == "client" else "received", "event": said}
        log.append(line | {"t_ms": at_ms} if timed else line)
    return log


SLOW_STREAM = [
    *opening(),
    *speech(100),
    *transcribed(900),
    *answer(600, said=LONG, audio_ms=20_000, chunk_ms=2500, every_ms=1400),
]


@pytest.mark.parametrize("cut", [None, 32, 0], ids=["whole", "cut to 32 bytes", "without audio"])
@pytest.mark.parametrize("timed", [False, True], ids=["without times", "with times"])
@pytest.mark.parametrize("lines", [TURN, MANUAL, SLOW_STREAM], ids=["turn", "manual", "slow stream"])
def test_logs_of_other_tools(
    root: Root, tmp_path: Path, names: Names, lines: list[Line], cut: int | None, timed: bool
) -> None:
    imported(root, tmp_path, logged(in_order(lines), cut=cut, timed=timed))

    assert names() == {}


def test_a_log_whose_audio_begins_with_silence(root: Root, tmp_path: Path, names: Names) -> None:
    quiet: list[Line] = [(110.0 + n, "client", speech(0, amplitude=0)[0][2]) for n in range(40)]
    silent = [*opening(turn_detection=None), *quiet, *speech(200, vad=False), ask(620), *answer(700),
              *transcribed(1000)]  # fmt: skip
    imported(root, tmp_path, logged(in_order(silent), cut=32))

    assert names() == {}


@pytest.mark.parametrize("end", [transcribed, not_transcribed], ids=["completed", "failed"])
def test_a_turn_that_was_lost_may_have_been_transcribed(record: Record, findings: Findings, end: Any) -> None:
    turns = [line for n in (1, 2) for line in (*speech(3000 * n, f"item_u{n}"), *end(3000 * n + 900, f"item_u{n}"))]
    record([*opening("transcribe-prod"), *turns, lost(20_000)], ended_ms=30_000)

    assert {finding.confidence for finding in findings()} <= {"possible"}


def test_a_close_frame_that_may_be_among_what_was_lost(record: Record, findings: Findings) -> None:
    health = {"relay_lag_max_us": 900.0, "backpressure_client_ms": 0.0}
    record([*TURN, lost(4000)], closed=None, closed_by="network", ended_ms=5000, health=health)

    assert {finding.confidence for finding in findings()} <= {"possible"}


def test_a_keepalive_that_a_log_tells_without_its_frame(root: Root, tmp_path: Path, names: Names) -> None:
    closed: Event = {"kind": "close", "code": 1011, "reason": "keepalive ping timeout"}
    imported(root, tmp_path, [*logged(TURN, timed=True), closed | {"dir": "received", "t_ms": 60_000}])

    assert list(names().values()) == [["keepalive_timeout"]]


def test_a_log_that_tells_no_end_tells_of_a_tool_all_the_same(root: Root, tmp_path: Path, names: Names) -> None:
    lines = [*opening(None), *speech(100), *tool_call(600, "call_1"), output(1000, "call_1")]
    later: Line = (9000, "client", {"type": "input_audio_buffer.append", "audio": sound(20, 0.0)})
    imported(root, tmp_path, logged([*lines, later], timed=True))

    assert list(names().values()) == [["tool_call_without_followup"]]


def test_a_refused_session_of_gpt_live_is_a_refused_upgrade(record: Record, names: Names) -> None:
    session = record([], status=401, url="wss://api.openai.com/v1/live/sessions", body='{"error": {"message": "No."}}')

    assert names() == {session: ["handshake_refused"]}


def test_a_rate_limit_that_is_told_as_the_type(record: Record, findings: Findings) -> None:
    told = {"type": "rate_limit_exceeded", "code": None, "message": "Slow down."}
    record([*TURN, (3000, "server", {"type": "error", "error": told})])
    record([*opening(), (40, "server", {"type": "error", "error": told})])

    named = ("inference_rate_limited", ("error|rate_limit_exceeded||Slow down.",))
    assert [(finding.name, finding.explains) for finding in findings()] == [named, named]


def test_with_an_avatar_the_audio_goes_another_way(record: Record, names: Names) -> None:
    connected: Line = (20, "server", {"type": "session.avatar.connecting", "server_sdp": "v=0"})
    record([*opening(None), connected, *speech(100), *answer(600, audio_ms=0)])

    assert names() == {}


def test_a_caller_who_hangs_up_on_the_telephone_in_the_middle_of_an_answer(root: Root, record: Record) -> None:
    lines = [*opening("whisper-1"), *speech(100), *transcribed(600), *answer(700, done=False)]
    beside = "wss://api.openai.com/v1/realtime?call_id=rtc_9f"

    hung_up = record(lines, url=beside, closed=("server", 1000, ""))
    alone = record(lines, closed=("server", 1000, ""))
    assert open_recording(root, hung_up).session["outcome"] == "ok"
    assert open_recording(root, alone).session["failure_keys"] == ["absent:response.done"]
