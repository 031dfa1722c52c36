"""Whole sessions across dialects: staged, replayed on the simulator's other path, and judged."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.parquet as pq
import pytest
from openai.types.realtime import RealtimeClientEvent as GaEvent
from pydantic import TypeAdapter

from capture.recorder import Recorder
from capture.recording.reader import Recording, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.cells import plan_run
from replay.matrix import plan_jobs, run_matrix
from replay.runs import Trial
from replay.simulator import load_scenario
from replay.source import prepare
from replay.staging import stage
from tests.replay.sent_events import validate_sent

pytestmark = pytest.mark.slow

Json = dict[str, Any]
PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"


async def staged(root: Root, scenario: str) -> Recording:
    played = await stage(load_scenario(scenario), root, speed=8, sealer=Sealer(root, in_process=True))
    assert played.problems == ()
    return open_recording(root, played.session_ids[0])


async def replayed(recording: Recording, target: Target, recorder: Recorder) -> tuple[Trial, Recording]:
    source = prepare(recording)
    run = plan_run([source], [target], trials=1, speed=2)
    await run_matrix(run, plan_jobs(run, [source], [target]), recorder.root, recorder)
    [trial] = run.cells[0].trials
    return trial, open_recording(recorder.root, trial.session_id)


def sent(recording: Recording) -> list[Json]:
    return [
        json.loads(m.content)
        for m in recording.messages()
        if m.sender == "client" and m.kind == "event" and m.type != "input_audio_buffer.append"
    ]


def rows(root: Root, table: str, session_id: str) -> list[Json]:
    files = sorted((root.path / table).rglob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist() if row["session_id"] == session_id]


def preview(origin: str) -> Target:
    return Target(name="preview", url=f"{origin}{PREVIEW}", provider="azure")


async def test_a_beta_session_on_a_ga_endpoint(simulate: Any, recorder: Recorder, root: Root) -> None:
    recording = await staged(root, "healthy_beta")
    assert recording.session["dialect"] == "beta"
    async with simulate("healthy") as simulator:
        trial, again = await replayed(recording, simulator.targets("gpt-realtime")[0], recorder)
    assert (trial.outcome, trial.note) == ("ok", "")
    assert again.session["dialect"] == "ga"
    assert rows(root, "divergences", trial.session_id) == []
    [update] = sent(again)
    assert update["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"output": {"voice": "alloy"}, "input": {"transcription": {"model": "whisper-1"}}},
    }
    dialects = [row for row in rows(root, "rewrites", trial.session_id) if row["kind"] == "dialect"]
    assert [row["path"] for row in dialects] == [
        "url",
        "session.modalities",
        "session.voice",
        "session.input_audio_transcription",
        "session.type",
    ]


async def test_a_ga_session_on_azure_s_preview(simulate: Any, recorder: Recorder, root: Root) -> None:
    recording = await staged(root, "healthy")
    async with simulate("healthy") as simulator:
        trial, again = await replayed(recording, preview(simulator.origin), recorder)
    assert (trial.outcome, trial.note) == ("ok", "")
    assert (recording.session["dialect"], again.session["dialect"]) == ("ga", "beta")
    assert rows(root, "divergences", trial.session_id) == []
    assert again.session["transcription_model_echoed"] == recording.session["transcription_model"]
    assert "api-version=2025-04-01-preview" in again.session["url"]


@pytest.mark.parametrize("scenario", ["healthy_tools", "healthy_manual", "healthy_barge_in", "healthy_text"])
async def test_what_depends_on_the_endpoint_is_found_in_the_other_dialect(
    scenario: str, simulate: Any, recorder: Recorder, root: Root
) -> None:
    recording = await staged(root, scenario)
    async with simulate(scenario) as simulator:
        trial, again = await replayed(recording, preview(simulator.origin), recorder)
    assert (trial.outcome, trial.note) == ("ok", "")
    # At twice the speed the caller cuts into what the endpoint, whose clock is not sped up, is still generating.
    told = {row["kind"] for row in rows(root, "divergences", trial.session_id)}
    assert told <= ({"barge_in_otherwise"} if scenario == "healthy_barge_in" else set())
    assert [event["type"] for event in sent(again)] == [event["type"] for event in sent(recording)]
    assert validate_sent(again) == sent(again)
    assert not [m for m in again.messages() if m.type == "error"]


async def test_a_session_that_only_transcribes_goes_to_beta_and_comes_back(
    simulate: Any, recorder: Recorder, root: Root
) -> None:
    recording = await staged(root, "healthy_transcription")
    async with simulate("healthy_transcription") as simulator:
        old = Target(name="old", url=simulator.origin, provider="azure", dialect="beta")
        there, beta = await replayed(recording, old, recorder)
        new = Target(name="new", url=simulator.origin, provider="openai", dialect="ga")
        back, again = await replayed(beta, new, recorder)
    assert (there.outcome, there.note, back.outcome, back.note) == ("ok", "", "ok", "")
    assert [event["type"] for event in sent(beta)] == ["transcription_session.update"]
    assert beta.session["url"].endswith("/openai/realtime?api-version=2025-04-01-preview&intent=transcription")
    assert sent(again) == sent(recording)
    assert again.session["url"].endswith("/v1/realtime?intent=transcription")


async def test_the_failure_of_a_beta_session_comes_again_on_ga(simulate: Any, recorder: Recorder, root: Root) -> None:
    async with simulate("transcription_model_path_failure") as simulator:
        ga = simulator.targets("gpt-realtime")[0]
        first = await staged(root, "transcription_model_path_failure")
        _, beta = await replayed(first, preview(f"{simulator.origin}/eastus2"), recorder)
        trial, again = await replayed(beta, ga, recorder)
    assert beta.session["dialect"] == "beta"
    assert (trial.outcome, again.session["dialect"]) == ("failed", "ga")
    assert again.session["failure_keys"] == first.session["failure_keys"]
    for event in sent(again):
        TypeAdapter(GaEvent).validate_python(event)
