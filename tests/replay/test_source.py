"""A recording that is ready to be replayed, and what was recorded at the places that can be changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from capture.errors import UsageProblem
from capture.importers.importing import Importer
from capture.recorder import Recorder
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.client import Upgrade
from replay.planning import make_plan
from replay.runs import RunRecording
from replay.simulator import load_scenario
from replay.source import (
    Source,
    check_protocol,
    check_target,
    digest_of,
    nearness,
    prepare,
    recorded_target,
    shortened,
)
from replay.staging import stage
from tests.sample import SAMPLE


@pytest.fixture
def source(script: Any) -> Source:
    script.server({"type": "session.created", "session": {"voice": "marin"}})
    script.client({"type": "response.create", "response": {"instructions": "Be brief."}}, 20)
    return Source(
        RunRecording(session_id="s", dialect="beta", model="echoed", target="east", region="eastus2"),
        make_plan(script.messages),
        Upgrade("/v1/realtime?model=rt&X=1", headers=(("openai-beta", "realtime=v1"),)),
        "wss://east.example/v1/realtime?model=rt&X=1",
    )


@pytest.mark.parametrize(
    ("path", "recorded"),
    [
        ("session.voice", "marin"),
        ("response.instructions", "Be brief."),
        ("connection.model", "rt"),
        ("connection.query.x", "1"),
        ("connection.query.y", None),
        ("connection.header.OpenAI-Beta", "realtime=v1"),
        ("audio", "recorded"),
        ("dialect", "beta"),
    ],
)
def test_what_was_recorded_at_a_path(source: Source, path: str, recorded: object) -> None:
    assert source.recorded(path) == recorded


def test_how_surely_a_target_is_the_recorded_one(source: Source) -> None:
    assert nearness(Target("east", "wss://elsewhere.example"), source) == 3
    assert nearness(Target("other", "wss://east.example/v1/realtime"), source) == 2
    assert nearness(Target("other", "wss://x.example", region="eastus2"), source) == 1
    assert nearness(Target("other", "wss://x.example"), source) == 0


def test_the_recorded_target_is_known_by_its_name_or_its_url_and_not_by_its_region(source: Source) -> None:
    by_name = Target("east", "wss://elsewhere.example")
    by_url = Target("other", "wss://east.example/v1/realtime")
    by_region = Target("near", "wss://x.example", region="eastus2")
    assert recorded_target(source, [by_region, by_url, by_name]) is by_name
    assert recorded_target(source, [by_region, by_url]) is by_url
    assert recorded_target(source, [by_region]) is None
    # Deployments are the resource's: the table that names them tells more than the URL that was typed.
    named = dataclasses.replace(by_url, name="named", transcription_models={"whisper-1": "heard"})
    assert recorded_target(source, [by_name, named]) is named
    assert recorded_target(dataclasses.replace(source, home=by_region), [by_name]) is by_region


def test_another_protocol_is_refused() -> None:
    url = "wss://generativelanguage.googleapis.com/ws/x.BidiGenerateContent"
    with pytest.raises(UsageProblem, match="Gemini Live"):
        check_protocol(Source(RunRecording(session_id="s"), make_plan([]), Upgrade("/"), url))
    for other, protocol in ((url, "Gemini Live"), ("wss://api.openai.com/v1/live", "GPT-Live")):
        with pytest.raises(UsageProblem, match=f"target t cannot be replayed to: {protocol}"):
            check_target(Target("t", other))
    check_target(Target("t", "wss://api.openai.com/v1/realtime"))


def test_a_sample_says_what_it_used_and_where_it_was_recorded() -> None:
    recording = open_recording(SAMPLE, list_session_ids(SAMPLE)[0])
    source, row = prepare(recording), recording.session
    assert (source.usage.input_tokens, source.usage.output_tokens) == (row["input_tokens"], row["output_tokens"])
    assert (source.usage.sent_ms, source.usage.answered_ms) == (row["audio_in_ms"], row["audio_out_ms"])
    assert nearness(Target(name=row["target"], url="wss://elsewhere.example"), source) == 3
    assert nearness(Target(name="another", url=row["url"]), source) == 2
    assert nearness(Target(name="another", url="wss://elsewhere.example"), source) == 0


def test_the_digest_is_of_what_is_sent_and_when() -> None:
    recording = open_recording(SAMPLE, list_session_ids(SAMPLE)[0])
    source = prepare(recording)
    messages = list(recording.messages())
    assert source.recording.digest == digest_of(make_plan(messages)) != ""
    # Of the recording, also where less of it is sent.
    assert shortened(source, until_turn=1).recording.digest == source.recording.digest
    sent = [at for at, message in enumerate(messages) if message.sender == "client" and message.kind == "event"]
    assert digest_of(make_plan(messages[: sent[-1]])) != source.recording.digest


@pytest.mark.slow
async def test_a_close_in_a_silence_is_stayed_for(root: Root, recorder: Recorder) -> None:
    played = await stage(load_scenario("abnormal_close_1006"), root, speed=8, sealer=Sealer(root, in_process=True))
    source = prepare(open_recording(root, played.session_ids[0]))
    assert source.recording.failure_keys == ["close||1006|"]
    assert source.plan.late_failure is not None


def test_a_close_in_a_silence_is_stayed_for_also_where_a_log_tells_no_times(root: Root, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(
        '{"dir": "received", "event": {"type": "session.created", "session": {}}}\n'
        '{"dir": "sent", "event": {"type": "input_audio_buffer.clear"}}\n'
        '{"dir": "received", "kind": "close", "code": 1011, "reason": "internal"}\n'
    )
    Importer(root).import_file(log)
    assert prepare(open_recording(root, list_session_ids(root)[0])).plan.late_failure is not None


@pytest.mark.slow
async def test_what_errors_name_is_blamed_and_a_model_is_no_option(root: Root, recorder: Recorder) -> None:
    played = await stage(
        load_scenario("config_rejected_session_runs_default"), root, speed=8, sealer=Sealer(root, in_process=True)
    )
    recording = prepare(open_recording(root, played.session_ids[0])).recording
    assert recording.failure_keys
    assert recording.blamed == ["session.audio.input.transcription.model"]
    assert recording.blamed[0] not in recording.options
