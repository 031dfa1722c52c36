import os
from urllib.request import proxy_bypass

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from replay.simulator.loopback import loopback_directly


@pytest.mark.parametrize("named", [{}, {"NO_PROXY": "a.example"}, {"no_proxy": "b.example", "NO_PROXY": "a.example"}])
async def test_while_it_runs_loopback_is_reached_past_a_proxy(
    named: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (named | {"http_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    async with serve(lambda connection: connection.send("hello"), "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(OSError, match=r"refused|failed"):
            await connect(url)
        with loopback_directly():
            async with connect(url) as connection:
                assert await connection.recv() == "hello"
            # What the user exempted stays exempted, in the spelling that counts.
            exempt = named.get("no_proxy", named.get("NO_PROXY", "127.0.0.1"))
            assert proxy_bypass(exempt)
            assert not proxy_bypass("api.openai.com")
    assert dict(os.environ) == before
