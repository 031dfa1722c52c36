"""Serve a proxy's figures: `GET /metrics` for Prometheus, `GET /healthz` for whoever restarts and balances.

On the proxy's own loop: no thread that a slow reader holds, and a loop that stands still answers no probe.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from capture.admission import WaitingRoom, is_authorized, refuse_web_pages
from capture.arguments import is_loopback, parse_listen
from capture.errors import UsageProblem
from capture.exchange import Gate
from capture.handshake import BadRequest, RequestHead, parse_request, plain_response
from capture.listening import listen_at, origin_of
from capture.metrics import CONTENT_TYPE, Metrics

OPTION = "--metrics"
METRICS_TOKEN_VARIABLE = "WIRETAPE_METRICS_TOKEN"  # noqa: S105 - a variable's name, no token
_MOST_READERS = 16
_HEAD_S = 5.0
_HEAD_END = b"\r\n\r\n"
_PATIENCE_S = 1.0
"""After which a reader that has not asked may have to go for the next one."""
_log = logging.getLogger(__name__)


def check_metrics(listen: str) -> None:
    """Raise `UsageProblem` where the address is wrong, or is not loopback and no token is set."""
    host, _ = parse_listen(listen, OPTION)
    if _token() is None and not is_loopback(host):
        raise UsageProblem(
            f"{host} is reachable from other machines: set {METRICS_TOKEN_VARIABLE} to a token for Prometheus to send"
        )


@asynccontextmanager
async def serve_metrics(listen: str, metrics: Metrics, tasks: asyncio.TaskGroup) -> AsyncIterator[str]:
    """Serve until the block is left, each reader in a task of the group; gives the origin.

    Raises `UsageProblem` where `listen` is not loopback and no token is set, or cannot be listened on.
    """
    check_metrics(listen)
    desk = _Desk(metrics, tasks)
    server = await listen_at(desk.accept, listen, option=OPTION)
    try:
        yield origin_of(server, "http")
    finally:
        server.close()
        desk.close()


class _Desk:
    """Answers readers, each in a task of its own."""

    def __init__(self, metrics: Metrics, tasks: asyncio.TaskGroup) -> None:
        self._metrics = metrics
        self._tasks = tasks
        self._token = _token()
        self._answering: set[asyncio.Task[None]] = set()
        # Without it a few silent ones would keep the probes out, and a supervisor would end the proxy for that.
        self._waiting: WaitingRoom[Gate] = WaitingRoom(_MOST_READERS, _PATIENCE_S)

    def accept(self) -> asyncio.Protocol:
        return Gate(self._on_reader)

    def close(self) -> None:
        for task in self._answering:
            task.cancel()

    def _on_reader(self, reader: Gate) -> None:
        is_full = len(self._answering) >= _MOST_READERS
        overdue = self._waiting.enter(reader, asyncio.get_running_loop().time(), is_full=is_full)
        if overdue is not None:
            overdue.abort()
        elif is_full:
            self._waiting.leave(reader)
            reader.abort()
            return
        task = self._tasks.create_task(self._serve(reader), name="wiretape metrics")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _serve(self, reader: Gate) -> None:
        try:
            await reader.finish(await self._answer(reader))
        except ConnectionError:
            _log.debug("a reader of the metrics has left")
        except Exception:  # noqa: BLE001 - an error let out of here would end the group, and with it the proxy
            _log.exception("the metrics could not be served")
        finally:
            self._waiting.leave(reader)
            reader.close()

    async def _answer(self, reader: Gate) -> bytes:
        try:
            async with asyncio.timeout(_HEAD_S):
                # Load balancers probe in HTTP/1.0, and with HEAD.
                request = parse_request(await reader.head(), allows_http_1_0=True)
            self._waiting.leave(reader)
            answer = self._answer_to(request)
            return answer[: answer.index(_HEAD_END) + len(_HEAD_END)] if request.method == "HEAD" else answer
        except TimeoutError:
            return plain_response(408, f"no whole request head within {_HEAD_S:g} s")
        except BadRequest as problem:
            return plain_response(problem.status, problem.reason)

    def _answer_to(self, request: RequestHead) -> bytes:
        path = request.path.partition("?")[0]
        if request.method not in ("GET", "HEAD"):
            return plain_response(405, "GET /metrics or /healthz")
        if path == "/healthz":
            return plain_response(200, "ok") if self._metrics.is_serving else plain_response(503, "draining")
        if path != "/metrics":
            return plain_response(404, "GET /metrics or /healthz")
        if self._token is None:
            refuse_web_pages(request, "metrics are not for web pages of other hosts")
        elif not is_authorized(request, self._token):
            return plain_response(401, f"send the token of {METRICS_TOKEN_VARIABLE} as a bearer token")
        return plain_response(200, self._metrics.exposition(), CONTENT_TYPE)


def _token() -> str | None:
    return (os.environ.get(METRICS_TOKEN_VARIABLE) or "").strip() or None
