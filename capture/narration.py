"""How commands talk: data on stdout, narration on stderr, and nothing of an endpoint's that steers the terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from capture.ending import let_go_of, write_to_stderr
from capture.errors import UsageProblem
from capture.plain_text import escape_unseen, visible, visible_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def narrate() -> None:
    """Send the log to stderr, for people and for `grep`: each line whole, behind its time in UTC."""
    import logging

    class Log(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                # Reasons, names and headers of both ends are quoted.
                line = visible_lines(self.format(record))
            except Exception:  # noqa: BLE001 - a line that cannot be written is nothing to end a call for
                self.handleError(record)
            else:
                # Whatever becomes of the log, calls go on.
                write_to_stderr(line)

    class Utc(logging.Formatter):
        default_time_format = "%Y-%m-%dT%H:%M:%S"
        default_msec_format = "%s.%03dZ"

    formatter = Utc("%(asctime)s %(message)s")
    formatter.converter = time.gmtime
    handler = Log()
    handler.setFormatter(formatter)
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


def first_of(parts: Sequence[str], most: int) -> str:
    """Write the first of some parts, and how many more there are: `a; b; and 3 more`."""
    more = [f"and {len(parts) - most:,} more"] if len(parts) > most else []
    return "; ".join([*parts[:most], *more])


def size(count: int) -> str:
    """Write a number of bytes: `812 B`, `41 kB`, `1.2 MB`."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e6:,.1f} MB" if count >= 1_000_000 else f"{count / 1e3:,.0f} kB"


def tell(text: str) -> None:
    """Say something on stderr."""
    try:
        # Endpoints are quoted here: what they say must not steer the terminal.
        console().print(visible(text), markup=False, soft_wrap=True)
    except OSError:
        # That the disk has no room for a log is nothing to end a command for.
        let_go_of(sys.stderr)


def console() -> Console:
    """Give the console of stderr."""
    from rich.console import Console

    class Narration(Console):
        def on_broken_pipe(self) -> None:
            # Who read the log has gone (`2>&1 | tee`, and Ctrl-C). rich would end the process, and all calls with it.
            let_go_of(sys.stderr)

    # A log file has no width to fold lines at.
    return Narration(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 200)


@contextmanager
def progress_told(what: str, *, after_s: float = 1) -> Iterator[Callable[[int, int], None]]:
    """Show on a terminal how much of how much is done, of work that takes longer than `after_s`; leaves no trace."""
    began_s = time.monotonic()
    with ExitStack() as shown:
        bar: Progress | None = None

        def show(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                if time.monotonic() - began_s < after_s:
                    return
                bar = shown.enter_context(progress_bar())
                bar.add_task(what)
            bar.update(bar.task_ids[0], completed=done, total=total)

        yield show


def progress_bar() -> Progress:
    """Make a bar that a terminal shows while its block lasts; elsewhere it shows nothing."""
    # Most work is done before its import would be.
    from rich.progress import Progress

    screen = console()
    return Progress(console=screen, transient=True, disable=not screen.is_terminal)


@contextmanager
def on_stdout() -> Iterator[TextIO]:
    """Give stdout to print on; all of it is out when the block ends, as who reads a pipe waits for it.

    Raises BrokenPipeError where the reader has gone, and `UsageProblem` where no more can be written: a full disk.
    """
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        let_go_of(sys.stdout)
        raise UsageProblem(f"what was asked for cannot be printed: {error.strerror or error}") from error


def print_line(text: str) -> None:
    """Print a line of data; of what came over the wire nothing acts on a terminal."""
    with on_stdout() as stdout:
        stdout.write(f"{visible(text)}\n")


def print_json(value: Any) -> None:
    """Print data as JSON; characters that act on a terminal are escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with on_stdout() as stdout:
        stdout.write(escape_unseen(text) + "\n")
