"""Where a server listens, and what it is called then."""

from __future__ import annotations

import asyncio
import socket

import pytest

from capture.errors import UsageProblem
from capture.listening import listen_at, origin_of


@pytest.mark.parametrize(("listen", "begins"), [("127.0.0.1:0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")])
async def test_a_port_that_was_taken_for_0_stands_in_the_origin(listen: str, begins: str) -> None:
    server = await listen_at(asyncio.Protocol, listen)
    origin = origin_of(server, "http")
    assert origin.startswith(begins)
    assert int(origin.rpartition(":")[2]) > 0
    server.close()


async def test_an_address_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageProblem, match=f"cannot listen on {listen}: "):
            await listen_at(asyncio.Protocol, listen)


async def test_what_is_no_address_is_told_by_its_option() -> None:
    with pytest.raises(UsageProblem, match="--metrics takes HOST:PORT"):
        await listen_at(asyncio.Protocol, "localhost", option="--metrics")
