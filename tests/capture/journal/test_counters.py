from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.journal import (
    Direction,
    Gap,
    JournalRecord,
    JournalWriter,
    decode_gap,
    forget_counts,
    taken_bytes,
    with_losses,
)
from capture.journal.counters import KILLED, CounterPage, sweep_counts
from capture.journal.shared_memory import SHARED_MEMORY

CLIENT, SERVER, FACT = Direction.CLIENT, Direction.SERVER, Direction.FACT
_REPOSITORY = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="there is no shared memory to count in")


@pytest.fixture(autouse=True)
def _sweep(tmp_path: Path) -> Iterator[None]:
    yield
    for path in tmp_path.glob("*.journal"):
        path.unlink()
    sweep_counts(tmp_path)


def pages(folder: Path) -> set[Path]:
    # Recorders of other processes come and go meanwhile: only a page of this process's own tells the folder's prefix.
    own = f"wiretape-*-{os.getpid()}-*.counters"
    before = set(SHARED_MEMORY.glob(own))
    page = CounterPage(folder)
    [made] = set(SHARED_MEMORY.glob(own)) - before
    page.close()
    return set(SHARED_MEMORY.glob(f"wiretape-{made.name.split('-')[1]}-*"))


def killed_recorder(script: str, folder: Path) -> str:
    """Run a script that kills itself; give what it printed."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom capture.journal import *\nimport capture.journal.file\n"
    )
    code += textwrap.dedent(script) + "\nos.kill(os.getpid(), signal.SIGKILL)"
    child = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=_REPOSITORY, capture_output=True, text=True, check=False
    )
    assert child.returncode == -9, child.stderr
    return child.stdout


def record_something(folder: Path) -> None:
    writer = JournalWriter(folder)
    journal = writer.open("next")
    journal.close()
    writer.close()
    journal.path.unlink()


def test_what_a_stalled_disk_kept_from_the_journal_is_known_after_a_kill(tmp_path: Path) -> None:
    killed_recorder(
        """
        import threading
        writer = JournalWriter(Path(sys.argv[1]), tick_s=0.001)
        journal, other = writer.open("hit"), writer.open("other")
        journal.append(Direction.CLIENT, 1, b"written")
        written = threading.Event()
        writer.open("clock").close(written.set)
        written.wait()
        stalled = threading.Event()
        def stall(*_):
            stalled.set()
            threading.Event().wait()
        capture.journal.file.os.writev = stall
        for at in range(100):
            journal.append(Direction.SERVER, at, bytes(1000))
        journal.append(Direction.CLIENT, 9, b"lost")
        journal.append(Direction.FACT, 9, b"a fact is not counted")
        stalled.wait()
        """,
        tmp_path,
    )
    hit = tmp_path / "hit.journal"
    assert taken_bytes(hit) == {CLIENT: 11, SERVER: 100_000}
    assert taken_bytes(tmp_path / "unheard-of.journal") == {}

    records = list(with_losses([JournalRecord(CLIENT, 1, b"written")], taken_bytes(hit)))
    assert [decode_gap(record.content) for record in records[1:]] == [
        Gap("client", 1, 1, 4, KILLED),
        Gap("server", 1, 1, 100_000, KILLED),
    ]


def test_a_page_goes_with_its_last_session(tmp_path: Path) -> None:
    killed_recorder(
        """
        writer = JournalWriter(Path(sys.argv[1]))
        for name in ("one", "two"):
            writer.open(name).append(Direction.CLIENT, 1, b"x")
        while not (writer.folder / "two.journal").exists():
            pass
        """,
        tmp_path,
    )
    forget_counts(tmp_path / "one.journal")
    assert taken_bytes(tmp_path / "one.journal") == {}
    assert len(pages(tmp_path)) == 1

    forget_counts(tmp_path / "two.journal")
    assert pages(tmp_path) == set()


def test_a_page_without_a_journal_left_goes_when_the_next_recorder_records(tmp_path: Path) -> None:
    killed_recorder(
        """
        writer = JournalWriter(Path(sys.argv[1]), tick_s=0.001)
        writer.open("session").append(Direction.CLIENT, 1, b"x")
        while not (writer.folder / "session.journal").exists():
            pass
        """,
        tmp_path,
    )
    record_something(tmp_path)
    assert len(pages(tmp_path)) == 1

    (tmp_path / "session.journal").unlink()
    record_something(tmp_path)
    assert pages(tmp_path) == set()


def test_a_living_recorder_s_counts_are_its_own(tmp_path: Path) -> None:
    page = CounterPage(tmp_path)
    _, counts = page.take_slot("session")
    counts[CLIENT] += 5

    assert taken_bytes(tmp_path / "session.journal") == {}
    forget_counts(tmp_path / "session.journal")
    assert counts[CLIENT] == 5
    page.close()
    assert pages(tmp_path) == set()


def test_what_a_journal_could_not_be_told_is_left_to_sealing(tmp_path: Path) -> None:
    page = CounterPage(tmp_path)
    slot, counts = page.take_slot("session")
    counts[CLIENT] += 5
    del counts
    page.keep_slot(slot)
    assert taken_bytes(tmp_path / "session.journal") == {CLIENT: 5, SERVER: 0}
    page.close()
    assert taken_bytes(tmp_path / "session.journal") == {CLIENT: 5, SERVER: 0}
    forget_counts(tmp_path / "session.journal")
    assert pages(tmp_path) == set()


def test_a_session_more_than_the_page_holds_is_recorded_uncounted(tmp_path: Path) -> None:
    page = CounterPage(tmp_path)
    slots = [page.take_slot(f"session-{number}")[0] for number in range(1025)]
    assert len(set(slots)) == 1025
    assert slots[-1] == -1
    page.free_slot(slots[-1])
    page.free_slot(slots[7])
    assert page.take_slot("another")[0] == slots[7]
    page.close()


def test_what_is_told_as_a_gap_is_not_counted_twice() -> None:
    told = Gap("server", 3, 4, 60, "the buffer was full")
    records = [JournalRecord(SERVER, 1, bytes(40)), told.record(), JournalRecord(FACT, 9, b"{}")]

    assert list(with_losses(records, {CLIENT: 0, SERVER: 100})) == records
    assert decode_gap(list(with_losses(records, {CLIENT: 0, SERVER: 107}))[-1].content) == Gap(
        "server", 9, 9, 7, KILLED
    )


def test_where_the_journal_is_damaged_the_damage_tells() -> None:
    damage = Gap("server", 3, 4, -1, "the journal is damaged").record()

    assert list(with_losses([damage], {CLIENT: 0, SERVER: 100})) == [damage]


def test_without_shared_memory_nothing_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.journal.shared_memory.SHARED_MEMORY", tmp_path / "nowhere")
    page = CounterPage(tmp_path)
    slot, counts = page.take_slot("session")
    counts[SERVER] += 1
    page.free_slot(slot)
    page.close()
    assert taken_bytes(tmp_path / "session.journal") == {}
