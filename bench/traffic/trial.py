"""One trial: endpoint, relay and clients, each in its own process, and what a message lived through between them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trustme
from numpy.typing import NDArray

from bench.traffic.children import Child
from bench.traffic.environments import Ends
from bench.traffic.peers import Line, Peer, Running

FLOOD = 0
"""Sessions of a flood, in a trial's place for sessions."""
LATE_US = 20_000
_SETTLE_S = 3.0
_P999_SAMPLES = 1000
_JOURNAL_TICKS_S = 0.3


@dataclass
class Trial:
    """What was measured of one relay under one load. Times up: from the client's write to the endpoint's read."""

    peer: str
    sessions: int
    """0 for a flood."""
    loop: str
    p50_us: float | None = None
    p99_us: float | None = None
    p999_us: float | None = None
    """None below 1,000 messages."""
    down_p50_us: float | None = None
    late: int | None = None
    """Messages up that took longer than 20 ms."""
    missing: int | None = None
    """Messages of the window, both ways, that never came."""
    messages: int | None = None
    """In the window, both ways."""
    cpu_us: float | None = None
    """CPU of the relay a message, both ways."""
    journal_cpu_us: float | None = None
    """CPU a message of the process that writes the journals; the relay's own is not in it."""
    core_percent: float | None = None
    memory_mb: float | None = None
    """Peak of the relay's process."""
    same: str | None = None
    """`bytes` where one session's streams came as they went, `messages` where frames were made anew, or `no`;
    `unfinished` where the relay was so late that there was no whole stream to compare."""
    generator_late_p99_us: float | None = None
    """How late the clients themselves were: beyond a few ms the machine was too busy to measure on."""
    flood_per_s: float | None = None
    recorded_percent: float | None = None
    """Of the bytes of a flood."""
    problem: str | None = None
    """Why nothing was measured."""

    def as_json(self) -> dict[str, Any]:
        """Give all that was measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Load:
    """What is asked of a relay."""

    sessions: int
    """0 for a flood."""
    seconds: float
    warm_up_s: float = 1
    tick_us: int = 1000
    """Clients and endpoint send at multiples of this, as timers of event loops do; 0 sends evenly spread."""


def try_voice(peer: Peer, where: Ends, load: Load) -> Trial:
    """Measure sessions at voice pace."""
    with _folder() as folder:
        certificate, authority = _certify(folder)
        tls = ("--tls", certificate) if peer.is_tls else ()
        asked = ("--sessions", str(load.sessions), "--tick-us", str(load.tick_us), "--loop", where.loop)
        at_endpoint = (where.python, "-m", "bench.traffic.endpoint", *asked, *tls)
        with (
            Child(at_endpoint, folder=folder) as endpoint,
            peer.running(Line(endpoint.answer()["port"], folder, authority)) as relay,
            Child(
                (where.python, "-m", "bench.traffic.generator", *asked, "--to", relay.url, "--ca", authority),
                folder=folder,
            ) as clients,
        ):
            clients.answer()
            return _measure(peer, relay, endpoint, clients, load, folder)


def _measure(peer: Peer, relay: Running, endpoint: Child, clients: Child, load: Load, folder: Path) -> Trial:
    window = clients.ask("go", load.warm_up_s, load.seconds)
    cpu_ns, journal_cpu_ns = _cpu_between(relay.process, window["from_ns"], window["until_ns"])
    sent, has_settled = _settle(endpoint, clients)
    trial = Trial(peer.name, load.sessions, relay.loop, generator_late_p99_us=sent["late_p99_us"])
    theirs, ours = endpoint.ask("report", folder), clients.ask("report", folder)
    _read_times(trial, folder, window["from_ns"], window["until_ns"])
    trial.same = _compare(theirs, ours) if has_settled else "unfinished"
    if relay.process is not None:
        trial.cpu_us = cpu_ns / 1000 / max(trial.messages or 0, 1)
        trial.journal_cpu_us = journal_cpu_ns / 1000 / max(trial.messages or 0, 1) if relay.recordings else None
        trial.core_percent = 100 * cpu_ns / (window["until_ns"] - window["from_ns"])
        trial.memory_mb = relay.process.memory_mb()
    return trial


def _cpu_between(process: Child | None, from_ns: int, until_ns: int) -> tuple[int, int]:
    """Measure the CPU of a relay's process, and of those that it has started; no session has ended, so none seals."""
    _sleep_until(from_ns)
    before_ns = (process.cpu_ns(), process.children_cpu_ns()) if process else (0, 0)
    _sleep_until(until_ns)
    after_ns = (process.cpu_ns(), process.children_cpu_ns()) if process else (0, 0)
    return after_ns[0] - before_ns[0], after_ns[1] - before_ns[1]


def _sleep_until(time_ns: int) -> None:
    time.sleep(max(0, time_ns - time.monotonic_ns()) / 1e9)


def _settle(endpoint: Child, clients: Child) -> tuple[dict[str, Any], bool]:
    """Wait until all that was sent has come, or long enough to call it missing; tell what went, and whether."""
    deadline_s = time.monotonic() + _SETTLE_S
    said = endpoint.ask("stop")["sent"]
    while True:
        time.sleep(0.1)
        sent = clients.ask("sent")
        up, down = endpoint.ask("count")["received"], clients.ask("count")["received"]
        has_settled = sent["done"] and up == sent["sent"] and down == said
        if has_settled or time.monotonic() > deadline_s:
            return sent, has_settled


def _read_times(trial: Trial, folder: Path, from_ns: int, until_ns: int) -> None:
    counts = []
    latencies_us = []
    for way in ("up", "down"):
        sent = np.fromfile(folder / f"{way}_sent", dtype=np.int64)
        came = np.fromfile(folder / f"{way}_received", dtype=np.int64).reshape(-1, 2)
        came = came[(came[:, 0] >= from_ns) & (came[:, 0] < until_ns)]
        counts.append((int(((sent >= from_ns) & (sent < until_ns)).sum()), len(came)))
        latencies_us.append((came[:, 1] - came[:, 0]) / 1000)
    up_us, down_us = latencies_us
    trial.messages = sum(went for went, _ in counts)
    trial.missing = sum(went - came for went, came in counts)
    trial.late = int((up_us > LATE_US).sum())
    trial.p50_us, trial.p99_us = _quantile(up_us, 0.5), _quantile(up_us, 0.99)
    trial.p999_us = _quantile(up_us, 0.999) if len(up_us) >= _P999_SAMPLES else None
    trial.down_p50_us = _quantile(down_us, 0.5)


def _quantile(values: NDArray[np.float64], quantile: float) -> float | None:
    return float(np.quantile(values, quantile)) if len(values) else None


def _compare(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    # Each way: the hash of the bytes, then that of the messages.
    pairs = [(theirs[way], ours[way]) for way in ("up", "down")]
    if all(went[0] == came[0] for went, came in pairs):
        return "bytes"
    return "messages" if all(went[1] == came[1] for went, came in pairs) else "no"


def try_flood(peer: Peer, where: Ends, load: Load) -> Trial:
    """Measure messages a second over one connection."""
    flood = (where.python, "-m", "bench.traffic.flood")
    with _folder() as folder, Child((*flood, "receive"), folder=folder) as receiver:
        # The relay ends before the receiver tells: what stands in a slow one's buffers is not waited for.
        with peer.running(Line(receiver.answer()["port"], folder, folder)) as relay:
            to = ("--to", relay.url, "--seconds", str(load.warm_up_s + load.seconds))
            with Child((*flood, "send", *to), folder=folder) as sender:
                from_ns = sender.answer()["begun_ns"] + int(load.warm_up_s * 1e9)
                until_ns = from_ns + int(load.seconds * 1e9)
                cpu_ns, _ = _cpu_between(relay.process, from_ns, until_ns)
                time.sleep(_JOURNAL_TICKS_S)
                recorded_bytes = relay.recorded_bytes()
                memory_mb = relay.process.memory_mb() if relay.process else None
        told = receiver.answer()
    samples = np.array(told["samples"], dtype=np.int64).reshape(-1, 2)
    frames = np.interp((from_ns, until_ns), samples[:, 0], samples[:, 1]) / told["frame_bytes"]
    passed = float(frames[1] - frames[0])
    trial = Trial(peer.name, FLOOD, relay.loop, flood_per_s=passed / load.seconds, memory_mb=memory_mb)
    if relay.process is not None:
        trial.cpu_us = cpu_ns / 1000 / max(passed, 1)
        trial.core_percent = cpu_ns / load.seconds / 1e7
    if recorded_bytes is not None:
        trial.recorded_percent = min(100.0, 100 * recorded_bytes / max(int(samples[-1, 1]), 1))
    return trial


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wiretape-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _certify(folder: Path) -> tuple[Path, Path]:
    """Write the endpoint's certificate and the authority that signed it."""
    authority = trustme.CA()
    certificate, trusted = folder / "endpoint.pem", folder / "authority.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(trusted))
    return certificate, trusted
