import asyncio

import pytest

from replay.simulator import Simulator, load_scenario, serve

BODY = b'{"session": {"type": "realtime"}}'


async def exchange(simulator: Simulator, *pieces: bytes) -> bytes:
    """Send pieces one by one; give all that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.origin.rpartition(":")[2]))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("cut", [1, 30, 150])
async def test_a_plain_request_is_answered_once_and_the_connection_ends(cut: int) -> None:
    head = f"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: h\r\nContent-Length: {len(BODY)}\r\n\r\n"
    request = head.encode() + BODY
    async with serve([load_scenario("healthy")]) as simulator:
        answer = await exchange(simulator, request[:cut], request[cut:])

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"value":"ek_' in answer


async def test_the_upgrade_of_javas_own_client_is_taken() -> None:
    head = [
        "GET /v1/realtime?model=gpt-realtime HTTP/1.1",
        "Connection: Upgrade",
        "Content-Length: 0",
        "Host: h",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    async with serve([load_scenario("healthy")]) as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.origin.rpartition(":")[2]))
        writer.write("\r\n".join([*head, "", ""]).encode())
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 101 ")
        writer.close()
        await writer.wait_closed()


async def test_what_is_no_request_is_hung_up_on() -> None:
    async with serve([load_scenario("healthy")]) as simulator:
        assert await exchange(simulator, b"POST garbage\r\n\r\n") == b""
