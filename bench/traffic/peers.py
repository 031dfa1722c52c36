"""The relays that are measured side by side, each started as a user would start it."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.traffic.children import Child
from bench.traffic.environments import Ends, ends, mitmdump

_START_S = 30
MITMDUMP_MOST_SESSIONS = 200
"""Beyond its ceiling it would only be seen to drown."""


@dataclass(frozen=True)
class Line:
    """Where the endpoint is, and what a relay may use on its way there."""

    port: int
    folder: Path
    """For the relay's own files."""
    authority: Path
    """PEM of the authority that signed the endpoint's certificate."""


@dataclass
class Running:
    """A relay that takes clients."""

    url: str
    process: Child | None
    """None where there is no relay: direct."""
    loop: str
    recordings: Path | None = None
    """Where it records the bytes it forwards."""

    def recorded_bytes(self) -> int | None:
        """Weigh what it has recorded; None where it records nothing."""
        if self.recordings is None:
            return None
        return sum(file.stat().st_size for file in self.recordings.rglob("*.journal"))


@dataclass(frozen=True)
class Peer:
    """One row of the table."""

    name: str
    start: Callable[[Line], Iterator[Running]]
    is_tls: bool = False
    """ws in, wss out."""
    most_sessions: int = 10_000
    note: str = ""

    @contextmanager
    def running(self, line: Line) -> Iterator[Running]:
        """Run it while the block lasts."""
        yield from self.start(line)


def find_peers() -> tuple[list[Peer], list[str], Ends]:
    """List what can be measured here, what cannot and why, and what the ends run on."""
    where, dump, haproxy = ends(), mitmdump(), shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    peers, absent = [Peer("direct", _direct), Peer("wiretape", _wiretape)], []
    if haproxy:
        peers.append(Peer("haproxy", lambda line: _haproxy(haproxy, line), note="TCP mode, one thread"))
    else:
        absent.append("haproxy: not installed (apt-get install haproxy)")
    peers.append(Peer("websockets", lambda line: _websockets(where, "asyncio", line), note="records nothing"))
    if where.loop == "uvloop":
        peers.append(Peer("websockets-uvloop", lambda line: _websockets(where, "uvloop", line), note="records nothing"))
    else:
        absent.append("websockets on uvloop: uvloop is not installed and could not be")
    if dump:
        asked = f"reverse and -w; not asked for more than {MITMDUMP_MOST_SESSIONS} sessions"
        peers.append(
            Peer("mitmdump", lambda line: _mitmdump(dump, line), most_sessions=MITMDUMP_MOST_SESSIONS, note=asked)
        )
    else:
        absent.append("mitmdump: mitmproxy is not installed and could not be")
    peers += [Peer("direct wss", _direct_tls, is_tls=True), Peer("wiretape wss", _wiretape_tls, is_tls=True)]
    if haproxy:
        peers.append(Peer("haproxy wss", lambda line: _haproxy(haproxy, line, is_tls=True), is_tls=True))
    return peers, absent, where


def _direct(line: Line) -> Iterator[Running]:
    yield Running(f"ws://127.0.0.1:{line.port}", None, "")


def _direct_tls(line: Line) -> Iterator[Running]:
    yield Running(f"wss://127.0.0.1:{line.port}", None, "")


def _wiretape(line: Line, scheme: str = "ws") -> Iterator[Running]:
    recordings = line.folder / "recordings"
    target = f"{scheme}://127.0.0.1:{line.port}"
    command = (Path(sys.executable).with_name("wiretape"), "capture", "proxy", "--to", target)
    rest = ("--listen", "127.0.0.1:0", "--recordings", recordings)
    with Child((*command, *rest), folder=line.folder, SSL_CERT_FILE=str(line.authority)) as process:
        url = process.line()
        loop = "uvloop" if process.has_loaded("uvloop") else "asyncio"
        yield Running(url, process, loop, recordings)


def _wiretape_tls(line: Line) -> Iterator[Running]:
    return _wiretape(line, "wss")


def _haproxy(program: str, line: Line, *, is_tls: bool = False) -> Iterator[Running]:
    port = _free_port()
    tls = f" ssl verify required ca-file {line.authority} verifyhost localhost" if is_tls else ""
    configuration = line.folder / "haproxy.cfg"
    configuration.write_text(
        "global\n  nbthread 1\n  maxconn 4000\n"
        "defaults\n  mode tcp\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n"
        f"listen relay\n  bind 127.0.0.1:{port}\n  server endpoint 127.0.0.1:{line.port}{tls}\n"
    )
    with Child((program, "-db", "-q", "-f", configuration), folder=line.folder) as process:
        _wait_until_open(process, port)
        yield Running(f"ws://127.0.0.1:{port}", process, "C")


def _websockets(where: Ends, loop: str, line: Line) -> Iterator[Running]:
    target = f"ws://127.0.0.1:{line.port}"
    command = (where.python, "-m", "bench.traffic.message_relay", "--to", target, "--loop", loop)
    with Child(command, folder=line.folder) as process:
        yield Running(f"ws://127.0.0.1:{process.answer()['port']}", process, loop)


def _mitmdump(program: Path, line: Line) -> Iterator[Running]:
    port = _free_port()
    # Quiet: by default it prints every message, which costs it more than taking it apart.
    listen = ("-q", "--listen-host", "127.0.0.1", "--listen-port", str(port), "--set", f"confdir={line.folder}")
    mode = ("--mode", f"reverse:http://127.0.0.1:{line.port}", "-w", line.folder / "flows")
    with Child((program, *mode, *listen), folder=line.folder, PYTHONPATH="") as process:
        _wait_until_open(process, port)
        yield Running(f"ws://127.0.0.1:{port}", process, "asyncio")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _wait_until_open(process: Child, port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.is_alive():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")
