"""Plans with other audio: what each append carries, when it is sent, and what is said to have changed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from capture.audio import PCM16_24K, AudioFormat
from capture.errors import UsageProblem
from capture.realtime.configuration import ConfigurationTracker
from replay.audio_choice import AudioChoice
from replay.plan import APPEND, Plan, adapt
from replay.planning import make_plan
from replay.sent_audio import follow_echo, speak
from tests.replay.test_plan_clock import Call

PCMU, PCMA = AudioFormat("audio/pcmu", 8000), AudioFormat("audio/pcma", 8000)
PCM_8K = AudioFormat("audio/pcm", 8000)

FORMAT = "session.audio.input.format"
MS = 1_000_000
COMMIT = {"type": "input_audio_buffer.commit"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_a"}


def declared(audio_format: AudioFormat) -> dict[str, Any]:
    return {"type": audio_format.type, "rate": audio_format.rate}


def session(audio_format: AudioFormat, event_type: str = "session.update") -> dict[str, Any]:
    audio = {"input": {"format": declared(audio_format), "turn_detection": None}}
    return {"type": event_type, "session": {"type": "realtime", "audio": audio}}


def speech(rate: int, duration_ms: int = 200, seed: int = 3) -> bytes:
    samples = np.random.default_rng(seed).integers(-9000, 9000, rate * duration_ms // 1000)
    return samples.astype("<i2").tobytes()


def recorded(script: Any, audio_format: AudioFormat, audio: bytes, chunk: int) -> Plan:
    script.server(session(audio_format, "session.created")).client(session(audio_format), 1)
    script.server(session(audio_format, "session.updated"), 2)
    for number, start in enumerate(range(0, len(audio), chunk)):
        script.append(10 + 20 * number, audio[start : start + chunk])
    at_ms = 10 + 20 * (len(audio) // chunk)
    return make_plan(script.client(COMMIT, at_ms).server(COMMITTED, at_ms + 5).messages)


def asked(plan: Plan, audio_format: AudioFormat) -> Plan:
    return speak(adapt(plan, {FORMAT: declared(audio_format)}))


def carried(plan: Plan) -> list[bytes]:
    return [step.audio for step in plan.steps if step.type == APPEND]


def times_ms(plan: Plan) -> list[float]:
    return [step.not_before_ns / MS for step in plan.steps if step.not_before_ns is not None]


def changes(plan: Plan) -> list[tuple[str, str, str]]:
    return [
        (c.kind, json.loads(c.before), json.loads(c.after)) for s in plan.steps for c in s.changes if c.path == "audio"
    ]


def test_recorded_audio_in_the_recorded_format_is_sent_to_the_byte(script: Any) -> None:
    plan = recorded(script, PCM16_24K, speech(24000), 960)
    assert speak(plan) is plan


@pytest.mark.parametrize("g711", [PCMU, PCMA])
def test_g711_becomes_the_very_samples_it_stands_for(script: Any, g711: AudioFormat) -> None:
    audio = bytes(range(256)) * 5
    plan = recorded(script, g711, audio, 160)
    linear = asked(plan, PCM_8K)
    assert b"".join(carried(linear)) == PCM_8K.encode(g711.decode(audio))
    assert [len(chunk) for chunk in carried(linear)] == [320] * 8
    assert times_ms(linear) == times_ms(plan)
    assert changes(linear) == [("audio", f"recorded, {g711.type} 8000, 0.16 s", "recorded, audio/pcm 8000, 0.16 s")]


@pytest.mark.parametrize("g711", [PCMU, PCMA])
def test_linear_samples_become_their_g711(script: Any, g711: AudioFormat) -> None:
    audio = speech(8000)
    said = asked(recorded(script, PCM_8K, audio, 320), g711)
    assert b"".join(carried(said)) == g711.encode(PCM_8K.decode(audio))


def test_what_a_g711_turn_becomes_at_24_khz_lasts_as_long(script: Any) -> None:
    plan = asked(recorded(script, PCMU, bytes(range(200)) * 8, 160), PCM16_24K)
    assert [len(chunk) for chunk in carried(plan)] == [960] * 10
    assert plan.sent_format == PCM16_24K


def test_a_sample_cut_in_two_between_appends_stays_whole(script: Any) -> None:
    audio = speech(8000)
    said = asked(recorded(script, PCM_8K, audio, 321), PCMU)
    assert b"".join(carried(said)) == PCMU.encode(PCM_8K.decode(audio))


def test_all_but_the_audio_of_an_append_stays(script: Any) -> None:
    script.server(session(PCMU, "session.created")).client(session(PCMU), 1)
    audio = base64.b64encode(b"\xff" * 160).decode()
    script.client({"event_id": "mine", "type": APPEND, "audio": audio, "more": [1]}, 10)
    [*_, append] = asked(make_plan(script.messages), PCM_8K).steps
    event = json.loads(append.content)
    assert list(event) == ["event_id", "type", "audio", "more"]
    assert (event["event_id"], event["more"]) == ("mine", [1])


def test_appends_between_which_something_else_was_sent_are_told_of_one_by_one(script: Any) -> None:
    script.server(session(PCMU, "session.created")).client(session(PCMU), 1)
    script.append(10, b"\xff" * 160).append(30, b"\xff" * 160).client(COMMIT, 50).append(60, b"\xff" * 80)
    said = asked(make_plan(script.messages), PCM_8K)
    assert [(before, after) for _, before, after in changes(said)] == [
        ("recorded, audio/pcmu 8000, 0.04 s", "recorded, audio/pcm 8000, 0.04 s"),
        ("recorded, audio/pcmu 8000, 0.01 s", "recorded, audio/pcm 8000, 0.01 s"),
    ]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.frombuffer(speech(24000, 100, seed=9), "<i2"), 24000, subtype="PCM_16")
    return path


def test_a_shorter_clip_keeps_all_times(script: Any, clip: Path) -> None:
    plan = recorded(script, PCM16_24K, speech(24000), 960)
    said = speak(plan, AudioChoice("clip", clip=clip))
    assert b"".join(carried(said)) == speech(24000, 100, seed=9) + PCM16_24K.silence(100)
    assert times_ms(said) == times_ms(plan)
    assert changes(said)[0][2] == f"{clip}, audio/pcm 24000, 0.20 s"


def test_a_longer_clip_takes_more_appends_at_the_pace_and_moves_the_commit(script: Any, clip: Path) -> None:
    plan = recorded(script, PCM16_24K, speech(24000, 60), 960)
    said = speak(plan, AudioChoice("clip", clip=clip))
    assert b"".join(carried(said)) == speech(24000, 100, seed=9)
    assert times_ms(plan) == [0, 20, 40, 60]
    assert times_ms(said) == [0, 20, 40, 60, 80, 100]
    assert said.steps[-1].type == "input_audio_buffer.commit"
    assert said.duration_ns == 100 * MS


def test_silence_is_as_long_as_what_it_replaces(script: Any) -> None:
    plan = recorded(script, PCMU, bytes(range(160)) * 4, 160)
    assert carried(speak(plan, AudioChoice("silence"))) == [b"\xff" * 160] * 4
    assert speak(plan, AudioChoice("silence")).turns == 0


def test_noise_is_the_same_in_every_plan_of_a_seed(script: Any) -> None:
    plan = recorded(script, PCM16_24K, speech(24000), 960)
    noise = AudioChoice("noise", snr_db=10)
    assert carried(speak(plan, noise, seed=1)) == carried(speak(plan, noise, seed=1))
    assert carried(speak(plan, noise, seed=1)) != carried(speak(plan, noise, seed=2))


def test_without_recorded_audio_there_is_none_to_replace(script: Any) -> None:
    plan = make_plan(script.server({"type": "session.created"}).client({"type": "response.create"}).messages)
    assert speak(plan) is plan
    with pytest.raises(UsageProblem, match="none to replace"):
        speak(plan, AudioChoice("silence"))


def configuration(*, echoed: AudioFormat) -> ConfigurationTracker:
    tracker = ConfigurationTracker()
    tracker.observe("client", session(PCMU))
    tracker.observe("server", session(echoed, "session.updated"))
    return tracker


def test_an_endpoint_that_takes_another_format_gets_that(script: Any) -> None:
    plan = recorded(script, PCMU, bytes(range(160)) * 4, 160)
    assert follow_echo(plan, configuration(echoed=PCMU)) is plan
    assert [len(chunk) for chunk in carried(follow_echo(plan, configuration(echoed=PCM16_24K)))] == [960] * 4


def test_a_format_that_was_refused_in_the_recording_too_is_sent_all_the_same(script: Any) -> None:
    script.server(session(PCM16_24K, "session.created")).client(session(PCMU), 1)
    script.server(session(PCM16_24K, "session.updated"), 2).append(10, b"\xff" * 160)
    plan = make_plan(script.messages)
    assert follow_echo(plan, configuration(echoed=PCM16_24K)) is plan


def test_a_format_is_asked_for_and_spoken_in_the_dialect_of_the_target_too(script: Any) -> None:
    plan = recorded(script, PCM16_24K, speech(24000), 960)
    said = speak(adapt(plan, {FORMAT: declared(PCMU)}, dialect="beta"))
    assert '"input_audio_format": "g711_ulaw"' in str(said.steps[0].content)
    assert [len(chunk) for chunk in carried(said)] == [160] * 10


def test_other_audio_is_not_expected_to_be_heard_as_so_many_turns(script: Any, clip: Path) -> None:
    Call(script).speaks(0).hears(1, 300, 500).speaks(2000).hears(2, 2300, 500)
    plan = make_plan(script.messages)

    def anchors(choice: AudioChoice) -> list[tuple[str, int | None]]:
        spoken = speak(plan, choice)
        assert spoken.responses is None
        return [(step.anchor.kind, step.anchor.turns) for step in spoken.steps if step.anchor is not None]

    assert [step.anchor.turns for step in plan.steps if step.anchor is not None] == [1]
    assert anchors(AudioChoice("clip", clip=clip)) == anchors(AudioChoice("noise", snr_db=20)) == [("after", None)]
    # To silence no VAD gives an answer that could be waited for.
    assert anchors(AudioChoice("silence")) == []
