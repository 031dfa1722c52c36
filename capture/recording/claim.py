"""Claims: who writes a recording without a journal says so, so that nobody takes half of it for what a crash left.

A journal's lock says the same of a session that was recorded. A claim is a hidden file beside the journals, locked
while it is held and gone with it. A process that dies leaves the file, and a file that nobody locks claims nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from capture.private_files import make_private_folder
from capture.recording.root import Root

_log = logging.getLogger(__name__)


@contextmanager
def claimed(root: Root, name: str, waiting_for: str) -> Iterator[None]:
    """Hold the claim of a name, such as a session's id; waits for who holds it, and logs what it is waiting for."""
    with _holding(root, name, lambda: _log.info("waiting for another process that %s", waiting_for)):
        yield


@contextmanager
def claimed_at_once(root: Root, name: str) -> Iterator[bool]:
    """Hold the claim of a name; False, without waiting, where another holds it."""
    with _holding(root, name, None) as is_held:
        yield is_held


def is_claimed(root: Root, name: str) -> bool:
    """Tell whether a living process holds the claim of a name; changes nothing."""
    try:
        descriptor = os.open(_path(root, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def remove_dead_claims(root: Root) -> list[Path]:
    """Remove the claims of processes that died; gives what was removed."""
    removed = []
    for path in sorted(root.journal.glob(".*.claim")):
        with claimed_at_once(root, path.name[1:].removesuffix(".claim")) as is_ours:
            removed += [path] if is_ours else []
    return removed


@contextmanager
def _holding(root: Root, name: str, on_wait: Callable[[], None] | None) -> Iterator[bool]:
    path = _path(root, name)
    descriptor = _acquire(path, on_wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(path, descriptor)


def _path(root: Root, name: str) -> Path:
    return root.journal / f".{name}.claim"


def _acquire(path: Path, on_wait: Callable[[], None] | None = None) -> int | None:
    """Lock the file of a claim; where another has locked it, wait after calling `on_wait`, or give None without one."""
    while True:
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            is_held = _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not is_held and on_wait is not None:
                on_wait()
                is_held = _lock(descriptor, fcntl.LOCK_EX)
            # Who held it before took the file away: then this is the lock of nothing.
            is_current = is_held and _is_at(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if is_current:
            return descriptor
        os.close(descriptor)
        if not is_held:
            return None


def _lock(descriptor: int, operation: int) -> bool:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _release(path: Path, descriptor: int) -> None:
    try:
        # Before the lock goes: after it the file may be another's claim.
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
