"""A recording played to clients on virtual time: what each of them is sent, when, and what is told of it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.realtime.events import parse_event
from capture.recording.reader import RecordedMessage
from replay.server_planning import make_server_plan
from replay.server_side import Action, Close, Diverged, Drop, Send, ServerSide
from tests.replay.conftest import Script

Json = dict[str, Any]

MS = 1_000_000
CREATED = {"type": "session.created", "session": {"type": "realtime"}}
UPDATE = {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"voice": "marin"}}}}
MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
VAD = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
CREATE, CANCEL = {"type": "response.create"}, {"type": "response.cancel"}
TEN_MS = b"\x01\x00" * 240


def begun(response_id: str) -> Json:
    return {"type": "response.created", "response": {"id": response_id}}


def delta(response_id: str) -> Json:
    return {"type": "response.output_audio.delta", "response_id": response_id, "delta": "AAAA"}


def done(response_id: str, reason: str | None = None) -> Json:
    status = {"status": "cancelled", "status_details": {"reason": reason}} if reason else {"status": "completed"}
    return {"type": "response.done", "response": {"id": response_id, **status}}


def append(audio: bytes = TEN_MS) -> Json:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}


@dataclass
class Stage:
    """One client's session on virtual time."""

    side: ServerSide
    now_ns: int = 0
    log: list[tuple[float, Action]] = field(default_factory=list)

    def open(self) -> Stage:
        self._note(self.side.open(0))
        return self

    def send(self, at_ms: float, *events: Json | str | bytes) -> Stage:
        self.wait(at_ms)
        for event in events:
            message = json.dumps(event) if isinstance(event, dict) else event
            self._note(self.side.receive(self.now_ns, message))
        return self

    def wait(self, until_ms: float) -> Stage:
        until_ns = int(until_ms * MS)
        while not self.side.has_ended and (due_ns := self.side.next_ns) is not None and due_ns <= until_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self._note(self.side.tick(self.now_ns))
        self.now_ns = max(self.now_ns, until_ns)
        return self

    @property
    def sent(self) -> list[tuple[float, str]]:
        return [(at_ms, self._type(action.content)) for at_ms, action in self.log if isinstance(action, Send)]

    @property
    def contents(self) -> list[str | bytes]:
        return [action.content for _, action in self.log if isinstance(action, Send)]

    @property
    def told(self) -> list[tuple[float, str, str]]:
        return [(at_ms, a.kind, a.text) for at_ms, a in self.log if isinstance(a, Diverged)]

    def _note(self, actions: Iterable[Action]) -> None:
        self.log += [(self.now_ns / MS, action) for action in actions]

    @staticmethod
    def _type(content: str | bytes) -> str:
        return str(json.loads(content)["type"])


def serve(messages: list[RecordedMessage], **options: Any) -> Stage:
    return Stage(ServerSide(make_server_plan(messages), **options)).open()


def test_an_answer_waits_for_its_question_and_keeps_its_pace(script: Any) -> None:
    script.server(CREATED, 100).client(UPDATE, 150).server({"type": "session.updated"}, 190)
    script.client(CREATE, 300).server(begun("resp_1"), 420).server(delta("resp_1"), 450).server(done("resp_1"), 500)
    stage = serve(script.messages).send(1000, UPDATE).send(5000, CREATE).wait(9000)

    assert stage.sent == [
        (100, "session.created"),
        (1040, "session.updated"),
        (5120, "response.created"),
        (5150, "response.output_audio.delta"),
        (5200, "response.done"),
    ]
    assert stage.told == []
    assert stage.contents == [message.content for message in script.messages if message.sender == "server"]


def test_a_client_that_asks_at_once_hears_first_that_the_session_is_there(script: Any) -> None:
    script.server(CREATED, 400).client(UPDATE, 410).server({"type": "session.updated"}, 420)
    stage = serve(script.messages).send(10, UPDATE).wait(1000)

    assert stage.sent == [(400, "session.created"), (410, "session.updated")]


@pytest.mark.parametrize(("speed", "at_ms"), [(2.0, 2550), (math.inf, 2500)])
def test_speed_shortens_what_passes_between_messages(script: Any, speed: float, at_ms: float) -> None:
    script.server(CREATED, 100).client(CREATE, 300).server(begun("resp_1"), 400)
    stage = serve(script.messages, speed=speed).send(2500, CREATE).wait(9000)
    assert stage.sent == [(100 / speed, "session.created"), (at_ms, "response.created")]


def test_server_vad_hears_as_much_audio_as_it_did(script: Any) -> None:
    script.server(CREATED, 0).client({"type": "session.update", "session": VAD}, 1)
    script.server({"type": "session.updated", "session": VAD}, 2)
    for number in range(10):
        script.append(100 + 10 * number, TEN_MS)
    script.server({"type": "input_audio_buffer.speech_started", "item_id": "item_1", "audio_start_ms": 40}, 195)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_1"}, 200)
    script.server({"type": "conversation.item.added", "item": {"id": "item_1"}}, 201)
    script.server(begun("resp_1"), 210)
    stage = serve(script.messages).send(10, {"type": "session.update", "session": VAD})
    # Chunks of another size, and later: 40 ms of audio are there at 4000, where it took 65 ms to tell of the speech.
    stage.send(3000, append(TEN_MS * 3)).send(4000, append(TEN_MS * 3)).wait(9000)

    assert [entry for entry in stage.sent if entry[0] > 100] == [
        (4065, "input_audio_buffer.speech_started"),
        (4070, "input_audio_buffer.committed"),
        (4071, "conversation.item.added"),
        (4080, "response.created"),
    ]


def test_audio_that_is_still_coming_is_not_awaited_in_vain(script: Any) -> None:
    script.server(CREATED, 0).append(10, TEN_MS).append(20, TEN_MS)
    script.server({"type": "input_audio_buffer.speech_started", "item_id": "item_1"}, 30)
    stage = serve(script.messages, timeout_ns=1000 * MS).send(900, append()).wait(1800)
    assert stage.told == []
    (told,) = stage.wait(3000).told
    assert told[::2] == (
        1900,
        (
            "audio up to 0.02 s was awaited in vain for 1 s (there are 0.01 s):"
            " not sent without it: input_audio_buffer.speech_started"
        ),
    )
    assert stage.send(4000, append()).wait(9000).sent[-1] == (4010, "input_audio_buffer.speech_started")


def test_a_turn_committed_by_hand_waits_for_the_commit(script: Any) -> None:
    commit = {"type": "input_audio_buffer.commit"}
    script.server(CREATED, 0).client({"type": "session.update", "session": MANUAL}, 1)
    script.server({"type": "session.updated", "session": MANUAL}, 2).append(10, TEN_MS).client(commit, 20)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_1"}, 30).client(CREATE, 31)
    script.server(begun("resp_1"), 41)
    failed = {
        "type": "conversation.item.input_audio_transcription.failed",
        "item_id": "item_1",
        "error": {"code": None},
    }
    script.server(failed, 50)
    stage = serve(script.messages).send(10, {"type": "session.update", "session": MANUAL})
    stage.send(20, append()).send(500, commit).send(600, CREATE).wait(2000)

    assert [entry for entry in stage.sent if entry[0] > 100] == [
        (510, "input_audio_buffer.committed"),
        (530, "conversation.item.input_audio_transcription.failed"),
        (610, "response.created"),
    ]


def test_what_has_no_counterpart_is_told_and_answered_by_nothing(script: Any) -> None:
    script.server(CREATED, 0).client(CREATE, 10).server(begun("resp_1"), 20).server(done("resp_1"), 30)
    output = {"type": "function_call_output", "call_id": "call_9", "output": "x"}
    stage = serve(script.messages).send(50, CREATE).send(100, CREATE, "hello", b"\x00")
    stage.send(200, {"type": "conversation.item.create", "item": output}).wait(9000)

    nothing = "has no counterpart in the recording: nothing answers it"
    assert stage.told == [
        (100, "unexpected", f"response.create #2 {nothing}"),
        (100, "unexpected", f"text #1 {nothing}"),
        (100, "unexpected", f"binary #1 {nothing}"),
        (200, "unexpected", f"conversation.item.create #1 (function_call_output call_9) {nothing}"),
    ]
    assert [event for _, event in stage.sent] == ["session.created", "response.created", "response.done"]


def test_a_message_of_endless_nesting_is_told_and_the_session_goes_on(script: Any) -> None:
    script.server(CREATED, 0).client(UPDATE, 10).client(CREATE, 20).server(begun("resp_1"), 30)
    # How deep a message may be to be read at all differs from one Python to the next.
    depths = (5000, 1400, 900)
    all_nested = (
        '{"type": "session.update", "session": ' + '{"a": ' * depth + "1" + "}" * (depth + 1) for depth in depths
    )
    nested = next(message for message in all_nested if parse_event(message))
    stage = serve(script.messages).send(100, nested, CREATE).wait(900)
    assert stage.told[0][2].startswith("session.update is nested too deeply to be compared")
    assert stage.sent[-1][1] == "response.created"


def test_what_is_no_event_has_its_counterpart_too(script: Any) -> None:
    script.server(CREATED, 0).client("hello", 10, kind="text").client(b"\x00", 20, kind="binary").client("{}", 30)
    assert serve(script.messages).send(50, "hello", b"\x00", "{}").wait(20_000).told == []


def test_what_is_awaited_in_vain_is_told_by_name_and_the_rest_goes_on(script: Any) -> None:
    script.server(CREATED, 0).client(UPDATE, 10).server({"type": "session.updated"}, 20)
    script.client(CREATE, 1020).server(begun("resp_1"), 1030).server(done("resp_1"), 1040)
    script.server({"type": "rate_limits.updated"}, 1041)
    stage = serve(script.messages, timeout_ns=5000 * MS).send(100, CREATE).wait(9000)
    assert stage.told == [
        (
            5010,
            "missing",
            (
                "session.update #1, at 0.01 s of the recording was awaited in vain for 5 s:"
                " not sent without it: session.updated"
            ),
        )
    ]
    assert [event for _, event in stage.sent] == [
        "session.created",
        "response.created",
        "response.done",
        "rate_limits.updated",
    ]


def test_what_comes_after_it_was_given_up_is_answered_all_the_same(script: Any) -> None:
    script.server(CREATED, 0).client(CREATE, 10).server(begun("resp_1"), 20).server(done("resp_1"), 30)
    stage = serve(script.messages, timeout_ns=1000 * MS).send(60_000, CREATE).wait(90_000)
    assert [(at_ms, kind) for at_ms, kind, _ in stage.told] == [(1010, "missing"), (60_000, "late")]
    assert "response.created and 1 more" in stage.told[0][2]
    assert stage.sent[1:] == [(60_010, "response.created"), (60_020, "response.done")]


def test_a_cancelled_response_ends_when_this_client_cancels(script: Any) -> None:
    script.server(CREATED, 0).client(CREATE, 10).server(begun("resp_1"), 20).server(delta("resp_1"), 30)
    script.client(CANCEL, 40)
    script.server({"type": "response.output_audio.done", "response_id": "resp_1"}, 45)
    script.server(done("resp_1", "client_cancelled"), 50)
    stage = serve(script.messages).send(10, CREATE).send(3000, CANCEL).wait(4000)
    assert stage.sent[2:] == [
        (30, "response.output_audio.delta"),
        (3005, "response.output_audio.done"),
        (3010, "response.done"),
    ]


def test_a_response_that_nobody_cancels_ends_once_the_cancel_is_given_up(script: Any) -> None:
    script.server(CREATED, 0).client(CREATE, 10).server(begun("resp_1"), 20).client(CANCEL, 40)
    script.server(done("resp_1", "client_cancelled"), 50).client(CREATE, 60).server(begun("resp_2"), 70)
    stage = serve(script.messages, timeout_ns=1000 * MS).send(10, CREATE).send(100, CREATE).wait(4000)
    assert stage.sent[2:] == [(1040, "response.done"), (1050, "response.created")]
    assert [kind for _, kind, _ in stage.told] == ["missing"]


def test_a_session_configured_otherwise_is_told(script: Any) -> None:
    script.server(CREATED, 0).client(UPDATE, 10).server({"type": "session.updated"}, 20)
    asked = {"type": "realtime", "audio": {"output": {"voice": "cedar"}, "input": {"noise_reduction": None}}}
    stage = serve(script.messages).send(10, {"type": "session.update", "session": asked}).wait(100)
    assert [text for _, _, text in stage.told] == [
        'session.update: session.audio.output.voice is "cedar", recorded "marin"; the answer is the recorded one',
        (
            'session.update: session.audio.input is {"noise_reduction": null}, recorded not set;'
            " the answer is the recorded one"
        ),
    ]


def test_audio_beyond_the_recorded_is_told_once(script: Any) -> None:
    script.server(CREATED, 0).append(10, TEN_MS)
    second = append(TEN_MS * 100)
    stage = serve(script.messages).send(10, second).send(1000, second).send(2000, second)
    assert [text for _, _, text in stage.told] == ["audio beyond the 0.01 s recorded: nothing answers it"]


def test_the_end_comes_as_recorded_after_all_the_rest(script: Any) -> None:
    script.server(CREATED, 0).client(UPDATE, 10).server({"type": "session.updated"}, 20)
    script._add("server", (4000).to_bytes(2, "big") + b"go away", 500, "close", False)
    stage = serve(script.messages).send(700, UPDATE).wait(9000)
    assert stage.log[-1] == (1190, Close(b"\x0f\xa0go away"))
    assert stage.side.disconnect() == []


def test_a_connection_that_was_dropped_is_dropped(script: Any) -> None:
    script.server(CREATED, 0)
    plan = make_server_plan(script.messages, dropped_at_ns=800 * MS)
    stage = Stage(ServerSide(plan)).open().wait(900)
    assert stage.log[-1] == (800, Drop())


def test_a_close_of_the_client_is_not_the_servers(script: Any) -> None:
    script.server(CREATED, 0)
    script._add("client", b"\x03\xe8", 500, "close", False)
    script._add("server", b"\x03\xe8", 501, "close", False)
    stage = serve(script.messages).wait(900)
    assert not stage.side.has_ended
    assert stage.side.next_ns is None


def test_a_client_that_leaves_early_is_told_what_was_waited_for(script: Any) -> None:
    script.server(CREATED, 0).client(CREATE, 10).server(begun("resp_1"), 20).server(done("resp_1"), 30)
    (told,) = serve(script.messages).wait(5).side.disconnect()
    assert told.text == (
        "the client is gone, with 2 messages still to be sent,"
        " which waited for response.create #1, at 0.01 s of the recording"
    )


def test_a_client_that_closes_before_the_server_did_is_told(script: Any) -> None:
    script.server(CREATED, 0)
    script._add("server", (1011).to_bytes(2, "big"), 500, "close", False)
    (told,) = serve(script.messages).wait(5).side.disconnect()
    assert told.text == "the client is gone, with 0 messages still to be sent; the recorded server closed with 1011"


def test_a_client_that_left_before_what_was_due_reached_it_is_told(script: Any) -> None:
    script.server(CREATED, 0).server(begun("resp_1"), 20)
    script._add("server", (1011).to_bytes(2, "big"), 500, "close", False)
    side = ServerSide(make_server_plan(script.messages), speed=math.inf)
    undone = side.open(0)[1:]
    assert [type(action) for action in undone] == [Send, Close]
    (told,) = side.disconnect(undone)
    assert told.text == "the client is gone, with 1 message still to be sent; the recorded server closed with 1011"
    assert (side.sent, side.has_ended) == (1, False)


def test_an_error_names_the_event_of_this_client(script: Any) -> None:
    script.server(CREATED, 0).client({**CREATE, "event_id": "evt_old"}, 10)
    error = {"type": "invalid_request_error", "code": "x", "event_id": "evt_old"}
    script.server({"type": "error", "event_id": "event_1", "error": error}, 20)
    for sent, named in ({**CREATE, "event_id": "mine"}, "mine"), (CREATE, None):
        stage = serve(script.messages).send(500, sent).wait(900)
        assert json.loads(stage.contents[-1])["error"]["event_id"] == named
        assert stage.sent[-1] == (510, "error")


def load_wire_log(path: Any, script: Any) -> list[RecordedMessage]:
    log = [entry for entry in map(json.loads, path.read_text().splitlines()) if entry["kind"] == "message"]
    for number, entry in enumerate(log):
        (script.client if entry["direction"] == "sent" else script.server)(entry["data"], number * 10)
    messages: list[RecordedMessage] = script.messages
    return messages


WIRE_LOGS = ["azure_ws-audio_in_server_vad_transcribes", "azure_ws-text_in_audio_out_turn", "azure_ws-tool_call_round"]
WIRE_LOGS += ["azure_voice_live_ws-tool_call_round", "openai_ws-audio_in_server_vad_turn", "openai_ws-tool_call_round"]
WIRE_LOGS += ["azure_ws-message_history_seeding", "xai_ws-tool_call_round", "xai_ws-audio_in_server_vad_turn"]


@pytest.mark.parametrize("name", WIRE_LOGS)
@pytest.mark.parametrize("delay_ms", [0, 700])
def test_a_client_that_does_what_the_recorded_one_did_is_sent_the_same_bytes(
    name: str, delay_ms: float, shared: Any, script: Any
) -> None:
    messages = load_wire_log(shared / "fixtures" / f"{name}.jsonl", script)
    stage = play_again(messages, delay_ms)
    assert stage.told == []
    assert stage.contents == [message.content for message in messages if message.sender == "server"]


def play_again(messages: list[RecordedMessage], delay_ms: float) -> Stage:
    """Be the recorded client, slower: each message goes out once all has come that had come before it."""
    stage = serve(messages)
    seen = 0
    for message in messages:
        if message.sender == "server":
            seen += 1
            continue
        until_ms = message.offset_ns / MS
        stage.wait(until_ms) if not delay_ms else wait_for(stage, seen)
        stage.send(stage.now_ns / MS + delay_ms, message.content)
    return stage.wait(stage.now_ns / MS + 10_000)


def wait_for(stage: Stage, count: int) -> None:
    while len(stage.sent) < count:
        assert stage.side.next_ns is not None, f"nothing is due after {stage.sent[-1:]}"
        stage.wait(stage.side.next_ns / MS)


client_events: list[Callable[[int], Json]] = [
    lambda _: UPDATE,
    lambda _: CREATE,
    lambda _: CANCEL,
    lambda _: append(),
    lambda _: {"type": "input_audio_buffer.commit"},
    lambda n: {"type": "conversation.item.create", "item": {"id": f"mine_{n}", "type": "message", "role": "user"}},
    lambda n: {"type": "conversation.item.delete", "item_id": f"item_{n}"},
]
server_events: list[Callable[[int], Json]] = [
    lambda _: {"type": "session.updated"},
    lambda n: begun(f"resp_{n}"),
    lambda n: delta(f"resp_{n}"),
    lambda n: done(f"resp_{n}", "turn_detected"),
    lambda n: done(f"resp_{n}", "client_cancelled"),
    lambda n: {"type": "input_audio_buffer.speech_started", "item_id": f"item_{n}", "audio_start_ms": n},
    lambda n: {"type": "input_audio_buffer.committed", "item_id": f"item_{n}", "previous_item_id": f"item_{n - 1}"},
    lambda n: {"type": "conversation.item.added", "item": {"id": f"mine_{n}", "type": "message", "role": "user"}},
    lambda n: {"type": "conversation.item.deleted", "item_id": f"item_{n}"},
    lambda _: {"type": "error", "error": {"type": "invalid_request_error", "code": None}},
    lambda _: {"type": "rate_limits.updated"},
    lambda _: {"type": "vendor.event"},
]
histories = st.lists(
    st.tuples(st.sampled_from(["client", "server"]), st.integers(0, 11), st.integers(0, 3), st.integers(1, 40)),
    max_size=30,
)


@given(histories)
def test_whatever_was_recorded_the_same_client_gets_it_at_the_same_times(
    history: list[tuple[str, int, int, int]],
) -> None:
    script, now_ms = Script(), 0
    for sender, choice, number, pause_ms in history:
        now_ms += pause_ms
        if sender == "client":
            script.client(client_events[choice % len(client_events)](number), now_ms)
        else:
            script.server(server_events[choice % len(server_events)](number), now_ms)
    stage = play_again(script.messages, 0)
    recorded = [(m.offset_ns / MS, m.type) for m in script.messages if m.sender == "server"]
    assert stage.sent == recorded
    assert stage.told == []
