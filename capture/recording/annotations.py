"""What people say of sessions later: tags and notes, each a small file of its own beside the recordings.

Files are only ever added: a tag is changed by a later one of its name, and taken away by one without a value. A file
is about one session and bears its id in its name, so that what is said of a session goes when its recording goes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from capture.errors import UsageProblem
from capture.private_files import make_private_folder, replacing
from capture.recording.root import Root
from capture.regular_files import regular_files

ANNOTATIONS = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
        ("tag", pa.string()),
        ("value", pa.string()),
        ("note", pa.string()),
    ]
)
"""One row a tag or a note (docs/recording-format.md)."""


def add_annotation(
    root: Root,
    session_id: str,
    at: datetime,
    *,
    tags: Mapping[str, str | None] | None = None,
    notes: Iterable[str] = (),
) -> Path:
    """Write down tags and notes for a session and give their file; a tag of None is taken away.

    Raises `OSError`, and `UsageProblem` for an id that cannot be part of a file's name.
    """
    # An id out of a file of others may be anything, a path too.
    if "/" in session_id or "\0" in session_id:
        raise UsageProblem(f"{session_id!r} is no session's id of ours: nothing can be said of it")
    said = [{"tag": name, "value": value} for name, value in (tags or {}).items()]
    said += [{"note": note} for note in notes]
    rows = pa.Table.from_pylist([{"session_id": session_id, "at": at} | each for each in said], ANNOTATIONS)
    make_private_folder(root.annotations)
    path = root.annotations / f"{session_id}.{secrets.token_hex(4)}.parquet"
    with replacing(path) as file:
        pq.write_table(rows, file, compression="zstd")
    return path


def annotation_files(root: Root, session_id: str | None = None) -> list[Path]:
    """List the files of annotations, all or those of one session, in the order of their names."""
    files = regular_files(root.annotations, ".parquet")
    return files if session_id is None else [path for path in files if path.name.startswith(f"{session_id}.")]


def drop_annotations(root: Root, session_id: str) -> None:
    """Delete what was said of a session whose recording is gone."""
    for path in annotation_files(root, session_id):
        with suppress(FileNotFoundError):
            path.unlink()
