"""Read some columns of all sessions of a root, each file once: what is asked of thousands at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from capture.recording.listing import list_files
from capture.recording.manifest import may_hold, own_session
from capture.recording.root import Root
from capture.recording.schema import SESSIONS
from capture.recording.tables import Row, RowGroup, TableDamaged, Vanished, opened, with_all_columns

OnProgress = Callable[[int, int], None]
"""Told how many files of how many are read."""


def read_all_sessions(
    root: Root,
    columns: Sequence[str],
    on_damage: Callable[[TableDamaged], None],
    on_progress: OnProgress = lambda _done, _files: None,
) -> dict[str, Row]:
    """Read some columns of the sessions table; gives the rows by their ids, oldest first.

    `on_damage` gets each file that cannot be read: its sessions are left out, and no others.
    """
    root.check_readable()
    rows: dict[str, Row] = {}
    done: set[Path] = set()
    vanished: set[Path] = set()
    while unread := [path for path in _files(root) if path not in done]:
        before = len(done)
        for number, path in enumerate(unread):
            on_progress(before + number, before + len(unread))
            try:
                for row in _rows_in(path, columns):
                    rows.setdefault(row["session_id"], row)
            except TableDamaged as damage:
                on_damage(damage)
            except Vanished:
                if path not in vanished:
                    # Compaction deleted it since it was listed: its sessions are in another file by now.
                    vanished.add(path)
                    continue
                on_damage(TableDamaged(path, "it is listed, and is not there"))
            done.add(path)
    return dict(sorted(rows.items()))


def read_some_sessions(root: Root, session_ids: Collection[str], columns: Sequence[str]) -> dict[str, Row]:
    """Read some columns of a few sessions from the files that may hold them; what cannot be read is left out."""
    files, wanted = list_files(root, ["sessions"]).tables["sessions"], frozenset(session_ids)
    own = [path for path in files.own if path.stem in wanted]
    shared = [path for path in files.compacted if any(may_hold(path.name, session_id) for session_id in wanted)]
    rows: dict[str, Row] = {}
    for path in (*own, *shared, *files.foreign):
        with suppress(TableDamaged, Vanished):
            for row in _rows_in(path, columns):
                if row["session_id"] in wanted:
                    rows.setdefault(row["session_id"], row)
    return rows


def _files(root: Root) -> list[Path]:
    listing = list_files(root, ["sessions"])
    files = listing.tables["sessions"]
    # A session's own file comes first: for a moment it lies in a compacted one too.
    return [*files.own, *files.compacted, *files.foreign, *sorted(listing.irregular)]


def _rows_in(path: Path, columns: Sequence[str]) -> list[Row]:
    """Give the rows of a file; of one session's own file that session's only."""
    names = ["session_id", *columns]
    wanted = pa.schema([SESSIONS.field(name).with_nullable(True) for name in names])
    with opened(path) as file:
        # To share out four columns of one row among threads takes as long as to read them.
        # Of others, whose times may be text or dates, and whose ids may be missing.
        stored = with_all_columns(file.read(columns=names, use_threads=False), wanted).select(names).cast(wanted)
    rows = RowGroup(path, stored).rows()
    own = own_session(path.name)
    if own is None:
        return [row for row in rows if row["session_id"] is not None]
    if found := [row for row in rows if row["session_id"] == own]:
        return found
    raise TableDamaged(path, "it has no row of the session that its name tells")
