"""A Parquet file that cannot be used, and why, in one line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

UNREADABLE = (pa.ArrowException, OSError, KeyError, TypeError, ValueError)
"""What reading a damaged file, or one of somebody else, can raise."""


class FileProblem(Exception):
    """Something is wrong with a file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """Name the file and what is wrong with it."""
        return f"{self.path}: {self.reason}"


NAME_IS_NO_TEXT = "its path is not UTF-8, which Parquet readers take no other of: rename it"


def brief(error: Exception) -> str:
    """Say in one line what is wrong: Arrow goes on for lines, and the first one says it."""
    if isinstance(error, UnicodeEncodeError):
        return NAME_IS_NO_TEXT
    return str(error).partition("\n")[0]
