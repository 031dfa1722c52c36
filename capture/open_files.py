"""Open files: raise the limit for this process, and say how many connections it has room for."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
from typing import Any

from capture.errors import OutOfFiles

_FILES_OF_A_CONNECTION = 4
"""Two sockets, a journal, and one to spare for its sealing."""
_FILES_OF_THE_PROCESS = 64
_REPEAT_AFTER_S = 10
_OUT_OF_RESOURCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger(__name__)


def raise_open_files_limit() -> None:
    """Raise the soft limit to the hard one."""
    # The usual 1024 is there for programs that call select(); it would be full with some 250 sessions.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS names a hard limit that it does not grant.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def check_room_for_a_connection() -> None:
    """Raise `OutOfFiles` where the limit has no room for a single connection: a loop would end in a traceback."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES_OF_THE_PROCESS + _FILES_OF_A_CONNECTION:
        raise OutOfFiles


def count_connections_with_room() -> int:
    """Tell how many connections the limit on open files has room for, at least one."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 20
    return max(1, (soft - _FILES_OF_THE_PROCESS) // _FILES_OF_A_CONNECTION)


class AcceptFaults:
    """Says once in a while that no client can be accepted.

    asyncio reports a failed accept hundreds of times a second, with a traceback each.
    """

    def __init__(self) -> None:
        self._told_at_s: float | None = None

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what a loop reports; its exception handler."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _OUT_OF_RESOURCE:
            loop.default_exception_handler(context)
        elif self._told_at_s is None or loop.time() - self._told_at_s >= _REPEAT_AFTER_S:
            self._told_at_s = loop.time()
            _log.error("no further client can be accepted: %s; live calls go on", error.strerror)
