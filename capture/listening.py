"""Listen at an address that a person gave, and name what is listened at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from capture.arguments import parse_listen
from capture.errors import UsageProblem

_BACKLOG = 512
"""What comes beyond it hears nothing, and believes that it is connected."""


async def listen_at(
    accept: Callable[[], asyncio.BaseProtocol], listen: str, *, option: str = "--listen"
) -> asyncio.Server:
    """Listen at `HOST:PORT`; raises `UsageProblem` where that is no address, or cannot be listened on."""
    host, port = parse_listen(listen, option)
    try:
        return await asyncio.get_running_loop().create_server(accept, host, port, backlog=_BACKLOG)
    except OSError as error:
        raise UsageProblem(f"cannot listen on {listen}: {error.strerror or error}") from error


def origin_of(server: asyncio.Server, scheme: str) -> str:
    """Give the origin that clients connect to, with the port that was taken."""
    host, port = server.sockets[0].getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
