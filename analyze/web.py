"""Serve the terminal browser to a web browser on this machine: each tab is a process of its own."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from analyze.web_page import SCRIPT, headers, page
from capture.arguments import is_loopback, parse_listen
from capture.errors import UsageProblem
from capture.narration import print_line, tell
from capture.own_program import own_program

DEFAULT_LISTEN = "127.0.0.1:8790"
_TABS_END_WITHIN_S = 3
_INSTALL = "pip install 'wiretape[web]'"

Handler = Callable[[Any], Awaitable[Any]]


def serve(listen: str, recordings: Path | None) -> None:
    """Serve until Ctrl-C; the address to open goes to stdout.

    Raises `UsageProblem` where the extra `web` is not installed, for an address that is not of this machine's
    loopback, and where it cannot be listened on.
    """
    try:
        from aiohttp import web
        from textual_serve.server import Server
    except ImportError as error:
        raise UsageProblem(f"--web needs an extra that is not installed: {_INSTALL}") from error
    with _bound(listen) as bound:
        host, port = bound.getsockname()[:2]

        class Local(Server):
            async def on_startup(self, app: web.Application) -> None:
                """Print no banner: stdout is for the address."""

            async def handle_index(self, request: web.Request) -> Any:
                """Give our page in place of theirs, which names a foreign host."""
                written = page(request.host, request.query.get("fontsize"))
                return web.Response(text=written, content_type="text/html")

            async def _process_messages(self, websocket: web.WebSocketResponse, app_service: Any) -> None:
                """Close a tab whose process has ended without a word, too: theirs would stand still for ever."""
                async with asyncio.TaskGroup() as tasks:
                    ended = tasks.create_task(_close_behind(app_service, websocket), name="wiretape end of a screen")
                    await super()._process_messages(websocket, app_service)
                    ended.cancel()

        server = Local(command(recordings), host=_in_url(host), port=port, title="wiretape")
        guard = Guard(_in_url(host), port, secrets.token_urlsafe(24))

        async def add_headers(request: web.Request, answer: web.StreamResponse) -> None:
            # A name that is refused stands in no header.
            answer.headers.update(headers(request.host if request.host in guard.hosts else f"{_in_url(host)}:{port}"))

        async def handle_script(_: web.Request) -> web.FileResponse:
            return web.FileResponse(SCRIPT)

        async def made() -> Any:
            app = await server._make_app()
            app.router.add_get(f"/{SCRIPT.name}", handle_script)
            app.middlewares.append(web.middleware(guard.handler(web)))
            app.on_response_prepare.append(add_headers)
            return app

        print_line(f"http://{_in_url(host)}:{port}/?token={guard.token}")
        tell("open this address in a browser; whoever has it may read the recordings and start replays. Ctrl-C ends it")
        with suppress(KeyboardInterrupt, asyncio.CancelledError):
            # Tabs are open for as long as somebody looks at them: aiohttp waits a minute for such to end by themselves.
            web.run_app(made(), sock=bound, print=None, access_log=None, shutdown_timeout=_TABS_END_WITHIN_S)


async def _close_behind(app_service: Any, websocket: Any) -> None:
    await asyncio.wait([app_service._task])
    await websocket.close()


def command(recordings: Path | None) -> str:
    """Write the command that shows the terminal browser, for a shell."""
    words = [sys.executable, *own_program("wiretape", "main(sys.argv[1:])"), "analyze"]
    return shlex.join([*words, *(["--recordings", str(recordings)] if recordings is not None else [])])


class Guard:
    """Decides who may come in: who has the token of the address, or the cookie that it was changed for.

    A loopback port is open to every page in the user's browser and to every user of the machine. A page from
    elsewhere has another origin, or (by DNS) another host; another user does not know the token.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        """Take the address that is listened on, as a URL spells it, and the token."""
        self.token = token
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", host)}
        # Browsers keep one jar of cookies for all ports of a host: two of these servers must not share one.
        self.cookie = f"wiretape-{port}"

    def refusal(self, headers: Any, token: str | None) -> str | None:
        """Say why a request is refused; None: it may come in."""
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if host not in self.hosts or (origin is not None and origin != f"http://{host}"):
            return "this page is for this machine only"
        known = token if token is not None else _cookie_in(headers.get("Cookie", ""), self.cookie)
        # What was no UTF-8 comes with surrogates.
        if not compare_digest(known.encode(errors="replace"), self.token.encode()):
            return "open the address that wiretape printed, with its token"
        return None

    def handler(self, web: Any) -> Any:
        """Make the handler that stands before all others; `web` is `aiohttp.web`."""

        async def guarded(request: Any, handler: Handler) -> Any:
            token = request.query.get("token")
            if (refusal := self.refusal(request.headers, token)) is not None:
                return web.Response(status=403, text=refusal)
            if token is not None:
                # Out of the address line, where it would go into the history.
                rest = urlencode([(name, value) for name, value in request.query.items() if name != "token"])
                # There is one page; a path that looks like another host (`//…`) must lead to none.
                answer = web.Response(status=303, headers={"Location": f"/?{rest}" if rest else "/"})
                answer.set_cookie(self.cookie, token, httponly=True, samesite="Strict")
                return answer
            return await handler(request)

        return guarded


def _cookie_in(header: str, wanted: str) -> str:
    # Not with `http.cookies`: it reads none where one is odd, and a host's other servers put theirs here too.
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return next((value for name, _, value in pairs if name == wanted), "")


def _bound(listen: str) -> socket.socket:
    host, port = parse_listen(listen)
    address = "127.0.0.1" if host == "localhost" else host
    if not is_loopback(host):
        raise UsageProblem(
            f"--web serves this machine only, not {host}: elsewhere it would hand recordings and keys to the network."
            " Reach it from another machine through ssh -L 8790:127.0.0.1:8790"
        )
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family)
    except OSError as error:
        raise UsageProblem(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
