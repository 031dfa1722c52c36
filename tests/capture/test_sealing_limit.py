"""A session that would be sealed for ever: put aside, and those behind it are sealed."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.recording.root import Root
from capture.sealing import Sealer, SealingFailed
from capture.sealing_limit import limit_cpu

SESSION_ID = "20260212T083055-4f3a9c12"
NEXT_ID = "20260212T083056-00000002"
NEVER_DONE = "/(x+x+)+y/"
"""Doubles what it takes with each `x` that no `y` follows."""
SAID = [("server", '{"type":"response.output_text.done","text":"' + "x" * 60 + '"}')]
Write = Callable[..., str]


@pytest.fixture
def sealer(root: Root) -> Iterator[Sealer]:
    sealer = Sealer(root, least_cpu_s=2)
    yield sealer
    sealer.close()


@pytest.mark.slow
def test_an_expression_that_never_ends_costs_its_session_and_not_the_next(
    root: Root, write_journal: Write, sealer: Sealer
) -> None:
    stuck = sealer.submit(write_journal(SAID, redact=[NEVER_DONE]))
    behind = sealer.submit(write_journal(SAID, session_id=NEXT_ID))
    with pytest.raises(SealingFailed, match="could not be sealed: it took too long"):
        stuck.result(timeout=300)
    assert [path.stem for path in root.quarantine.iterdir()] == [SESSION_ID]
    assert behind.result(timeout=60).complete


def limits_after(journal: Path, least_cpu_s: float) -> tuple[int, int]:
    """Give the limits of a process of its own, of its time and of its core."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        limit_cpu(journal, least_cpu_s)
        told = (resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_CORE)[0])
        os.write(write_end, " ".join(map(str, told)).encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    with os.fdopen(read_end) as told_by_child:
        cpu_s, core_bytes = map(int, told_by_child.read().split())
    return cpu_s, core_bytes


def test_a_long_session_may_take_longer_and_no_core_is_left(tmp_path: Path) -> None:
    short, long = tmp_path / "short.journal", tmp_path / "long.journal"
    short.touch()
    with long.open("wb") as file:
        file.truncate(100_000_000)
    (least_s, core_bytes), (most_s, _) = limits_after(short, 10), limits_after(long, 10)
    assert (10 <= least_s <= 20, core_bytes) == (True, 0)
    assert 1_000 <= most_s - least_s <= 1_001
