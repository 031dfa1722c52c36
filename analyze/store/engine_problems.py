"""What the engine cannot do for want of memory or disk, or by a fault of its own, in a sentence with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from capture.errors import UsageProblem
from capture.recording.file_problem import brief

_FAULT = "the database engine failed: please report this, and what was asked"
_WHAT_TO_DO = {
    duckdb.OutOfMemoryException: (
        "this takes more memory than there is, or more disk in TMPDIR: ask about fewer sessions, or see whether a file"
        " of the root unpacks to more than any recording"
    ),
    duckdb.IOException: (
        "a file cannot be read or written: see whether the disks of the root and of TMPDIR are full or unsound"
    ),
    duckdb.InternalException: _FAULT,
    duckdb.FatalException: _FAULT,
}


@contextmanager
def in_a_sentence() -> Iterator[None]:
    """Raise `UsageProblem` in place of what the engine raises where it lacks memory or disk, or is at fault."""
    try:
        yield
    except duckdb.Error as error:
        advice = next((told for kind, told in _WHAT_TO_DO.items() if isinstance(error, kind)), None)
        if advice is None:
            raise
        raise UsageProblem(f"{advice} ({brief(error)})") from error
