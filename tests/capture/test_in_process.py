"""A connection of our own, recorded through the tap: the same recording as the relay's."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from capture.errors import EndpointRefused
from capture.event_loop import choose_loop
from capture.in_process import connect_recorded
from capture.recorder import Recorder, SessionRecording
from capture.recording.facts import SessionEnd
from capture.recording.reader import Recording, open_recording
from capture.recording.root import Root
from capture.upstream import Way
from tests.noise import noise

pytestmark = pytest.mark.codec

SECRET = "s3cr3t-k3y-of-4-t3st"


def started(recorder: Recorder) -> SessionRecording:
    return recorder.start_session(recorder.new_facts(target="endpoint"))


def sealed(recorder: Recorder, recording: SessionRecording) -> Recording:
    recorder.close()
    return open_recording(recorder.root, recording.session_id)


def contents(recording: Recording, sender: str, *kinds: str) -> list[str | bytes]:
    messages = recording.messages()
    return [message.content for message in messages if message.sender == sender and message.kind in kinds]


@asynccontextmanager
async def endpoint(handler: Any, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, max_size=None, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@asynccontextmanager
async def raw_endpoint(answer: bytes | None) -> AsyncIterator[str]:
    """Serve one connection: read the request's head, give the answer; without one, stay silent."""
    is_over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()
        is_over.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await is_over.wait()
    server.close()


async def echo(connection: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_what_both_sides_saw_is_what_was_recorded(recorder: Recorder, compression: str | None) -> None:
    messages: list[str | bytes] = ["", "{}", '{"type":"a"}', "x" * 70_000, b"\x00\xff", noise(2 << 20)]
    recording = started(recorder)
    async with (
        endpoint(echo) as origin,
        connect_recorded(f"{origin}/v1/realtime", recording=recording, compression=compression) as connection,
    ):
        for message in messages:
            await connection.send(message)
            assert await connection.recv() == message
    found = sealed(recorder, recording)
    for sender in ("client", "server"):
        assert contents(found, sender, "event", "text", "binary") == messages
        assert contents(found, sender, "close") == [b"\x03\xe8"]
    assert found.session["closed_by"] == "client"
    assert found.session["complete"]


async def test_a_message_that_comes_with_the_101_is_recorded(recorder: Recorder) -> None:
    recording = started(recorder)

    async def greet(connection: ServerConnection) -> None:
        await connection.send("welcome")

    async with endpoint(greet) as origin, connect_recorded(origin, recording=recording) as connection:
        assert await connection.recv() == "welcome"
    assert contents(sealed(recorder, recording), "server", "text") == ["welcome"]


async def test_the_handshake_is_recorded_without_its_secrets(recorder: Recorder, root: Root) -> None:
    recording = started(recorder)
    async with (
        endpoint(echo, subprotocols=[Subprotocol("realtime")]) as origin,
        connect_recorded(
            f"{origin}/v1/realtime?model=m&api-key={SECRET}",
            recording=recording,
            headers=[("Authorization", f"Bearer {SECRET}"), ("X-Mine", "1")],
            subprotocols=["realtime", f"openai-insecure-api-key.{SECRET}"],
        ) as connection,
    ):
        assert connection.subprotocol == "realtime"
    row = sealed(recorder, recording).session
    assert row["handshake_status"] == 101
    assert row["remote_ip"] == "127.0.0.1"
    assert row["user_agent"].startswith("wiretape/")
    assert row["request_headers"]["authorization"] == "[redacted]"
    assert row["request_headers"]["x-mine"] == "1"
    assert row["request_headers"]["sec-websocket-protocol"] == "realtime, openai-insecure-api-key.[redacted]"
    assert not [path for path in root.path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


async def test_a_refused_upgrade_is_raised_with_status_and_body_and_recorded(recorder: Recorder) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        answer = connection.respond(403, "not from here")
        # A gateway's, and that of the endpoint behind it.
        answer.headers["Retry-After"] = "20"
        answer.headers["Retry-After"] = "30"
        return answer

    recording = started(recorder)
    async with endpoint(echo, process_request=refuse) as origin:
        with pytest.raises(EndpointRefused) as refused:
            async with connect_recorded(f"{origin}/v1/realtime?api-key={SECRET}", recording=recording):
                pass
    assert (refused.value.status, refused.value.body) == (403, "not from here")
    assert refused.value.headers["retry-after"] == "20, 30"
    assert "HTTP 403 Forbidden: not from here" in str(refused.value)
    assert SECRET not in str(refused.value)
    found = sealed(recorder, recording)
    assert found.session["handshake_status"] == 403
    assert contents(found, "server", "http") == ["not from here"]
    assert found.session["outcome"] == "failed"


async def test_a_redirect_is_a_refusal_and_carries_the_key_nowhere(recorder: Recorder) -> None:
    asked: list[str] = []

    async with endpoint(echo, process_request=lambda _, request: asked.append(request.path)) as elsewhere:

        def redirect(connection: ServerConnection, _: Request) -> Response:
            response = connection.respond(302, "")
            response.headers["Location"] = elsewhere
            return response

        async with endpoint(echo, process_request=redirect) as origin:
            with pytest.raises(EndpointRefused) as refused:
                async with connect_recorded(origin, recording=started(recorder), headers={"api-key": SECRET}):
                    pass
    assert refused.value.status == 302
    assert asked == []
    recorder.close()


async def test_an_endpoint_that_is_not_there_is_raised_and_recorded(recorder: Recorder) -> None:
    recording = started(recorder)
    with pytest.raises(EndpointRefused, match="cannot be reached"):
        async with connect_recorded("ws://127.0.0.1:1/v1/realtime", recording=recording):
            pass
    row = sealed(recorder, recording).session
    assert row["handshake_status"] is None
    assert row["outcome"] == "failed"
    assert "cannot be reached" in row["end_reason"]


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b""])
async def test_an_endpoint_that_opens_no_websocket_is_raised(recorder: Recorder, answer: bytes) -> None:
    async with raw_endpoint(answer) as origin:
        with pytest.raises(EndpointRefused):
            async with connect_recorded(origin, recording=started(recorder)):
                pass
    recorder.close()


async def test_a_host_that_has_no_such_name_is_raised_and_recorded(recorder: Recorder) -> None:
    recording = started(recorder)
    with pytest.raises(EndpointRefused, match="cannot be reached"):
        async with connect_recorded("ws://contoso..azure.com", recording=recording):
            pass
    assert sealed(recorder, recording).session["outcome"] == "failed"


async def test_a_silent_endpoint_is_given_up_after_the_time_allowed(recorder: Recorder) -> None:
    async with raw_endpoint(None) as origin:
        with pytest.raises(EndpointRefused, match=r"gave no answer within 0\.05 s"):
            async with connect_recorded(origin, recording=started(recorder), open_timeout_s=0.05):
                pass
    recorder.close()


async def test_a_proxy_that_is_silent_is_named(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_endpoint(None) as origin:
        proxy = origin.removeprefix("ws://")
        monkeypatch.setenv("https_proxy", f"http://me:hidden@{proxy}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(EndpointRefused, match=f"gave no answer through the proxy {proxy} within"):
            async with connect_recorded("wss://endpoint.test/v1", recording=started(recorder), open_timeout_s=0.05):
                pass
    recorder.close()


async def test_a_redirect_is_not_followed_and_told_with_where_it_leads(recorder: Recorder) -> None:
    location = f"https://elsewhere.example/v1/realtime?model=gpt-realtime&api-key={SECRET}"
    answer = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    recording = started(recorder)
    async with raw_endpoint(answer.encode()) as origin:
        with pytest.raises(EndpointRefused) as refused:
            async with connect_recorded(origin, recording=recording):
                pass
    assert str(refused.value) == (
        f"{origin} refused the session with HTTP 307 Temporary Redirect, and sends to"
        " https://elsewhere.example/v1/realtime?model=gpt-realtime&api-key=[redacted]"
    )
    assert SECRET not in str(sealed(recorder, recording).session)


async def test_pings_keep_the_connection_open_and_never_close_it(recorder: Recorder) -> None:
    async with endpoint(echo) as url, connect_recorded(url, recording=started(recorder)) as connection:
        assert connection.ping_interval
        assert connection.ping_timeout is None
    recorder.close()


async def test_the_caller_may_end_the_recording_in_its_own_words(recorder: Recorder) -> None:
    recording = started(recorder)
    async with endpoint(echo) as origin, connect_recorded(origin, recording=recording) as connection:
        await connection.close(4002, "enough")
        recording.end(SessionEnd(offset_ns=recording.now_ns(), end_reason="all said", pacing_p50_us=12.5))
    row = sealed(recorder, recording).session
    assert (row["end_reason"], row["pacing_p50_us"], row["close_code"]) == ("all said", 12.5, 4002)


async def test_an_interrupted_session_says_so(recorder: Recorder) -> None:
    recording = started(recorder)

    async def wait_for_ever(origin: str) -> None:
        async with connect_recorded(origin, recording=recording) as connection:
            await connection.send("hello")
            await connection.recv()
            await connection.recv()

    async with endpoint(echo) as origin:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await wait_for_ever(origin)
    row = sealed(recorder, recording).session
    assert (row["closed_by"], row["end_reason"]) == ("recorder", "interrupted")
    assert (row["close_code"], row["outcome"], row["lost_bytes"]) == (1001, "ok", 0)


@asynccontextmanager
async def deaf_endpoint() -> AsyncIterator[str]:
    is_over = asyncio.Event()

    async def take_nothing(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await is_over.wait()
        connection.transport.abort()

    async with endpoint(take_nothing) as url:
        try:
            yield url
        finally:
            is_over.set()


async def send_without_end(connection: Any) -> None:
    while True:
        await connection.send(noise(1 << 20))


async def test_an_endpoint_that_ends_its_stream_without_a_close_frame_is_the_one_that_let_go(
    recorder: Recorder,
) -> None:
    async def hang_up(connection: ServerConnection) -> None:
        connection.transport.abort()

    recording = started(recorder)
    async with serve(hang_up, "127.0.0.1", 0) as server:
        host, port = next(iter(server.sockets)).getsockname()
        async with connect_recorded(f"ws://{host}:{port}", recording=recording) as connection:
            await connection.wait_closed()
    session = sealed(recorder, recording).session
    # As the proxy tells it of the same end.
    assert (session["closed_by"], session["close_code"]) == ("server", 1006)


async def test_an_endpoint_that_takes_nothing_more_is_dropped_and_no_send_waits_for_ever(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capture.in_process.STALLED_S", 0.2)
    recording = started(recorder)
    async with deaf_endpoint() as url, connect_recorded(url, recording=recording) as connection:
        with pytest.raises(ConnectionClosed):
            await send_without_end(connection)
        assert connection.has_stalled
    session = sealed(recorder, recording).session
    assert (session["closed_by"], session["close_code"]) == ("network", 1006)
    assert "close||1006|" in session["failure_keys"]


async def test_who_is_cancelled_does_not_wait_to_say_goodbye_to_an_endpoint_that_takes_nothing(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capture.in_process._GOODBYE_S", 0.1)
    recording = started(recorder)

    async def talk(url: str) -> None:
        async with connect_recorded(url, recording=recording) as connection:
            await send_without_end(connection)

    async with deaf_endpoint() as url:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(talk(url), 0.5)
    assert sealed(recorder, recording).session["closed_by"] == "recorder"


async def test_a_slow_endpoint_that_takes_a_large_message_bit_by_bit_is_not_dropped(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capture.in_process.STALLED_S", 0.5)
    message, lengths = noise(16 << 20), []

    async def slow(connection: ServerConnection) -> None:
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(connection.recv())
            while not receiving.done():
                connection.transport.pause_reading()
                await asyncio.wait([receiving], timeout=0.1)
                connection.transport.resume_reading()
                await asyncio.wait([receiving], timeout=0.002)
        lengths.append(len(receiving.result()))

    recording = started(recorder)
    async with endpoint(slow) as url, connect_recorded(url, recording=recording) as connection:
        await connection.send(message)
        await asyncio.wait_for(connection.wait_closed(), 60)
        assert not connection.has_stalled
    recorder.close()
    assert lengths == [len(message)]


async def test_an_endpoint_that_hangs_up_during_the_tls_handshake_is_told_of_in_words(recorder: Recorder) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(EndpointRefused, match=r"cannot be reached: \S"):
            async with connect_recorded(url, recording=started(recorder)):
                pass
    recorder.close()


@pytest.mark.parametrize("loop_factory", [None, choose_loop()])
@pytest.mark.parametrize("reset", [True, False])
def test_an_endpoint_that_hangs_up_before_it_is_asked_for_anything_refuses_the_session(
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
    *,
    reset: bool,
) -> None:
    recording = started(recorder)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def open_socket(_: Way) -> socket.socket:
            opened = socket.create_connection(listener.getsockname())
            accepted, _address = listener.accept()
            if reset:
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            # Not before it has come here.
            assert select.select([opened], [], [], 10)[0]
            opened.setblocking(False)
            return opened

        monkeypatch.setattr(Way, "open_socket", open_socket)

        async def connecting() -> None:
            async with connect_recorded("ws://endpoint.test", recording=recording):
                pass

        # Which of the two depends on whether the loop sees it before it asks.
        refused = pytest.raises(EndpointRefused, match=r"cannot be reached: it hung up|opened no WebSocket")
        with asyncio.Runner(loop_factory=loop_factory) as runner, refused:
            runner.run(connecting())
    assert sealed(recorder, recording).session["outcome"] == "failed"


async def test_a_certificate_that_is_not_trusted_says_how_one_of_the_house_is_made_so(recorder: Recorder) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(served)
    async with endpoint(lambda connection: connection.wait_closed(), ssl=served) as origin:
        url = origin.replace("ws://127.0.0.1", "wss://localhost")
        with pytest.raises(EndpointRefused, match=r"a certificate that is not trusted: .*; .* in SSL_CERT_FILE"):
            async with connect_recorded(url, recording=started(recorder)):
                pass
    recorder.close()
