"""The wait for the first audio, turn by turn; the same as the view `latencies` tells."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from analyze.store import Store
from capture.recording.reader import list_session_ids, open_recording
from replay.latency import first_audio_ms
from tests.sample import SAMPLE


class Seen(NamedTuple):
    offset_ns: int
    type: str
    response_id: str | None = None
    call_id: str | None = None
    content: str = "{}"


def at(ms: float, kind: str, response_id: str | None = None, call_id: str | None = None) -> Seen:
    return Seen(int(ms * 1e6), kind, response_id, call_id)


def test_a_turn_waits_from_the_end_of_speech_or_from_the_commit_or_from_the_message() -> None:
    speech = [
        at(0, "input_audio_buffer.speech_started"),
        at(1000, "input_audio_buffer.speech_stopped"),
        at(1500, "input_audio_buffer.committed"),
        at(1600, "response.created", "r1"),
        at(1900, "response.output_audio.delta", "r1"),
        at(1950, "response.output_audio.delta", "r1"),
    ]
    manual = [
        at(3000, "input_audio_buffer.commit"),
        at(3050, "input_audio_buffer.committed"),
        # Context that the client gives along.
        at(3060, "conversation.item.create"),
        at(3100, "response.created", "r2"),
        at(3400, "response.audio.delta", "r2"),
    ]
    written = [
        at(5000, "conversation.item.create"),
        at(5010, "response.created", "r3"),
        # A tool is called: the audio comes with the second response, and the turn is the same.
        at(5200, "conversation.item.create", None, "call_1"),
        at(5300, "response.created", "r4"),
        at(5700, "response.output_audio.delta", "r4"),
    ]
    unanswered = [at(7000, "input_audio_buffer.committed")]
    assert first_audio_ms([*speech, *manual, *written, *unanswered]) == [900, 400, 700]


def test_the_first_audio_of_a_response_out_of_band_ends_no_wait() -> None:
    ask = '{"type": "response.create", "response": {"conversation": "none"}}'
    beside = '{"type": "response.created", "response": {"id": "r1", "conversation_id": null}}'
    assert first_audio_ms(
        [
            at(0, "input_audio_buffer.committed"),
            at(50, "response.create")._replace(content=ask),
            at(100, "response.created", "r1")._replace(content=beside),
            at(200, "response.output_audio.delta", "r1"),
            at(300, "response.created", "r2"),
            at(700, "response.output_audio.delta", "r2"),
        ]
    ) == [700]


@pytest.mark.slow
def test_the_sample_recordings_wait_as_long_as_the_view_says() -> None:
    root = SAMPLE
    with Store(root) as store:
        rows = store.rows("SELECT session_id, turn, latency_ms FROM latencies WHERE name = 'first_audio' ORDER BY ALL")
    told: dict[str, list[float]] = {}
    for row in rows:
        told.setdefault(row["session_id"], []).append(row["latency_ms"])
    measured: dict[str, Any] = {
        session_id: waits
        for session_id in list_session_ids(root)
        if (waits := first_audio_ms(open_recording(root, session_id).messages()))
    }
    assert measured.keys() == told.keys()
    for session_id, waits in measured.items():
        assert waits == pytest.approx(told[session_id], abs=0.01)
