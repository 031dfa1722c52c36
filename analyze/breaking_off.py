"""Break off what the engine works at when somebody wants the command to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

_SEEN = "Query interrupted"
"""What the engine raises as RuntimeError where it saw a Ctrl-C itself, and kept it."""


@contextmanager
def broken_off_by_signals() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Give what takes a function to be called, from a thread, when Ctrl-C, SIGTERM or SIGHUP come; for the main thread.

    Python acts on a signal between two of its own steps. An engine whose threads work at one question takes none for as
    long as that lasts: hours, perhaps. What it makes of a Ctrl-C that it did see is a KeyboardInterrupt here.
    """
    to_call: list[Callable[[], None]] = []
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        while number := os.read(reading, 1):
            if number[0] in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                for break_off in to_call:
                    break_off()

    watcher = Thread(target=watch, name="signals", daemon=True)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield to_call.append
    except RuntimeError as error:
        if str(error) != _SEEN:
            raise
        raise KeyboardInterrupt from error
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        watcher.join()
        os.close(reading)
