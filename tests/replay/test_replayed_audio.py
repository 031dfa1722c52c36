"""Whole replays with other audio, against real sockets: recorded, sent again, recorded again, judged."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from capture.audio import PCM16_24K, clip_as, read_clip
from capture.in_process import connect_recorded
from capture.recorder import Recorder
from capture.recording.audio_measures import dbfs
from capture.recording.reader import Recording, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.cells import Variation, plan_run
from replay.matrix import plan_jobs, run_matrix
from replay.runs import Run
from replay.simulator import load_scenario
from replay.source import Source, prepare, shortened
from replay.staging import stage
from replay.verdict import read_verdict

pytestmark = pytest.mark.slow

FORMAT = "session.audio.input.format"
QUIET_DBFS = -45.0


async def replay(
    source: Source,
    target: Target,
    recorder: Recorder,
    *,
    trials: int = 1,
    vary: list[Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> Run:
    variations = [Variation("audio", tuple(vary))] if vary else []
    run = plan_run([source], [target], variations=variations, settings=settings, trials=trials)
    await run_matrix(run, plan_jobs(run, [source], [target]), recorder.root, recorder)
    return run


def outcomes(run: Run) -> list[str]:
    return [trial.outcome for cell in run.cells for trial in cell.trials]


def rows(root: Root, table: str, session_id: str) -> list[dict[str, Any]]:
    if not root.table(table).exists():
        return []
    return [row for row in pq.read_table(root.table(table)).to_pylist() if row["session_id"] == session_id]


def only_trial(run: Run) -> str:
    [trial] = run.cells[0].trials
    return trial.session_id


@pytest.mark.parametrize(
    ("audio", "turns"),
    [("silence", "manual"), ("silence", "server_vad"), ("noise:20", "server_vad"), ("CLIP", "manual")],
)
async def test_a_trial_with_other_audio_is_ok_and_says_so(
    simulate: Any, call: Any, recorder: Recorder, root: Root, turns: str, audio: str
) -> None:
    chosen = audio.replace("CLIP", str(Path(__file__).parents[2] / "replay/simulator/clips/answer_paris.flac"))
    async with simulate("healthy") as simulator:
        target, *_ = simulator.targets("gpt-realtime")
        source = prepare(await call(target, transcription="whisper-1", turns=turns))
        run = await replay(source, target, recorder, settings={"audio": chosen})
    assert outcomes(run) == ["ok"]
    changed = rows(root, "rewrites", only_trial(run))
    [row] = [row for row in changed if row["kind"] == "audio"]
    assert json.loads(row["before"]).startswith("recorded, audio/pcm 24000, ")
    assert json.loads(row["after"]).startswith(f"{chosen}, audio/pcm 24000, ")
    session = open_recording(root, only_trial(run)).session
    # Nobody hears a turn in silence, and the clip makes a pause that is long enough for two.
    heard = {"silence": 0, "noise:20": 1, "CLIP": 2}[audio]
    assert session["turns"] == (heard if turns == "server_vad" else 1)
    assert rows(root, "divergences", only_trial(run)) == []


@pytest.mark.parametrize("audio_type", ["audio/pcmu", "audio/pcma"])
async def test_a_recording_plays_where_another_format_is_asked_for(
    simulate: Any, call: Any, recorder: Recorder, root: Root, audio_type: str
) -> None:
    async with simulate("healthy") as simulator:
        target, *_ = simulator.targets("gpt-realtime")
        source = prepare(await call(target, transcription="whisper-1"))
        run = await replay(source, target, recorder, settings={FORMAT: {"type": audio_type}})
    assert outcomes(run) == ["ok"]
    session = open_recording(root, only_trial(run)).session
    assert session["turns"] == 1
    sent = [row for row in rows(root, "audio", only_trial(run)) if row["track"] == "client"]
    recorded = [row for row in rows(root, "audio", source.recording.session_id) if row["track"] == "client"]
    assert {(row["format"], row["rate"]) for row in sent} == {(audio_type, 8000)}
    # Read as G.711 it is as loud, and all speech is there: it is G.711.
    for measure, tolerance in (("rms_dbfs", 1.0), ("speech_ms", 150)):
        levels = [max(row[measure] for row in track) for track in (sent, recorded)]
        assert levels[0] == pytest.approx(levels[1], abs=tolerance)


async def test_a_shorter_replay_is_ok_and_says_what_it_left_out(
    simulate: Any, call: Any, recorder: Recorder, root: Root
) -> None:
    async with simulate("healthy") as simulator:
        target, *_ = simulator.targets("gpt-realtime")
        recording = await two_turns(target, recorder)
        source = prepare(recording)
        assert source.plan.turns == 2
        first = await replay(shortened(source, until_turn=1), target, recorder)
        skipped = await replay(shortened(source, longest_idle_s=0.5), target, recorder)
    assert outcomes(first) == outcomes(skipped) == ["ok"]
    assert open_recording(root, only_trial(first)).session["turns"] == 1
    assert open_recording(root, only_trial(skipped)).session["turns"] == 2
    assert "until" in {row["kind"] for row in rows(root, "rewrites", only_trial(first))}
    assert "idle" in {row["kind"] for row in rows(root, "rewrites", only_trial(skipped))}


async def two_turns(target: Target, recorder: Recorder) -> Recording:
    session = recorder.start_session(recorder.new_facts(target=target.name, url=target.request_url()))
    clip = clip_as(Path(__file__).parents[2] / "replay/simulator/clips/question_weather.flac", PCM16_24K)
    async with connect_recorded(target.request_url(), recording=session) as connection:
        audio = {"input": {"transcription": {"model": "whisper-1"}}}
        await connection.send(json.dumps({"type": "session.update", "session": {"type": "realtime", "audio": audio}}))
        await until(connection, "session.updated")
        # Sent four times faster than it plays, the pause lasts a second and a half: three times what is left of it.
        for silence_ms in (900, 6000, 900):
            if silence_ms == 6000:
                await until(connection, "response.done")
            await speak(
                connection,
                PCM16_24K.silence(silence_ms) if silence_ms == 6000 else clip + PCM16_24K.silence(silence_ms),
            )
        await until(connection, "response.done")
    await asyncio.wrap_future(session.end())
    return open_recording(recorder.root, session.session_id)


async def until(connection: Any, event_type: str) -> None:
    while json.loads(await connection.recv())["type"] != event_type:
        pass


async def speak(connection: Any, audio: bytes) -> None:
    for chunk in appends(audio):
        await asyncio.sleep(0.005)
        await connection.send(chunk)


def appends(audio: bytes) -> Iterator[str]:
    for start in range(0, len(audio), 960):
        chunk = base64.b64encode(audio[start : start + 960]).decode()
        yield json.dumps({"type": "input_audio_buffer.append", "audio": chunk})


async def hear(connection: ServerConnection) -> None:
    """Serve manual turns; what is too quiet cannot be transcribed."""
    configuration = {
        "type": "realtime",
        "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}},
    }
    await connection.send(json.dumps({"type": "session.created", "session": configuration}))
    audio = b""
    async for message in connection:
        event = json.loads(message)
        if event["type"] == "input_audio_buffer.append":
            audio += base64.b64decode(event["audio"])
        elif event["type"] == "input_audio_buffer.commit":
            power = float(np.square(PCM16_24K.decode(audio).astype(float) / 32768).mean())
            name = "conversation.item.input_audio_transcription"
            error = {"type": "server_error", "code": None, "message": "Input transcription failed for item."}
            answer = {"error": error} if dbfs(power) < QUIET_DBFS else {"transcript": "What is the weather?"}
            outcome = "failed" if "error" in answer else "completed"
            await connection.send(json.dumps({"type": "input_audio_buffer.committed", "item_id": "item_1"}))
            await connection.send(
                json.dumps({"type": f"{name}.{outcome}", "item_id": "item_1", "content_index": 0, **answer})
            )


async def test_a_failure_that_our_own_audio_causes_is_laid_to_the_audio(
    recorder: Recorder, root: Root, question_clip: Path, tmp_path: Path
) -> None:
    samples, rate = read_clip(question_clip)
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, np.rint(samples * 0.01).astype(np.int16), rate, subtype="PCM_16")
    async with serve_websockets(hear, "127.0.0.1", 0) as server:
        target = Target("here", f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1/realtime")
        session = recorder.start_session(recorder.new_facts(target="here", url=target.url))
        async with connect_recorded(target.url, recording=session) as connection:
            for message in [*appends(clip_as(quiet, PCM16_24K)), json.dumps({"type": "input_audio_buffer.commit"})]:
                await connection.send(message)
            await until(connection, "conversation.item.input_audio_transcription.failed")
        await asyncio.wrap_future(session.end())
        source = prepare(open_recording(root, session.session_id))
        run = await replay(
            source, target, recorder, trials=6, vary=["recorded", str(question_clip), "silence", "noise:20"]
        )
    by_audio = {cell.values["audio"]: {trial.outcome for trial in cell.trials} for cell in run.cells}
    assert by_audio == {
        "recorded": {"failed"},
        str(question_clip): {"ok"},
        "silence": {"failed"},
        "noise:20": {"failed"},
    }
    assert [cell.cell for cell in run.cells if cell.baseline] == ["here · audio=recorded"]
    sentence = read_verdict(run).sentence
    assert "transcription fails at here with the recorded audio, 6/6" in sentence
    assert "0/6 at here with the clip question_weather.flac" in sentence
    assert "it is the audio. Changing it to the clip question_weather.flac clears the failure." in sentence
    assert "same audio" not in sentence
    assert "ther audio" not in sentence


async def test_a_staged_call_that_was_too_quiet_is_heard_with_the_known_good_clip(
    simulate: Any, recorder: Recorder, root: Root, question_clip: Path
) -> None:
    staged = await stage(load_scenario("audio_too_quiet"), root, speed=8, sealer=Sealer(root, in_process=True))
    assert staged.problems == ()
    source = prepare(open_recording(root, staged.session_ids[0]))
    async with simulate("healthy") as simulator:
        target, *_ = simulator.targets("gpt-realtime")
        run = await replay(source, target, recorder, vary=["recorded", str(question_clip)])
    assert outcomes(run) == ["ok", "ok"]
    levels = [
        max(row["rms_dbfs"] for row in rows(root, "audio", cell.trials[0].session_id) if row["track"] == "client")
        for cell in run.cells
    ]
    assert levels[0] < QUIET_DBFS < levels[1]
