from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.journal.counters import sweep_counts
from capture.journal.spool import Spool, make_spool


@pytest.fixture(autouse=True)
def _counts_go_with_the_test(tmp_path: Path) -> Iterator[None]:
    """Remove what killed recorders had counted: it lies in shared memory, beyond the test's folder."""
    yield
    # The names that the tests use: not every folder came about.
    folders = (tmp_path, tmp_path / "journal", tmp_path / "root" / "journal")
    for journal in tmp_path.rglob("*.journal"):
        journal.unlink()
    for folder in folders:
        sweep_counts(folder)


@pytest.fixture
def spool_bytes() -> int:
    """How long a test's spool is; a file of tests that needs more has a fixture of its own."""
    return 80 << 10


@pytest.fixture
def spool(tmp_path: Path, spool_bytes: int) -> Iterator[Spool]:
    """Make a spool that goes with the test."""
    made = make_spool(tmp_path / "journal", spool_bytes)
    yield made
    made.remove()
    made.close()
