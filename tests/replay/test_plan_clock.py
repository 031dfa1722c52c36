"""Calls of two turns on virtual time: when the caller speaks again, where the new answer is another."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay.actions import Finished, Send, WaitUntil
from replay.planning import make_plan
from replay.player import Player
from tests.replay.conftest import Script
from tests.replay.test_player import VAD_CREATED, Stage

Json = dict[str, Any]

MANUAL_CREATED = {"type": "session.created", "session": {"audio": {"input": {"turn_detection": None}}}}
LOUD, QUIET = b"\x00\x20" * 480, bytes(960)
COMMIT = {"type": "input_audio_buffer.commit"}


def delta(number: int, length_ms: int) -> Json:
    audio = base64.b64encode(bytes(48 * length_ms)).decode()
    about = {"response_id": f"resp_{number}", "item_id": f"item_{number}"}
    return {"type": "response.output_audio.delta", "delta": audio, **about}


def answer(
    number: int, after_ms: float, audio_ms: int, *, length_ms: float = 100, status: str = "completed"
) -> list[tuple[float, Json]]:
    """Give an answer whose audio comes at once, and that is done so long after its first audio."""
    response = {"id": f"resp_{number}", "status": status}
    return [
        (after_ms, {"type": "response.created", "response": response}),
        (after_ms + 50, delta(number, audio_ms)),
        (after_ms + 50 + length_ms, {"type": "response.done", "response": response}),
    ]


def committed(number: int, **fields: Any) -> Json:
    return {"type": "input_audio_buffer.committed", "item_id": f"user_{number}", **fields}


class Call:
    """A recorded call, and what was heard in it; the caller speaks 200 ms a turn."""

    def __init__(self, script: Script, created: Json = VAD_CREATED) -> None:
        self.script = script.server(created)
        self._turns = 0
        self._appended = 0

    def quiet(self, from_ms: float, to_ms: float) -> Call:
        for at_ms in range(int(from_ms), int(to_ms), 20):
            self.script.append(at_ms, QUIET)
            self._appended += 1
        return self

    def speaks(self, at_ms: float) -> Call:
        onset = self._appended * 20
        for number in range(10):
            self.script.append(at_ms + 20 * number, LOUD)
        self._appended += 10
        self._turns += 1
        started = {"type": "input_audio_buffer.speech_started", "audio_start_ms": onset, "item_id": f"u{self._turns}"}
        stopped = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": onset + 200}
        self.script.server(started, at_ms + 199).server(stopped, at_ms + 199)
        self.script.server(committed(self._turns), at_ms + 199)
        return self

    def hears(self, number: int, at_ms: float, audio_ms: int, **fields: Any) -> Call:
        for after_ms, event in answer(number, at_ms, audio_ms, **fields):
            self.script.server(event, after_ms)
        return self


class Ear:
    """An endpoint that commits a turn of ten loud chunks after one quiet one or at once, and answers as it is told."""

    def __init__(self, *answers: list[tuple[float, Json]]) -> None:
        self._answers = iter(answers)
        self._loud = 0

    def __call__(self, event: Json) -> Iterable[tuple[float, Json]]:
        self._loud += event.get("audio") == base64.b64encode(LOUD).decode()
        if self._loud < 10:
            return []
        self._loud = 0
        return [(0.5, committed(9)), *next(self._answers, [])]


def play(script: Script, *answers: list[tuple[float, Json]], ends: str = "completed", **options: Any) -> Stage:
    stage = Stage(Player(make_plan(script.messages), **options), Ear(*answers), greeting=VAD_CREATED, greeting_ms=0)
    assert stage.play().startswith(ends)
    return stage


def spoke_at(stage: Stage) -> list[float]:
    """Give when the caller began each turn."""
    audio = [(at_ms, event.get("audio")) for (at_ms, _), event in zip(stage.sent, stage.events(), strict=True)]
    loud = [at_ms for at_ms, sent in audio if sent == base64.b64encode(LOUD).decode()]
    return loud[::10]


def changes(stage: Stage) -> list[tuple[str, str, str]]:
    return [(c.kind, c.before, c.after) for _, send in stage.sent for c in send.changes]


def by_kind(stage: Stage) -> list[tuple[str, str, str, str]]:
    return [(d.kind, d.expected, d.seen, d.action) for d in stage.diverged]


def push_to_talk(script: Script) -> Call:
    # Heard from 350 to 1350 ms; spoken again 400 ms after that.
    return Call(script).speaks(0).hears(1, 300, 1000).speaks(1750).hears(2, 2050, 1000)


@pytest.mark.parametrize(
    ("begins_ms", "audio_ms", "speaks_ms"),
    # The last piece of a turn goes out at 180; the answer is heard from 50 ms after it began.
    [(120, 1000, 1750), (900, 1000, 2530), (120, 3000, 3750), (20, 100, 750)],
)
def test_the_caller_speaks_as_long_after_the_answer_as_in_the_recording(
    script: Script, begins_ms: float, audio_ms: int, speaks_ms: float
) -> None:
    push_to_talk(script)
    stage = play(script, answer(1, begins_ms, audio_ms), answer(2, 100, 1000))
    assert spoke_at(stage) == [0, speaks_ms]
    assert stage.player.clock.moves_ms == [speaks_ms - 1750]
    # A client that is silent between turns stays so, and speech keeps its spacing.
    assert stage.times_ms == [*range(0, 200, 20), *(speaks_ms + 20 * number for number in range(10))]
    assert (stage.diverged, changes(stage)) == ([], [])


def test_with_an_absolute_clock_the_caller_speaks_when_it_was_recorded(script: Script) -> None:
    push_to_talk(script)
    late = answer(1, 120, 3000), answer(2, 100, 1000)
    assert spoke_at(play(script, *late, clock="absolute")) == [0, 1750]
    assert spoke_at(play(script, *late, as_recorded=True)) == [0, 1750]


def open_microphone(script: Script) -> Call:
    return Call(script).speaks(0).hears(1, 300, 1000).quiet(200, 1750).speaks(1760).hears(2, 2060, 1000)


def test_an_open_microphone_goes_on_streaming_silence_until_a_late_answer_is_over(script: Script) -> None:
    open_microphone(script)
    stage = play(script, answer(1, 1020, 1000), answer(2, 100, 1000))
    # The answer is over at 2250 instead of 1350.
    assert spoke_at(stage) == [0, 2660]
    assert stage.times_ms == [20 * number for number in range(133)] + [2660 + 20 * number for number in range(10)]
    assert changes(stage) == [("pause", "", '"0.90 s"')]
    assert stage.diverged == []


def test_quiet_that_an_open_microphone_heard_is_left_out_where_the_answer_is_shorter(script: Script) -> None:
    open_microphone(script)
    stage = play(script, answer(1, 120, 300), answer(2, 100, 1000))
    # Heard until 650; the end of the answer is known at 450, and 0.7 s of quiet are left out there.
    assert spoke_at(stage) == [0, 1060]
    assert changes(stage) == [("pause", '"0.70 s"', "")]
    gaps = [round(later - earlier) for earlier, later in zip(stage.times_ms, stage.times_ms[1:], strict=False)]
    assert set(gaps) <= {10, 20, 30}
    assert stage.player.clock.moves_ms == [-700]


def barge_in(script: Script, **fields: Any) -> Call:
    # Cut into 600 ms after its first word.
    return Call(script).speaks(0).hears(1, 300, 3000, **fields).speaks(950).hears(2, 1400, 1000)


def test_the_caller_cuts_into_an_answer_at_the_recorded_moment_of_it(script: Script) -> None:
    barge_in(script)
    stage = play(script, answer(1, 920, 3000), answer(2, 100, 1000))
    assert spoke_at(stage) == [0, 180 + 920 + 50 + 600]
    assert stage.diverged == []


def test_an_answer_that_is_over_before_it_is_cut_into_is_a_divergence(script: Script) -> None:
    barge_in(script)
    stage = play(script, answer(1, 120, 400), answer(2, 100, 1000))
    assert spoke_at(stage) == [0, 350 + 400]
    append = "input_audio_buffer.append"
    assert by_kind(stage) == [
        ("barge_in_outlived", f"{append} 0.60 s into response 1", "it was over after 0.40 s", "sent at its end")
    ]


def test_an_answer_that_is_not_cancelled_as_it_was_is_a_divergence(script: Script) -> None:
    barge_in(script, length_ms=700, status="cancelled")
    stage = play(script, answer(1, 120, 3000, length_ms=900), answer(2, 600, 1000))
    assert by_kind(stage) == [
        ("barge_in_otherwise", "response 1 cancelled when it was cut into", "completed", "went on")
    ]


def test_an_answer_that_never_comes_is_waited_for_once(script: Script) -> None:
    push_to_talk(script).speaks(10_000)
    stage = play(script, [], answer(1, 100, 1000), ends="timed_out", timeout_ns=2_000_000_000)
    # 2 s behind its time; what follows the one answer that came follows it as the recording's second one.
    assert spoke_at(stage) == [0, 3750, 3750 + 180 + 100 + 50 + 1000 + (10_000 - 2050 - 50 - 1000)]
    assert by_kind(stage)[0] == ("anchor_missing", "response 1 before input_audio_buffer.append", "not in 2 s", "sent")


def test_an_answer_more_is_waited_for_and_told(script: Script) -> None:
    push_to_talk(script)
    both = [*answer(1, 120, 500), *answer(7, 400, 1000)]
    stage = play(script, both, answer(2, 100, 1000))
    assert spoke_at(stage) == [0, 180 + 400 + 50 + 1000 + 400]
    append = "input_audio_buffer.append"
    assert by_kind(stage) == [("responses_otherwise", f"1 response before {append}", "2", "waited for the last one")]


def test_a_turn_that_is_heard_as_two_is_told(script: Script) -> None:
    push_to_talk(script)
    twice = [(0.6, committed(8)), *answer(1, 120, 1000)]
    stage = play(script, twice, answer(2, 100, 1000), ends="timed_out: missing response to user_9")
    [first, *_] = by_kind(stage)
    assert first == ("turns_otherwise", "1 spoken turn before input_audio_buffer.append", "2", "went on")


def test_a_turn_less_is_told_at_the_end_and_not_waited_for(script: Script) -> None:
    Call(script).speaks(0).speaks(300).hears(1, 600, 500).speaks(2000).hears(2, 2300, 500)
    # Twenty loud pieces are one turn here.
    ear = Ear([], answer(1, 100, 500), answer(2, 100, 500))
    heard: list[int] = []

    def merge(event: Json) -> Iterable[tuple[float, Json]]:
        replies = list(ear(event))
        if replies:
            heard.append(1)
        return [] if len(heard) == 1 else replies

    stage = Stage(Player(make_plan(script.messages)), merge, greeting=VAD_CREATED, greeting_ms=0)
    assert stage.play() == "completed"
    assert by_kind(stage) == [("turns_otherwise", "2 spoken turns before input_audio_buffer.append", "1", "went on")]


def test_without_a_vad_the_caller_speaks_where_the_commit_s_audio_is_no_longer_quiet(script: Script) -> None:
    call = Call(script, MANUAL_CREATED)
    call.quiet(0, 100)
    for number in range(10):
        script.append(100 + 20 * number, LOUD)
    script.client(COMMIT, 300).server(committed(1), 301).client({"type": "response.create"}, 302)
    call.hears(1, 400, 1000).quiet(320, 2000)
    for number in range(10):
        script.append(2000 + 20 * number, LOUD)
    script.client(COMMIT, 2200).server(committed(2), 2201)
    plan = make_plan(script.messages)
    [onset] = [step for step in plan.steps if step.anchor is not None]
    assert onset.anchor is not None
    # 300 ms of quiet belong to the speech: 2000 - 300 - 1450.
    assert (onset.anchor.kind, onset.anchor.response, onset.anchor.offset_ns) == ("after", 1, 250_000_000)
    assert sum(step.is_pause for step in plan.steps) == (1700 - 320) // 20


def test_what_is_written_follows_the_answer_too(script: Script) -> None:
    asks = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": []}}
    create = {"type": "response.create"}
    script.server(MANUAL_CREATED).client(asks, 0).client(create, 1)
    for at_ms, event in answer(1, 100, 1000):
        script.server(event, at_ms)
    script.client(asks, 2150).client(create, 2151)
    replies = iter([answer(1, 100, 4000), answer(2, 100, 10)])

    def endpoint(event: Json) -> Iterable[tuple[float, Json]]:
        return next(replies) if event["type"] == "response.create" else []

    stage = Stage(Player(make_plan(script.messages)), endpoint, greeting=MANUAL_CREATED, greeting_ms=0)
    assert stage.play() == "completed"
    assert stage.times_ms == [0, 1, 1 + 150 + 4000 + 1000, 1 + 150 + 4000 + 1001]


def test_a_cancel_is_left_out_where_nothing_is_to_be_cancelled(script: Script) -> None:
    script.server(MANUAL_CREATED).client({"type": "response.create"}, 0)
    for at_ms, event in answer(1, 100, 1000, length_ms=500, status="cancelled"):
        script.server(event, at_ms)
    script.messages.sort(key=lambda message: message.offset_ns)
    done = script.messages.pop()
    script.client({"type": "response.cancel"}, 600)
    script.messages.append(done)

    def endpoint(event: Json) -> Iterable[tuple[float, Json]]:
        return answer(1, 100, 1000) if event["type"] == "response.create" else []

    stage = Stage(Player(make_plan(script.messages)), endpoint, greeting=MANUAL_CREATED, greeting_ms=0)
    assert stage.play() == "completed"
    assert [event["type"] for event in stage.events()] == ["response.create"]
    assert [kind for kind, *_ in by_kind(stage)] == ["nothing_to_cancel", "barge_in_otherwise"]


def test_a_commit_is_left_out_where_server_vad_came_before_it(script: Script) -> None:
    # The recorded client commits before the VAD has heard the end; here the VAD is quicker.
    script.server(VAD_CREATED)
    for number in range(10):
        script.append(20 * number, LOUD)
    script.client(COMMIT, 300).server(committed(1), 310)
    stage = play(script, answer(1, 100, 100))
    assert [event["type"] for event in stage.events()] == ["input_audio_buffer.append"] * 10
    assert by_kind(stage)[0] == ("nothing_to_commit", "audio to commit", "0 ms since the last commit", "skipped")
    slower = Stage(Player(make_plan(script.messages)), lambda _: [], greeting=VAD_CREATED)
    slower.play()
    assert slower.events()[10] == COMMIT


@settings(deadline=None, max_examples=40)
@given(
    begins_ms=st.integers(1, 3000),
    audio_ms=st.integers(0, 4000),
    length_ms=st.integers(1, 3000),
    is_open=st.booleans(),
    cuts_in=st.booleans(),
)
def test_speech_is_never_torn_and_nobody_talks_over_an_answer_they_let_end(
    begins_ms: int, audio_ms: int, length_ms: int, is_open: bool, cuts_in: bool
) -> None:
    script = Script()
    (barge_in if cuts_in else open_microphone if is_open else push_to_talk)(script)
    stage = play(script, answer(1, begins_ms, audio_ms, length_ms=length_ms), answer(2, 100, 1000))
    first, second = spoke_at(stage)
    heard_ms = 180 + begins_ms + 50
    over_ms = max(heard_ms + audio_ms, heard_ms + length_ms)
    gap_ms = 410 if is_open and not cuts_in else 400
    wanted_ms = min(heard_ms + 600, over_ms) if cuts_in else over_ms + gap_ms
    assert first == 0
    assert second == pytest.approx(wanted_ms, abs=0.01)
    loud = [at_ms for at_ms, event in zip(stage.times_ms, stage.events(), strict=True) if "AAgAC" in event["audio"]]
    assert [round(at_ms - second) for at_ms in loud[10:]] == list(range(0, 200, 20))
    assert {divergence.kind for divergence in stage.diverged} <= {"barge_in_outlived"}
    assert all(json.loads(change.before or change.after) for _, send in stage.sent for change in send.changes)


happenings = st.one_of(
    st.integers(0, 700),
    st.sampled_from([event for number in (1, 2, 3) for _, event in answer(number, 0, 700)]),
    st.sampled_from([event for _, event in answer(1, 0, 0, status="cancelled")]),
    st.just(committed(5)),
    st.just({"type": "input_audio_buffer.speech_started", "item_id": "u"}),
)


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from([push_to_talk, open_microphone, barge_in]),
    speed=st.sampled_from([0.5, 1.0, 4.0, math.inf]),
    turbulence=st.lists(happenings, max_size=60),
)
def test_whatever_the_endpoint_does_all_is_sent_once_in_order_and_it_ends(
    kind: Callable[[Script], Call], speed: float, turbulence: list[int | Json]
) -> None:
    script = Script()
    kind(script)
    plan = make_plan(script.messages)
    player = Player(plan, speed=speed, timeout_ns=1_000_000_000)
    passed: list[Send] = []
    now_ns, coming = 0, iter(turbulence)
    actions = [*player.tick(0), *player.receive(0, VAD_CREATED)]
    for _ in range(20_000):
        sends = [action for action in actions if isinstance(action, Send)]
        assert all(send.due_ns is None or send.due_ns <= now_ns for send in sends)
        passed += sends
        last = actions[-1]
        if isinstance(last, Finished):
            break
        assert isinstance(last, WaitUntil)
        assert last.at_ns > now_ns
        happens = next(coming, None)
        if isinstance(happens, dict):
            actions = player.receive(now_ns, happens)
        else:
            now_ns = last.at_ns if happens is None else now_ns + happens * 1_000_000
            actions = player.tick(now_ns)
    else:
        raise AssertionError("the player never ends")
    by_content = {id(step.content): step for step in plan.steps}
    sent = [step.number for send in passed if (step := by_content.get(id(send.content))) is not None]
    assert sent == sorted(set(sent))
    left_out = {step.number for step in plan.steps} - set(sent)
    # Only quiet is left out; speech never is.
    assert all(plan.steps[number].is_pause for number in left_out)
