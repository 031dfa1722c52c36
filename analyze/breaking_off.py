"""Break off what the engine works at when somebody wants the command to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

_AGAIN_S = 0.05


@contextmanager
def broken_off_by_signals() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Give what takes a function to be called, from a thread, when Ctrl-C, SIGTERM or SIGHUP come; for the main thread.

    Python acts on a signal between two of its own steps. An engine whose threads work at one question takes none for as
    long as that lasts: hours, perhaps. The function is called again and again until the block ends, and any error that
    the block ends with then is a KeyboardInterrupt: the engine has several for a Ctrl-C that it saw first.
    """
    to_call: list[Callable[[], None]] = []
    asked = Event()
    try:
        with _told_of_signals(to_call, asked):
            yield to_call.append
    except Exception as error:
        if not asked.is_set():
            raise
        raise KeyboardInterrupt from error


@contextmanager
def _told_of_signals(to_call: list[Callable[[], None]], asked: Event) -> Iterator[None]:
    ended = Event()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        while number := os.read(reading, 1):
            if number[0] in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asked.set()
            while asked.is_set() and not ended.is_set():
                for break_off in to_call:
                    break_off()
                # An engine that is about to begin a question forgets what it was told before.
                ended.wait(_AGAIN_S)

    watcher = Thread(target=watch, name="signals", daemon=True)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        ended.set()
        os.close(writing)
        watcher.join()
        os.close(reading)
