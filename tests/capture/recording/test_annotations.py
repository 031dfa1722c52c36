from __future__ import annotations

from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from capture.errors import UsageProblem
from capture.recording.annotations import ANNOTATIONS, add_annotation, annotation_files, drop_annotations
from capture.recording.root import Root

AT = datetime(2026, 2, 13, 9, 0, tzinfo=UTC)
FIRST, SECOND = "20260212T083055-4f3a9c12", "20260212T083056-4f3a9c12"


def test_every_annotation_is_a_private_file_of_one_session(root: Root) -> None:
    path = add_annotation(root, FIRST, AT, tags={"cause": "network", "ticket": None}, notes=["heard an echo"])
    add_annotation(root, FIRST, AT, notes=["again"])
    assert len(annotation_files(root)) == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert root.annotations.stat().st_mode & 0o777 == 0o700
    rows = pq.ParquetFile(path).read()
    assert rows.schema == ANNOTATIONS
    said = [(row["tag"], row["value"], row["note"]) for row in rows.to_pylist()]
    assert said == [("cause", "network", None), ("ticket", None, None), (None, None, "heard an echo")]


@pytest.mark.parametrize("session_id", ["../../victim", "/victim", "a/b", "a\0b"])
def test_nothing_is_written_outside_for_an_id_out_of_a_file_of_others(root: Root, session_id: str) -> None:
    with pytest.raises(UsageProblem, match="is no session's id of ours"):
        add_annotation(root, session_id, AT, notes=["x"])
    assert [path for path in root.path.parent.rglob("*") if path.is_file()] == []


def test_what_was_said_of_a_session_goes_alone(root: Root) -> None:
    drop_annotations(root, FIRST)
    for session_id in (FIRST, SECOND):
        add_annotation(root, session_id, AT, notes=["x"])
    drop_annotations(root, FIRST)
    assert [path.name.split(".")[0] for path in annotation_files(root)] == [SECOND]
    assert annotation_files(root, FIRST) == []
