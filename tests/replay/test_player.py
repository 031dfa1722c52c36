"""The player on a clock of its own: what it sends, when, what it waits for, and that it always ends."""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.realtime.progress import Progress
from replay.actions import Diverged, Finished, Send, WaitUntil
from replay.audio_choice import AudioChoice
from replay.id_map import IdIndex
from replay.plan import Dependency, Plan, Step, adapt
from replay.planning import make_plan
from replay.player import Player
from replay.sent_audio import speak
from replay.winding_down import SETTLE_NS, SILENCE_LIMIT_MS, TERMINAL_TIMEOUT_NS

Json = dict[str, Any]

MS = 1_000_000
CREATED = {"type": "session.created", "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}}}
VAD_CREATED = {
    "type": "session.created",
    "session": {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}},
}
UPDATE = {"type": "session.update", "session": {"type": "realtime"}}
UPDATED = {"type": "session.updated", "session": CREATED["session"]}
CREATE = {"type": "response.create"}
COMMIT = {"type": "input_audio_buffer.commit"}
TRUNCATE = {"type": "conversation.item.truncate", "item_id": "item_b", "content_index": 0, "audio_end_ms": 900}


def begun(response_id: str) -> Json:
    return {"type": "response.created", "response": {"id": response_id}}


def done(response_id: str) -> Json:
    return {"type": "response.done", "response": {"id": response_id}}


def spoken(item_id: str) -> Json:
    return {"type": "response.output_item.added", "item": {"id": item_id, "type": "message", "role": "assistant"}}


Answer = Callable[[Json], Iterable[tuple[float, Json]]]
"""What an endpoint sends after a message, each event with its delay in ms."""


@dataclass
class Stage:
    """Plays against an endpoint that answers by rules, on virtual time."""

    player: Player
    answer: Answer = lambda _: ()
    greeting: Json = field(default_factory=lambda: CREATED)
    greeting_ms: float = 5
    now_ns: int = 0
    sent: list[tuple[float, Send]] = field(default_factory=list)
    diverged: list[Diverged] = field(default_factory=list)

    def play(self) -> str:
        """Run to the end; gives the reason for it."""
        coming: list[tuple[int, int, Json]] = [(int(self.greeting_ms * MS), 0, self.greeting)]
        actions = self.player.tick(0)
        for count in range(1, 200_000):
            for action in actions:
                if isinstance(action, Send):
                    assert action.due_ns is None or action.due_ns <= self.now_ns
                    self.sent.append((self.now_ns / MS, action))
                    replies = self.answer(json.loads(action.content))
                    for number, (delay_ms, event) in enumerate(replies):
                        heapq.heappush(coming, (self.now_ns + int(delay_ms * MS), count * 100 + number, event))
                elif isinstance(action, Diverged):
                    self.diverged.append(action)
            last = actions[-1]
            if isinstance(last, Finished):
                return last.reason
            assert isinstance(last, WaitUntil)
            if coming and coming[0][0] <= last.at_ns:
                self.now_ns, _, event = heapq.heappop(coming)
                actions = self.player.receive(self.now_ns, event)
            else:
                self.now_ns = last.at_ns
                actions = self.player.tick(self.now_ns)
        raise AssertionError("the player never ends")

    @property
    def times_ms(self) -> list[float]:
        return [at_ms for at_ms, _ in self.sent]

    def events(self) -> list[Json]:
        return [json.loads(send.content) for _, send in self.sent]


def echo_updates(delay_ms: float) -> Answer:
    return lambda event: [(delay_ms, UPDATED)] if event["type"] == "session.update" else []


def test_audio_keeps_its_recorded_times_from_the_moment_the_session_is_ready(script: Any) -> None:
    script.server(CREATED).client(UPDATE, 10).server(UPDATED, 20)
    script.append(500).append(520).append(555)
    stage = Stage(Player(make_plan(script.messages)), echo_updates(30))
    assert stage.play() == "completed"
    assert stage.times_ms == [5, 35, 55, 90]
    assert stage.diverged == []


def test_an_endpoint_that_answers_with_another_format_gets_that(script: Any) -> None:
    def configured(kind: str, audio_type: str) -> Json:
        return {"type": kind, "session": {"audio": {"input": {"format": {"type": audio_type}, "turn_detection": None}}}}

    update = configured("session.update", "audio/pcmu")
    script.server(CREATED).client(update, 10).server(configured("session.updated", "audio/pcmu"), 20)
    script.append(500, b"\xff" * 160).append(520, b"\xff" * 160)
    told = configured("session.updated", "audio/pcm")
    stage = Stage(
        Player(make_plan(script.messages)), lambda event: [(30, told)] if event["type"] == "session.update" else []
    )
    assert stage.play() == "completed"
    assert [len(event["audio"]) for event in stage.events()[1:]] == [1280, 1280]
    assert [change.kind for _, send in stage.sent for change in send.changes] == ["audio"]


def test_at_twice_the_speed_the_times_halve(script: Any) -> None:
    script.server(CREATED).append(0).append(20).append(60)
    stage = Stage(Player(make_plan(script.messages), speed=2.0))
    stage.play()
    assert stage.times_ms == [5, 15, 35]


def test_a_session_that_never_opens_gets_nothing_sent(script: Any) -> None:
    script.server(CREATED).append(0).append(20)
    stage = Stage(Player(make_plan(script.messages)), greeting={"type": "ping"})
    assert stage.play() == "session_never_opened"
    assert stage.sent == []
    assert [(d.kind, d.expected, d.seen, d.action) for d in stage.diverged] == [
        ("dependency_missing", "session.created before input_audio_buffer.append", "not in 15 s", "ended")
    ]


def respond(delay_ms: float, length_ms: float) -> Answer:
    def answer(event: Json) -> Iterable[tuple[float, Json]]:
        if event["type"] == "response.create":
            return [(delay_ms, begun("resp_1")), (delay_ms + length_ms, done("resp_1"))]
        return []

    return answer


def test_a_held_send_holds_what_follows_and_the_audio_behind_it_keeps_its_spacing(script: Any) -> None:
    script.server(CREATED).client(CREATE, 0).server(begun("resp_a"), 20).server(done("resp_a"), 30)
    script.client(CREATE, 50).append(60).append(80)
    stage = Stage(Player(make_plan(script.messages)), respond(100, 300))
    assert stage.play() == "completed"
    # Recorded at 0, 50, 60, 80; the first answer takes until 405 here.
    assert stage.times_ms == [5, 405, 415, 435]
    assert stage.diverged == []


def test_a_wait_ends_after_its_time_and_says_what_was_missing(script: Any) -> None:
    script.server(CREATED).client(CREATE, 0).server(begun("resp_a"), 20).server(done("resp_a"), 30)
    script.client(CREATE, 50)
    stage = Stage(Player(make_plan(script.messages), timeout_ns=2_000 * MS))
    stage.play()
    assert stage.times_ms == [5, 2055]
    first = stage.diverged[0]
    assert (first.step, first.kind, first.action) == (1, "dependency_missing", "sent")
    assert (first.expected, first.seen) == ("response.done before response.create", "not in 2 s")


def test_a_message_about_something_that_does_not_exist_is_left_out(script: Any) -> None:
    script.server(CREATED).append(0).server(spoken("item_b"), 20).client(TRUNCATE, 30).append(40)
    stage = Stage(Player(make_plan(script.messages)))
    stage.play()
    assert [event["type"] for event in stage.events()] == ["input_audio_buffer.append"] * 2
    assert stage.diverged[0].action == "skipped"
    assert stage.diverged[0].expected == ("item message:assistant #1 (item_b) before conversation.item.truncate")


def test_a_truncation_gets_the_new_id_and_stays_within_the_audio_received(script: Any) -> None:
    script.server(CREATED).append(0).server(spoken("item_b"), 20).client(TRUNCATE, 30)

    def answer(event: Json) -> Iterable[tuple[float, Json]]:
        if event["type"] != "input_audio_buffer.append":
            return []
        # 4800 bytes of 24 kHz PCM are 100 ms.
        audio = {"type": "response.output_audio.delta", "item_id": "item_1", "delta": "A" * 6400}
        return [(1, spoken("item_1")), (2, audio)]

    stage = Stage(Player(make_plan(script.messages)), answer)
    stage.play()
    truncation = stage.events()[1]
    assert (truncation["item_id"], truncation["audio_end_ms"]) == ("item_1", 100)
    assert [(change.kind, change.before, change.after) for change in stage.sent[1][1].changes] == [
        ("id", '"item_b"', '"item_1"'),
        ("clamp", "900", "100"),
    ]


def test_a_truncation_that_the_recorded_endpoint_refused_goes_as_it_was_for_it_may_be_what_failed(script: Any) -> None:
    refusal = {"type": "invalid_request_error", "message": "Audio content of 100ms is already shorter than 900ms"}
    script.server(CREATED).append(0).server(spoken("item_b"), 20).client(TRUNCATE, 30)
    script.server({"type": "error", "error": refusal}, 35)

    def answer(event: Json) -> Iterable[tuple[float, Json]]:
        audio = {"type": "response.output_audio.delta", "item_id": "item_1", "delta": "A" * 6400}
        return [(1, spoken("item_1")), (2, audio)] if event["type"] == "input_audio_buffer.append" else []

    stage = Stage(Player(make_plan(script.messages)), answer)
    stage.play()
    truncation = stage.events()[1]
    assert (truncation["item_id"], truncation["audio_end_ms"]) == ("item_1", 900)


def test_what_is_said_out_of_band_is_not_deleted_in_the_place_of_what_the_conversation_said(script: Any) -> None:
    beside: Json = {"type": "response.create", "response": {"conversation": "none", "metadata": {"topic": "mood"}}}

    def answers(*kinds: str) -> list[Json]:
        default = {"id": "resp_default", "conversation_id": "conv_1"}
        aside = {"id": "resp_aside", "conversation_id": None, "metadata": {"topic": "mood"}}
        told = {"default": default, "aside": aside}
        return [
            *({"type": "response.created", "response": told[kind]} for kind in kinds),
            *(spoken(f"item_{kind}_{kinds[0]}_first") | {"response_id": f"resp_{kind}"} for kind in kinds),
            *({"type": "response.done", "response": told[kind]} for kind in kinds),
        ]

    script.server(CREATED).client(beside, 0).client(CREATE, 1)
    for at_ms, event in enumerate(answers("aside", "default"), 10):
        script.server(event, at_ms)
    script.client({"type": "conversation.item.delete", "item_id": "item_default_aside_first"}, 100)
    replies = list(enumerate(answers("default", "aside"), 10))
    stage = Stage(Player(make_plan(script.messages)), lambda event: replies if event == CREATE else [])
    assert stage.play() == "completed"
    assert stage.events()[-1] == {"type": "conversation.item.delete", "item_id": "item_default_default_first"}


def recorded_turn(script: Any) -> Plan:
    script.server(VAD_CREATED).append(0).append(20)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_a"}, 400)
    return make_plan(script.messages)


class VadEndpoint:
    """Commits after so many chunks, then answers unless told to keep silent."""

    def __init__(self, commits_after: int, *, answers: bool = True) -> None:
        self._left = commits_after
        self._answers = answers

    def __call__(self, event: Json) -> Iterable[tuple[float, Json]]:
        self._left -= event["type"] == "input_audio_buffer.append"
        if self._left:
            return []
        committed = {"type": "input_audio_buffer.committed", "item_id": "item_1"}
        answered = [(500.0, begun("resp_1")), (900.0, done("resp_1"))] if self._answers else []
        return [(1.0, committed), *answered]


def test_silence_follows_in_real_time_until_the_last_turn_is_committed(script: Any) -> None:
    stage = Stage(Player(recorded_turn(script)), VadEndpoint(10), greeting=VAD_CREATED)
    assert stage.play() == "completed"
    assert stage.times_ms == [5, *range(25, 205, 20)]
    silence = stage.sent[2][1]
    assert silence.step == 2
    assert [change.kind for change in silence.changes] == ["trailing_silence"]
    assert json.loads(silence.content)["audio"] == "A" * 1280
    assert all(send.changes == () for _, send in stage.sent[3:])


def test_silence_follows_when_speech_is_open_though_the_recording_ended_in_the_middle(script: Any) -> None:
    script.server(VAD_CREATED).append(0).append(20)
    started = {"type": "input_audio_buffer.speech_started", "item_id": "item_1"}

    def answer(event: Json) -> Iterable[tuple[float, Json]]:
        return [(1, started)] if len(stage.sent) == 1 else VadEndpoint(1)(event) if len(stage.sent) == 6 else []

    stage = Stage(Player(make_plan(script.messages)), answer, greeting=VAD_CREATED)
    assert stage.play() == "completed"
    assert len(stage.sent) == 6


def test_a_turn_that_no_vad_closes_ends_the_session_with_its_reason(script: Any) -> None:
    stage = Stage(Player(recorded_turn(script)), greeting=VAD_CREATED)
    assert stage.play() == "timed_out: missing audio turn 1 of 1"
    assert len(stage.sent) == 2 + SILENCE_LIMIT_MS // 20
    assert [(d.kind, d.expected) for d in stage.diverged] == [("terminal_missing", "audio turn 1 of 1")]


def test_an_answer_that_never_comes_is_named(script: Any) -> None:
    endpoint = VadEndpoint(10, answers=False)
    stage = Stage(Player(recorded_turn(script)), endpoint, greeting=VAD_CREATED)
    assert stage.play() == "timed_out: missing response to item_1"


def test_what_is_owed_is_waited_for_until_it_counts_as_absent(script: Any) -> None:
    stage = Stage(Player(recorded_turn(script), timeout_ns=100 * MS), VadEndpoint(10, answers=False))
    stage.greeting = VAD_CREATED
    stage.play()
    committed_ms = stage.times_ms[-1] + 1
    assert stage.now_ns == int(committed_ms * MS) + TERMINAL_TIMEOUT_NS


def test_the_session_stays_a_moment_after_the_last_terminal_event(script: Any) -> None:
    stage = Stage(Player(recorded_turn(script)), VadEndpoint(10), greeting=VAD_CREATED)
    stage.play()
    committed_by_ms = stage.times_ms[-1]
    assert stage.now_ns == int((committed_by_ms + 900) * MS) + SETTLE_NS


def test_an_endpoint_that_goes_away_leaves_the_rest_unsent(script: Any) -> None:
    script.server(CREATED).append(0).append(20).append(40)
    player = Player(make_plan(script.messages))
    player.receive(5 * MS, CREATED)
    [diverged, finished] = player.disconnect()
    assert isinstance(diverged, Diverged)
    assert (diverged.kind, diverged.expected) == ("closed_early", "2 more messages to send")
    assert finished == Finished("closed_by_endpoint")
    assert player.tick(100 * MS) == [finished]


def test_an_endpoint_that_goes_away_when_all_is_done_is_no_divergence(script: Any) -> None:
    script.server(CREATED).append(0)
    player = Player(make_plan(script.messages))
    player.receive(5 * MS, CREATED)
    assert player.disconnect() == [Finished("completed")]


def test_an_endpoint_that_goes_away_owing_an_answer_is_a_divergence(script: Any) -> None:
    script.server(CREATED).client(CREATE, 0)
    player = Player(make_plan(script.messages))
    player.receive(5 * MS, CREATED)
    player.receive(6 * MS, begun("resp_1"))
    [diverged, finished] = player.disconnect()
    assert isinstance(diverged, Diverged)
    assert diverged.expected == "response.done of resp_1"
    assert finished == Finished("closed_by_endpoint")


def rename(event: Json, names: dict[str, str]) -> Json:
    text = json.dumps(event)
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    renamed: Json = json.loads(text)
    return renamed


WIRE_LOGS = ["azure_ws-audio_in_server_vad_transcribes", "azure_ws-text_in_audio_out_turn", "azure_ws-tool_call_round"]
WIRE_LOGS += ["azure_voice_live_ws-tool_call_round", "openai_ws-audio_in_server_vad_turn", "openai_ws-tool_call_round"]
WIRE_LOGS += ["azure_ws-message_history_seeding", "xai_ws-tool_call_round", "xai_ws-audio_in_server_vad_turn"]
WIRE_LOGS += ["parity_ws-text_tool_round_parity-azure-current", "parity_ws-text_tool_round_parity-openai-current"]


@pytest.mark.parametrize("name", WIRE_LOGS)
def test_a_real_session_plays_against_the_same_session_with_other_ids(name: str, shared: Path, script: Any) -> None:
    lines = (shared / "fixtures" / f"{name}.jsonl").read_text().splitlines()
    log = [entry for entry in map(json.loads, lines) if entry["kind"] == "message"]
    for number, entry in enumerate(log):
        (script.client if entry["direction"] == "sent" else script.server)(entry["data"], number * 10)
    plan = make_plan(script.messages)
    names = {old: f"{old}_again" for old in plan.ids.keys}

    # The endpoint says what it said, as soon as the client has sent what it had sent by then.
    replies: list[list[Json]] = [[]]
    for entry in log:
        if entry["direction"] == "sent":
            replies.append([])
        else:
            replies[-1].append(rename(entry["data"], names))
    greeting, *opening = replies[0]
    waiting = iter(replies[1:])

    def answer(_: Json) -> Iterable[tuple[float, Json]]:
        events, opening[:] = [*opening, *next(waiting, [])], []
        return [(1 + number, event) for number, event in enumerate(events)]

    stage = Stage(Player(plan), answer, greeting=greeting)
    reason = stage.play()
    assert stage.diverged == []
    assert reason == "completed"
    recorded = [rename(entry["data"], names) for entry in log if entry["direction"] == "sent"]
    assert stage.events() == recorded


dependencies = st.one_of(
    st.builds(Dependency, st.sampled_from(["response.done", "response.created", "session.updated"]), st.integers(1, 2)),
    st.builds(Dependency, st.just("item"), st.just(0), st.sampled_from(["item_a", "item_b"])),
)
server_events = st.sampled_from(
    [
        CREATED,
        VAD_CREATED,
        UPDATED,
        begun("resp_1"),
        done("resp_1"),
        spoken("item_1"),
        {"type": "input_audio_buffer.speech_started", "item_id": "item_2"},
        {"type": "input_audio_buffer.committed", "item_id": "item_2"},
        {"type": "error", "error": {}},
        {"type": "ping"},
    ]
)


def test_as_recorded_no_truncation_is_clamped_and_no_silence_is_added(script: Any) -> None:
    script.server(VAD_CREATED).append(10).server({"type": "input_audio_buffer.committed", "item_id": "item_a"}, 20)
    script.server(spoken("item_b"), 30).client(TRUNCATE, 40)
    player = Player(make_plan(script.messages), as_recorded=True)
    stage = Stage(player, greeting=VAD_CREATED, answer=lambda _: [(1, spoken("item_z"))])
    assert stage.play() == "timed_out: missing audio turn 1 of 1"
    [append, truncation] = [send for _, send in stage.sent]
    assert json.loads(truncation.content)["audio_end_ms"] == 900
    assert [change.kind for change in truncation.changes] == ["id"]
    assert append.changes == ()


def test_an_endpoint_of_the_other_dialect_is_understood(script: Any) -> None:
    script.server({"type": "session.created", "session": {"turn_detection": None}})
    script.server({"type": "response.created", "response": {"id": "r1"}}, 10)
    script.server({"type": "conversation.item.created", "item": spoken("item_b")["item"]}, 20)
    script.server(done("r1"), 30).client(TRUNCATE, 40).client(CREATE, 50)
    player = Player(adapt(make_plan(script.messages), {}, dialect="ga"))
    assert [type(action) for action in player.receive(0, CREATED)] == [WaitUntil]
    player.receive(1, begun("r9"))
    ga_audio = {"type": "response.output_audio.delta", "item_id": "item_z", "delta": "AA" * 3200}
    ga_item = {"type": "conversation.item.added", "item": spoken("item_z")["item"]}
    events = (ga_audio, ga_item, {**ga_item, "type": "conversation.item.done"}, done("r9"))
    actions = [action for at, event in enumerate(events) for action in player.receive(at * 60 * MS, event)]
    assert player.session.progress.audio_bytes == {"item_z": 4800}
    sent = [json.loads(action.content) for action in actions if isinstance(action, Send)]
    assert sent == [TRUNCATE | {"item_id": "item_z", "audio_end_ms": 100}, CREATE]


def plan_of(*steps: Step, turns: int = 0) -> Plan:
    index = IdIndex()
    index.observe("server", {"type": "input_audio_buffer.committed", "item_id": "item_a"})
    index.observe("server", spoken("item_b"))
    return Plan(steps, index, Progress().configuration, turns=turns, duration_ns=0)


def step_at(time_ms: int, number: int, *after: Dependency, type: str = "response.create") -> Step:  # noqa: A002 - the field's name
    return Step(
        number=number,
        type=type,
        content=json.dumps({"type": "response.create"}),
        not_before_ns=time_ms * MS,
        after=after,
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    times_ms = sorted(draw(st.lists(st.integers(0, 300), max_size=8)))
    steps = [
        step_at(
            time_ms,
            number,
            *draw(st.lists(dependencies, max_size=2)) or (Dependency("session.created"),) * (number == 0),
            type=draw(st.sampled_from(["input_audio_buffer.append", "response.create", "session.update"])),
        )
        for number, time_ms in enumerate(times_ms)
    ]
    return plan_of(*steps, turns=draw(st.integers(0, 1)))


@settings(deadline=None)
@given(
    plan=plans(),
    speed=st.sampled_from([0.5, 1.0, 3.0]),
    turbulence=st.lists(st.one_of(st.integers(0, 400), server_events), max_size=40),
)
# The first step is given up, which starts the clock, and the second goes out late.
@example(
    plan=plan_of(step_at(0, 0, Dependency("item", 0, "item_a")), step_at(1, 1), step_at(2, 2)),
    speed=0.5,
    turbulence=[400, 400, 200, 3],
)
def test_it_never_sends_out_of_order_or_early_and_always_ends(
    plan: Plan, speed: float, turbulence: list[int | Json]
) -> None:
    player = Player(plan, speed=speed, timeout_ns=1_000 * MS)
    passed: list[tuple[int, Send | Diverged]] = []
    now_ns, actions, coming = 0, player.tick(0), iter(turbulence)
    for _ in range(10_000):
        passed += [(now_ns, action) for action in actions if isinstance(action, Send | Diverged)]
        last = actions[-1]
        if isinstance(last, Finished):
            break
        assert isinstance(last, WaitUntil)
        assert last.at_ns > now_ns
        happens = next(coming, None)
        if isinstance(happens, dict):
            actions = player.receive(now_ns, happens)
        else:
            # Too early, on time, or late: a clock may do any of these.
            now_ns = last.at_ns if happens is None else now_ns + happens * MS
            actions = player.tick(now_ns)
    else:
        raise AssertionError("the player never ends")
    sends = [(at_ns, action) for at_ns, action in passed if isinstance(action, Send)]
    steps = [send.step for _, send in sends if send.step < len(plan.steps)]
    assert steps == sorted(set(steps))
    assert all(send.due_ns is None or send.due_ns <= at_ns for at_ns, send in sends)
    # The clock starts with the first step, also where that is given up.
    played = [(at_ns, plan.steps[action.step]) for at_ns, action in passed if action.step < len(plan.steps)]
    for at_ns, step in played:
        began_ns, first = played[0]
        recorded_ns = (step.not_before_ns or 0) - (first.not_before_ns or 0)
        assert at_ns - began_ns >= int(recorded_ns / speed) - 1


@pytest.mark.parametrize("odd_type", [["session.created"], {"of": "nothing"}, 7, None])
def test_what_an_endpoint_sends_without_a_type_that_is_a_word_means_nothing(script: Any, odd_type: object) -> None:
    script.server(CREATED).append(0).append(20)
    odd = {"type": odd_type, "session": {}, "item": {"id": "item_x"}, "response": {"id": "resp_x"}}
    transposed = adapt(make_plan(script.messages), {}, dialect="beta")
    for plan in (make_plan(script.messages), transposed):
        stage = Stage(Player(plan), lambda _: [(1, odd)])
        assert stage.play() == "completed"
        assert stage.diverged == []


def test_the_output_of_a_call_whose_id_no_utf_8_spells_can_be_sent(script: Any) -> None:
    script.server(CREATED).append(0)
    call = {"type": "function_call", "name": "look_up", "call_id": "call_\ud83d", "id": "item_x", "arguments": "{}"}

    def answer(event: Json) -> Iterable[tuple[float, Json]]:
        if event["type"] == "input_audio_buffer.append":
            yield 5, begun("resp_1")
            yield 6, {"type": "response.done", "response": {"id": "resp_1", "output": [call]}}

    stage = Stage(Player(make_plan(script.messages)), answer)
    stage.play()
    output = next(str(send.content) for _, send in stage.sent if "function_call_output" in str(send.content))
    assert json.loads(output.encode())["item"]["call_id"] == "call_\ud83d"


def test_the_side_channel_of_a_call_proves_nothing_without_what_the_caller_said(script: Any) -> None:
    # The caller spoke over WebRTC; this connection only watched.
    script.server(VAD_CREATED).client(UPDATE, 10).server({**UPDATED, "session": VAD_CREATED["session"]}, 20)
    script.server({"type": "input_audio_buffer.speech_started", "item_id": "item_a", "audio_start_ms": 0}, 900)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_a"}, 1500)
    script.server({"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_a"}, 1600)
    plan = make_plan(script.messages)
    assert plan.not_sent == (
        "the audio of 1 spoken turn, which is not in the recording: it went over WebRTC or SIP, or was not logged",
    )
    stage = Stage(Player(plan), echo_updates(30), greeting=VAD_CREATED)
    assert stage.play() == "no_audio: the recording does not hold what the caller said"
    assert len(stage.events()) == 1


@pytest.mark.parametrize("opening", [CREATED, VAD_CREATED])
def test_a_recording_whose_audio_was_redacted_proves_nothing(script: Any, opening: Json) -> None:
    silence = base64.b64encode(bytes(960)).decode()
    script.server(opening)
    for at_ms in range(0, 400, 20):
        script.client({"type": "input_audio_buffer.append", "audio": silence}, at_ms, redacted=True)
    if opening is CREATED:
        script.client(COMMIT, 400)
    script.server({"type": "input_audio_buffer.committed", "item_id": "item_a"}, 410)
    script.server({"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_a"}, 600)
    plan = speak(make_plan(script.messages))
    assert plan.not_sent == ("the audio of 20 appends, which was redacted",)

    def answer(event: Json) -> list[tuple[float, Json]]:
        return [(5, {"type": "input_audio_buffer.committed", "item_id": "item_b"})] if event == COMMIT else []

    assert Stage(Player(plan), answer, greeting=opening).play() == "no_audio: what the caller said was redacted"
    # What else is said in its place is heard.
    assert not speak(plan, AudioChoice("silence")).is_muted


@pytest.mark.parametrize("recorded_times", [1, 2])
@pytest.mark.parametrize("times", [1, 2])
def test_what_an_endpoint_says_twice_is_said_once(script: Any, recorded_times: int, times: int) -> None:
    def told(event: Json, number: int) -> Json:
        return {**event, "event_id": f"event_{number}"}

    def say(event: Json, at_ms: int) -> None:
        for _ in range(recorded_times):
            script.server(told(event, at_ms), at_ms)

    say(CREATED, 0)
    script.client(UPDATE, 10)
    say(UPDATED, 20)
    for at_ms, response_id in ((30, "r1"), (1000, "r2")):
        script.client(CREATE, at_ms)
        say(begun(response_id), at_ms + 10)
        say(done(response_id), at_ms + 20)
    asked: list[Json] = []

    def answer(event: Json) -> Iterable[tuple[float, Json]]:
        asked.append(event)
        number = len(asked)
        answers = [UPDATED] if event == UPDATE else [begun(f"new_{number}"), done(f"new_{number}")]
        for place, each in enumerate(answers):
            yield from [(5 + 300 * place, told(each, 100 * number + place))] * times

    stage = Stage(Player(make_plan(script.messages)), answer)
    assert (stage.play(), stage.diverged) == ("completed", [])
    # The second is asked for as long after the first answer as in the recording, and nothing is waited for in vain.
    assert stage.times_ms == [5, 10, 980]
