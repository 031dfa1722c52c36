"""The saved questions: each runs on the sample, and finds what was put there for it."""

from __future__ import annotations

from typing import Any

import pytest

from analyze.investigations import find_investigation, load_investigations, read_investigation
from analyze.store import open_store
from capture.audio import AudioFormat
from capture.errors import UsageProblem
from capture.recording.root import Root
from tests.analyze.conftest import Trace, configure, spoken_turn, tone
from tests.sample import SAMPLE

TRANSCRIPTION_FAILED = "conversation.item.input_audio_transcription.failed"


def ask(root: Root, name: str) -> list[dict[str, Any]]:
    with open_store(root) as store:
        result = store.console(find_investigation(name).text)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


def test_each_answers_on_the_sample_and_says_what_it_asks() -> None:
    with open_store(SAMPLE) as store:
        for saved in load_investigations():
            assert store.console(saved.text).columns
            assert saved.title
            assert not saved.title.endswith(".")


def test_the_sample_fails_in_one_region_for_one_model() -> None:
    rates = {row["region"]: (row["failed"], row["sessions"]) for row in ask(SAMPLE, "failure_rate_by_region_and_hour")}
    assert rates == {"eastus2": (6, 11), "swedencentral": (0, 10)}
    missing = ask(SAMPLE, "turns_without_transcript")
    assert {(row["region"], row["transcription_model"]) for row in missing} == {("eastus2", "gpt-4o-transcribe")}
    [error] = ask(SAMPLE, "errors_by_message")
    assert (error["sessions"], error["message"]) == (6, "Input transcription failed for item 'item_…'.")


def test_slow_turns_and_percentiles_count_from_the_end_of_speech(
    failed_session: str, ok_session: str, root: Root
) -> None:
    slowest = ask(root, "slowest_turns")
    assert [(row["session_id"], row["first_audio_after_ms"]) for row in slowest] == [
        (ok_session, 722),
        (failed_session, 600),
    ]
    first_audio = [row for row in ask(root, "latency_percentiles") if row["latency"] == "first_audio"]
    assert [(row["region"], row["p50_ms"]) for row in first_audio] == [("swedencentral", 722), ("eastus2", 600)]


def test_a_stall_is_the_silence_that_a_listener_heard(root: Root) -> None:
    trace = Trace()
    configure(trace)
    spoken = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
    # 100 ms to hear from 1,000 ms on; the next piece comes 400 ms later: 300 ms of silence. The last comes in time.
    for at_ms, audio_ms in ((1000, 100), (1400, 500), (1600, 20)):
        trace.server(at_ms, "response.output_audio.delta", delta=tone(audio_ms), **spoken)
    trace.write(root)
    [stall] = ask(root, "stalls_in_answers")
    assert (stall["offset_ms"], stall["pause_ms"], stall["silence_ms"]) == (1400, 400, 300)


def test_a_stall_is_told_once_however_long_the_answer_goes_on(root: Root) -> None:
    trace = Trace()
    configure(trace)
    spoken = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
    # Fifty pieces at the pace they play; from the tenth on all are 1 s late, from the thirtieth on another 500 ms.
    for number in range(50):
        late_ms = 1000 * (number >= 10) + 500 * (number >= 30)
        trace.server(1000 + 100 * number + late_ms, "response.output_audio.delta", delta=tone(100), **spoken)
    trace.write(root)
    stalls = [(row["offset_ms"], row["pause_ms"], row["silence_ms"]) for row in ask(root, "stalls_in_answers")]
    assert stalls == [(3000, 1100, 1000), (5500, 600, 500)]


def test_an_answer_that_waits_for_an_mcp_server_between_two_items_does_not_stall(root: Root) -> None:
    trace = Trace()
    configure(trace)
    for at_ms, item in ((1000, "item_a"), (4000, "item_b"), (4900, "item_b")):
        spoken = {"response_id": "resp_1", "item_id": item, "output_index": 0, "content_index": 0}
        trace.server(at_ms, "response.output_audio.delta", delta=tone(100), **spoken)
    trace.write(root)
    assert [(row["offset_ms"], row["silence_ms"]) for row in ask(root, "stalls_in_answers")] == [(4900, 800)]


def test_a_stall_is_told_once_where_the_format_changed(root: Root) -> None:
    trace = Trace()
    configure(trace)
    spoken = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
    for at_ms in (1000, 1600):
        trace.server(at_ms, "response.output_audio.delta", delta=tone(100), **spoken)
    # What came after it is u-law.
    trace.audio += trace.tracks["server"].feed(bytes(800), AudioFormat("audio/pcmu", 8000))
    trace.write(root)
    assert [row["silence_ms"] for row in ask(root, "stalls_in_answers")] == [500]


@pytest.mark.parametrize(
    ("sender", "reason", "silences_ms"),
    [
        ("server", "outside the window", [500]),
        ("server", "full", [500]),
        (None, "no JSON", [500]),
        ("client", "full", [1800, 500]),
    ],
)
def test_audio_that_the_recording_lacks_is_no_stall_of_the_endpoint(
    root: Root, sender: str | None, reason: str, silences_ms: list[int]
) -> None:
    lacking = {"sender": sender, "from_ns": 1_300_000_000, "to_ns": 3_000_000_000, "bytes": 90_000, "reason": reason}
    trace = Trace(columns={"gaps": [lacking]})
    configure(trace)
    spoken = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
    # Pieces at the pace they play; nothing is here from 1,200 to 3,000 ms. Behind it one comes 500 ms late.
    for at_ms in (1000, 1100, 3000, 3100, 3700, 3800):
        trace.server(at_ms, "response.output_audio.delta", delta=tone(100), **spoken)
    trace.write(root)
    assert [row["silence_ms"] for row in ask(root, "stalls_in_answers")] == silences_ms


def test_a_replay_that_says_nothing_of_the_failure_is_not_counted(root: Root) -> None:
    said = [("failed", "throttled")] * 4 + [("ok", "ok")] * 2 + [("failed", None)]
    for number, (outcome, trial_outcome) in enumerate(said):
        columns = {"outcome": outcome, "trial_outcome": trial_outcome, "failure_keys": ["x"]}
        Trace(f"20260212T083055-{number:08x}", columns).write(root)
    Trace("20260212T083155-0000000a", {"outcome": "incomplete"}).write(root)
    [rate] = ask(root, "failure_rate_by_region_and_hour")
    assert (rate["sessions"], rate["failed"], rate["failed_percent"]) == (3, 1, 33.3)


def test_errors_that_differ_by_their_ids_alone_count_as_one(root: Root) -> None:
    trace = Trace()
    for number, item in enumerate(["item_D81pQ-x_9", "item_7-Hk", "item_Zz4"]):
        error = {"type": "server_error", "code": None, "message": f"Input transcription failed for item '{item}'."}
        trace.server(100 * number, TRANSCRIPTION_FAILED, item_id=item, error=error)
    trace.write(root)
    [row] = ask(root, "errors_by_message")
    assert (row["times"], row["message"]) == (3, "Input transcription failed for item 'item_…'.")


def test_drift_is_what_was_echoed_otherwise_or_not_at_all(root: Root) -> None:
    trace = Trace()
    trace.client(5, "session.update", session={"type": "realtime", "voice": "cedar", "speed": 1.5, "kept": True})
    trace.server(10, "session.updated", session={"type": "realtime", "voice": "marin", "kept": True})
    trace.write(root)
    drift = {row["path"]: (row["asked"], row["echoed"]) for row in ask(root, "configuration_drift")}
    assert drift == {"session.voice": ('"cedar"', '"marin"'), "session.speed": ("1.5", None)}


@pytest.mark.parametrize("odd", [r'"\ud800"', "NaN"])
def test_a_configuration_that_the_engine_cannot_read_spoils_no_other(root: Root, odd: str) -> None:
    trace = Trace()
    trace.text("client", 5, f'{{"type": "session.update", "session": {{"voice": "cedar", "instructions": {odd}}}}}')
    trace.write(root)
    other = Trace("20260212T083155-0000000b")
    other.client(5, "session.update", session={"voice": "cedar"})
    other.server(10, "session.updated", session={"voice": "marin"})
    other.write(root)
    assert [(row["session_id"], row["path"]) for row in ask(root, "configuration_drift")] == [
        (other.session_id, "session.voice")
    ]


def call(trace: Trace, at_ms: float, name: str, response: str = "resp_1") -> None:
    """Note that the endpoint calls a tool."""
    item = {"id": f"item_{name}", "type": "function_call", "name": name, "call_id": f"call_{name}"}
    trace.server(at_ms, "response.output_item.done", item=item, response_id=response, output_index=0)


def give(trace: Trace, at_ms: float, name: str) -> None:
    """Note that the client gives a tool's output."""
    output = {"type": "function_call_output", "call_id": f"call_{name}", "output": "{}"}
    trace.client(at_ms, "conversation.item.create", item=output)


def say(trace: Trace, at_ms: float, response: str, *, audio_after_ms: float | None = 500, **told: Any) -> None:
    """Note a response, and its first audio."""
    trace.server(at_ms, "response.created", response={"id": response, "conversation_id": "conv_1"} | told)
    if audio_after_ms is not None:
        spoken = {"response_id": response, "item_id": f"item_of_{response}", "output_index": 0, "content_index": 0}
        trace.server(at_ms + audio_after_ms, "response.output_audio.delta", delta=tone(20), **spoken)


def tools(root: Root, trace: Trace) -> dict[str, tuple[float | None, float | None, str]]:
    trace.write(root)
    return {row["tool"]: (row["tool_ms"], row["answer_after_ms"], row["went_on"]) for row in ask(root, "tool_latency")}


def test_a_tool_is_timed_from_call_to_output_to_answer(root: Root) -> None:
    trace = Trace()
    call(trace, 100, "weather")
    give(trace, 350, "weather")
    say(trace, 400, "resp_2")
    call(trace, 950, "forgotten")
    assert tools(root, trace) == {"weather": (250, 550, "answered"), "forgotten": (None, None, "no output was sent")}


def test_a_tool_is_answered_by_the_response_that_was_asked_for_with_its_output(root: Root) -> None:
    trace = Trace()
    call(trace, 100, "weather")
    # The caller speaks while the tool is at work: turn detection has that answered, and the client is refused once.
    trace.server(300, "input_audio_buffer.committed", item_id="item_u2")
    give(trace, 350, "weather")
    trace.client(351, "response.create")
    say(trace, 360, "resp_turn", audio_after_ms=100)
    trace.server(370, "error", error={"code": "conversation_already_has_active_response"})
    # A moderation beside the conversation is no answer either.
    trace.client(900, "response.create", response={"conversation": "none"})
    say(trace, 950, "resp_beside", audio_after_ms=10, conversation_id=None)
    trace.client(2000, "response.create")
    say(trace, 2100, "resp_tool")
    assert tools(root, trace) == {"weather": (250, 2250, "answered")}


def test_parallel_tools_have_one_answer_that_waits_for_the_last_output(root: Root) -> None:
    trace = Trace()
    call(trace, 100, "weather")
    call(trace, 110, "traffic")
    give(trace, 300, "weather")
    give(trace, 5110, "traffic")
    trace.client(5111, "response.create")
    say(trace, 5200, "resp_2")
    assert tools(root, trace) == {"weather": (200, 590, "answered"), "traffic": (5000, 590, "answered")}


def test_a_tool_after_a_tool_has_the_spoken_answer_for_itself(root: Root) -> None:
    trace = Trace()
    call(trace, 100, "find")
    give(trace, 200, "find")
    trace.client(201, "response.create")
    say(trace, 300, "resp_2", audio_after_ms=None)
    call(trace, 900, "book", "resp_2")
    give(trace, 4900, "book")
    trace.client(4901, "response.create")
    say(trace, 5000, "resp_3")
    assert tools(root, trace) == {"find": (100, None, "another call followed"), "book": (4000, 600, "answered")}


def test_the_answer_to_the_next_turn_is_none_to_a_tool(root: Root) -> None:
    trace = Trace()
    call(trace, 100, "weather")
    give(trace, 200, "weather")
    trace.server(9000, "input_audio_buffer.committed", item_id="item_u2")
    say(trace, 9100, "resp_2")
    assert tools(root, trace) == {"weather": (100, None, "the next turn came first")}


def test_an_answer_without_a_word_says_what_became_of_it(root: Root) -> None:
    trace = Trace()
    for number, status in enumerate(["cancelled", "completed"]):
        call(trace, 1000 * number + 100, status)
        give(trace, 1000 * number + 200, status)
        trace.client(1000 * number + 201, "response.create")
        say(trace, 1000 * number + 300, f"resp_{status}", audio_after_ms=None)
        trace.server(1000 * number + 400, "response.done", response={"id": f"resp_{status}", "status": status})
    call(trace, 9000, "late")
    give(trace, 9100, "late")
    assert {tool: went_on for tool, (_, _, went_on) in tools(root, trace).items()} == {
        "cancelled": "answer cancelled",
        "completed": "the answer was empty",
        "late": "no answer followed",
    }


def test_a_tool_that_the_client_tells_as_history_is_not_timed(root: Root) -> None:
    trace = Trace()
    item = {"id": "item_h", "type": "function_call", "name": "old", "call_id": "call_old", "arguments": "{}"}
    trace.client(10, "conversation.item.create", item=item)
    give(trace, 20, "old")
    trace.server(30, "conversation.item.done", item=item)
    assert tools(root, trace) == {}


def test_the_rest_sums_up_what_sealing_measured(root: Root) -> None:
    lossy = {"lost_bytes": 12, "relay_lag_p50_us": 90.0, "close_code": 1006, "closed_by": "network"}
    trace = Trace(columns=lossy | {"input_tokens": 10, "audio_in_ms": 60000.0})
    configure(trace)
    spoken_turn(trace)
    trace.server(2000, "response.created", response={"id": "resp_2"})
    trace.write(root)
    assert [(row["lost_bytes"], row["relay_lag_p50_ms"]) for row in ask(root, "recorder_exoneration")] == [(12, 0.09)]
    assert [(row["close_code"], row["closed_by"]) for row in ask(root, "closes")] == [(1006, "network")]
    assert [(row["response_id"], row["status"]) for row in ask(root, "answers_cut_off")] == [
        ("resp_2", "no response.done")
    ]
    assert [(row["minutes_sent"], row["input_tokens"]) for row in ask(root, "tokens_and_minutes")] == [(1.0, 10)]
    assert [row["format"] for row in ask(root, "audio_health")] == ["audio/pcm"]


def test_a_name_may_be_cut_short_and_an_unknown_one_is_told_its_neighbours() -> None:
    assert find_investigation("slow").name == "slowest_turns"
    with pytest.raises(UsageProblem, match="no investigation 'slowest_turn_s'; nearest are slowest_turns"):
        find_investigation("slowest_turn_s")
    with pytest.raises(UsageProblem, match="nearest are answers_cut_off, audio_health"):
        find_investigation("a")


def test_a_question_without_a_title_is_refused() -> None:
    assert read_investigation("x", "-- What?\n-- One.\n-- Two.\nSELECT 1").note == "One. Two."
    with pytest.raises(UsageProblem, match="has no title: begin it"):
        read_investigation("x", "SELECT 1")


def test_mcp_calls_are_timed_and_say_how_they_ended(root: Root) -> None:
    trace = Trace()

    def ask_server(at_ms: float, tool: str, ended: str | None, error: dict[str, Any] | None = None) -> None:
        item = {"id": f"item_{tool}", "type": "mcp_call", "name": tool, "server_label": "crm", "arguments": "{}"}
        told = {"item_id": f"item_{tool}", "output_index": 0}
        trace.server(at_ms, "response.output_item.added", response_id="resp_1", output_index=0, item=item)
        trace.server(at_ms + 10, "response.mcp_call.in_progress", **told)
        if ended is not None:
            trace.server(at_ms + 2010, f"response.mcp_call.{ended}", **told)
            done = item | {"error": error, "output": None if error else "[]"}
            trace.server(at_ms + 2012, "response.output_item.done", response_id="resp_1", output_index=0, item=done)

    trace.server(50, "response.created", response={"id": "resp_1"})
    call(trace, 60, "weather")
    ask_server(100, "orders", "completed")
    ask_server(3000, "stock", "failed", {"type": "http_error", "code": 503, "message": "Service Unavailable"})
    ask_server(6000, "prices", None)
    trace.write(root)
    columns = ("server", "tool", "begun_ms", "took_ms", "ended", "error_type", "error_code", "error_message")
    assert [tuple(row[name] for name in columns) for row in ask(root, "mcp_calls")] == [
        ("crm", "prices", 6010, None, "no end", None, None, None),
        ("crm", "orders", 110, 2000, "completed", None, None, None),
        ("crm", "stock", 3010, 2000, "failed", "http_error", "503", "Service Unavailable"),
    ]
