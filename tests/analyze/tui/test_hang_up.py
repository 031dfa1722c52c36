"""A real terminal that goes away under the interface."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest

# The leader of the session hears of the hang-up, and waits for what it has started as `make` does.
LEADER = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *_: None)
sys.exit(subprocess.run(sys.argv[1:]).returncode)
"""
NOHUP = LEADER.replace("lambda *_: None", "signal.SIG_IGN")


@pytest.mark.parametrize(("leader", "status"), [(LEADER, 255), (NOHUP, 129)], ids=["waits", "deaf"])
def test_it_ends_when_its_terminal_is_gone(leader: str, status: int, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", leader, sys.executable, "-m", "wiretape", "analyze", "--recordings", str(tmp_path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "XDG_STATE_HOME": str(tmp_path)},
        start_new_session=True,
        preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        shown = b""
        while b"wiretape" not in shown:
            assert select.select([ours], [], [], 30)[0], shown
            shown += os.read(ours, 1 << 16)
        os.close(ours)
        assert process.wait(30) == status
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
