"""What `wiretape replay serve` does; replay/cli.py mounts it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from capture.arguments import parse_listen, parse_speed
from capture.narration import print_line, tell
from capture.queued_output import A_MOMENT_S, queued_output
from capture.recording.reader import open_recording
from capture.recording.root import open_root
from replay.run_request import find_recording
from replay.server import serve_recording

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def run_serve(session: str, recordings: Path | None, *, listen: str, speed: str, timeout_s: float, once: bool) -> None:
    """Serve a recording until Ctrl-C or SIGTERM, or until the first client is gone; print where, once it listens.

    Raises `UsageProblem` for an unknown recording, one that cannot be served, or an address that cannot be listened on.
    """
    pace, address = parse_speed(speed), parse_listen(listen)
    root = open_root(recordings)
    recording = open_recording(root, find_recording(root, session))
    if address[0] not in _LOOPBACK:
        tell("whoever reaches this address gets the recording: no key is asked for")

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with serve_recording(
            recording, listen=address, speed=pace, timeout_ns=int(timeout_s * 1e9), tell=tell
        ) as endpoint:
            print_line(endpoint.url)
            tell(f"serving {recording.session_id} under any path of this address; Ctrl-C ends it")
            async with asyncio.TaskGroup() as tasks:
                ways_to_end = [tasks.create_task(stop.wait())]
                if once:
                    ways_to_end.append(tasks.create_task(endpoint.first_is_over.wait()))
                await asyncio.wait(ways_to_end, return_when=asyncio.FIRST_COMPLETED)
                for waiting in ways_to_end:
                    waiting.cancel()

    with queued_output(ends_within_s=A_MOMENT_S):
        asyncio.run(run())
