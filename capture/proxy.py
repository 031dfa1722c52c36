"""Serve the recording proxy: listen, carry every client, and on a signal close and seal everything."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager

from capture.arguments import parse_listen
from capture.errors import UsageProblem
from capture.recorder import Recorder
from capture.redaction import redact_url
from capture.relay import RecordingPolicy, Relay, RelayLimits
from capture.sealing import SealedSession, leftover_journals
from capture.targets import Target

CLIENT_TOKEN_VARIABLE = "WIRETAPE_CLIENT_TOKEN"  # noqa: S105 - a variable's name, no token
DEFAULT_LISTEN = "127.0.0.1:8765"

_KEPT_AS = {"whole": "", "window": " · windows around its failures kept", "none": " · not kept"}

_log = logging.getLogger(__name__)


@asynccontextmanager
async def serve_proxy(
    target: Target,
    recorder: Recorder,
    *,
    listen: str = DEFAULT_LISTEN,
    policy: RecordingPolicy | None = None,
    client_token: str | None = None,
    limits: RelayLimits | None = None,
    on_sealed: Callable[[Future[SealedSession]], None] | None = None,
) -> AsyncIterator[str]:
    """Serve until the block is left; gives the origin that clients connect to, `ws://HOST:PORT`.

    `on_sealed` gets each session that ended, on a thread of the sealer's; without it a line is logged. Leaving the
    block stops accepting and closes live sessions; sealing is the recorder's. Raises `UsageProblem` where the
    address cannot be listened on, is not loopback and no client token is given, or the target's key is not set.
    """
    _check(target, listen, client_token)
    problem: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        relay = Relay(
            target,
            recorder,
            tasks,
            policy=policy,
            client_token=client_token,
            limits=limits,
            on_sealed=on_sealed or _report,
        )
        try:
            server = await _listen(relay, listen)
            try:
                yield _origin(server)
            finally:
                server.close()
                relay.stop()
        except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
            problem = error
    if problem is not None:
        raise problem


def _check(target: Target, listen: str, client_token: str | None) -> None:
    host, _ = parse_listen(listen)
    if client_token is None and not _is_loopback(host):
        raise UsageProblem(
            f"{host} is reachable from other machines: set {CLIENT_TOKEN_VARIABLE} to a token that clients"
            " must send as their API key"
        )
    if target.auth != "entra":
        target.credential_headers()


async def _listen(relay: Relay, listen: str) -> asyncio.Server:
    host, port = parse_listen(listen)
    try:
        return await asyncio.get_running_loop().create_server(relay.accept, host, port, backlog=512)
    except OSError as error:
        raise UsageProblem(f"cannot listen on {listen}: {error.strerror or error}") from error


async def run_proxy(
    target: Target,
    recorder: Recorder,
    *,
    listen: str = DEFAULT_LISTEN,
    policy: RecordingPolicy | None = None,
    on_listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_listening` gets the origin that clients connect to.

    The client token is taken from `WIRETAPE_CLIENT_TOKEN`. What a crash left in the journal is sealed meanwhile.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    token = os.environ.get(CLIENT_TOKEN_VARIABLE) or None
    async with serve_proxy(target, recorder, listen=listen, policy=policy, client_token=token) as origin:
        _seal_leftovers(recorder)
        _log.info("%s is recorded; clients connect to %s", redact_url(target.name), origin)
        on_listening(origin)
        await stop.wait()
        _log.info("closing live sessions")
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)


def _seal_leftovers(recorder: Recorder) -> None:
    for session_id in leftover_journals(recorder.root):
        _log.info("sealing %s, left behind by an earlier run", session_id)
        recorder.seal(session_id).add_done_callback(_report)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(server: asyncio.Server) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"


def _report(done: Future[SealedSession]) -> None:
    error = done.exception()
    if error is not None:
        _log.warning("%s", error)
        return
    sealed = done.result()
    turns = "1 turn" if sealed.turns == 1 else f"{sealed.turns} turns"
    seconds = sealed.duration_ms / 1000
    _log.info("%s %s · %s · %.1f s%s", sealed.session_id, sealed.outcome, turns, seconds, _KEPT_AS[sealed.kept])
