"""Calls placed from an audio file to the simulator, and to endpoints that misbehave."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from websockets.asyncio.server import ServerConnection, serve

from capture.audio import PCM16_24K, AudioFormat, clip_as, read_clip
from capture.call import CallPlan, CallProgress, CallResult, call_url, place_call, session_update
from capture.errors import UsageProblem
from capture.recorder import Recorder
from capture.recording.reader import Recording, list_session_ids, open_recording
from capture.targets import Target
from replay.simulator import load_scenario
from replay.simulator import serve as simulate


@pytest.fixture
def word(question_clip: Path, tmp_path: Path) -> Path:
    """Give a spoken word, short enough for tests that run at real time."""
    samples, rate = read_clip(question_clip)
    path = tmp_path / "word.wav"
    soundfile.write(path, samples[: rate * 6 // 10], rate)
    return path


@asynccontextmanager
async def simulator(scenario: str = "healthy") -> AsyncIterator[Target]:
    async with simulate([load_scenario(scenario)]) as running:
        yield running.targets("gpt-realtime")[0]


@asynccontextmanager
async def misbehaving(*events: dict[str, Any], close: tuple[int, str] | None = None) -> AsyncIterator[Target]:
    """Serve an endpoint that says these events whatever it hears, and may then close."""

    async def handle(connection: ServerConnection) -> None:
        for event in events:
            await connection.send(json.dumps(event))
        if close is not None:
            await connection.close(*close)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0) as server:
        yield Target("endpoint", f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")


def recording_of(recorder: Recorder, result: CallResult) -> Recording:
    return open_recording(recorder.root, result.sealed.session_id)


def sent_types(recording: Recording) -> list[str | None]:
    """List what the client said, one entry for all appends in a row."""
    types = [message.type for message in recording.messages() if message.sender == "client" and message.kind == "event"]
    return [kind for kind, before in zip(types, [None, *types], strict=False) if kind != before]


# Where and how


@pytest.mark.parametrize(
    ("url", "model", "expected"),
    [
        ("wss://api.openai.com", None, "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("wss://c.openai.azure.com", None, "wss://c.openai.azure.com/openai/v1/realtime?model=gpt-realtime"),
        ("wss://api.openai.com/v1/realtime", "mine", "wss://api.openai.com/v1/realtime?model=mine"),
        ("wss://h/v1/realtime?model=theirs", None, "wss://h/v1/realtime?model=theirs"),
        ("wss://h/v1/realtime?intent=transcription", None, "wss://h/v1/realtime?intent=transcription"),
        ("wss://h/v1/realtime?call_id=rtc_1", None, "wss://h/v1/realtime?call_id=rtc_1"),
        ("wss://h/v1/realtime?x=1", None, "wss://h/v1/realtime?x=1&model=gpt-realtime"),
    ],
)
def test_the_url_of_a_call_names_a_model(url: str, model: str | None, expected: str) -> None:
    assert call_url(Target("t", url), model) == expected


def test_the_targets_own_model_is_taken() -> None:
    target = Target("t", "wss://h/v1/realtime", model="deployed")
    assert call_url(target) == "wss://h/v1/realtime?model=deployed"
    assert call_url(target, "mine") == "wss://h/v1/realtime?model=mine"


def test_the_update_is_in_the_ga_shape_with_the_deployments_name() -> None:
    target = Target("t", "wss://h", transcription_models={"gpt-4o-transcribe": "transcribe-prod"})
    plan = CallPlan(
        Path("clip"),
        transcription="gpt-4o-transcribe",
        settings={"session.audio.output.voice": "marin", "session.audio.input.turn_detection.silence_duration_ms": 200},
    )
    assert session_update(target, plan)["session"] == {
        "type": "realtime",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
                "transcription": {"model": "transcribe-prod"},
            },
            "output": {"voice": "marin"},
        },
    }


def test_manual_turns_have_no_turn_detection() -> None:
    update = session_update(Target("t", "wss://h"), CallPlan(Path("clip"), turns="manual"))
    assert update["session"]["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize("path", ["audio.output.voice", "session.", "session..voice", ""])
def test_a_setting_outside_the_session_is_refused_by_name(path: str) -> None:
    with pytest.raises(UsageProblem, match=r"session\.audio\.output\.voice"):
        session_update(Target("t", "wss://h"), CallPlan(Path("clip"), settings={path: 1}))


async def test_what_cannot_be_spoken_is_refused_before_anything_is_recorded(
    recorder: Recorder, word: Path, tmp_path: Path
) -> None:
    target = Target("nowhere", "ws://127.0.0.1:1")
    text = tmp_path / "notes.txt"
    text.write_text("not a sound")
    with pytest.raises(UsageProblem, match="no audio file"):
        await place_call(target, CallPlan(text), recorder)
    with pytest.raises(UsageProblem, match="no format a call can speak"):
        await place_call(target, CallPlan(word, settings={"session.audio.input.format": "opus"}), recorder)
    recorder.close()
    assert list_session_ids(recorder.root) == []


# Calls


async def test_a_call_speaks_the_clip_and_waits_for_everything(recorder: Recorder, word: Path) -> None:
    progress: list[CallProgress] = []
    async with simulator() as target:
        plan = CallPlan(word, transcription="whisper-1", trailing_silence_ms=0)
        result = await place_call(target, plan, recorder, on_progress=progress.append)
    assert result.notes == ()
    assert result.sealed.outcome == "ok"
    assert result.sealed.turns == 1
    assert len(result.heard) == len(result.answers) == 1
    recording = recording_of(recorder, result)
    assert sent_types(recording) == ["session.update", "input_audio_buffer.append"]
    [(audio_format, spoken)] = recording.audio("client")
    clip = clip_as(word, PCM16_24K)
    assert audio_format == PCM16_24K
    assert spoken.startswith(clip)
    assert not any(spoken[len(clip) :])
    appends = [message for message in recording.messages() if message.type == "input_audio_buffer.append"]
    assert {message.row["audio_bytes"] for message in appends} == {20 * 48}
    assert recording.session["pacing_p50_us"] is not None
    assert recording.session["drift_us"] is not None
    assert recording.session["end_reason"] == "the call was over"
    assert (recording.session["closed_by"], recording.session["close_code"]) == ("client", 1000)
    assert progress[0].phase == "connecting"
    assert {"speaking", "listening", "sealing"} <= {step.phase for step in progress}


async def test_a_manual_turn_is_committed_and_answered(recorder: Recorder, word: Path, tmp_path: Path) -> None:
    samples, rate = read_clip(word)
    stereo = tmp_path / "stereo.flac"
    soundfile.write(stereo, np.column_stack([samples, samples]), rate)
    settings = {"session.audio.input.format": {"type": "audio/pcmu"}}
    async with simulator() as target:
        plan = CallPlan(stereo, turns="manual", transcription="whisper-1", settings=settings)
        result = await place_call(target, plan, recorder)
    assert result.notes == ()
    recording = recording_of(recorder, result)
    assert sent_types(recording) == [
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "response.create",
    ]
    [(audio_format, spoken)] = recording.audio("client")
    assert audio_format == AudioFormat("audio/pcmu", 8000)
    assert spoken == clip_as(stereo, audio_format)


async def test_a_failing_transcription_ends_the_wait_and_shows_in_the_outcome(recorder: Recorder, word: Path) -> None:
    async with simulator("transcription_model_path_failure") as target:
        plan = CallPlan(word, transcription="gpt-4o-transcribe", trailing_silence_ms=0)
        result = await place_call(target, plan, recorder)
    assert result.notes == ()
    assert result.heard == ()
    assert result.sealed.outcome == "failed"
    [key] = result.sealed.failure_keys
    assert key.startswith("conversation.item.input_audio_transcription.failed|server_error||")


async def test_a_rejected_update_is_told_and_the_call_goes_on(recorder: Recorder, word: Path) -> None:
    async with simulator() as target:
        plan = CallPlan(
            word,
            settings={"session.nope": 1, "session.audio.input.format": {"type": "audio/pcmu"}},
            trailing_silence_ms=0,
        )
        result = await place_call(target, plan, recorder)
    assert result.notes == ("the session.update was rejected: Unknown parameter: 'session.nope'.",)
    assert result.sealed.turns == 1
    # The rejected format is not in force: the endpoint was spoken to in its own.
    [message] = [m for m in recording_of(recorder, result).messages() if m.type == "input_audio_buffer.append"][:1]
    assert len(json.loads(message.content)["audio"]) == 20 * 48 * 4 // 3


async def test_what_does_not_come_is_named_after_the_time_allowed(recorder: Recorder, tmp_path: Path) -> None:
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(2400, np.int16), 24000)
    async with simulator() as target:
        result = await place_call(target, CallPlan(silence, trailing_silence_ms=0, timeout_s=1), recorder)
    assert result.notes == ("did not come within 1 s: a turn: the endpoint heard no speech in the clip",)
    assert result.sealed.turns == 0


async def test_a_session_that_never_begins_is_told(recorder: Recorder, word: Path) -> None:
    async with misbehaving() as target:
        result = await place_call(target, CallPlan(word, answer_timeout_s=0.05), recorder)
    assert not result.began
    assert result.notes == ("no session.created came",)


async def test_an_endpoint_that_closes_in_the_middle_is_told_with_its_words(recorder: Recorder, word: Path) -> None:
    created = {"type": "session.created", "session": {"id": "sess_1"}}
    async with misbehaving(created, close=(4000, "beta_api_shape_disabled")) as target:
        result = await place_call(target, CallPlan(word), recorder)
    assert result.began
    assert "the endpoint closed the connection: 4000 beta_api_shape_disabled" in result.notes
    assert recording_of(recorder, result).session["close_code"] == 4000


async def test_what_is_no_json_does_not_disturb_a_call(recorder: Recorder, word: Path) -> None:
    async def handle(connection: ServerConnection) -> None:
        for message in ("no json", "[]", b"\xff\xfe", '{"type":7}', '{"type":"error","error":null}'):
            await connection.send(message)
        await connection.close(1000)

    async with serve(handle, "127.0.0.1", 0) as server:
        target = Target("endpoint", f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        result = await place_call(target, CallPlan(word, answer_timeout_s=5), recorder)
    assert not result.began
    assert [m.kind for m in recording_of(recorder, result).messages()][:3] == ["text", "event", "binary"]


async def test_an_endpoint_that_is_not_there_is_recorded_and_told(recorder: Recorder, word: Path) -> None:
    progress: list[CallProgress] = []
    result = await place_call(Target("t", "ws://127.0.0.1:1"), CallPlan(word), recorder, on_progress=progress.append)
    assert "cannot be reached" in str(result.refusal)
    assert not result.began
    recorder.close()
    [session_id] = list_session_ids(recorder.root)
    assert progress[0].session_id == result.sealed.session_id == session_id
