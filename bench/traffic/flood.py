"""A flood: messages of 1.4 KB over one connection, as fast as it takes them.

`python -m bench.traffic.flood receive` prints its port, then what came when, until the sender is gone;
`python -m bench.traffic.flood send --to ws://HOST:PORT --seconds S` sends. Both block: nothing else is to do.
"""

from __future__ import annotations

import argparse
import socket
import time
from array import array
from urllib.parse import urlsplit

from bench.traffic.endpoint import accept_upgrade
from bench.traffic.frames import frame_head
from bench.traffic.generator import request_head
from bench.traffic.loops import say

MESSAGE_BYTES = 1400
FRAME = (
    frame_head(MESSAGE_BYTES, masked=True)
    + b'{"type":"input_audio_buffer.append","audio":"'.ljust(MESSAGE_BYTES - 2, b"A")
    + b'"}'
)
_SAMPLE_NS = 10_000_000


def receive() -> None:
    """Take connections until one asks for the upgrade; count what comes over it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        say({"port": server.getsockname()[1]})
        while True:
            connection, _ = server.accept()
            with connection:
                head = _head(connection)
                if head:
                    connection.sendall(accept_upgrade(head))
                    _count(connection)
                    return


def _count(connection: socket.socket) -> None:
    """Print a line of (time, frames so far) for every 10 ms in which something came."""
    buffer = bytearray(1 << 20)
    samples = array("q")
    total, told_ns = 0, 0
    while True:
        try:
            size = connection.recv_into(buffer)
        except ConnectionError:
            size = 0
        now_ns = time.monotonic_ns()
        total += size
        if now_ns - told_ns >= _SAMPLE_NS or not size:
            samples.extend((now_ns, total))
            told_ns = now_ns
        if not size:
            break
    say({"samples": samples.tolist(), "frame_bytes": len(FRAME)})


def send(url: str, seconds: float) -> None:
    """Send for some seconds; told to stop by the clock, not by the peer."""
    parts = urlsplit(url)
    block = FRAME * 64
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(request_head(parts.netloc))
        if b" 101 " not in _head(connection):
            raise ConnectionError("no upgrade")
        begun_ns = time.monotonic_ns()
        say({"begun_ns": begun_ns})
        deadline_ns = begun_ns + int(seconds * 1e9)
        connection.settimeout(1)
        while time.monotonic_ns() < deadline_ns:
            try:
                connection.sendall(block)
            except TimeoutError:
                # The stream is cut in the middle of a message; only what arrives is counted.
                break


def _head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            return b""
        head += piece
    return head


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("side", choices=("receive", "send"))
    options.add_argument("--to")
    options.add_argument("--seconds", type=float)
    chosen = options.parse_args()
    if chosen.side == "receive":
        receive()
    else:
        send(chosen.to, chosen.seconds)
