"""The browser's page and its socket, for real where the extra is installed."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from importlib.util import find_spec
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

HOME = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(find_spec("textual_serve") is None, reason="the extra `web` is not installed")


@pytest.fixture
def served() -> Iterator[Popen[str]]:
    """Start `wiretape analyze --web` over the sample."""
    arguments = [sys.executable, str(HOME / "wiretape.py"), "analyze", "--recordings", str(HOME / "recordings")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])}
    with Popen([*arguments, "--web", "--listen", "127.0.0.1:0"], stdout=PIPE, env=environment, text=True) as served:
        yield served
        served.send_signal(signal.SIGINT)
        served.wait(20)


@pytest.fixture
def address(served: Popen[str]) -> str:
    """Give the address that it prints."""
    assert served.stdout is not None
    return served.stdout.readline().strip()


def processes_below(pid: int) -> list[int]:
    """Give the processes that a process has started, and those that these have."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *processes_below(child)]
    return found


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Give status, page and cookie; redirections are followed with the cookie."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310 - the address that was printed
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), "; ".join(f"{kept.name}={kept.value}" for kept in jar)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode(), ""


def asked(url: str, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Give the bytes and the headers of an answer."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the address that was printed
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return answer.read(), dict(answer.headers.items())


def served_files() -> list[str]:
    """Name all that lies in the folder that is served beside the page."""
    import textual_serve.server

    statics = Path(textual_serve.server.__file__).parent / "static"
    return [path.relative_to(statics).as_posix() for path in sorted(statics.rglob("*")) if path.is_file()]


def test_nothing_that_is_served_leads_to_another_host(address: str) -> None:
    _, page, cookie = get(address)
    origin = address.split("/?")[0]
    linked = re.findall(r"/static/([^\"]+)", page)
    files = served_files()
    assert set(linked) <= set(files), "textual-serve has other files now"
    own = origin.removeprefix("http:").encode()
    for path in ("", *(f"static/{name}" for name in files)):
        content, headers = asked(f"{origin}/{path}", {"Cookie": cookie})
        assert headers["Content-Security-Policy"].startswith("default-src 'none'"), path
        assert content, path
        if not path.endswith((".ttf", ".png")):
            # The licence of xterm.js stands in comments, with addresses of its authors.
            said = re.sub(rb"/\*.*?\*/", b"", content, flags=re.DOTALL) if path.endswith(".css") else content
            foreign = [found for found in re.findall(rb"//[a-z0-9.:-]+\.[a-z]{2,}|//[0-9.:]+", said) if found != own]
            assert foreign == [], path


def test_what_gives_the_screen_its_keys_is_served_as_a_script(address: str) -> None:
    _, page, cookie = get(address)
    script = next(src for src in re.findall(r'src="([^"]+)"', page) if "static" not in src)
    content, headers = asked(address.split("/?")[0] + script, {"Cookie": cookie})
    # Browsers run nothing else: `nosniff`.
    assert headers["Content-Type"].startswith(("text/javascript", "application/javascript"))
    assert b".focus()" in content
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_tab_has_a_sign_that_is_served_as_a_picture(address: str) -> None:
    _, page, cookie = get(address)
    [icon] = re.findall(r'rel="icon" href="([^"]+)"', page)
    content, headers = asked(address.split("/?")[0] + icon, {"Cookie": cookie})
    assert headers["Content-Type"] == "image/svg+xml"
    assert content.startswith(b"<svg")


async def test_the_page_leads_to_a_live_screen_and_strangers_stay_out(address: str) -> None:
    status, page, cookie = await asyncio.to_thread(get, address)
    assert status == 200
    assert "textual.js" in page
    origin = address.split("/?")[0]
    socket = f"{origin.replace('http', 'ws')}/ws?width=100&height=30"
    async with connect(socket, additional_headers={"Cookie": cookie, "Origin": origin}) as screen:
        seen = b""
        while b"Failures" not in seen:
            said = await asyncio.wait_for(screen.recv(), 40)
            seen += said if isinstance(said, bytes) else said.encode()
        assert b"wiretape" in seen
    for headers in ({"Origin": origin}, {"Cookie": cookie, "Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus, match="403"):
            await connect(socket, additional_headers=headers)
    assert (await asyncio.to_thread(get, origin))[0] == 403
    port = urlsplit(address).port
    rebound = {"Host": f"evil.example:{port}", "Cookie": cookie}
    assert (await asyncio.to_thread(get, origin, rebound))[0] == 403


def test_the_token_leaves_the_address_line_and_the_rest_stays(address: str) -> None:
    status, page, _ = get(f"{address}&fontsize=20")
    assert (status, 'data-font-size="20"' in page) == (200, True)
    # A path that a browser would take for another host.
    strange = address.replace("/?", "//evil.example/%0d%0aX:%20y?")
    assert get(strange)[0] == 200


async def test_a_tab_is_told_that_its_screen_has_ended_even_by_a_kill(served: Popen[str], address: str) -> None:
    origin, cookie = address.split("/?")[0], (await asyncio.to_thread(get, address))[2]
    socket = f"{origin.replace('http', 'ws')}/ws?width=100&height=30"
    async with connect(socket, additional_headers={"Cookie": cookie, "Origin": origin}) as screen:
        await asyncio.wait_for(screen.recv(), 40)
        # As the system does that is out of memory.
        for pid in processes_below(served.pid):
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(40):
            async for _ in screen:
                pass
    assert screen.close_code == 1000


async def test_a_tab_whose_server_was_killed_ends_too(served: Popen[str], address: str) -> None:
    origin, cookie = address.split("/?")[0], (await asyncio.to_thread(get, address))[2]
    socket = f"{origin.replace('http', 'ws')}/ws?width=100&height=30"
    async with connect(socket, additional_headers={"Cookie": cookie, "Origin": origin}) as screen:
        await asyncio.wait_for(screen.recv(), 40)
        tabs = [os.pidfd_open(pid) for pid in processes_below(served.pid)]
        served.kill()
    assert tabs
    for tab in tabs:
        # It reads as soon as its process is gone.
        assert await asyncio.to_thread(select.select, [tab], [], [], 40) == ([tab], [], [])
        os.close(tab)
