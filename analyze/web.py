"""Serve the terminal browser to a web browser on this machine: each tab is a process of its own."""

from __future__ import annotations

import secrets
import shlex
import socket
import sys
from pathlib import Path

from analyze.web_guard import Guard
from capture.arguments import is_loopback, parse_listen
from capture.errors import UsageProblem
from capture.narration import print_line, tell
from capture.own_program import own_program

DEFAULT_LISTEN = "127.0.0.1:8790"
_INSTALL = "pip install 'wiretape[web]'"


def serve(listen: str, recordings: Path | None) -> None:
    """Serve until Ctrl-C; the address to open goes to stdout.

    Raises `UsageProblem` where the extra `web` is not installed, for an address that is not of this machine's
    loopback, and where it cannot be listened on.
    """
    try:
        from analyze.web_server import run
    except ImportError as error:
        raise UsageProblem(f"--web needs an extra that is not installed: {_INSTALL}") from error
    with _bound(listen) as bound:
        host, port = bound.getsockname()[:2]
        guard = Guard(f"[{host}]" if ":" in host else host, port, secrets.token_urlsafe(24))
        print_line(f"http://{guard.host}/?token={guard.token}")
        tell("open this address in a browser; whoever has it may read the recordings and start replays. Ctrl-C ends it")
        run(command(recordings), bound, guard)


def command(recordings: Path | None) -> str:
    """Write the command that shows the terminal browser, for a shell."""
    words = [sys.executable, *own_program("wiretape", "main(sys.argv[1:])"), "analyze"]
    return shlex.join([*words, *(["--recordings", str(recordings)] if recordings is not None else [])])


def _bound(listen: str) -> socket.socket:
    host, port = parse_listen(listen)
    address = "127.0.0.1" if host == "localhost" else host
    if not is_loopback(host):
        raise UsageProblem(
            f"--web serves this machine only, not {host}: elsewhere it would hand recordings and keys to the network."
            " Reach it from another machine through ssh -L 8790:127.0.0.1:8790"
        )
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family)
    except OSError as error:
        raise UsageProblem(f"{host}:{port} cannot be listened on: {error.strerror or error}") from error
