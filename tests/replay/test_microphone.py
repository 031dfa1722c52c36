"""Whether a microphone is open, and what it sends while a replay waits."""

from __future__ import annotations

import base64
import json
import math

import pytest

from capture.audio import PCM16_24K
from replay.microphone import Microphone, chunk_ns
from replay.plan import Step
from replay.planning import make_plan
from replay.rewrite import Change
from tests.replay.conftest import Script
from tests.replay.test_plan_clock import Call

MS = 1_000_000
FAR = 10**12


def steps_of(script: Script) -> tuple[Step, ...]:
    return make_plan(script.messages).steps


def test_silence_follows_the_last_append_at_its_pace(script: Script) -> None:
    Call(script).speaks(0).hears(1, 300, 100).quiet(200, 900).speaks(900)
    steps = steps_of(script)
    microphone = Microphone(1.0)
    microphone.note(steps[44], 5000 * MS)
    assert microphone.due_ns(steps, 45, FAR) == 5020 * MS
    event = json.loads(microphone.hear(PCM16_24K))
    assert base64.b64decode(event["audio"]) == bytes(960)
    assert microphone.due_ns(steps, 45, FAR) == 5040 * MS
    # What would reach into the step that is waited for is not sent.
    assert microphone.due_ns(steps, 45, 5045 * MS) is None
    microphone.leave_out(steps[20])
    assert microphone.take_changes() == [Change("pause", "", '"0.02 s"', '"0.02 s"')]
    assert microphone.take_changes() == []


def test_a_client_that_is_silent_between_turns_and_speech_that_is_held_get_none(script: Script) -> None:
    Call(script).speaks(0).hears(1, 300, 100).speaks(900)
    steps = steps_of(script)
    microphone = Microphone(1.0)
    assert microphone.due_ns(steps, 0, FAR) is None
    microphone.note(steps[9], 180 * MS)
    assert microphone.due_ns(steps, 10, FAR) is None
    microphone.note(steps[12], 960 * MS)
    assert microphone.due_ns(steps, 13, FAR) is None
    assert microphone.due_ns(steps, len(steps), FAR) is None
    # A VAD that still hears the caller would wait for ever; in the middle of speech it has only to wait.
    assert microphone.due_ns(steps, len(steps), FAR, is_speech_open=True) == 980 * MS
    assert microphone.due_ns(steps, 13, FAR, is_speech_open=True) is None


@pytest.mark.parametrize(("speed", "every_ns"), [(1.0, 20 * MS), (4.0, 5 * MS), (math.inf, 5 * MS)])
def test_without_a_clock_it_is_not_all_sent_at_once(speed: float, every_ns: int) -> None:
    assert chunk_ns(20, speed) == every_ns
