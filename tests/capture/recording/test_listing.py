from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture.recording.listing import TableFiles, list_files
from capture.recording.manifest import EMPTY, Manifest, compacted_name, read_manifests, save_manifest
from capture.recording.root import Root
from capture.regular_files import split_by_kind

DATE = "2026-02-12"
FIRST, SECOND, THIRD = "20260212T083055-0000000a", "20260212T083056-0000000b", "20260212T090000-0000000c"


def touch(root: Root, *names: str) -> list[Path]:
    folder = root.date_folder("events", DATE)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def events(root: Root) -> TableFiles:
    return list_files(root, ["events"]).tables["events"]


def commit(root: Root, path: Path, *session_ids: str) -> None:
    name = path.relative_to(root.path).as_posix()
    save_manifest(
        root, DATE, Manifest(format_version=1, tables={"events": (name,)}, session_ids=frozenset(session_ids))
    )


def test_without_manifests_all_finished_files_count(root: Root) -> None:
    own, other, shared, *_ = touch(
        root, f"{FIRST}.parquet", "other.parquet", compacted_name(FIRST, SECOND), ".x.parquet", "y.parquet.tmp"
    )
    assert events(root) == TableFiles(own=[own], foreign=sorted([other, shared]))


def test_a_manifest_moves_its_sessions_over(root: Root) -> None:
    compacted, *_ = touch(root, compacted_name(FIRST, SECOND), f"{FIRST}.parquet", f"{SECOND}.parquet")
    (later,) = touch(root, f"{THIRD}.parquet")
    commit(root, compacted, FIRST, SECOND)
    found = list_files(root, ["events"])
    assert found.tables["events"] == TableFiles(own=[later], compacted=[compacted])
    assert found.session_ids == {FIRST, SECOND}


def test_compacted_files_that_the_manifest_does_not_name_are_nobodys(root: Root) -> None:
    own, other, _ = touch(root, f"{FIRST}.parquet", "other.parquet", compacted_name(FIRST, SECOND))
    save_manifest(root, DATE, EMPTY)
    assert events(root) == TableFiles(own=[own], foreign=[other])


def test_a_manifest_speaks_for_its_own_date_only(root: Root) -> None:
    (compacted,) = touch(root, compacted_name(FIRST, SECOND))
    commit(root, compacted, FIRST, SECOND)
    elsewhere = root.date_folder("events", "2026-02-13") / f"{FIRST}.parquet"
    elsewhere.parent.mkdir()
    elsewhere.touch()
    assert events(root) == TableFiles(own=[elsewhere], compacted=[compacted])


def test_a_compaction_between_the_two_steps_of_listing_hides_nothing(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step comes first, the compaction comes right after it."""
    own, compacted = touch(root, f"{FIRST}.parquet", compacted_name(FIRST, FIRST))
    save_manifest(root, DATE, EMPTY)

    def compact() -> None:
        if own.exists():
            commit(root, compacted, FIRST)
            own.unlink()

    def read_first(root: Root) -> dict[str, Manifest]:
        manifests = read_manifests(root)
        compact()
        return manifests

    def list_first(folder: Path, suffix: str) -> tuple[list[Path], list[Path]]:
        found = split_by_kind(folder, suffix)
        compact()
        return found

    monkeypatch.setattr("capture.recording.listing.read_manifests", read_first)
    monkeypatch.setattr("capture.recording.listing.split_by_kind", list_first)
    assert events(root) == TableFiles(compacted=[compacted])


def test_what_is_no_regular_file_is_told_and_not_listed(root: Root) -> None:
    (own,) = touch(root, f"{FIRST}.parquet")
    pipe, named = own.with_name(f"{SECOND}.parquet"), own.with_name(compacted_name(THIRD, THIRD))
    os.mkfifo(pipe)
    os.mkfifo(named)
    commit(root, named, THIRD)
    found = list_files(root, ["events"])
    assert found.tables["events"] == TableFiles(own=[own])
    assert found.irregular == {pipe, named}
    assert found.missing == {named}


def test_a_file_that_a_manifest_names_in_vain_is_told(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    (compacted,) = touch(root, compacted_name(FIRST, SECOND))
    commit(root, compacted, FIRST, SECOND)
    compacted.unlink()
    found = list_files(root, ["events"])
    assert found.tables["events"] == TableFiles()
    assert found.missing == {compacted}
    assert "is missing, and the manifest of its date names it" in caplog.text
