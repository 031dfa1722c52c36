"""Files in memory that outlive a kill -9 of who made them, named for the folder of journals they belong to."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the files are private, and their names are not to be guessed


def name_for(folder: Path, kind: str) -> Path:
    """Make a new name for a file of this process that belongs to a folder of journals."""
    return SHARED_MEMORY / f"{_prefix(folder)}{os.getpid()}-{secrets.token_hex(4)}.{kind}"


def names_for(folder: Path, kind: str) -> list[Path]:
    """List the files of all processes that belong to a folder of journals."""
    return sorted(SHARED_MEMORY.glob(f"{_prefix(folder)}*.{kind}"))


def _prefix(folder: Path) -> str:
    return f"wiretape-{hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()}-"
