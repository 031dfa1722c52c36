"""Start the terminal interface as people do, in a terminal of its own, and watch what it shows and takes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_ROWS, _COLUMNS = 40, 140
_PATIENCE_S = 60.0
_ESCAPES = re.compile(rb"\x1b\[[0-9;?<=>]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b\][^\x07]*\x07|\x1b.")
_FRAME, _LISTED = b"Sessions", b"azure-"


@dataclass(frozen=True)
class Opened:
    """What opening a root on the screen took."""

    frame_ms: float
    """Until the screen stands, without rows."""
    newest_ms: float
    """Until the newest sessions stand on it."""
    whole_ms: float
    """Until all are counted and the oldest can be gone to."""
    end_ms: float
    """From the key `end` until the oldest sessions stand on the screen."""
    peak_mb: float
    """Most memory of the process, up to there."""


def open_root(root: Path, sessions: int, oldest: str) -> Opened:
    """Open a root of so many sessions and go to its end; `oldest` is how the screen writes when the first began."""
    count = f"{sessions:,} of {sessions:,}".encode()
    with _terminal(root) as terminal:
        frame_ms = terminal.wait_for(_FRAME)
        newest_ms = terminal.wait_for(_LISTED)
        whole_ms = terminal.wait_for(count)
        pressed_ms = terminal.elapsed_ms
        terminal.press(b"\x1b[F")
        end_ms = terminal.wait_for(oldest.encode()) - pressed_ms
        return Opened(frame_ms, newest_ms, whole_ms, end_ms, terminal.peak_mb)


class _Terminal:
    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, started_s: float) -> None:
        self._process = process
        self._descriptor = descriptor
        self._started_s = started_s
        self._shown = b""

    @property
    def elapsed_ms(self) -> float:
        return (time.monotonic() - self._started_s) * 1e3

    @property
    def peak_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def press(self, key: bytes) -> None:
        self._shown = b""
        os.write(self._descriptor, key)

    def wait_for(self, words: bytes) -> float:
        """Read until these words were written; give the milliseconds since the start."""
        until_s = time.monotonic() + _PATIENCE_S
        while words not in self._shown:
            if time.monotonic() > until_s or not select.select([self._descriptor], [], [], 1.0)[0]:
                if time.monotonic() > until_s or self._process.poll() is not None:
                    raise RuntimeError(f"the screen never showed {words.decode()}: {self._shown[-400:]!r}")
                continue
            self._shown = _ESCAPES.sub(b"", self._shown + os.read(self._descriptor, 1 << 16))
        return self.elapsed_ms


@contextmanager
def _terminal(root: Path) -> Iterator[_Terminal]:
    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    started_s = time.monotonic()
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(
        [sys.executable, "-m", "wiretape", "analyze", "--recordings", str(root)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield _Terminal(process, own, started_s)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(own)
