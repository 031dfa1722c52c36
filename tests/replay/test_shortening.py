"""Plans that end after a turn, or skip what was waited through."""

from __future__ import annotations

import json
from typing import Any

import pytest

from capture.errors import UsageProblem
from replay.anchors import Anchor
from replay.late_failure import LateFailure
from replay.plan import APPEND, Plan
from replay.planning import make_plan
from replay.shortening import shorten

VAD = {"type": "session.created", "session": {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}}
MANUAL = {"type": "session.created", "session": {"audio": {"input": {"turn_detection": None}}}}
LOUD, QUIET = b"\x00\x10" * 2400, b"\x01\x00" * 2400
COMMIT, CREATE = {"type": "input_audio_buffer.commit"}, {"type": "response.create"}
MS = 1_000_000


def heard(what: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"input_audio_buffer.{what}", "item_id": "item_a", **fields}


def begun(response_id: str) -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": response_id}}


def done(response_id: str) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": response_id}}


@pytest.fixture
def call(script: Any) -> Plan:
    """Two turns of a microphone that is always on: speech at 1 s and at 11 s, appends of 100 ms."""
    script.server(VAD)
    for at_ms in range(0, 14_000, 100):
        script.append(at_ms, LOUD if at_ms // 1000 in (1, 11) else QUIET)
        for start_ms, response_id in ((1000, "r1"), (11_000, "r2")):
            if at_ms == start_ms + 200:
                script.server(heard("speech_started", audio_start_ms=start_ms - 300), at_ms + 1)
            elif at_ms == start_ms + 1500:
                script.server(heard("speech_stopped", audio_end_ms=start_ms + 1500), at_ms + 1)
                script.server(heard("committed"), at_ms + 2).server(begun(response_id), at_ms + 3)
                script.server(done(response_id), at_ms + 4)
    return make_plan(script.messages)


def seconds(plan: Plan) -> list[float]:
    return [step.not_before_ns / 1e9 for step in plan.steps if step.not_before_ns is not None]


def told(plan: Plan) -> list[tuple[str, str, str]]:
    return [(c.kind, json.loads(c.before), json.loads(c.after)) for step in plan.steps for c in step.changes]


def test_a_plan_ends_with_the_turn_that_was_named(call: Plan) -> None:
    short = shorten(call, until_turn=1)
    assert (len(call.steps), len(short.steps)) == (140, 26)
    assert (short.turns, len(short.spoken), short.duration_ns) == (1, 1, 2500 * MS)
    assert told(short) == [("until", "140 messages", "26 messages, until turn 1")]


def test_until_the_last_turn_is_all_of_it(call: Plan) -> None:
    assert shorten(call, until_turn=2) is call


@pytest.mark.parametrize("turn", [0, 3, -1])
def test_a_turn_that_was_not_spoken_is_refused(call: Plan, turn: int) -> None:
    with pytest.raises(UsageProblem, match=f"no spoken turn {turn}: it has 2"):
        shorten(call, until_turn=turn)


def test_what_the_client_sent_for_a_turn_belongs_to_it(script: Any) -> None:
    script.server(MANUAL)
    for start_ms in (0, 1000):
        script.append(start_ms, LOUD).client(COMMIT, start_ms + 100).server(heard("committed"), start_ms + 110)
        script.client(CREATE, start_ms + 120)
    short = shorten(make_plan(script.messages), until_turn=1)
    assert [step.type for step in short.steps] == [APPEND, "input_audio_buffer.commit", "response.create"]


def test_long_pauses_are_shortened_and_speech_keeps_its_spacing(call: Plan) -> None:
    short = shorten(call, longest_idle_s=2)
    # Nothing is due from 2.5 s on, and the next speech, at 11 s, is heard from 10.7 s on.
    assert told(short) == [("idle", "8.20 s", "2 s")]
    assert seconds(short) == pytest.approx(
        [at / 10 for at in range(46)] + [4.5 + at / 10 for at in range(33)], abs=0.01
    )
    assert [round(turn.start_ms) for turn in short.spoken] == [700, 4600]
    assert short.turns == 2


def test_pauses_that_are_short_enough_stay(call: Plan) -> None:
    assert shorten(call, longest_idle_s=20).steps == call.steps


def test_what_something_was_due_in_is_no_pause(script: Any) -> None:
    script.server(MANUAL).append(0, LOUD).client(COMMIT, 100).server(heard("committed"), 110).client(CREATE, 120)
    script.server(begun("r1"), 200).server(done("r1"), 9000).append(20_000, LOUD)
    short = shorten(make_plan(script.messages), longest_idle_s=3)
    # 8.9 s of waiting for the response stay; of the 10.7 s behind it, 3.
    assert seconds(short) == pytest.approx([0, 0.1, 0.12, 12.3], abs=0.01)


def test_a_late_failure_is_stayed_for_no_longer_than_a_pause_and_belongs_to_the_last_turn(script: Any) -> None:
    script.server(MANUAL)
    for start_ms in (0, 1000):
        script.append(start_ms, LOUD).client(COMMIT, start_ms + 100).server(heard("committed"), start_ms + 110)
    plan = make_plan(script.messages, closed_ns=61_110 * MS)
    assert plan.late_failure == LateFailure(60_000 * MS)
    short = shorten(plan, longest_idle_s=2)
    assert short.late_failure == LateFailure(2000 * MS)
    assert told(short) == [("idle", "60.00 s", "2 s")]
    assert shorten(plan, until_turn=1).late_failure is None


def test_quiet_audio_without_a_vad_is_part_of_a_turn(script: Any) -> None:
    script.server(MANUAL)
    for at_ms in range(0, 9000, 100):
        script.append(at_ms, QUIET)
    plan = make_plan(script.messages)
    assert shorten(plan, longest_idle_s=1).steps == plan.steps


def test_the_caller_speaks_as_much_sooner_after_an_answer_as_was_skipped(call: Plan) -> None:
    def onset(plan: Plan) -> tuple[int, Anchor]:
        return next((step.not_before_ns or 0, step.anchor) for step in plan.steps if step.anchor is not None)

    (recorded_ns, recorded), (short_ns, short) = onset(call), onset(shorten(call, longest_idle_s=2))
    assert (recorded.kind, short.kind) == ("after", "after_done")
    assert recorded_ns - short_ns == recorded.since_done_ns - short.offset_ns > 5000 * MS
    assert onset(shorten(call, longest_idle_s=20)) == (recorded_ns, recorded)
    assert shorten(call, until_turn=1).responses is None
