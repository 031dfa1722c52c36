"""What a root's recordings take on disk, and how they ended: of sessions in files of their own and in compacted ones."""

from __future__ import annotations

import logging
from collections import Counter
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from capture.dropping import is_uncommitted
from capture.errors import UsageProblem
from capture.recording.manifest import Manifest, load_manifest, own_session, place_of
from capture.recording.reader import list_session_ids, open_recording
from capture.recording.root import Root, date_of
from capture.recording.schema import TABLES
from capture.recording.sweeping import unnamed_files

_log = logging.getLogger(__name__)
_UNREADABLE = (pa.ArrowException, OSError, KeyError, TypeError, ValueError)


class Inventory:
    """The files of a root as they were listed when it was made; what stands inside is read when it is asked for."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.session_ids = list_session_ids(root)
        """All recordings, oldest first."""
        self._sizes = {path: _size(path) for name in TABLES for path in root.table(name).glob("date=*/*.parquet")}
        self._dates = {path.parent.name.removeprefix("date=") for path in self._sizes}
        # After the files: what was compacted since stands in a manifest.
        self._manifests = {date: found for date in sorted(self._dates) if (found := load_manifest(root, date))}
        self._shares = cache(self._shares_of_date)
        self._outcomes = cache(self._outcomes_of_date)
        self._waiting = cache(self._waiting_of_date)

    @property
    def bytes(self) -> int:
        """Of all files, those included that were replaced and wait for their deletion."""
        return sum(self._sizes.values())

    def is_foreign(self, session_id: str) -> bool:
        """Tell whether a session lies in a file that is not ours to write anew."""
        return not self._is_compacted(session_id) and not self._has_own_file(session_id)

    def bytes_of(self, session_id: str) -> int:
        """Give what a session takes: its own files, or its share of compacted ones.

        Its share of a file is its share of the file's rows. Of a file that cannot be read it is nothing.
        """
        waiting = self._waiting(date_of(session_id))
        own = [self._root.table_file(table, session_id) for table in TABLES]
        size = sum(self._sizes.get(path, 0) for path in own if path not in waiting)
        return size + (self._shares(date_of(session_id))[session_id] if self._is_compacted(session_id) else 0)

    def is_ok(self, session_id: str) -> bool:
        """Tell whether a session's outcome is `ok`; it is not where that cannot be read, which may be the incident."""
        if self._is_compacted(session_id):
            return self._outcomes(date_of(session_id)).get(session_id) == "ok"
        try:
            return bool(open_recording(self._root, session_id).session["outcome"] == "ok")
        except UsageProblem as problem:
            _log.warning("%s", problem)
            return False

    def replaced(self) -> dict[str, int]:
        """Give the dates with files that compaction replaced and that wait for their deletion, and their bytes."""
        sizes = {date: sum(self._sizes.get(path, 0) for path in self._waiting(date)) for date in self._manifests}
        return {date: size for date, size in sizes.items() if size}

    def leftovers(self) -> list[tuple[str, str, int]]:
        """Give date, name and bytes of what nobody can read: interrupted work left it, or it is being written."""
        known, found = set(self.session_ids), Counter[tuple[str, str]]()
        unnamed = {path for date, manifest in self._manifests.items() for path in unnamed_files(self._root, date, manifest)}
        for path, size in self._sizes.items():
            session_id = own_session(path.name)
            if path in unnamed or (session_id and session_id not in known and is_uncommitted(self._root, session_id)):
                found[path.parent.name.removeprefix("date="), path.stem] += size
        return [(date, name, size) for (date, name), size in sorted(found.items())]

    def _is_compacted(self, session_id: str) -> bool:
        manifest = self._manifests.get(date_of(session_id))
        return manifest is not None and session_id in manifest.session_ids

    def _has_own_file(self, session_id: str) -> bool:
        # An id out of a file of others may be anything, a path too.
        is_id = place_of(f"{session_id}.parquet") == "own"
        return is_id and self._root.table_file("sessions", session_id) in self._sizes

    def _waiting_of_date(self, date: str) -> frozenset[Path]:
        manifest = self._manifests.get(date)
        names = manifest.replaced.files if manifest and manifest.replaced else ()
        return frozenset(self._root.path / name for name in names)

    def _files(self, manifest: Manifest) -> list[Path]:
        return [self._root.path / name for names in manifest.tables.values() for name in names]

    def _shares_of_date(self, date: str) -> Counter[str]:
        shares = Counter[str]()
        for path in self._files(self._manifests[date]):
            rows = _rows_by_session(path)
            for session_id, count in rows.items():
                shares[session_id] += self._sizes.get(path, 0) * count // rows.total()
        return shares

    def _outcomes_of_date(self, date: str) -> dict[str, str]:
        outcomes: dict[str, str] = {}
        for name in self._manifests[date].tables.get("sessions", ()):
            try:
                rows = pq.read_table(self._root.path / name, columns=["session_id", "outcome"], partitioning=None)
            except _UNREADABLE as error:
                _log.warning("%s cannot be read: %s", self._root.path / name, error)
                continue
            outcomes.update(zip(*(rows.column(each).to_pylist() for each in ("session_id", "outcome")), strict=True))
        return outcomes


def _rows_by_session(path: Path) -> Counter[str]:
    found = Counter[str]()
    try:
        with pq.ParquetFile(path, read_dictionary=["session_id"]) as file:
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, columns=["session_id"]).column("session_id").combine_chunks()
                for counted in pc.value_counts(ids).to_pylist():
                    found[counted["values"]] += counted["counts"]
    except _UNREADABLE as error:
        _log.warning("%s cannot be read: %s", path, error)
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
