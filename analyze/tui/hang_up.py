"""A terminal that goes away ends the interface, whoever was told of it; so does a server of its browser."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable

_ENDED_BY_HANG_UP = 128 + signal.SIGHUP


_STDIN = 0


def end_with_terminal() -> None:
    """Have this process end when the terminal that it reads is gone, from a thread that waits for that.

    The kernel tells the leader of the session only, which may be one that waits for us (`make`, a script). Textual
    then reads the end of its input over and over, and its screen waits for ever to be written.
    """
    if os.isatty(_STDIN):
        # At once, and not as Ctrl-C ends a command: nothing is left to be shown, nor anybody to show it to.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        _watch(_hang_up)


def end_with_server() -> None:
    """Have this process end when nobody writes to its stdin any more: the server of a browser's tab was killed.

    Textual's driver then waits for ever for the word to quit. SIGTERM is that word: what is under way ends well.
    """
    _watch(lambda: os.kill(os.getpid(), signal.SIGTERM))


def _watch(then: Callable[[], None]) -> None:
    def wait() -> None:
        poller = select.poll()
        # Hang-ups and errors are reported whatever is asked for.
        poller.register(_STDIN, 0)
        poller.poll()
        then()

    threading.Thread(target=wait, name="hang-up", daemon=True).start()


def _hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    # Under `nohup` that does nothing.
    os._exit(_ENDED_BY_HANG_UP)
