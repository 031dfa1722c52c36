"""Whether a shell waits for this process that could have it go on once it has been stopped."""

from __future__ import annotations

import os


def may_be_stopped() -> bool:
    """Tell whether this process is a job of its own, and its parent a shell that has the same terminal.

    Of a job that a script or `make` has started, these would go on waiting, and hold the terminal. The first process of
    a container, of a `tmux` window or of an `ssh` command has nobody at all: it would stand still for ever.
    """
    parent = os.getppid()
    try:
        is_own_job = os.getpgrp() == os.getpid() and os.getpgid(parent) != os.getpgrp()
        return is_own_job and os.getsid(parent) == os.getsid(0)
    except OSError:
        # Of a container: the parent is none that can be seen.
        return False
