"""The end of a trial; tests/replay/test_player.py has it as part of whole sessions."""

from __future__ import annotations

import math
from typing import Any

import pytest

from capture.realtime.progress import Progress
from replay.actions import Action, Finished, Send
from replay.plan import adapt
from replay.planning import make_plan
from replay.player import Player
from replay.winding_down import SETTLE_NS, SILENCE_LIMIT_MS, WindingDown
from tests.replay.conftest import Script
from tests.replay.test_plan_clock import Call, committed
from tests.replay.test_player import CREATE, CREATED, VAD_CREATED, Stage, begun, done

Json = dict[str, Any]


def test_the_last_turn_is_closed_by_silence_and_the_end_waits_a_moment(script: Script) -> None:
    plan = make_plan(Call(script).speaks(0).script.messages)
    progress = Progress()
    ending = WindingDown(progress, speed=1.0, timeout_ns=0, adds_silence=True)
    progress.observe("server", VAD_CREATED)
    actions: list[Action] = []
    assert ending.tick(plan, 0, 0, actions) == 20_000_000
    assert ending.tick(plan, 20_000_000, 0, actions) is None
    [silence] = actions
    assert isinstance(silence, Send)
    assert silence.due_ns == 20_000_000
    progress.observe("server", committed(1))
    assert ending.missing(plan) == ["response to user_1"]
    progress.observe("server", {"type": "response.created", "response": {"id": "r"}})
    progress.observe("server", {"type": "response.done", "response": {"id": "r"}})
    assert ending.tick(plan, 100, 0, actions) == 100 + SETTLE_NS
    assert ending.tick(plan, 100 + SETTLE_NS, 0, actions) == Finished("completed")


def test_a_refusal_of_something_else_does_not_end_the_wait_for_the_answer(script: Script) -> None:
    cancel = {"type": "response.cancel"}
    script.server(CREATED).client(cancel, 0).client(CREATE, 5)
    refused = {"type": "error", "error": {"code": "response_cancel_not_active", "event_id": None}}

    def answer(event: Json) -> list[tuple[float, Json]]:
        return [(20, refused)] if event == cancel else [(600, begun("resp_1")), (900, done("resp_1"))]

    stage = Stage(Player(make_plan(script.messages)), answer)
    assert stage.play() == "completed"
    assert stage.player.session.progress.responses_done == 1


def test_without_a_clock_silence_ends_as_well(script: Script) -> None:
    plan = make_plan(Call(script).speaks(0).script.messages)
    progress = Progress()
    progress.observe("server", VAD_CREATED)
    ending = WindingDown(progress, speed=math.inf, timeout_ns=0, adds_silence=True)
    actions: list[Action] = []
    now_ns, end = 0, ending.tick(plan, 0, 0, actions)
    assert end == SETTLE_NS
    while not isinstance(end, Finished):
        end = ending.tick(plan, now_ns, 0, actions)
        now_ns = end if isinstance(end, int) else now_ns
    assert sum(isinstance(action, Send) for action in actions) == SILENCE_LIMIT_MS // 20
    assert end.reason == "timed_out: missing audio turn 1 of 1"


def test_turns_that_were_heard_as_one_are_not_waited_for(script: Script) -> None:
    plan: Any = make_plan(Call(script).speaks(0).speaks(500).script.messages)
    progress = Progress()
    progress.observe("server", VAD_CREATED)
    progress.observe("server", committed(1))
    ending = WindingDown(progress, speed=1.0, timeout_ns=0, adds_silence=True)
    assert ending.missing(plan)[0] == "audio turn 2 of 2"
    ending.extra_turns = -1
    assert ending.missing(plan) == ["response to user_1"]


SLIM: Json = {"type": "session.created", "session": {"id": "sess_1"}}
"""As of a gateway that tells nothing of how turns end."""


@pytest.mark.parametrize("recorded", [VAD_CREATED, SLIM])
@pytest.mark.parametrize("speed", [1.0, math.inf])
def test_an_endpoint_that_does_not_tell_how_turns_end_is_waited_for_as_was_recorded(
    script: Script, recorded: Json, speed: float
) -> None:
    plan = make_plan(Call(script, recorded).speaks(0).script.messages)
    appends: list[Json] = []

    def answer(event: Json) -> list[tuple[float, Json]]:
        appends.append(event)
        turn = [{"type": "input_audio_buffer.speech_started"}, committed(1)]
        return [(600 + 300 * at, each) for at, each in enumerate(turn)] if len(appends) == 10 else []

    stage = Stage(Player(plan, speed=speed), answer, greeting=SLIM)
    assert stage.play() == "completed"
    assert stage.player.session.progress.commits == ["user_1"]


def test_an_endpoint_that_says_nothing_after_its_greeting_heard_no_turn(script: Script) -> None:
    plan = make_plan(Call(script).speaks(0).script.messages)
    assert Stage(Player(plan), lambda _: [], greeting=SLIM).play() == "timed_out: missing audio turn 1 of 1"


def test_a_session_without_the_recorded_turn_detection_heard_no_turn(script: Script) -> None:
    script.server(VAD_CREATED).client({"type": "session.update", "session": {"instructions": "Be brief."}}, 0)
    script.server({**VAD_CREATED, "type": "session.updated"}, 10).append(20)
    script.server(committed(1), 400)
    plan = adapt(make_plan(script.messages), {"session.audio.input.turn_detection": None})
    updated = {**CREATED, "type": "session.updated"}
    stage = Stage(Player(plan), lambda event: [(5, updated)] if event["type"] == "session.update" else [])
    assert stage.play() == "no_turn: the endpoint committed nothing of what the caller said"


def test_an_endpoint_that_hangs_up_proves_nothing_of_what_the_caller_said_either(script: Script) -> None:
    script.server(VAD_CREATED).server(committed(1), 1500)
    player = Player(make_plan(script.messages))
    player.receive(0, VAD_CREATED)
    assert player.disconnect()[-1] == Finished("no_audio: the recording does not hold what the caller said")
