"""The server of the browser's page: textual-serve's, with a guard before it and a page of our own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from textual_serve.server import Server

from analyze.web_guard import Guard
from analyze.web_page import ICON, SCRIPT, headers, page

_TABS_END_WITHIN_S = 3


def run(command: str, bound: socket.socket, guard: Guard) -> None:
    """Serve on a socket until Ctrl-C; each tab runs `command`, written for a shell."""
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        # Tabs are open for as long as somebody looks at them: aiohttp waits a minute for such to end by themselves.
        web.run_app(
            LocalServer(command, guard)._make_app(),
            sock=bound,
            print=None,
            access_log=None,
            shutdown_timeout=_TABS_END_WITHIN_S,
        )


class LocalServer(Server):
    """Serves those that the guard lets in."""

    def __init__(self, command: str, guard: Guard) -> None:
        host, _, port = guard.host.rpartition(":")
        super().__init__(command, host=host, port=int(port), title="wiretape")
        self._guard = guard

    async def on_startup(self, app: web.Application) -> None:
        """Print no banner: stdout is for the address."""

    async def handle_index(self, request: web.Request) -> Any:
        """Give our page in place of theirs, which names a foreign host."""
        return web.Response(text=page(request.host, request.query.get("fontsize")), content_type="text/html")

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        for file in (SCRIPT, ICON):
            app.router.add_get(f"/{file.name}", partial(_give, file))
        app.middlewares.append(self._let_in)
        app.on_response_prepare.append(self._add_headers)
        return app

    @web.middleware
    async def _let_in(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        token = request.query.get("token")
        if (refusal := self._guard.refusal(request.headers, token)) is not None:
            return web.Response(status=403, text=refusal)
        if token is None:
            return await handler(request)
        # Out of the address line, where it would go into the history.
        rest = urlencode([(name, value) for name, value in request.query.items() if name != "token"])
        # There is one page; a path that looks like another host (`//…`) must lead to none.
        answer = web.Response(status=303, headers={"Location": f"/?{rest}" if rest else "/"})
        answer.set_cookie(self._guard.cookie, token, httponly=True, samesite="Strict")
        return answer

    async def _add_headers(self, request: web.Request, answer: web.StreamResponse) -> None:
        # A name that is refused stands in no header.
        answer.headers.update(headers(request.host if request.host in self._guard.hosts else self._guard.host))

    async def _process_messages(self, websocket: web.WebSocketResponse, app_service: Any) -> None:
        """Close a tab whose process has ended without a word, too: theirs would stand still for ever."""
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(_close_behind(app_service, websocket), name="wiretape end of a screen")
            await super()._process_messages(websocket, app_service)
            ended.cancel()


async def _give(file: Path, _: web.Request) -> web.FileResponse:
    return web.FileResponse(file)


async def _close_behind(app_service: Any, websocket: web.WebSocketResponse) -> None:
    await asyncio.wait([app_service._task])
    await websocket.close()
