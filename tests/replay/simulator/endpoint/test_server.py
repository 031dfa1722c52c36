import asyncio
import base64
import http.client
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from capture.audio import PCM16_24K, clip_as
from capture.clock import SteppedClock
from capture.errors import UsageProblem
from replay.simulator import Scenario, Simulator, load_scenario, serve
from replay.simulator.clips import clip_path, read_text
from replay.simulator.scenario import Server
from tests.replay.simulator.endpoint.sockets import Event, hear, send, stage

HEALTHY = load_scenario("healthy")
FOUNDING = load_scenario("transcription_model_path_failure")
# An answer in a tenth of a second, for tests in which its pace does not matter.
SWIFT = Scenario("swift", "answers at once", Server(answer_speed=100, first_delta_ms=10, transcription_delay_ms=20))
QUESTION = PCM16_24K.silence(480) + clip_as(clip_path("question_weather"), PCM16_24K) + PCM16_24K.silence(320)


async def ask(socket: ClientConnection) -> None:
    """Ask the question in 20 ms chunks, as fast as the socket takes them."""
    for start in range(0, len(QUESTION), 960):
        audio = base64.b64encode(QUESTION[start : start + 960]).decode()
        await send(socket, "input_audio_buffer.append", audio=audio)


async def converse(url: str, model: str = "gpt-4o-transcribe") -> list[Event]:
    """One spoken turn over a real socket, until it is answered."""
    async with connect(url) as socket:
        events = [json.loads(await socket.recv())]
        transcription = {"input": {"transcription": {"model": model}}}
        await send(socket, "session.update", session={"type": "realtime", "audio": transcription})
        await ask(socket)
        return events + await hear(socket, until="rate_limits.updated")


async def test_every_handshake_tells_the_request_and_the_region() -> None:
    async with serve([HEALTHY]) as simulator:
        for region in simulator.regions:
            async with connect(simulator.url(region, "gpt-realtime")) as socket:
                assert socket.response is not None
                headers = socket.response.headers
                assert (headers["x-ms-region"], headers["x-wiretape-simulator"]) == (region, "1")
                assert headers["x-request-id"] != headers["apim-request-id"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/eastus2/openai/v1/audio", 404, "404"),
        ("/eastus2/openai/v1/realtime?model=whisper-1", 400, "OpperationNotSupported"),
        ("/swedencentral/openai/v1/realtime?model=gpt-realtime&api-version=2025-04-01-preview", 401, "401"),
    ],
)
async def test_a_refused_handshake_has_a_json_body(path: str, status: int, code: str) -> None:
    async with serve([HEALTHY]) as simulator:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{simulator.origin}{path}")

    response = refused.value.response
    assert response.status_code == status
    assert json.loads(response.body or b"")["error"]["code"] == code
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["x-ms-region"] == path.split("/")[1]
    assert response.headers["apim-request-id"]


async def test_the_beta_header_is_turned_away_after_the_upgrade(check_event: Callable[[Event], None]) -> None:
    async with serve([HEALTHY]) as simulator:
        url = f"{simulator.origin}/v1/realtime?model=gpt-realtime"
        async with connect(url, additional_headers={"OpenAI-Beta": "realtime=v1"}) as socket:
            error = json.loads(await socket.recv())
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()

    check_event(error)
    assert error["error"]["code"] == "beta_api_shape_disabled"
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        4000,
        "invalid_request_error.beta_api_shape_disabled",
    )


async def test_browsers_get_their_subprotocol_but_never_their_key_back() -> None:
    async with serve([HEALTHY]) as simulator:
        offered: Any = ["realtime", "openai-insecure-api-key.secret"]
        async with connect(simulator.url("eastus2", "gpt-realtime"), subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"


async def test_regions_may_be_origins() -> None:
    async with serve([HEALTHY], separate_origins=True) as simulator:
        urls = [simulator.url(region, "gpt-realtime") for region in simulator.regions]
        assert len({url.split("/")[2] for url in urls}) == 2
        for region, url in zip(simulator.regions, urls, strict=True):
            async with connect(url) as socket:
                assert socket.response is not None
                assert socket.response.headers["x-ms-region"] == region


async def test_targets_are_ready_to_connect_to() -> None:
    async with serve([HEALTHY], regions=["westus3"]) as simulator:
        (target,) = simulator.targets("gpt-realtime")
        assert (target.name, target.region, target.provider) == ("westus3", "westus3", "simulator")
        assert target.request_url("/anything?model=other") == simulator.url("westus3", "gpt-realtime")


async def test_the_founding_incident_over_real_sockets(check_event: Callable[[Event], None]) -> None:
    cells = [(region, model) for region in ("eastus2", "swedencentral") for model in ("gpt-4o-transcribe", "whisper-1")]
    async with serve([FOUNDING]) as simulator:
        urls = [(simulator.url(region, "gpt-realtime"), model) for region, model in cells]
        heard = await asyncio.gather(*(converse(url, model) for url, model in urls))

    for events in heard:
        for event in events:
            check_event(event)
    ends = [
        [event for event in events if event["type"].rpartition(".")[2] in ("failed", "completed")] for events in heard
    ]
    assert [[event["type"].rpartition(".")[2] for event in end] for end in ends] == [
        ["failed"],
        ["completed"],
        ["completed"],
        ["completed"],
    ]
    assert ends[0][0]["error"]["type"] == "server_error"
    assert ends[0][0]["error"]["code"] is None
    assert {end[0]["transcript"] for end in ends[1:]} == {read_text("question_weather")}
    done = [event["response"]["status"] for events in heard for event in events if event["type"] == "response.done"]
    assert done == ["completed"] * 4


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_the_openai_client_has_a_conversation(compression: Any) -> None:
    async with serve([SWIFT]) as simulator:
        base_url = simulator.url("swedencentral").removesuffix("/realtime")
        client = AsyncOpenAI(api_key="none", websocket_base_url=base_url)
        options: Any = {"compression": compression}
        async with client.realtime.connect(model="gpt-realtime", websocket_connection_options=options) as connection:
            await connection.session.update(
                session={"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
            )
            for start in range(0, len(QUESTION), 960):
                await connection.input_audio_buffer.append(
                    audio=base64.b64encode(QUESTION[start : start + 960]).decode()
                )
            said, words, status = 0, "", None
            async for event in connection:
                if event.type == "response.output_audio.delta":
                    said += len(base64.b64decode(event.delta))
                elif event.type == "response.output_audio_transcript.delta":
                    words += event.delta
                elif event.type == "response.done":
                    status = event.response.status
                    break

    assert (status, words) == ("completed", read_text("answer_paris"))
    assert said == len(clip_as(clip_path("answer_paris"), PCM16_24K))


async def test_the_same_seed_gives_the_same_sessions() -> None:
    async def run(seed: int) -> list[Event]:
        async with serve([SWIFT], seed=seed) as simulator:
            return await converse(simulator.url("eastus2", "gpt-realtime"))

    first, second, other = await run(7), await run(7), await run(8)

    def ids(events: list[Event]) -> list[str]:
        session = events[0]["session"]["id"]
        return [session, *(event["item_id"] for event in events if event["type"].endswith("committed"))]

    assert ids(first) == ids(second)
    assert ids(first) != ids(other)


async def test_many_sessions_at_once_are_all_answered() -> None:
    async with serve([SWIFT]) as simulator:
        heard = await asyncio.gather(
            *(converse(simulator.url("eastus2", "gpt-realtime"), "whisper-1") for _ in range(20))
        )

    assert len({events[0]["session"]["id"] for events in heard}) == 20
    assert all(any(event["type"] == "response.done" for event in events) for events in heard)


async def test_a_client_that_leaves_in_the_middle_disturbs_nobody() -> None:
    async with serve([HEALTHY]) as simulator:
        url = simulator.url("eastus2", "gpt-realtime")
        async with connect(url) as socket:
            await send(socket, "response.create")
            await hear(socket, until="response.output_audio.delta")
            socket.transport.abort()
        async with connect(url) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"


class Listener(logging.Handler):
    """Wakes a test when a line is logged that holds these words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.heard = asyncio.Event()
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        if self._words in record.getMessage():
            self.heard.set()


@pytest.mark.codec
async def test_a_port_probe_leaves_one_quiet_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    listener = Listener("handshake failed")
    monkeypatch.setattr(logging.getLogger(), "handlers", [*logging.getLogger().handlers, listener])
    async with serve([HEALTHY]) as simulator:
        port = int(simulator.origin.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"garbage\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        # The endpoint hangs up first and tells of it afterwards.
        await asyncio.wait_for(listener.heard.wait(), 30)

    failed = [record for record in caplog.records if "handshake failed" in record.message]
    assert [(record.levelname, record.exc_info) for record in failed] == [("INFO", None)]


async def test_a_handshake_is_refused_as_staged_and_only_there() -> None:
    refusal = {"status": 429, "code": "429", "message": "slow down", "headers": {"retry-after-ms": "3000"}}
    async with serve([stage({"refuse_handshake": refusal}, region="eastus2", model="gpt-realtime")]) as simulator:
        with pytest.raises(InvalidStatus) as refused:
            await connect(simulator.url("eastus2", "gpt-realtime"))
        for region, model in (("eastus2", "gpt-realtime-mini"), ("swedencentral", "gpt-realtime")):
            async with connect(simulator.url(region, model)) as socket:
                await hear(socket, until="session.created")

    response = refused.value.response
    assert response.status_code == 429
    assert json.loads(response.body or b"")["error"] == {"code": "429", "message": "slow down"}
    assert (response.headers["retry-after-ms"], response.headers["x-ms-region"]) == ("3000", "eastus2")


async def test_a_fault_s_times_are_those_of_the_simulator_and_not_of_the_session() -> None:
    clock = SteppedClock()
    outage = stage({"refuse_handshake": {"status": 503, "code": "c", "message": "m"}}, from_s=3600, until_s=7200)
    async with serve([outage], clock=clock) as simulator:
        outcomes = []
        for _ in range(3):
            try:
                async with connect(simulator.url("eastus2", "gpt-realtime")):
                    outcomes.append(101)
            except InvalidStatus as refused:
                outcomes.append(refused.response.status_code)
            clock.advance_s(3600)

    assert outcomes == [101, 503, 101]


async def test_a_quota_is_shared_by_all_sessions() -> None:
    failed = {"transcription_failed": {"message": "no"}}
    swift = stage(failed, quota={"turns": 1, "per_s": 60})
    async with serve([SWIFT, swift]) as simulator:
        heard = [await converse(simulator.url("eastus2", "gpt-realtime")) for _ in range(2)]

    outcomes = [
        [event["type"].rpartition(".")[2] for event in events if event["type"].endswith((".failed", ".completed"))]
        for events in heard
    ]
    assert outcomes == [["completed"], ["failed"]]


async def test_a_taken_port_is_told() -> None:
    async with serve([HEALTHY]) as simulator:
        port = int(simulator.origin.rpartition(":")[2])
        with pytest.raises(UsageProblem, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serve([HEALTHY], listen=("127.0.0.1", port)):
                pass


def test_urls_of_a_region_carry_the_model_where_one_is_given() -> None:
    simulator = Simulator({"eastus2": "ws://127.0.0.1:1"}, separate_origins=False)

    assert simulator.url("eastus2") == "ws://127.0.0.1:1/eastus2/openai/v1/realtime"
    assert simulator.url("eastus2", "my voice") == "ws://127.0.0.1:1/eastus2/openai/v1/realtime?model=my+voice"


PREVIEW = "/swedencentral/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"


async def test_the_preview_path_serves_the_beta_dialect() -> None:
    async with serve([SWIFT]) as simulator, connect(f"{simulator.origin}{PREVIEW}") as socket:
        assert socket.response is not None
        assert socket.response.headers["x-ms-region"] == "swedencentral"
        created, _conversation = [json.loads(await socket.recv()) for _ in range(2)]
        await ask(socket)
        heard = await hear(socket, until="rate_limits.updated")

    assert created["session"]["input_audio_format"] == "pcm16"
    assert "response.audio.delta" in {event["type"] for event in heard}
    assert not any(event["type"].startswith("response.output_audio") for event in heard)


async def test_the_azure_client_has_a_beta_conversation() -> None:
    async with serve([SWIFT]) as simulator:
        client = AsyncAzureOpenAI(
            api_key="none",
            api_version="2025-04-01-preview",
            azure_endpoint="https://contoso.example",
            websocket_base_url=f"{simulator.origin}/openai",
        )
        async with client.beta.realtime.connect(model="gpt-realtime") as connection:
            await connection.session.update(session={"modalities": ["text"], "temperature": 0.7})
            await connection.response.create()
            words, done = "", None
            while done is None:
                event = await connection.recv()
                if event.type == "response.text.delta":
                    words += event.delta
                elif event.type == "response.done":
                    done = event.response

    assert words == read_text("answer_paris")
    assert (done.status, done.temperature, done.modalities) == ("completed", 0.7, ["text"])


async def test_the_openai_client_opens_a_transcription_session() -> None:
    async with serve([SWIFT]) as simulator:
        base_url = f"{simulator.origin}/v1"
        client = AsyncOpenAI(api_key="none", websocket_base_url=base_url)
        async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            transcription: Any = {"model": "gpt-4o-transcribe"}
            await connection.session.update(
                session={"type": "transcription", "audio": {"input": {"transcription": transcription}}}
            )
            for start in range(0, len(QUESTION), 960):
                await connection.input_audio_buffer.append(
                    audio=base64.b64encode(QUESTION[start : start + 960]).decode()
                )
            transcript = None
            while transcript is None:
                event = await connection.recv()
                if event.type == "conversation.item.input_audio_transcription.completed":
                    transcript = event.transcript

    assert transcript == read_text("question_weather")


async def test_an_openai_shaped_origin_has_its_path_and_its_headers() -> None:
    openai = Scenario("openai", "OpenAI-shaped", Server(shape="openai"))
    async with serve([openai]) as simulator:
        url = simulator.url("eastus2", "gpt-realtime")
        async with connect(url) as socket:
            assert socket.response is not None
            headers = socket.response.headers

    assert "/eastus2/v1/realtime?" in url
    assert headers["x-request-id"].startswith("req_")
    assert not {"apim-request-id", "x-ms-region"} & {name.lower() for name in headers}


async def test_a_bad_key_gets_an_error_and_close_3000() -> None:
    async with serve([load_scenario("invalid_key_close_3000")]) as simulator:
        url = simulator.url("eastus2", "gpt-realtime")
        async with connect(url, additional_headers={"Authorization": "Bearer sk-wrong"}) as socket:
            error = json.loads(await socket.recv())
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()

    assert error["error"]["code"] == "invalid_api_key"
    assert "sk-wrong" not in json.dumps(error)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (3000, "invalid_request_error.invalid_api_key")


async def post(simulator: Simulator, path: str, body: dict[str, Any]) -> tuple[http.client.HTTPResponse, Any]:
    def ask_and_read() -> tuple[http.client.HTTPResponse, Any]:
        connection = http.client.HTTPConnection(simulator.origin.removeprefix("ws://"), timeout=30)
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        content = json.loads(response.read())
        connection.close()
        return response, content

    return await asyncio.to_thread(ask_and_read)


async def test_the_same_port_mints_client_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serve([HEALTHY]) as simulator:
        path = "/swedencentral/openai/v1/realtime/client_secrets"
        response, minted = await post(simulator, path, {"session": {"type": "realtime"}})
        lost, _ = await post(simulator, "/v1/chat/completions", {})
        async with connect(simulator.url("eastus2", "gpt-realtime")) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"

    assert response.status == 200
    assert minted["value"].startswith("ek_")
    assert response.headers["x-ms-region"] == "swedencentral"
    assert (lost.status, lost.headers["x-request-id"][:4]) == (404, "req_")
    assert not [record for record in caplog.records if "handshake failed" in record.message]


async def test_a_plain_request_fails_as_staged_and_only_there() -> None:
    error = {"http_error": {"status": 500, "code": "InternalServerError", "message": "sorry"}}
    transcribed = {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    bodies: list[Event] = [{"session": transcribed}, {"session": {"type": "realtime"}}, {}]
    secrets = "openai/v1/realtime/client_secrets"
    async with serve([stage(error, region="swedencentral", transcription_model="*")]) as simulator:
        answers = [await post(simulator, f"/swedencentral/{secrets}", body) for body in bodies]
        elsewhere, _ = await post(simulator, f"/eastus2/{secrets}", bodies[0])

    assert [response.status for response, _ in answers] == [500, 200, 200]
    assert answers[0][1] == {"error": {"code": "InternalServerError", "message": "sorry"}}
    assert answers[0][0].headers["x-ms-region"] == "swedencentral"
    assert elsewhere.status == 200
