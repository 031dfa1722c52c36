"""When an answer is heard, and what somebody who speaks had heard by then."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.audio import PCM16_24K, AudioFormat
from replay.anchors import Anchor, Answer, Answers, find_anchors, onset_ns

MS = 1_000_000
Json = dict[str, Any]


def begun(name: str, **fields: Any) -> Json:
    return {"type": "response.created", "response": {"id": name, **fields}}


def done(name: str, status: str = "completed") -> Json:
    return {"type": "response.done", "response": {"id": name, "status": status}}


def audio(name: str, length_ms: int, event_type: str = "response.output_audio.delta") -> Json:
    delta = base64.b64encode(bytes(48 * length_ms)).decode()
    return {"type": event_type, "response_id": name, "item_id": f"item_of_{name}", "delta": delta}


def heard(*events: tuple[float, Json], speed: float = 1.0) -> Answers:
    answers = Answers(speed)
    for at_ms, event in events:
        sender = "client" if event["type"].startswith("conversation.item.truncate") else "server"
        answers.observe(int(at_ms * MS), sender, event, PCM16_24K)
    return answers


def test_an_answer_is_over_when_it_is_generated_and_played() -> None:
    [answer] = heard((0, begun("a")), (100, audio("a", 500)), (150, audio("a", 500)), (200, done("a"))).begun
    assert (answer.first_audio_ns, answer.end_ns) == (100 * MS, 1100 * MS)
    # Played from the first piece on; what comes too late is played when it comes.
    [late] = heard((0, begun("a")), (100, audio("a", 100)), (500, audio("a", 100)), (550, done("a"))).begun
    assert late.end_ns == 600 * MS
    [slow] = heard((0, begun("a")), (100, audio("a", 100)), (900, done("a"))).begun
    assert slow.end_ns == 900 * MS
    [endless] = heard((0, begun("a")), (100, audio("a", 100))).begun
    assert endless.end_ns is None


def test_at_twice_the_speed_it_is_played_in_half_the_time() -> None:
    [answer] = heard((0, begun("a")), (100, audio("a", 500)), (150, done("a")), speed=2.0).begun
    assert answer.end_ns == 350 * MS


def test_who_cancels_or_truncates_plays_no_further() -> None:
    [cancelled] = heard((0, begun("a")), (100, audio("a", 5000)), (400, done("a", "cancelled"))).begun
    assert cancelled.end_ns == 400 * MS
    truncate = {"type": "conversation.item.truncate", "item_id": "item_of_a"}
    [truncated] = heard((0, begun("a")), (100, audio("a", 5000)), (300, done("a")), (700, truncate)).begun
    assert truncated.end_ns == 700 * MS


def test_both_dialects_are_heard_and_what_is_out_of_band_is_not() -> None:
    beta = audio("a", 200, "response.audio.delta")
    aside = begun("b", conversation_id=None)
    answers = heard(
        (0, begun("a", conversation_id="c")), (5, aside), (10, audio("b", 900)), (20, beta), (30, done("b"))
    )
    assert [answer.heard_until_ns for answer in answers.begun] == [220 * MS]


def test_audio_is_read_without_parsing_all_of_it() -> None:
    answers = heard((0, begun("a")))
    answers.observe_audio(100 * MS, json.dumps(audio("a", 200)), PCM16_24K)
    answers.observe_audio(100 * MS, b"no json", PCM16_24K)
    answers.observe_audio(100 * MS, '{"delta": 7}', AudioFormat("audio/pcmu", 8000))
    assert answers.begun[0].heard_until_ns == 300 * MS


@pytest.mark.parametrize("event", [begun("a") | {"response": 7}, done("x"), audio("x", 5), {"type": 7}, {}])
def test_events_of_any_shape_do_no_harm(event: Json) -> None:
    Answers().observe(0, "server", event, PCM16_24K)


CALL = heard((0, begun("a")), (100, audio("a", 1000)), (200, done("a")), (5000, begun("b")), (5100, audio("b", 1000)))


@pytest.mark.parametrize(
    ("at_ms", "anchor"),
    [
        (50, None),
        (600, Anchor(1, "into", 500 * MS, 400 * MS, turns=3)),
        (1500, Anchor(1, "after", 400 * MS, 1300 * MS, turns=3)),
        (5050, None),
        (5400, Anchor(2, "into", 300 * MS, -1, turns=3)),
    ],
)
def test_an_onset_is_tied_to_the_answer_that_was_heard(at_ms: int, anchor: Anchor | None) -> None:
    assert find_anchors([(at_ms * MS, 3)], CALL) == [anchor]


def test_of_two_onsets_after_one_answer_the_first_is_tied_to_it() -> None:
    first, second, third = find_anchors([(1500 * MS, 0), (1900 * MS, 0), (5400 * MS, 0)], CALL)
    assert (first is not None, second, third is not None) == (True, None, True)


@given(first_ms=st.integers(1, 900), offset_ms=st.integers(0, 3000), played_ms=st.integers(0, 3000))
def test_a_cut_into_an_answer_never_comes_after_its_end(first_ms: int, offset_ms: int, played_ms: int) -> None:
    answer = Answer(0, first_ms * MS, (first_ms + played_ms) * MS, done_ns=first_ms * MS)
    at_ns, outlived = onset_ns(Anchor(1, "into", offset_ms * MS), answer, 1.0)
    assert at_ns == min(first_ms + offset_ms, first_ms + played_ms) * MS
    assert outlived == (offset_ms > played_ms)


def test_without_a_clock_an_answer_is_waited_for_that_had_been_generated() -> None:
    answer = Answer(0, 10 * MS, 10 * MS)
    assert onset_ns(Anchor(1, "into", 500 * MS, 400 * MS), answer, math.inf) == (None, False)
    assert onset_ns(Anchor(1, "into", 500 * MS, -100 * MS), answer, math.inf) == (10 * MS, False)
    answer.done_ns = 20 * MS
    assert onset_ns(Anchor(1, "into", 500 * MS, 400 * MS), answer, math.inf) == (20 * MS, False)


def test_what_was_skipped_since_an_answer_is_not_waited_through() -> None:
    anchor = Anchor(1, "after", 400 * MS, 9400 * MS).shortened(8000 * MS)
    assert onset_ns(anchor, Answer(0, 10, 10_000 * MS, done_ns=2000 * MS), 1.0) == (3400 * MS, False)
    assert onset_ns(anchor, Answer(0, 10, 10_000 * MS), 1.0) == (None, False)


def test_a_truncation_of_what_is_no_id_stops_no_answer() -> None:
    odd = {"type": "conversation.item.truncate", "item_id": ["item_of_a"]}
    [answer] = heard((0, begun("a")), (10, audio("a", 500)), (20, odd), (30, done("a"))).begun
    assert answer.end_ns == 510 * MS
