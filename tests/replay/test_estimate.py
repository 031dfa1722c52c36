"""What replays cost, by what the recording used or else by its audio."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from replay.client import Upgrade
from replay.estimate import Cost, cost_of, say_duration, total
from replay.late_failure import LateFailure
from replay.planning import make_plan
from replay.runs import RunRecording
from replay.source import Source, Usage

SECOND = bytes(48_000)


@pytest.fixture
def source(script: Any) -> Source:
    script.server({"type": "session.created", "session": {}})
    for second in range(6):
        script.append(second * 1000, SECOND)
    return Source(RunRecording(session_id="s"), make_plan(script.messages), Upgrade("/"), "")


def test_without_the_responses_usage_tokens_are_counted_by_the_audio(source: Source) -> None:
    cost = cost_of(replace(source, usage=Usage(sent_ms=6000, answered_ms=2500)), source.plan)
    assert (cost.sessions, cost.sent_ms, cost.input_tokens, cost.output_tokens) == (1, 6000, 60, 50)
    assert cost.in_words == (
        "1 session, 0.1 minutes of audio, about 60 input and 50 output tokens"
        " (at least, by the audio: 1 for 100 ms sent, 1 for 50 ms answered)"
    )


def test_what_the_recorded_responses_used_is_taken_where_they_told_it(source: Source) -> None:
    used = replace(source, usage=Usage(input_tokens=1300, output_tokens=210, sent_ms=6000, answered_ms=2500))
    cost = cost_of(used, source.plan).times(10)
    assert cost.as_json() == {
        "sessions": 10,
        "sent_minutes": 1.0,
        "input_tokens": 13_000,
        "output_tokens": 2100,
        "tokens_from": "as the recorded responses used",
    }
    half = replace(source.plan, steps=source.plan.steps[:3])
    assert cost_of(used, half).input_tokens == 650


def test_costs_add_up_and_take_their_time_so_many_at_once(source: Source) -> None:
    by_audio = cost_of(source, source.plan)
    used = cost_of(replace(source, usage=Usage(input_tokens=100, sent_ms=6000)), source.plan)
    both = total([by_audio, used.times(3)])
    assert (both.sessions, both.input_tokens, both.sent_ms) == (4, 360, 24_000)
    assert "as recorded where the responses told it" in both.basis
    # Five seconds of sending (the last append begins then), five for the answer.
    assert both.seconds_at(1) == pytest.approx(40)
    assert both.seconds_at(2) == pytest.approx(20)
    assert both.seconds_at(8) == pytest.approx(10)
    assert Cost().in_words.startswith("0 sessions, 0 minutes")


def test_without_a_clock_the_time_is_unknown_and_the_audio_is_as_long_as_ever(source: Source) -> None:
    at_once = cost_of(source, source.plan, speed=math.inf)
    assert at_once.sent_ms == cost_of(source, source.plan).sent_ms == 6000
    assert (at_once.minutes_at(2), at_once.time_in_words(2)) == (None, "as fast as it goes")
    paced = cost_of(source, source.plan, speed=2).times(12)
    assert (paced.minutes_at(2), paced.time_in_words(2)) == (0.75, "about 45 s in all")


def test_a_late_failure_is_stayed_for(source: Source) -> None:
    plan = replace(source.plan, late_failure=LateFailure(30_000_000_000))
    assert cost_of(source, plan).seconds_at(1) == pytest.approx(cost_of(source, source.plan).seconds_at(1) + 30)


def test_times_are_said_as_people_do() -> None:
    said = ["0.4 s", "1.5 s", "120 s", "2 min", "8 h"]
    assert [say_duration(seconds) for seconds in (0.4, 1.5, 119.9, 121, 28_800)] == said
