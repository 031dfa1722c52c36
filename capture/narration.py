"""How commands talk: data on stdout, narration on stderr, and nothing of an endpoint's that steers the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def narrate() -> None:
    """Send the log to stderr, for people."""
    import logging

    from rich.logging import RichHandler

    handler = RichHandler(console=console(), show_path=False, show_level=False, markup=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])


def printable(text: str) -> str:
    """Replace control characters: what endpoints say must not steer the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def counted(number: int, thing: str) -> str:
    """Write a number of things: `1 session`, `1,204 sessions`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def tell(text: str) -> None:
    """Say something on stderr."""
    # Endpoints are quoted here: what they say must not steer the terminal.
    console().print(printable(text), markup=False, soft_wrap=True)


def console() -> Console:
    """Give the console of stderr."""
    from rich.console import Console

    # A log file has no width to fold lines at.
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)


def print_line(text: str) -> None:
    """Print a line of data."""
    sys.stdout.write(f"{text}\n")
    # Who reads a pipe waits for it: the proxy's address is one.
    sys.stdout.flush()


def print_json(value: Any) -> None:
    """Print data as JSON."""
    print_line(json.dumps(value, indent=2, ensure_ascii=False))
