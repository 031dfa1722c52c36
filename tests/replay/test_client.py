"""One trial against a real socket: real speech, recorded from the simulator and sent again."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import struct
from base64 import b64decode
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from capture.recorder import Recorder
from capture.recording.facts import ReplayFacts
from capture.recording.reader import Recording, open_recording
from capture.recording.root import Root
from capture.sealing import Sealer
from capture.targets import Target
from replay.client import Played, Upgrade, play, read_upgrade
from replay.plan import adapt
from replay.planning import make_plan
from replay.simulator import load_scenario
from replay.staging import stage
from tests.replay.conftest import Script
from tests.replay.sent_events import validate_sent

pytestmark = pytest.mark.slow

MODEL = "session.audio.input.transcription.model"


def facts_of(recording: Recording) -> ReplayFacts:
    return ReplayFacts(
        run_id="r1",
        replay_of=recording.session_id,
        cell="cell",
        trial=1,
        expected_failure_keys=recording.session["failure_keys"],
    )


async def replay(
    recording: Recording, target: Target, recorder: Recorder, overrides: dict[str, Any] | None = None
) -> tuple[Played, Recording]:
    plan = adapt(make_plan(recording.messages()), overrides or {})
    upgrade = read_upgrade(recording.session)
    played = await play(plan, target, recorder, replay=facts_of(recording), upgrade=upgrade)
    await asyncio.wrap_future(played.sealed)
    return played, open_recording(recorder.root, played.session_id)


def sent(recording: Recording) -> list[str | bytes]:
    return [m.content for m in recording.messages() if m.sender == "client" and m.kind == "event"]


def said(recording: Recording) -> list[str | bytes]:
    """Give what was sent, but for silence: on a busy machine there is more of it in a replay, which waits with it."""
    return [text for text in sent(recording) if any(b64decode(json.loads(text).get("audio", "AQ==")))]


async def test_a_replay_is_again_a_recording_and_sends_the_same_bytes(
    simulate: Any, call: Any, recorder: Recorder
) -> None:
    async with simulate() as simulator:
        eastus2, _ = simulator.targets("gpt-realtime")
        recording = await call(eastus2, transcription="gpt-4o-transcribe")
        played, again = await replay(recording, eastus2, recorder)
    assert played.end_reason == "completed"
    assert played.divergences == 0
    assert said(again) == said(recording)
    assert len(sent(again)) >= len(sent(recording)) > len(said(recording))
    session = again.session
    assert (session["role"], session["replay_of"], session["run_id"]) == ("replayed", recording.session_id, "r1")
    assert (session["trial_outcome"], session["outcome"]) == ("failed", "failed")
    assert (session["target"], session["region"], session["turns"]) == ("eastus2", "eastus2", 1)
    assert (session["close_code"], session["closed_by"], session["end_reason"]) == (1000, "client", "completed")
    assert session["failure_keys"] == recording.session["failure_keys"]
    assert session["pacing_p50_us"] >= 0
    assert session["complete"]


async def test_what_a_cell_changes_is_recorded_and_nothing_else_is_changed(
    simulate: Any, call: Any, recorder: Recorder
) -> None:
    async with simulate() as simulator:
        eastus2, _ = simulator.targets("gpt-realtime")
        recording = await call(eastus2, transcription="gpt-4o-transcribe")
        smaller = dataclasses.replace(eastus2, model="gpt-realtime-mini")
        _, again = await replay(recording, smaller, recorder, {MODEL: "whisper-1"})
    assert again.session["model"] == "gpt-realtime-mini"
    assert again.session["transcription_model_echoed"] == "whisper-1"
    assert again.session["trial_outcome"] == "ok"
    assert said(again)[1:] == said(recording)[1:]
    rewrites = _rows(recorder.root, "rewrites", again.session_id)
    assert [(row["kind"], row["path"], row["before"], row["after"]) for row in rewrites] == [
        ("model", "url", "model=gpt-realtime", "model=gpt-realtime-mini"),
        ("override", MODEL, '"gpt-4o-transcribe"', '"whisper-1"'),
    ]


async def test_a_manual_turn_waits_for_its_own_answer(simulate: Any, call: Any, recorder: Recorder) -> None:
    async with simulate() as simulator:
        _, sweden = simulator.targets("gpt-realtime")
        recording = await call(sweden, transcription="whisper-1", turns="manual")
        played, again = await replay(recording, sweden, recorder)
    assert played.end_reason == "completed"
    assert again.session["trial_outcome"] == "ok"
    assert [json.loads(text)["type"] for text in sent(again)[-2:]] == ["input_audio_buffer.commit", "response.create"]


async def test_a_recording_cut_off_in_the_middle_of_speech_is_closed_by_silence(
    simulate: Any, call: Any, recorder: Recorder
) -> None:
    async with simulate() as simulator:
        eastus2, _ = simulator.targets("gpt-realtime")
        recording = await call(eastus2, transcription="gpt-4o-transcribe")
        messages = [m for m in recording.messages() if m.sender == "server" or m.kind == "event"]
        # Hung up in the middle of the question: nothing tells VAD that it is over.
        plan = make_plan([m for m in messages if m.sender == "server" or m.seq <= _last_speech(messages)])
        upgrade = read_upgrade(recording.session)
        played = await play(plan, eastus2, recorder, replay=facts_of(recording), upgrade=upgrade)
        await asyncio.wrap_future(played.sealed)
    assert played.end_reason == "completed"
    again = open_recording(recorder.root, played.session_id)
    assert again.session["turns"] == 1
    assert again.session["trial_outcome"] == "failed"
    assert "trailing_silence" in [row["kind"] for row in _rows(recorder.root, "rewrites", played.session_id)]


def _last_speech(messages: list[Any]) -> int:
    appends = [m.seq for m in messages if m.type == "input_audio_buffer.append"]
    return int(appends[-70])


async def test_a_refused_handshake_is_an_outcome_that_is_recorded(script: Any, recorder: Recorder) -> None:
    def refuse(connection: ServerConnection, _: Any) -> Any:
        return connection.respond(429, "slow down\n")

    async def never(_: ServerConnection) -> None:
        raise AssertionError("the upgrade was refused")

    plan = make_plan(script.server({"type": "session.created", "session": {}}).append(0).messages)
    async with serve_websockets(never, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        target = Target(name="busy", url=f"ws://127.0.0.1:{port}/realtime")
        facts = ReplayFacts(run_id="r1", replay_of="x", cell="busy", trial=1)
        played = await play(plan, target, recorder, replay=facts, upgrade=Upgrade("/realtime"))
        sealed = await asyncio.wrap_future(played.sealed)
    assert "HTTP 429" in played.end_reason
    assert "slow down" in played.end_reason
    assert (sealed.handshake_status, sealed.trial_outcome) == (429, "throttled")


async def test_a_credential_that_is_not_to_be_had_is_an_outcome_that_is_recorded(
    script: Any, recorder: Recorder
) -> None:
    plan = make_plan(script.server({"type": "session.created", "session": {}}).append(0).messages)
    target = Target(name="locked", url="ws://127.0.0.1:9/realtime", api_key_env="WIRETAPE_TEST_NO_SUCH_KEY")
    facts = ReplayFacts(run_id="r1", replay_of="x", cell="locked", trial=1)
    played = await play(plan, target, recorder, replay=facts, upgrade=Upgrade("/realtime"))
    sealed = await asyncio.wrap_future(played.sealed)
    assert played.end_reason.startswith("refused: target locked needs its key")
    assert (sealed.handshake_status, sealed.trial_outcome) == (None, "not_run")


async def test_what_is_no_json_does_not_disturb_a_replay(script: Any, recorder: Recorder) -> None:
    async def mumble(connection: ServerConnection) -> None:
        await connection.send('{"type": "session.created", "session": {}}')
        for message in ("no json", "[]", b"\xff\xfe", '{"type": 7}', '{"type": "error", "error": null}'):
            await connection.send(message)
        await connection.wait_closed()

    plan = make_plan(script.server({"type": "session.created", "session": {}}).client({"type": "x"}).messages)
    async with serve_websockets(mumble, "127.0.0.1", 0) as server:
        target = Target(name="odd", url=f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/realtime")
        facts = ReplayFacts(run_id="r1", replay_of="x", cell="odd", trial=1)
        played = await play(plan, target, recorder, replay=facts, upgrade=Upgrade("/realtime"))
        await asyncio.wrap_future(played.sealed)
    assert played.end_reason == "completed"


async def test_a_refusal_that_names_nobody_does_not_end_the_wait_for_the_answer(
    script: Any, recorder: Recorder
) -> None:
    not_active = {"type": "invalid_request_error", "code": "response_cancel_not_active", "event_id": None}
    failed = {"id": "resp_1", "status": "failed", "status_details": {"error": {"type": "server_error"}}}

    async def fail_late(connection: ServerConnection) -> None:
        await connection.send('{"type": "session.created", "session": {}}')
        assert json.loads(await connection.recv())["type"] == "response.cancel"
        await connection.send(json.dumps({"type": "error", "error": not_active}))
        assert json.loads(await connection.recv())["type"] == "response.create"
        # Longer than a trial stays after the last thing that it is owed.
        await asyncio.sleep(0.6)
        await connection.send(json.dumps({"type": "response.created", "response": {"id": "resp_1"}}))
        await connection.send(json.dumps({"type": "response.done", "response": failed}))
        await connection.wait_closed()

    script.server({"type": "session.created", "session": {}})
    script.client({"type": "response.cancel"}).client({"type": "response.create"})
    async with serve_websockets(fail_late, "127.0.0.1", 0) as server:
        target = Target(name="slow", url=f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/realtime")
        keys = ["response.done|server_error||"]
        facts = ReplayFacts(run_id="r1", replay_of="x", cell="slow", trial=1, expected_failure_keys=keys)
        played = await play(make_plan(script.messages), target, recorder, replay=facts, upgrade=Upgrade("/realtime"))
        sealed = await asyncio.wrap_future(played.sealed)
    assert (played.end_reason, sealed.trial_outcome) == ("completed", "failed")


async def test_an_endpoint_that_hangs_up_early_is_a_divergence(script: Any, recorder: Recorder) -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.send('{"type": "session.created", "session": {}}')
        await connection.recv()
        await connection.close(1011, "internal")

    script.server({"type": "session.created", "session": {}}).append(0).append(60_000)
    async with serve_websockets(hang_up, "127.0.0.1", 0) as server:
        target = Target(name="frail", url=f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/realtime")
        facts = ReplayFacts(run_id="r1", replay_of="x", cell="frail", trial=1)
        played = await play(make_plan(script.messages), target, recorder, replay=facts, upgrade=Upgrade("/realtime"))
        sealed = await asyncio.wrap_future(played.sealed)
    assert played.end_reason == "closed_by_endpoint"
    assert sealed.trial_outcome == "failed_otherwise"
    [row] = _rows(recorder.root, "divergences", played.session_id)
    assert (row["kind"], row["expected"]) == ("closed_early", "1 more messages to send")


@pytest.mark.parametrize("resets", [False, True])
async def test_an_endpoint_that_drops_the_connection_fails_again_as_the_proxy_recorded_it(
    script: Any, recorder: Recorder, resets: bool
) -> None:
    async def drop(connection: ServerConnection) -> None:
        await connection.send('{"type": "session.created", "session": {}}')
        await connection.recv()
        if resets:
            # As where the system finds unread audio when the endpoint's process ends.
            dropped = connection.transport.get_extra_info("socket")
            dropped.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.transport.abort()

    script.server({"type": "session.created", "session": {}}).append(0)
    async with serve_websockets(drop, "127.0.0.1", 0) as server:
        target = Target(name="frail", url=f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/realtime")
        key = "close||1006|"
        facts = ReplayFacts(run_id="r1", replay_of="x", cell="frail", trial=1, expected_failure_keys=[key])
        played = await play(make_plan(script.messages), target, recorder, replay=facts, upgrade=Upgrade("/realtime"))
        sealed = await asyncio.wrap_future(played.sealed)
    assert (sealed.failure_keys, sealed.trial_outcome) == ((key,), "failed")
    assert _rows(recorder.root, "sessions", played.session_id)[0]["closed_by"] == ("network" if resets else "server")


async def test_a_turn_is_closed_by_silence_where_the_vad_needs_more_of_it_and_a_tool_call_is_waited_for(
    simulate: Any, recorder: Recorder, root: Root
) -> None:
    staged = await stage(load_scenario("healthy_tools"), root, speed=8, sealer=Sealer(root, in_process=True))
    recording = open_recording(root, staged.session_ids[0])
    patient = {"type": "server_vad", "silence_duration_ms": 1500}
    plan = adapt(make_plan(recording.messages()), {"session.audio.input.turn_detection": patient})
    async with simulate("healthy_tools") as simulator:
        target, *_ = simulator.targets("gpt-realtime")
        upgrade = read_upgrade(recording.session)
        played = await play(plan, target, recorder, replay=facts_of(recording), upgrade=upgrade, speed=4)
        await asyncio.wrap_future(played.sealed)
    assert (played.end_reason, played.divergences) == ("completed", 0)
    again = open_recording(root, played.session_id)
    types = [event["type"] for event in validate_sent(again)]
    assert types == ["session.update", "conversation.item.create", "response.create"]
    assert "pause" in [row["kind"] for row in _rows(root, "rewrites", played.session_id)]
    assert again.session["turns"] == 1


def test_a_replay_repeats_of_the_handshake_what_is_about_the_protocol() -> None:
    headers = {
        "OpenAI-Beta": "realtime=v1",
        "Authorization": "[redacted]",
        "User-Agent": "x",
        "Sec-WebSocket-Protocol": "realtime, token, [redacted], openai-insecure-api-key.[redacted]",
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
    }
    url = "wss://contoso.openai.azure.com/openai/v1/realtime?model=gpt-realtime"
    upgrade = read_upgrade({"url": url, "request_headers": headers})
    assert upgrade == Upgrade(
        path_and_query="/openai/v1/realtime?model=gpt-realtime",
        headers=(("openai-beta", "realtime=v1"),),
        subprotocols=("realtime", "token"),
        compression="deflate",
    )
    assert read_upgrade({"url": None, "request_headers": None}) == Upgrade("")


def test_no_credential_of_the_recorded_url_is_repeated_nor_what_stands_in_its_place() -> None:
    url = "wss://h/openai/realtime?api-version=1&deployment=x&api-key=[redacted]&Authorization=Bearer%20[redacted]"
    upgrade = read_upgrade(
        {"url": f"{url}&tenant=[redacted]&api%2Dkey=k&trace=%5Bredacted%5D", "request_headers": None}
    )
    assert upgrade == Upgrade("/openai/realtime?api-version=1&deployment=x")
    assert read_upgrade({"url": "wss://h/v1/realtime?api-key=[redacted]", "request_headers": None}).path_and_query == (
        "/v1/realtime"
    )


def test_the_keys_of_a_target_are_no_change_of_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "planted")
    keyed = Target(name="gateway", url="wss://g.example", query_env={"api-key": "GATEWAY_KEY"})
    assert Upgrade("/v1/realtime?model=rt").changes_for(keyed) == []


async def test_a_key_in_the_recorded_query_does_not_reach_the_endpoint(
    script: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    async def answer(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append((connection.request.path, connection.request.headers.get("Authorization")))
        await connection.send('{"type": "session.created", "session": {}}')
        await connection.wait_closed()

    monkeypatch.setenv("NEW_KEY", "planted-key")
    plan = make_plan(script.server({"type": "session.created", "session": {}}).client({"type": "x"}).messages)
    recorded = {"url": "wss://h/openai/realtime?deployment=x&api-key=[redacted]", "request_headers": None}
    facts = ReplayFacts(run_id="r1", replay_of="x", cell="new", trial=1)
    async with serve_websockets(answer, "127.0.0.1", 0) as server:
        origin = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        target = Target(name="new", url=origin, api_key_env="NEW_KEY")
        upgrade = read_upgrade(recorded)
        played = await play(plan, target, recorder, replay=facts, upgrade=upgrade, as_recorded=True)
        await asyncio.wrap_future(played.sealed)
    assert asked == [("/openai/realtime?deployment=x", "Bearer planted-key")]


def _rows(root: Root, table: str, session_id: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(root.table_file(table, session_id), partitioning=None).to_pylist()
    return rows


async def test_a_trial_whose_endpoint_takes_nothing_more_ends_and_says_so(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capture.in_process.STALLED_S", 0.2)
    is_over = asyncio.Event()

    async def take_nothing(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "session.created", "session": {}}))
        connection.transport.pause_reading()
        await is_over.wait()
        connection.transport.abort()

    said = {"type": "input_text", "text": "x" * (1 << 20)}
    item = {"type": "message", "role": "user", "content": [said]}
    script = Script()
    script.server({"type": "session.created", "session": {}})
    for _ in range(16):
        script.client({"type": "conversation.item.create", "item": item})
    facts = ReplayFacts(run_id="r1", replay_of="s1", cell="cell", trial=1, expected_failure_keys=[])
    async with serve_websockets(take_nothing, "127.0.0.1", 0, compression=None) as server:
        target = Target("deaf", f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
        played = await play(make_plan(script.messages), target, recorder, replay=facts, upgrade=Upgrade("/v1/realtime"))
        is_over.set()
    assert played.end_reason.startswith("stalled: the endpoint took nothing more for")
    assert (await asyncio.wrap_future(played.sealed)).trial_outcome == "failed_otherwise"


@pytest.mark.parametrize(("kind", "code"), [("text", 1007), ("binary", 1000)])
async def test_bytes_go_in_the_kind_of_frame_in_which_they_came(
    script: Any, recorder: Recorder, kind: str, code: int
) -> None:
    received: list[str | bytes] = []

    async def take(connection: ServerConnection) -> None:
        await connection.send('{"type": "session.created", "session": {}}')
        received.extend([message async for message in connection])

    script.server({"type": "session.created", "session": {}}).client({"type": "x"})
    spoilt = b'{"type": "x", "text": "\xff"}'
    sent = [
        *script.messages[:-1],
        msgspec.structs.replace(script.messages[-1], kind=kind, type=None, content=spoilt),
    ]
    async with serve_websockets(take, "127.0.0.1", 0) as server:
        target = Target(name="strict", url=f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/realtime")
        facts = ReplayFacts(run_id="r1", replay_of="x", cell="strict", trial=1)
        played = await play(make_plan(sent), target, recorder, replay=facts, upgrade=Upgrade("/realtime"))
        await asyncio.wrap_future(played.sealed)
    # A text frame that is no UTF-8 ends the session, as it ended the recorded one.
    assert open_recording(recorder.root, played.session_id).session["close_code"] == code
    assert received == ([] if code == 1007 else [spoilt])
