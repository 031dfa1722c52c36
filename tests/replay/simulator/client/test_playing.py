"""The script's client, against an endpoint of a few lines and against the simulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from replay.simulator.client.playing import Played, play_session
from replay.simulator.client.script import ClientSession, HttpRequest, Step
from replay.simulator.clock import NS_PER_S, StagedClock

Json = dict[str, Any]
DONE = {"type": "response.done"}


class Endpoint:
    """What an endpoint of the tests heard, and how it answers."""

    def __init__(self, answers: dict[str, list[Json]] | None = None) -> None:
        self.answers = answers or {}
        self.heard: list[Json] = []
        self.paths: list[str] = []
        self.pongs = 0

    async def talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        async for message in connection:
            event = json.loads(message)
            self.heard.append(event)
            for answer in self.answers.get(event["type"], []):
                await connection.send(json.dumps(answer))

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.heard]


@asynccontextmanager
async def listening(talk: Callable[[ServerConnection], Coroutine[Any, Any, None]]) -> AsyncIterator[str]:
    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def play(endpoint: Endpoint, *steps: Step, **session: Any) -> Played:
    async with listening(endpoint.talk) as origin:
        return await play_session(ClientSession(steps=steps, **session), origin, StagedClock(speed=50))


async def test_steps_become_client_events_in_their_order() -> None:
    endpoint = Endpoint()
    played = await play(
        endpoint,
        Step(update={"audio": {"input": {"turn_detection": "{null}"}}}),
        Step(update={"voice": "alloy"}, dialect="beta"),
        Step(silence_ms=50),
        Step(commit=True),
        Step(respond={}),
        Step(respond={"instructions": "Hi"}),
        Step(cancel=True),
        Step(send={"type": "input_audio_buffer.clear"}),
    )

    assert played == Played("closed by the client with 1000")
    appends = [event for event in endpoint.heard if event["type"] == "input_audio_buffer.append"]
    assert len(appends) == 2
    assert [event for event in endpoint.heard if event not in appends] == [
        {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}}},
        {"type": "session.update", "session": {"voice": "alloy"}},
        {"type": "input_audio_buffer.commit"},
        {"type": "response.create"},
        {"type": "response.create", "response": {"instructions": "Hi"}},
        {"type": "response.cancel"},
        {"type": "input_audio_buffer.clear"},
    ]


async def test_the_url_is_the_session_s() -> None:
    endpoint = Endpoint()
    await play(endpoint, model="my deployment")
    await play(endpoint, path="/v1/realtime", query={"intent": "transcription"})
    await play(endpoint, query={})

    assert endpoint.paths == [
        "/openai/v1/realtime?model=my+deployment",
        "/v1/realtime?intent=transcription",
        "/openai/v1/realtime",
    ]


async def test_each_event_answers_one_await_in_whatever_order_they_come() -> None:
    endpoint = Endpoint({"response.create": [{"type": "session.updated"}, {"type": "error"}, DONE]})
    respond, awaited = Step(respond={}), Step(awaited="response.done")

    assert (
        await play(
            endpoint, respond, awaited, Step(awaited="error"), Step(awaited=("session.created", "session.updated"))
        )
    ).problem is None
    failed = await play(endpoint, respond, awaited, Step(awaited="response.done", timeout_s=0.5))
    assert (
        failed.problem == "step 3, await response.done: did not come within 0.5 s; the last that came was response.done"
    )


async def test_an_optional_await_in_vain_is_no_problem() -> None:
    endpoint = Endpoint()
    played = await play(endpoint, Step(awaited="error", timeout_s=0.1, optional=True), Step(cancel=True))

    assert played.problem is None
    assert endpoint.types == ["response.cancel"]


async def test_an_id_that_was_not_seen_is_a_problem_of_its_step() -> None:
    played = await play(Endpoint(), Step(cancel=True), Step(send={"type": "x", "item_id": "{item}"}))

    assert played.problem == "step 2, send x: no item has been seen yet"


async def test_skipping_moves_the_clock() -> None:
    clock = StagedClock(0)
    async with listening(Endpoint().talk) as origin:
        await play_session(ClientSession(steps=(Step(skip_s=3600),)), origin, clock)

    assert 3600 * NS_PER_S <= clock.now_ns() < 3700 * NS_PER_S


@pytest.mark.parametrize(
    ("step", "ended", "code"),
    [
        (Step(close=1000), "closed by the client with 1000", 1000),
        (Step(close=1011, reason="keepalive ping timeout"), "closed by the client with 1011", 1011),
        (Step(close=1006), "dropped without a close frame", None),
    ],
)
async def test_the_client_hangs_up_as_the_step_says(step: Step, ended: str, code: int | None) -> None:
    closes: list[ConnectionClosed] = []

    async def talk(connection: ServerConnection) -> None:
        try:
            await connection.recv()
        except ConnectionClosed as closed:
            closes.append(closed)

    async with listening(talk) as origin:
        played = await play_session(ClientSession(steps=(step, Step(cancel=True))), origin, StagedClock())
    assert (played.ended, played.problem) == (ended, None)
    [closed] = closes
    assert (closed.rcvd.code if closed.rcvd else None) == code
    assert (closed.rcvd.reason if closed.rcvd else "") == (step.reason or "")


async def test_an_endpoint_that_leaves_ends_the_script_without_a_problem() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(1001, "going away")

    steps = (Step(awaited="close"), Step(awaited="response.done"))
    async with listening(leave) as origin:
        played = await play_session(ClientSession(steps=steps), origin, StagedClock())
        assert played == Played("closed by the server with 1001")
        assert (await play_session(ClientSession(steps=steps[1:]), origin, StagedClock())).problem is None


async def test_a_refusal_is_an_ending_too() -> None:
    async with serve(Endpoint().talk, "127.0.0.1", 0, process_request=lambda c, _: c.respond(403, "no")) as server:
        origin = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        assert await play_session(ClientSession(), origin, StagedClock()) == Played("refused with HTTP 403")
    # Nobody listens there any more.
    assert (await play_session(ClientSession(), origin, StagedClock())).ended.startswith("not opened: ")


async def test_while_it_stalls_no_ping_is_answered() -> None:
    answered: list[bool] = []
    is_stalled = asyncio.Event()

    async def ping(connection: ServerConnection) -> None:
        await connection.recv()
        pong = await connection.ping()
        try:
            await asyncio.wait_for(asyncio.shield(pong), 0.1)
            answered.append(True)
        except TimeoutError:
            answered.append(False)
        is_stalled.set()
        await connection.send(json.dumps(DONE))
        await pong
        await connection.wait_closed()

    # Longer than the endpoint waits, at any speed of the machine: it is over when the clock is moved.
    clock = StagedClock()
    steps = (Step(cancel=True), Step(stall_s=3600), Step(awaited="response.done"))
    async with listening(ping) as origin, asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(play_session(ClientSession(steps=steps), origin, clock))
        await is_stalled.wait()
        clock.advance_s(3600)
    assert playing.result() == Played("closed by the client with 1000")
    assert answered == [False]


async def test_a_plain_request_is_made_beside_the_socket_or_without_one() -> None:
    endpoint = Endpoint()
    request = Step(http=HttpRequest(path="/client_secrets", method="GET", headers={"x-a": "b"}))

    # The endpoint of the tests takes no plain request: it answers with a status all the same.
    assert await play(endpoint, request, request) == Played("no WebSocket")
    assert endpoint.paths == []
    assert await play(endpoint, request, Step(cancel=True)) == Played("closed by the client with 1000")
    assert endpoint.types == ["response.cancel"]


async def test_a_plain_request_without_an_answer_is_told_with_its_step() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    request = Step(http=HttpRequest(path="/client_secrets"))
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        origin = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        played = await play_session(ClientSession(steps=(request, request)), origin, StagedClock())
    assert played.ended == "no WebSocket"
    assert (played.problem or "").startswith("step 1, http: no answer came: ")
