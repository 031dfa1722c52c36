"""Which files of a root a reader reads, so that it sees each session exactly once, whatever compaction is doing."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from capture.recording.manifest import Manifest, place_of, read_manifests
from capture.recording.root import Root
from capture.regular_files import split_by_kind

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TableFiles:
    """The files of one table."""

    own: list[Path] = field(default_factory=list)
    """One session each, in the order of their ids; it may be one that was never committed."""
    compacted: list[Path] = field(default_factory=list)
    """Named by a manifest: every row in them is committed."""
    foreign: list[Path] = field(default_factory=list)
    """By others, and of any number of sessions."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a root at one moment."""

    tables: Mapping[str, TableFiles]
    session_ids: frozenset[str]
    """Sessions in compacted files."""
    missing: frozenset[Path] = frozenset()
    """Files that a manifest names and that are not there; they are not among the others."""
    irregular: frozenset[Path] = frozenset()
    """Pipes, folders and whatever else is called as files of tables are, and is not one."""


def list_files(root: Root, tables: Sequence[str]) -> Listing:
    """List the files of some tables. Raises `OSError` where a folder cannot be read."""
    known_missing: frozenset[Path] = frozenset()
    while True:
        listing = _list_once(root, tables)
        compacted = [path for files in listing.tables.values() for path in files.compacted]
        missing = frozenset(path for path in compacted if not path.is_file())
        # Replaced and deleted since its manifest was read: then the manifest is another by now.
        if missing <= known_missing:
            return _without(listing, missing)
        known_missing = missing


def _list_once(root: Root, tables: Sequence[str]) -> Listing:
    # Folders first and manifests after: a session's own file that is gone already stands in a manifest by then.
    # The other way round a compaction between the two would hide its sessions.
    folders = {table: sorted(root.table(table).glob("date=*")) for table in tables}
    kinds = {table: [split_by_kind(folder, ".parquet") for folder in folders[table]] for table in tables}
    found = {table: [path for files, _ in kinds[table] for path in files] for table in tables}
    irregular = frozenset(path for table in tables for _, others in kinds[table] for path in others)
    manifests = read_manifests(root)
    superseded = {date: manifest.superseded() for date, manifest in manifests.items()}
    ids = frozenset[str]().union(*(manifest.session_ids for manifest in manifests.values()))
    files = {table: _sort_out(root, table, found[table], manifests, superseded) for table in tables}
    return Listing(files, ids, irregular=irregular)


def _sort_out(
    root: Root,
    table: str,
    paths: Sequence[Path],
    manifests: Mapping[str, Manifest],
    superseded: Mapping[str, frozenset[str]],
) -> TableFiles:
    files = TableFiles()
    for manifest in manifests.values():
        files.compacted.extend(root.path / name for name in manifest.tables.get(table, ()))
    for path in paths:
        date, place = path.parent.name.removeprefix("date="), place_of(path.name)
        if place == "own":
            if path.stem not in superseded.get(date, ()):
                files.own.append(path)
        # Without a manifest compacted files are as good as anyone's: somebody copied the tables alone.
        # A leading dot: a file that is still being written.
        elif (place == "foreign" or date not in manifests) and not path.name.startswith("."):
            files.foreign.append(path)
    return files


def _without(listing: Listing, missing: frozenset[Path]) -> Listing:
    for path in sorted(missing):
        _log.warning("%s is missing, and the manifest of its date names it", path)
        for files in listing.tables.values():
            if path in files.compacted:
                files.compacted.remove(path)
    return replace(listing, missing=missing)
