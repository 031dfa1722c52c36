"""How commands talk: data on stdout, narration on stderr, and nothing of an endpoint's that steers the terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from capture.plain_text import escape_unseen, visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console


def narrate() -> None:
    """Send the log to stderr, for people."""
    import logging

    from rich.logging import RichHandler

    class Harmless(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            # Reasons, names and headers of both ends are quoted.
            return visible_lines(super().format(record))

    handler = RichHandler(console=console(), show_path=False, show_level=False, markup=False)
    handler.setFormatter(Harmless("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class Seldom:
    """A line that gets into the log at most every `pause_s`: who tries again and again does not fill it."""

    def __init__(self, log: Callable[..., None], pause_s: float = 10) -> None:
        self._log = log
        self._pause_s = pause_s
        self._said_at_s: float | None = None

    def __call__(self, line: str, *values: object) -> None:
        """Say it, unless that was done a moment ago."""
        now_s = time.monotonic()
        if self._said_at_s is None or now_s - self._said_at_s >= self._pause_s:
            self._said_at_s = now_s
            self._log(line, *values)


def counted(number: int, thing: str) -> str:
    """Write a number of things: `1 session`, `1,204 sessions`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def tell(text: str) -> None:
    """Say something on stderr."""
    # Endpoints are quoted here: what they say must not steer the terminal.
    console().print(visible(text), markup=False, soft_wrap=True)


def console() -> Console:
    """Give the console of stderr."""
    from rich.console import Console

    # A log file has no width to fold lines at.
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)


def print_line(text: str) -> None:
    """Print a line of data; of what came over the wire nothing acts on a terminal."""
    sys.stdout.write(f"{visible(text)}\n")
    # Who reads a pipe waits for it: the proxy's address is one.
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print data as JSON; characters that act on a terminal are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(escape_unseen(text) + "\n")
    sys.stdout.flush()
