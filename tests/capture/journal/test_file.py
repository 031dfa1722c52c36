from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from capture.journal import Direction, is_locked, read_journal
from capture.journal.file import JournalFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root" / "journal" / "session.journal"


@pytest.fixture
def file(path: Path) -> Iterator[JournalFile]:
    file = JournalFile(path)
    file.open()
    yield file
    file.close()


def contents(path: Path) -> list[bytes]:
    return [record.content for record in read_journal(path)]


def test_only_its_owner_may_read_a_journal(file: JournalFile, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_it_is_locked_until_it_is_closed(file: JournalFile, path: Path) -> None:
    assert is_locked(path)

    file.close()

    assert not is_locked(path)


def test_a_file_that_is_not_there_is_not_locked(path: Path) -> None:
    assert not is_locked(path)


def test_a_journal_that_exists_is_never_written_over(file: JournalFile, path: Path) -> None:
    file.append([(Direction.CLIENT, 0, b"first", 0)])

    with pytest.raises(FileExistsError, match="exists already"):
        JournalFile(path).open()

    assert contents(path) == [b"first"]


def test_more_buffers_than_one_write_takes(file: JournalFile, path: Path) -> None:
    sent = [b"%d" % number for number in range(5_000)]

    file.append([(Direction.CLIENT, number, content, 0) for number, content in enumerate(sent)])

    assert contents(path) == sent
    assert file.content_bytes == sum(map(len, sent))


def test_a_write_that_takes_a_part_goes_on_with_the_rest(
    file: JournalFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_a_little(descriptor: int, buffers: Sequence[bytes]) -> int:
        return os.write(descriptor, b"".join(buffers)[:20])

    monkeypatch.setattr(os, "writev", write_a_little)

    file.append([(Direction.CLIENT, 1, b"one", 0), (Direction.CLIENT, 2, b"two", 0)])

    assert contents(path) == [b"one", b"two"]


def test_a_failed_write_leaves_nothing_behind(file: JournalFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.append([(Direction.CLIENT, 1, b"before", 0)])
    size = path.stat().st_size

    def write_a_part_and_fail(descriptor: int, buffers: Sequence[bytes]) -> int:
        os.write(descriptor, b"".join(buffers)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full, pytest.raises(OSError, match="No space left"):
        full.setattr(os, "writev", write_a_part_and_fail)
        file.append([(Direction.CLIENT, 2, b"lost", 0)])

    assert path.stat().st_size == size
    file.append([(Direction.CLIENT, 3, b"after", 0)])
    assert contents(path) == [b"before", b"after"]


@pytest.mark.parametrize("left_bytes", [1, 3, 20])
def test_what_cannot_be_cut_back_costs_readers_a_search(
    file: JournalFile, path: Path, monkeypatch: pytest.MonkeyPatch, left_bytes: int
) -> None:
    def write_a_part_and_fail(descriptor: int, buffers: Sequence[bytes]) -> int:
        os.write(descriptor, b"".join(buffers)[:left_bytes])
        raise OSError(errno.EIO, "Input/output error")

    def fail(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="Input/output"):
        broken.setattr(os, "writev", write_a_part_and_fail)
        broken.setattr(os, "ftruncate", fail)
        file.append([(Direction.CLIENT, 2, b"lost", 0)])

    file.append([(Direction.CLIENT, 3, b"after", 0)])

    assert [record.direction.name for record in read_journal(path)] == ["GAP", "GAP", "CLIENT"]


def test_a_removed_file_is_noticed(file: JournalFile, path: Path) -> None:
    assert not file.is_gone()
    shutil.rmtree(path.parent)

    assert file.is_gone()
    with pytest.raises(FileNotFoundError, match="was removed"):
        for number in range(100):
            file.append([(Direction.CLIENT, number, b"into nowhere", 0)])


def test_a_folder_that_cannot_be_made_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where a folder should be")

    with pytest.raises(NotADirectoryError):
        JournalFile(tmp_path / "root" / "journal" / "session.journal").open()
