"""Regular files only: to open a pipe or a device may wait for ever, and a root from elsewhere may hold some."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

NO_FILE = "it is no regular file, but a pipe, a device, a folder or a broken link"


def split_by_kind(folder: Path, suffix: str) -> tuple[list[Path], list[Path]]:
    """List what ends so in a folder, by name: regular files and links to such, and all else; nothing of no folder.

    Costs no call of the system for each file.
    """
    files: list[str] = []
    others: list[str] = []
    # As globs do, this takes a folder that is nobody's to read for an empty one.
    with suppress(FileNotFoundError, PermissionError):
        # A link may lead to itself.
        if folder.is_dir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.endswith(suffix):
                        (files if entry.is_file() else others).append(entry.name)
    return [folder / name for name in sorted(files)], [folder / name for name in sorted(others)]


def regular_files(folder: Path, suffix: str) -> list[Path]:
    """List the regular files whose names end so, and links to such, by name; none where it is no folder."""
    return split_by_kind(folder, suffix)[0]


def check_regular(path: Path) -> None:
    """Raise `OSError` where something else than a regular file is there, or nothing."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(NO_FILE)
