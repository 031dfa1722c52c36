"""Serve the recording proxy: listen, carry every client, and on a signal drain, close and seal everything."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from capture.arguments import is_loopback, parse_listen
from capture.errors import UsageProblem
from capture.listening import listen_at, origin_of
from capture.narration import counted
from capture.open_files import AcceptFaults, count_connections_with_room
from capture.policy import RecordingPolicy, RelayLimits
from capture.recorder import Recorder
from capture.recovery import remove_half_written, remove_orphans
from capture.redaction import redact_url
from capture.relay import Relay
from capture.sealing import SealedSession, SealingFailed, leftover_journals
from capture.stop_signals import StopSignals
from capture.targets import Target

if TYPE_CHECKING:
    from capture.metrics import Metrics

CLIENT_TOKEN_VARIABLE = "WIRETAPE_CLIENT_TOKEN"  # noqa: S105 - a variable's name, no token
DEFAULT_LISTEN = "127.0.0.1:8765"
# `docker stop` kills after 10 s: half of them for live sessions, the rest for closing and sealing.
DEFAULT_DRAIN_S = 5.0

# What the mending thread may still take of that: it has only to be told that nobody is waited for any more.
_MENDING_ENDS_WITHIN_S = 1.0

_SEALED_LATER = "; the next start, or `wiretape capture recover`, seals it"
_KEPT_AS = {"whole": "", "window": " · windows around its failures kept", "none": " · not kept"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Service:
    """A proxy that listens."""

    origin: str
    """What clients connect to."""
    relay: Relay
    server: asyncio.Server
    tasks: asyncio.TaskGroup
    """What serves runs in; an error in it ends all of it."""

    async def drain(self, limit_s: float, signals: StopSignals) -> None:
        """Take no new session; give the live ones time to end, until another signal comes."""
        self.server.close()
        live = self.relay.live_sessions
        if live and limit_s:
            _log.info(
                "draining: %s live, up to %g s; another signal closes them at once", counted(live, "session"), limit_s
            )
        async with asyncio.TaskGroup() as waits:
            drained = waits.create_task(self.relay.drain(), name="wiretape drain")
            hurried = waits.create_task(signals.second(), name="wiretape second signal")
            await asyncio.wait((drained, hurried), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
            hurried.cancel()
        if live := self.relay.live_sessions:
            _log.info("closing %s", counted(live, "session"))


@asynccontextmanager
async def serve_proxy(
    target: Target,
    recorder: Recorder,
    *,
    listen: str = DEFAULT_LISTEN,
    tls: Callable[[], ssl.SSLContext] | None = None,
    policy: RecordingPolicy | None = None,
    client_token: str | None = None,
    limits: RelayLimits | None = None,
    on_sealed: Callable[[Future[SealedSession]], None] | None = None,
) -> AsyncIterator[str]:
    """Serve until the block is left; gives the origin that clients connect to, `ws://HOST:PORT` (`wss` with `tls`).

    `tls` gives the context for each next client.
    `on_sealed` gets each session that ended, on a thread of the sealer's; without it a line is logged. Leaving the
    block stops accepting and closes live sessions; sealing is the recorder's. Raises `UsageProblem` where the
    address cannot be listened on, is not loopback and no client token is given, the target's key is not set, or the
    forward proxy of the environment cannot be used.
    """
    async with _serving(
        target,
        recorder,
        listen=listen,
        tls=tls,
        policy=policy,
        client_token=client_token,
        limits=limits or RelayLimits(),
        on_sealed=on_sealed or _report,
    ) as service:
        yield service.origin


@asynccontextmanager
async def _serving(
    target: Target,
    recorder: Recorder,
    *,
    listen: str,
    tls: Callable[[], ssl.SSLContext] | None,
    policy: RecordingPolicy | None,
    client_token: str | None,
    limits: RelayLimits,
    on_sealed: Callable[[Future[SealedSession]], None],
) -> AsyncIterator[_Service]:
    check_serving(target, listen, client_token)
    problem: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        try:
            relay = Relay(
                target,
                recorder,
                tasks,
                policy=policy,
                client_token=client_token,
                limits=limits,
                on_sealed=on_sealed,
                tls=tls,
            )
            server = await listen_at(relay.accept, listen)
            try:
                yield _Service(origin_of(server, "ws" if tls is None else "wss"), relay, server, tasks)
            finally:
                server.close()
                relay.stop()
        except Exception as error:  # noqa: BLE001 - raised below, outside the group that would wrap it
            problem = error
    if problem is not None:
        raise problem


def read_client_token() -> str | None:
    """Read the token that clients have to send from `WIRETAPE_CLIENT_TOKEN`; None where that is not set.

    Raises `UsageProblem` where it holds whitespace alone: who set it does not want to do without.
    """
    held = os.environ.get(CLIENT_TOKEN_VARIABLE) or None
    # A secret that is mounted as a file, or written with `echo`, ends in a line break; no client sends that.
    token = held and held.strip()
    if token == "":
        raise UsageProblem(f"{CLIENT_TOKEN_VARIABLE} is empty but for whitespace: put a token there, or unset it")
    return token


def check_serving(target: Target, listen: str, client_token: str | None) -> None:
    """Raise `UsageProblem` where the address is wrong or needs a client token, or the target's key is not set."""
    host, _ = parse_listen(listen)
    if client_token is None and not is_loopback(host):
        raise UsageProblem(
            f"{host} is reachable from other machines: set {CLIENT_TOKEN_VARIABLE} to a token that clients"
            " must send as their API key"
        )
    if target.auth != "entra":
        target.credential_headers()


async def run_proxy(
    target: Target,
    recorder: Recorder,
    *,
    listen: str = DEFAULT_LISTEN,
    tls: Callable[[], ssl.SSLContext] | None = None,
    policy: RecordingPolicy | None = None,
    drain_s: float | None = None,
    metrics: str | None = None,
    certificate_ends_at: Callable[[], datetime | None] | None = None,
    on_listening: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; `on_listening` gets the origin that clients connect to.

    The client token is taken from `WIRETAPE_CLIENT_TOKEN`. What a crash left in the journal is sealed meanwhile.
    `drain_s` is how long live sessions may go on after the signal; None gives a supervisor's SIGTERM,
    and a terminal that closes, `DEFAULT_DRAIN_S`, and none to SIGINT: who presses Ctrl-C waits for the end.
    `metrics` is the address at which figures for Prometheus are served, the end of the certificate of `tls` with them.
    """
    asyncio.get_running_loop().set_exception_handler(AcceptFaults().handle)
    figures = _Figures(metrics, redact_url(target.name))
    mending = _Mending(recorder, figures.report)
    with StopSignals() as signals:
        async with (
            _serving(
                target,
                recorder,
                listen=listen,
                tls=tls,
                policy=policy,
                client_token=read_client_token(),
                limits=RelayLimits(connections=count_connections_with_room()),
                on_sealed=figures.report,
            ) as service,
            figures.served(service, recorder, certificate_ends_at),
        ):
            _log.info("%s; clients connect to %s", _recorded(target, service.relay), service.origin)
            on_listening(service.origin)
            mending.start()
            number = await signals.first()
            mending.hurry()
            default_s = 0 if number == signal.SIGINT else DEFAULT_DRAIN_S
            await service.drain(default_s if drain_s is None else drain_s, signals)
        # No call is left that this could hold up.
        mending.end()


def _recorded(target: Target, relay: Relay) -> str:
    way = f" through the proxy {relay.upstream.proxy}" if relay.upstream.proxy else ""
    loop = type(asyncio.get_running_loop()).__module__.split(".")[0]
    return f"{redact_url(target.name)} is recorded{way} (on {loop})"


class _Figures:
    """Reports each session that was sealed; counts it for Prometheus, where somebody asked for that."""

    def __init__(self, listen: str | None, target_name: str) -> None:
        self._listen = listen
        self._metrics: Metrics | None = None
        if listen is not None:
            # It takes five megabytes: only who asks for figures has them.
            from capture.metrics import Metrics

            self._metrics = Metrics(target_name)

    def report(self, done: Future[SealedSession]) -> None:
        """Say how a session ended, and count it; on any thread."""
        if self._metrics is not None:
            self._metrics.count(done)
        _report(done)

    @asynccontextmanager
    async def served(
        self, service: _Service, recorder: Recorder, certificate_ends_at: Callable[[], datetime | None] | None
    ) -> AsyncIterator[None]:
        """Serve the figures until the block is left: while the proxy drains, too."""
        if self._listen is None or self._metrics is None:
            yield
            return
        from capture.metrics_server import serve_metrics

        self._metrics.watch(service.relay, recorder, certificate_ends_at)
        async with serve_metrics(self._listen, self._metrics, service.tasks) as origin:
            _log.info("metrics are at %s/metrics, health at %s/healthz", origin, origin)
            yield


class _Mending:
    """Seals what an earlier run left behind, on a thread of its own; whatever is wrong with it, calls go on.

    A large root on a slow disk takes its time, and processes of that run may have to be waited for.
    """

    def __init__(self, recorder: Recorder, on_sealed: Callable[[Future[SealedSession]], None]) -> None:
        self._recorder = recorder
        self._on_sealed = on_sealed
        self._hurry = threading.Event()
        # A daemon: it may hang on a disk that stalls, and the exit must not. What it does not come to, the next start
        # does, as after a kill.
        self._thread = threading.Thread(target=self._mend, name="wiretape mending", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def hurry(self) -> None:
        """Wait for no other process any more."""
        self._hurry.set()

    def end(self) -> None:
        """Let it seal what can be sealed at once."""
        self._thread.join(_MENDING_ENDS_WITHIN_S)

    def _mend(self) -> None:
        root = self._recorder.root
        try:
            remove_half_written(root)
            for session_id in leftover_journals(root, self._hurry):
                _log.info("sealing %s, left behind by an earlier run", session_id)
                self._recorder.seal(session_id).add_done_callback(self._on_mended)
            remove_orphans(root)
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("what an earlier run left behind stays there for now: %s", error)

    def _on_mended(self, done: Future[SealedSession]) -> None:
        error = done.exception()
        # Without a journal nothing was left behind: another recorder on this root has sealed it in the meantime.
        if not isinstance(error, SealingFailed) or error.kept_in is not None:
            self._on_sealed(done)


def _report(done: Future[SealedSession]) -> None:
    error = done.exception()
    if error is not None:
        is_kept = isinstance(error, SealingFailed) and error.kept_in is not None and not error.is_quarantined
        _log.warning("%s%s", error, _SEALED_LATER if is_kept else "")
        return
    sealed = done.result()
    seconds = sealed.duration_ms / 1000
    _log.info(
        "%s %s · %s · %.1f s%s",
        sealed.session_id,
        sealed.outcome,
        counted(sealed.turns, "turn"),
        seconds,
        _KEPT_AS[sealed.kept],
    )
