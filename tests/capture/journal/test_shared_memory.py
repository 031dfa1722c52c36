from __future__ import annotations

import os
from pathlib import Path

from capture.journal.shared_memory import SHARED_MEMORY, name_for, names_for


def test_files_are_found_by_the_folder_they_belong_to(tmp_path: Path) -> None:
    ours, other = tmp_path / "journal", tmp_path / "other"
    path = name_for(ours, "test")
    assert path.parent == SHARED_MEMORY
    assert str(tmp_path) not in path.name
    path.touch()
    try:
        assert names_for(ours, "test") == [path]
        assert names_for(other, "test") == names_for(ours, "spool") == []
        linked = tmp_path / "linked"
        linked.symlink_to(ours)
        assert names_for(linked, "test") == [path], "one folder has one name, however it is reached"
    finally:
        path.unlink()


def test_names_are_not_to_be_guessed(tmp_path: Path) -> None:
    names = {name_for(tmp_path, "test").name for _ in range(100)}
    assert len(names) == 100
    assert all(f"-{os.getpid()}-" in name for name in names)
