from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capture.errors import UsageProblem
from capture.recording.manifest import MANIFEST_VERSION, Manifest, Replaced, load_manifest, save_manifest
from capture.recording.root import Root
from capture.recording.sweeping import exchanged, swept, unnamed_files

DATE = "2026-02-12"
FIRST, LAST = "20260212T083000-00000000", "20260212T083004-00000004"


def compacted(root: Root, random: str) -> Path:
    path = root.date_folder("events", DATE) / f"compacted-{FIRST}-{LAST}-{random}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rows")
    return path


def name(root: Root, path: Path) -> str:
    return path.relative_to(root.path).as_posix()


def test_files_that_a_crash_left_go_and_named_ones_stay(root: Root) -> None:
    named, left = compacted(root, "0000000a"), compacted(root, "0000000b")
    manifest = Manifest(
        format_version=MANIFEST_VERSION, tables={"events": (name(root, named),)}, session_ids=frozenset({FIRST})
    )
    save_manifest(root, DATE, manifest)
    assert unnamed_files(root, DATE, manifest) == [left]
    assert swept(root, DATE, None).tables["events"] == (name(root, named),)
    assert (named.exists(), left.exists()) == (True, False)


def test_manifests_that_a_crash_left_half_written_go_with_their_day(root: Root) -> None:
    root.manifests.mkdir(parents=True)
    half, of_another_day = (root.manifests / f".date={date}.json.18e3cee9.tmp" for date in (DATE, "2026-02-13"))
    for path in (half, of_another_day):
        path.write_bytes(b'{"format_ver')
    swept(root, DATE, None)
    assert (half.exists(), of_another_day.exists()) == (False, True)


def test_replaced_files_wait_for_their_grace(root: Root) -> None:
    named, replaced = compacted(root, "0000000a"), compacted(root, "0000000b")
    waiting = Replaced(at=datetime.now(UTC) - timedelta(seconds=60), files=(name(root, replaced),))
    manifest = Manifest(
        format_version=MANIFEST_VERSION,
        tables={"events": (name(root, named),)},
        session_ids=frozenset({FIRST}),
        replaced=waiting,
    )
    save_manifest(root, DATE, manifest)
    for grace_s in (None, 3600):
        swept(root, DATE, grace_s)
        assert replaced.exists()
    assert swept(root, DATE, 30).replaced is None
    assert not replaced.exists()
    found = load_manifest(root, DATE)
    assert found is not None
    assert found.replaced is None


def test_without_its_manifest_a_compacted_day_is_not_touched(root: Root) -> None:
    path = compacted(root, "0000000a")
    with pytest.raises(UsageProblem, match=f"{DATE} has compacted files but no manifest"):
        swept(root, DATE, 0)
    assert path.exists()


def test_a_manifest_names_new_files_in_the_place_of_old_ones(root: Root) -> None:
    old, kept, new = (compacted(root, f"0000000{which}") for which in "abc")
    manifest = Manifest(
        format_version=MANIFEST_VERSION,
        tables={"events": (name(root, old), name(root, kept))},
        session_ids=frozenset({FIRST}),
    )
    assert exchanged(root, manifest, {"events": [new]}, [old])["events"] == (name(root, kept), name(root, new))


def test_a_manifest_from_elsewhere_deletes_nothing_outside_of_its_tables(root: Root, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("somebody's")
    names = ("../victim", str(victim))
    for name_of_it in names:
        waiting = Replaced(at=datetime.now(UTC) - timedelta(days=1), files=(name_of_it,))
        save_manifest(root, DATE, Manifest(format_version=MANIFEST_VERSION, replaced=waiting))
        with pytest.raises(UsageProblem):
            swept(root, DATE, 0)
    assert victim.read_text() == "somebody's"
