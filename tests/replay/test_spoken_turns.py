"""Where the caller's turns lie in the recorded audio."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from capture.audio import PCM16_24K
from replay.planning import make_plan
from replay.spoken_turns import SpokenTurn, SpokenTurns

VAD = {"type": "session.created", "session": {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}}
MANUAL = {"type": "session.created", "session": {"audio": {"input": {"turn_detection": None}}}}
CHUNK = b"\x01\x00" * 480
COMMIT = {"type": "input_audio_buffer.commit"}
MS = 1_000_000


def heard(what: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"input_audio_buffer.{what}", "item_id": "item_a", **fields}


def appended(script: Any, start_ms: float, count: int) -> None:
    for number in range(count):
        script.append(start_ms + 20 * number, CHUNK)


def test_a_vad_tells_where_a_turn_lies(script: Any) -> None:
    script.server(VAD)
    appended(script, 0, 50)
    script.server(heard("speech_started", audio_start_ms=200), 1000)
    appended(script, 1000, 50)
    script.server(heard("speech_stopped", audio_end_ms=1500), 2000).server(heard("committed"), 2001)
    appended(script, 2000, 10)
    plan = make_plan(script.messages)
    assert plan.spoken == (SpokenTurn(200, 1500, first_step=50, committed_step=100, is_heard=True),)
    assert plan.due_ns[0][0] == 1000 * MS


def test_without_a_vad_a_turn_is_what_lies_between_two_commits(script: Any) -> None:
    script.server(MANUAL)
    appended(script, 0, 10)
    script.client(COMMIT, 200)
    appended(script, 210, 5)
    script.server(heard("committed"), 250).client(COMMIT, 400).server(heard("committed"), 450)
    first, *_ = make_plan(script.messages).spoken
    assert first == SpokenTurn(0, 200, first_step=0, committed_step=16)


def test_a_turn_that_never_ended_lasts_until_the_end(script: Any) -> None:
    script.server(VAD)
    appended(script, 0, 20)
    script.server(heard("speech_started", audio_start_ms=100), 400)
    appended(script, 400, 5)
    assert make_plan(script.messages).spoken == (SpokenTurn(100, 500, first_step=20, is_heard=True),)


def test_an_impossible_position_is_taken_from_when_it_was_told(script: Any) -> None:
    script.server(VAD)
    appended(script, 0, 20)
    script.server(heard("speech_started", audio_start_ms=99_000), 400)
    appended(script, 400, 5)
    assert make_plan(script.messages).spoken[0].start_ms == 400


def test_cleared_audio_is_no_turn(script: Any) -> None:
    script.server(MANUAL)
    appended(script, 0, 10)
    script.server(heard("cleared"), 300)
    assert make_plan(script.messages).spoken == ()


@given(st.binary(max_size=200), st.sampled_from([(",", ":"), (", ", ": ")]), st.booleans())
def test_the_length_of_an_append_is_read_without_parsing_it(
    audio: bytes, separators: tuple[str, str], audio_first: bool
) -> None:
    fields = [("type", "input_audio_buffer.append"), ("audio", base64.b64encode(audio).decode())]
    content = json.dumps(dict(reversed(fields) if audio_first else fields), separators=separators)
    turns = SpokenTurns(is_cut=False)
    turns.append(content, PCM16_24K, 0)
    assert turns.sent_ms == PCM16_24K.milliseconds(len(audio))
