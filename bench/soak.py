"""Soak the proxy: an hour of voice in shortened time; its memory stays flat, and so does the sealer's.

Run `python bench/soak.py [--quick] [--minutes N] [--speed X] [--json FILE]`. One session through the real command:
180,000 appends and what is answered, X times faster than it is spoken. Memory is what the kernel says of the proxy's
process, without the sealer's; then the client hangs up, and the sealer's own peak is read. The recording is opened in
the end: a session of which something was dropped has not been soaked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve

from bench.sealing import CHUNK_MS, CYCLE_MS, DELTA_MS, RATE, append, audio_delta, tracks
from bench.traffic.children import Child
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root

GROWTH_LIMIT_MB = 1.0
"""In the second half of an hour: 11 bytes a message, less than the smallest object, so nothing is kept of each."""
SEALING_LIMIT_MB = 200.0
_SAMPLES = 60
_AT_AN_END = 5
"""Samples of which the median stands for one moment."""
_SEALING_S = 300


@dataclass
class Soaked:
    """What was measured."""

    minutes: int
    loop: str
    messages: int
    times_faster: float
    """Than spoken, as achieved."""
    begin_mb: float
    """Memory of the proxy's process after the first twelfth of the session."""
    half_mb: float
    end_mb: float
    sealing_peak_mb: float
    sealing_s: float
    """From hanging up to the recording; the clock's, not the CPU's."""
    recorded: int
    """Text messages of the session's recording."""

    def missed(self) -> list[str]:
        """List the targets that were not met."""
        targets = {
            f"second half grows by less than {GROWTH_LIMIT_MB:g} MB": self.end_mb - self.half_mb < GROWTH_LIMIT_MB,
            f"sealing under {SEALING_LIMIT_MB:g} MB": self.sealing_peak_mb < SEALING_LIMIT_MB,
            "every message recorded": self.recorded == self.messages,
        }
        return [target for target, met in targets.items() if not met]


def main() -> int:
    """Run the soak, print what was measured, and say whether the targets are met."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--quick", action="store_true", help="80 times faster than spoken, not 40")
    options.add_argument("--minutes", type=int, default=60, help="of the session, as spoken")
    options.add_argument("--speed", type=float, help="times faster than spoken")
    options.add_argument("--json", type=Path, metavar="FILE")
    chosen = options.parse_args()
    speed = chosen.speed or (80.0 if chosen.quick else 40.0)
    with tempfile.TemporaryDirectory(prefix="wiretape-soak-") as folder:
        soaked = asyncio.run(soak(Path(folder), chosen.minutes, speed))
    missed = soaked.missed()
    report(soaked, missed)
    if chosen.json:
        chosen.json.write_text(json.dumps({**asdict(soaked), "missed": missed}, indent=2) + "\n")
    return 1 if missed else 0


def report(soaked: Soaked, missed: list[str]) -> None:
    """Print the figures, then the line that sums them up."""
    for name, figure in asdict(soaked).items():
        print(f"{name:16} " + (f"{figure:12,.1f}" if isinstance(figure, float) else f"{figure!s:>12}"))
    print(
        f"{soaked.minutes} min, {soaked.messages:,} messages: {soaked.end_mb - soaked.half_mb:+.2f} MB in the second"
        f" half; sealed with {soaked.sealing_peak_mb:.0f} MB; "
        + (f"MISSED: {', '.join(missed)}" if missed else "all targets met")
    )


async def soak(folder: Path, minutes: int, speed: float) -> Soaked:
    """Play a session through the proxy, hang up, wait until it is sealed, and read it back."""
    root = Root(folder / "recordings")
    command = (Path(sys.executable).with_name("wiretape"), "capture", "proxy", "--listen", "127.0.0.1:0")
    async with endpoint() as (url, came):
        with Child((*command, "--to", url, "--recordings", root.path), folder=folder) as proxy:
            origin = proxy.line()
            # Asked once it listens: before, nothing is loaded yet.
            loop = "uvloop" if proxy.has_loaded("uvloop") else "asyncio"
            async with connect(origin, compression=None, max_size=None, ping_interval=None, proxy=None) as client:
                begun_s = time.monotonic()
                ends: Mapping[str, Connection] = {"client": client, "server": await came}
                messages, samples_mb = await play(ends, proxy, minutes, speed)
                played_s = time.monotonic() - begun_s
            begun_s = time.monotonic()
            session_id = await sealed(root)
            sealing_s = time.monotonic() - begun_s
            half = len(samples_mb) // 2
            return Soaked(
                minutes=minutes,
                loop=loop,
                messages=messages,
                times_faster=minutes * 60 / played_s,
                begin_mb=median(samples_mb[:_AT_AN_END]),
                half_mb=median(samples_mb[half : half + _AT_AN_END]),
                end_mb=median(samples_mb[-_AT_AN_END:]),
                sealing_peak_mb=proxy.largest_child_mb(),
                sealing_s=sealing_s,
                recorded=sum(one.kind == "event" for one in open_recording(root, session_id).messages()),
            )


@asynccontextmanager
async def endpoint() -> AsyncIterator[tuple[str, asyncio.Future[ServerConnection]]]:
    """Serve one session; gives the URL, and the session once it is there."""
    came: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

    async def take(connection: ServerConnection) -> None:
        came.set_result(connection)
        await drain(connection)

    async with serve(take, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", came


async def play(ends: Mapping[str, Connection], proxy: Child, minutes: int, speed: float) -> tuple[int, list[float]]:
    """Send everything when it is due, and hang up; return how many, and the proxy's memory at each sixtieth, MB."""
    samples_mb: list[float] = []
    sample_every_ns = minutes * 60_000_000_000 // _SAMPLES
    number = 0
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(drain(ends["client"]))
        begun_ns = time.monotonic_ns()
        for sender, offset_ns, text in conversation(minutes):
            number += 1
            ahead_s = (begun_ns + offset_ns / speed - time.monotonic_ns()) / 1e9
            if ahead_s > 0:
                await asyncio.sleep(ahead_s)
            await ends[sender].send(text)
            if offset_ns >= (len(samples_mb) + 1) * sample_every_ns:
                samples_mb.append(proxy.memory_mb("VmRSS"))
        # While both ends are read: the goodbye stands behind all that was said.
        await ends["client"].close()
    return number, samples_mb


async def drain(connection: Connection) -> None:
    """Read what comes, so that nobody waits, until the connection is closed."""
    async for _ in connection:
        pass


def conversation(minutes: int) -> Iterator[tuple[str, int, str]]:
    """Make the messages of a long session: sender, offset in ns, text; each turn with a response of its own."""
    client, server = tracks(1)
    chunk, delta = CHUNK_MS * RATE // 1000, DELTA_MS * RATE // 1000
    noise = np.random.default_rng(3)
    for minute in range(minutes):
        # A minute is said again and again, over another noise: no two chunks are the same.
        room = (client + noise.integers(-20, 21, len(client))).astype("<i2")
        begun = minute * len(client)
        for start in range(0, len(client), chunk):
            offset_ns = (begun + start) * 1_000_000_000 // RATE
            if start % (CYCLE_MS * RATE // 1000) == 0:
                yield "server", offset_ns, response("response.created", begun + start)
                yield "server", offset_ns, response("response.done", begun + start)
            yield "client", offset_ns, append(room[start : start + chunk])
            piece = server[start : start + delta]
            if start % delta == 0 and piece.any():
                yield "server", offset_ns, audio_delta(piece, begun + start)


def response(event_type: str, number: int) -> str:
    """Compose the beginning or the end of a response, with the id that its deltas have."""
    turn = number // (CYCLE_MS * RATE // 1000)
    usage = {"total_tokens": 300, "input_tokens": 200, "output_tokens": 100}
    told = {"id": f"resp_{turn:021}", "object": "realtime.response", "status": "completed", "usage": usage}
    return json.dumps({"type": event_type, "event_id": f"{event_type}_{number:021}", "response": told})


async def sealed(root: Root) -> str:
    """Wait for the recording of the one session; its journal goes last."""
    deadline_s = time.monotonic() + _SEALING_S
    while time.monotonic() < deadline_s:
        found = list_session_ids(root)
        if found and not any(root.journal.glob("*.journal")):
            return found[0]
        await asyncio.sleep(0.2)
    raise RuntimeError(f"the session was not sealed within {_SEALING_S} s")


if __name__ == "__main__":
    sys.exit(main())
