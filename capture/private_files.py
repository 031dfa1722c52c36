"""Files and folders that only their owner reads; a file that takes the place of another is whole or not there.

What was recorded is what callers said, and what was asked of it is nobody else's business either.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from capture.errors import UsageProblem

PRIVATE = 0o600
# The leading dot and the ending: neither `*.parquet`, `*.json` nor other readers take up what is being written.
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_NO_SUCH_THING = {errno.EINVAL, errno.ENOTSUP}


@contextmanager
def replacing(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends; it is on disk then. Its folder has to be there.

    Until then, and where the block or the disk fails, what was at `path` stays. Raises `OSError`.
    """
    # Two processes may write the same file at once: each its own, and the last one stays.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with create_private(temporary, mode) as file:
            yield file
            put_in_place(file, temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def is_unfinished(path: Path) -> bool:
    """Tell by its name whether `replacing` is making this file, or died over it."""
    return _UNFINISHED.fullmatch(path.name) is not None


def unfinished(path: Path) -> list[Path]:
    """List the files that are to take the place of `path`: `replacing` is making them, or died over them."""
    return [found for found in path.parent.glob(f".{path.name}.*.tmp") if is_unfinished(found)]


def create_private(path: Path, mode: int = PRIVATE) -> BinaryIO:
    """Create a file, or empty it, that only its owner may read; OSError where a link is in its place."""
    # A root that came from elsewhere may hold a link of this name to any file of this machine.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
    # A file left over from a crash keeps its mode when it is opened again.
    os.fchmod(descriptor, mode)
    return os.fdopen(descriptor, "wb")


def put_in_place(file: BinaryIO, temporary: Path, path: Path) -> None:
    """Close a file that was written under a temporary name, and give it its own; both are on disk then."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    temporary.replace(path)
    _sync_folder(path.parent)


def make_private_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, each 0700 whatever the umask; one that is there stays as it is.

    The files are private anyway. Names of sessions, dates and runs are nobody else's business either.
    """
    # `mkdir(parents=True)` makes the parents with the umask's mode.
    for missing in reversed([*takewhile(lambda above: not above.exists(), (folder, *folder.parents))]):
        missing.mkdir(mode=0o700, exist_ok=True)


def state_folder() -> Path:
    """Give the folder for what outlives a command: `$XDG_STATE_HOME/wiretape`, else `~/.local/state/wiretape`.

    Raises `UsageProblem` where there is neither: in some containers the user has no name and no home.
    """
    state = os.environ.get("XDG_STATE_HOME")
    # The standard has relative paths ignored.
    if state and Path(state).is_absolute():
        return Path(state) / "wiretape"
    try:
        return Path.home() / ".local" / "state" / "wiretape"
    except RuntimeError as error:
        raise UsageProblem("this user has no home folder: name one for what is kept in XDG_STATE_HOME") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems of networks and containers cannot sync a folder; the file has its name all the same.
        if error.errno not in _NO_SUCH_THING:
            raise
    finally:
        os.close(descriptor)
