"""Remove a date's files that nobody reads any more, and say in its manifest which files took whose place.

Whoever does either holds `manifests_locked`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from capture.errors import UsageProblem
from capture.private_files import unfinished
from capture.recording.compacted import TEMPORARY
from capture.recording.manifest import EMPTY, Manifest, Replaced, load_manifest, place_of, save_manifest
from capture.recording.root import Root
from capture.recording.schema import TABLES
from capture.regular_files import regular_files


def swept(root: Root, date: str, grace_s: float | None) -> Manifest:
    """Remove what a crash left, and replaced files whose grace has passed; gives the manifest as it is then.

    Without a grace (None) replaced files stay. Raises `UsageProblem` where the manifest cannot be understood, and
    where it is missing although there are compacted files.
    """
    # Whoever wrote one of them held the lock that is ours now, and is dead.
    unlink_all(unfinished(root.manifest_file(date)))
    manifest = load_manifest(root, date)
    if manifest is None:
        if compacted_files(root, date):
            raise UsageProblem(
                f"{date} has compacted files but no manifest, so what they hold is not sure: "
                f"bring back {root.manifest_file(date)}"
            )
        return EMPTY
    unlink_all(unnamed_files(root, date, manifest))
    unlink_all(path for table in TABLES for path in root.date_folder(table, date).glob(TEMPORARY))
    if manifest.replaced is not None and grace_s is not None and _has_passed(manifest.replaced, grace_s):
        unlink_all(root.path / name for name in manifest.replaced.files)
        manifest = replace(manifest, replaced=None)
        save_manifest(root, date, manifest)
    return manifest


def compacted_files(root: Root, date: str) -> list[Path]:
    """List the compacted files of a date, whether its manifest names them or not."""
    found = (path for table in TABLES for path in regular_files(root.date_folder(table, date), ".parquet"))
    return [path for path in found if place_of(path.name) == "compacted"]


def unnamed_files(root: Root, date: str, manifest: Manifest) -> list[Path]:
    """List the compacted files that the manifest does not name: a crash left them, or they are being written."""
    named = {name for names in manifest.tables.values() for name in names}
    if manifest.replaced is not None:
        named |= set(manifest.replaced.files)
    return [path for path in compacted_files(root, date) if relative_name(root, path) not in named]


def exchanged(
    root: Root, manifest: Manifest, made: Mapping[str, Sequence[Path]], gone: Collection[Path]
) -> dict[str, tuple[str, ...]]:
    """Give the manifest's tables with files that were made in the place of files that go."""
    gone_names = {relative_name(root, path) for path in gone}
    return {
        table: tuple(
            sorted(
                [name for name in manifest.tables.get(table, ()) if name not in gone_names]
                + [relative_name(root, path) for path in made.get(table, ())]
            )
        )
        for table in TABLES
    }


def unlink_all(paths: Iterable[Path]) -> None:
    """Delete files, those that are still there."""
    for path in paths:
        path.unlink(missing_ok=True)


def relative_name(root: Root, path: Path) -> str:
    """Name a file as a manifest does."""
    return path.relative_to(root.path).as_posix()


def _has_passed(replaced: Replaced, grace_s: float) -> bool:
    return grace_s <= 0 or datetime.now(UTC) >= replaced.at + timedelta(seconds=grace_s)
