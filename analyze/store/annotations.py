"""What was said of sessions later, held in memory: `_annotations` a row each, `_annotated_sessions` with it."""

from __future__ import annotations

from pathlib import Path

import duckdb

from capture.recording.annotations import ANNOTATIONS, annotation_files
from capture.recording.file_problem import brief
from capture.recording.root import Root

_COLUMNS = ", ".join(f'"{name}"' for name in ANNOTATIONS.names)
# A tag is what was said of it last; taken away, it stays named, so that it hides what was recorded.
_SUM_UP = """
CREATE OR REPLACE TABLE _annotated AS
WITH
latest AS (
    SELECT session_id, tag, ARG_MAX(COALESCE(value, ''), "at") AS value
    FROM _annotations
    WHERE tag IS NOT NULL
    GROUP BY session_id, tag
),
tagged AS (
    SELECT
        session_id,
        LIST(tag ORDER BY tag) AS tags_named,
        COALESCE(
            LIST({'key': tag, 'value': value} ORDER BY tag) FILTER (WHERE value <> ''),
            CAST([] AS STRUCT(key VARCHAR, value VARCHAR)[])
        ) AS tags_given
    FROM latest
    GROUP BY session_id
),
noted AS (
    SELECT session_id, LIST(note ORDER BY "at") AS notes
    FROM _annotations
    WHERE note IS NOT NULL
    GROUP BY session_id
)
SELECT session_id, tags_named, tags_given, notes FROM tagged FULL JOIN noted USING (session_id)
"""
_JOINED = (
    "CREATE OR REPLACE VIEW _annotated_sessions AS SELECT * FROM _sessions LEFT JOIN _annotated USING (session_id)"
)
# The join costs 3 ms at 10,000 sessions, and in most roots nothing was said of any.
_ALONE = """
CREATE OR REPLACE VIEW _annotated_sessions AS
SELECT
    *,
    CAST(NULL AS VARCHAR[]) AS tags_named,
    CAST(NULL AS STRUCT(key VARCHAR, value VARCHAR)[]) AS tags_given,
    CAST(NULL AS VARCHAR[]) AS notes
FROM _sessions
"""


class StoredAnnotations:
    """Loads the files of annotations that came or went since the last look."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, root: Root, unreadable: dict[Path, str]) -> None:
        self._connection = connection
        self._root = root
        self._unreadable = unreadable
        self._loaded: list[str] = []

    def define(self) -> None:
        """Define both tables, without a row."""
        self._connection.register("_columns", ANNOTATIONS.empty_table())
        self._connection.execute("CREATE TABLE _annotations AS SELECT *, NULL::VARCHAR AS filename FROM _columns")
        self._connection.unregister("_columns")
        self._sum_up()

    def take_in(self) -> None:
        """Read what was said since; a file that cannot be read is named and left out."""
        # What the console may open is bounded by resolved paths.
        folder = self._root.annotations.resolve()
        files = [folder / path.name for path in annotation_files(self._root)]
        names = [str(path) for path in files if path not in self._unreadable]
        if names == self._loaded:
            return
        gone = sorted(set(self._loaded) - set(names))
        self._connection.execute("DELETE FROM _annotations WHERE list_contains(?, filename)", [gone])
        fresh = sorted(set(names) - set(self._loaded))
        if fresh:
            self._load(fresh)
        self._loaded = names
        self._sum_up()

    def _sum_up(self) -> None:
        self._connection.execute(_SUM_UP)
        (count,) = self._connection.execute("SELECT COUNT(*) FROM _annotated").fetchall()[0]
        self._connection.execute(_JOINED if count else _ALONE)

    def _load(self, names: list[str]) -> None:
        try:
            self._connection.execute(
                f"INSERT INTO _annotations SELECT {_COLUMNS}, filename"  # noqa: S608 - names of our own schema
                " FROM read_parquet(?, filename = true, hive_partitioning = false)",
                [names],
            )
        except duckdb.Error as error:
            if len(names) > 1:
                # One by one, so that a damaged file takes no other with it.
                for name in names:
                    self._load([name])
            elif Path(names[0]).exists():
                self._unreadable[Path(names[0])] = brief(error)
