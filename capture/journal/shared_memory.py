"""Files in memory that outlive a kill -9 of who made them, named for the folder of journals they belong to.

What a killed recorder left is looked for when the next one starts on that folder. Where the folder is gone, with the
root around it, nobody ever will: then any recorder removes it (`sweep_orphans`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import struct
import time
from contextlib import suppress
from fcntl import LOCK_NB, LOCK_SH, flock
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the files are private, and their names are not to be guessed

_MARK = struct.Struct("<16sQQH")
"""At the end of a file: a magic, whose view a path is of, the folder's device, the bytes of its path, which follows."""
_MAGIC = b"wiretape-folder\1"
_MARK_BYTES = 4096
_ABANDONED_AFTER_S = 3600
"""Folders are moved away and back, too."""


def name_for(folder: Path, kind: str) -> Path:
    """Make a new name for a file of this process that belongs to a folder of journals."""
    return SHARED_MEMORY / f"{_prefix(folder)}{os.getpid()}-{secrets.token_hex(4)}.{kind}"


def names_for(folder: Path, kind: str) -> list[Path]:
    """List the files of all processes that belong to a folder of journals."""
    owners = {os.geteuid(), *_owner_of(folder)}
    return sorted(path for path in SHARED_MEMORY.glob(f"{_prefix(folder)}*.{kind}") if _is_made_by(owners, path))


def mark(descriptor: int, folder: Path) -> None:
    """Write behind the end of a file to which folder it belongs: its name tells that to nobody. Raises `OSError`."""
    folder = folder.resolve()
    path = os.fsencode(folder)
    if _MARK.size + len(path) <= _MARK_BYTES:
        told = _MARK.pack(_MAGIC, _view(), _device_of(folder), len(path)) + path
        os.pwrite(descriptor, told.ljust(_MARK_BYTES, b"\0"), os.fstat(descriptor).st_size)


def sweep_orphans(folder: Path) -> list[Path]:
    """Remove what dead recorders left for folders that are gone, root and all; gives what was removed.

    `folder` is one that is there: its files are left alone, for locks on them may be held by this process. So are
    those of others, of living recorders, and whatever does not say for sure that its folder was deleted: a disk that
    is not mounted, a path of another container.
    """
    removed = []
    for path in sorted({*SHARED_MEMORY.glob("wiretape-*.counters"), *SHARED_MEMORY.glob("wiretape-*.spool")}):
        with suppress(OSError):
            if not path.name.startswith(_prefix(folder)) and _is_orphan(path):
                path.unlink()
                removed.append(path)
    return removed


def _owner_of(folder: Path) -> list[int]:
    try:
        return [folder.stat().st_uid]
    except OSError:
        return []


def _is_made_by(owners: set[int], path: Path) -> bool:
    # Anybody may put a file of this name there: what is in it would become a recording, its sessions' names paths of
    # journals, and a pipe would be waited for.
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in owners


def _is_orphan(path: Path) -> bool:
    status = path.lstat()
    # One that was just made is not locked yet, and must not be found locked by its owner.
    if status.st_uid != os.geteuid() or time.time() - status.st_mtime < _ABANDONED_AFTER_S:
        return False
    told = _read_mark(path)
    if len(told) < _MARK_BYTES or not told.startswith(_MAGIC):
        return False
    _, view, device, length = _MARK.unpack_from(told)
    root = Path(os.fsdecode(told[_MARK.size : _MARK.size + length])).parent
    # Where a disk was mounted and is not, the folder above is another device's.
    return view == _view() and _is_gone(root) and device == _device_of(root)


def _read_mark(path: Path) -> bytes:
    """Read the end of a file; nothing where its owner lives, who holds its lock for life."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        flock(descriptor, LOCK_SH | LOCK_NB)
        return os.pread(descriptor, _MARK_BYTES, max(0, os.fstat(descriptor).st_size - _MARK_BYTES))
    except BlockingIOError:
        return b""
    finally:
        os.close(descriptor)


def _is_gone(folder: Path) -> bool:
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    return False


def _device_of(folder: Path) -> int:
    """Tell on which device a folder is, or would be made."""
    there = next(above for above in (folder, *folder.parents) if not _is_gone(above))
    return there.stat().st_dev


def _view() -> int:
    """Give a number to the view of the file system that this process has: other containers have others."""
    seen = (Path("/proc/self/ns/mnt").stat().st_ino, Path("/").stat().st_dev, Path("/").stat().st_ino)
    return int.from_bytes(hashlib.blake2b(repr(seen).encode(), digest_size=8).digest(), "little")


def _prefix(folder: Path) -> str:
    return f"wiretape-{hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()}-"
