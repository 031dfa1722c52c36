from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from capture.regular_files import check_regular, regular_files, split_by_kind


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Give a folder as a root from elsewhere may have it."""
    (tmp_path / "b.parquet").touch()
    (tmp_path / "a.parquet").symlink_to("b.parquet")
    (tmp_path / "folder.parquet").mkdir()
    os.mkfifo(tmp_path / "pipe.parquet")
    (tmp_path / "device.parquet").symlink_to("/dev/zero")
    (tmp_path / "nowhere.parquet").symlink_to("gone.parquet")
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_files_and_links_to_files_are_listed_apart_from_all_else(mixed: Path) -> None:
    files, others = split_by_kind(mixed, ".parquet")
    assert [path.name for path in files] == ["a.parquet", "b.parquet"]
    assert [path.name for path in others] == [
        "device.parquet",
        "folder.parquet",
        "nowhere.parquet",
        "pipe.parquet",
    ]
    assert regular_files(mixed, ".parquet") == files


def test_what_is_no_folder_has_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    assert regular_files(tmp_path / "gone", "") == []
    assert regular_files(tmp_path / "file", "") == []
    assert regular_files(tmp_path / "pipe", "") == []


def test_only_a_regular_file_is_opened(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_regular(mixed / "a.parquet")
    monkeypatch.chdir(mixed)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.parquet")
    for name in ("pipe", "device", "folder", "socket"):
        with pytest.raises(OSError, match="it is no regular file"):
            check_regular(mixed / f"{name}.parquet")
    with pytest.raises(FileNotFoundError):
        check_regular(mixed / "nowhere.parquet")
