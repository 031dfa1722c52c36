"""Fill a root with copies of sealed calls: each session with ids, times and models of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.roots.calls import CALLS, TOKEN, seal_call
from capture.private_files import make_private_folder
from capture.recording.compacted import CompactedWriter
from capture.recording.manifest import MANIFEST_VERSION, Manifest, save_manifest
from capture.recording.root import Root, date_of
from capture.recording.schema import TABLES
from capture.recording.writer import tuning

_DAYS = 10
_FIRST_DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
_SPAN_S = 12 * 3600
_TABLES = ("audio", "events", "sessions")
Tables = dict[str, pa.Table]


@dataclass(frozen=True)
class _Place:
    """Where in a root a copy goes."""

    session_id: str
    started_at: datetime
    kind: int


def fill(
    path: Path, sessions: int, *, fresh: int = 0, compacted: bool = True, tables: Collection[str] = _TABLES
) -> int:
    """Fill a new root with so many sessions over ten days; gives the number of their events.

    With `compacted` all lie in the files of their dates' manifests but the newest `fresh` ones, which have files of
    their own as sealing leaves them; otherwise all have. Of `tables` others are left out.
    """
    root = Root(path)
    with tempfile.TemporaryDirectory() as folder:
        kinds = [seal_call(call, Root(Path(folder))) for call in CALLS]
    places = _places(sessions)
    in_files = len(places) - fresh if compacted else 0
    for date, of_date in _by_date(places[:in_files]):
        _write_compacted(root, date, of_date, kinds, tables)
    for place in places[in_files:]:
        _write_own(root, place, kinds[place.kind], tables)
    return sum(len(kinds[place.kind]["events"]) for place in places)


def _places(sessions: int) -> list[_Place]:
    chance = np.random.default_rng(1)
    kinds = chance.choice(len(CALLS), size=sessions, p=[call.share for call in CALLS])
    a_day = -(-sessions // _DAYS)
    places = []
    for number, kind in enumerate(kinds.tolist()):
        day, nth = divmod(number, a_day)
        started_at = _FIRST_DAY + timedelta(days=day, seconds=nth * _SPAN_S / a_day)
        session_id = f"{started_at:%Y%m%dT%H%M%S}-{number:08x}"
        places.append(_Place(session_id, started_at, kind))
    return places


def _by_date(places: Sequence[_Place]) -> Iterator[tuple[str, list[_Place]]]:
    for date in sorted({date_of(place.session_id) for place in places}):
        yield date, [place for place in places if date_of(place.session_id) == date]


def _write_compacted(
    root: Root, date: str, places: Sequence[_Place], kinds: Sequence[Tables], tables: Collection[str]
) -> None:
    written: dict[str, tuple[str, ...]] = {}
    for table in tables:
        folder = root.date_folder(table, date)
        make_private_folder(folder)
        with CompactedWriter(folder, TABLES[table]) as writer:
            for place in places:
                writer.add(place.session_id, _copy(kinds[place.kind][table], place))
            written[table] = tuple(str(path.relative_to(root.path)) for path in writer.finish())
    session_ids = frozenset(place.session_id for place in places)
    save_manifest(root, date, Manifest(format_version=MANIFEST_VERSION, tables=written, session_ids=session_ids))


def _write_own(root: Root, place: _Place, kind: Tables, tables: Collection[str]) -> None:
    for table in tables:
        path = root.table_file(table, place.session_id)
        make_private_folder(path.parent)
        schema = TABLES[table]
        pq.write_table(_copy(kind[table], place), path, compression="zstd", **tuning(schema))


def _copy(rows: pa.Table, place: _Place) -> pa.Table:
    """Give rows their session's id and times, and ids of their own in every text."""
    moved = _moved_us(rows, place)
    columns = {}
    for name in rows.column_names:
        column = rows[name].combine_chunks()
        if name == "session_id":
            column = pa.repeat(pa.scalar(place.session_id), len(rows))
        elif pa.types.is_timestamp(column.type):
            column = pc.add(column.cast(pa.int64()), moved).cast(column.type)
        elif name == "payload" or name.endswith("_id"):
            column = pc.replace_substring(column, TOKEN, place.session_id[-8:])
        columns[name] = column
    return pa.table(columns, schema=rows.schema)


def _moved_us(rows: pa.Table, place: _Place) -> int:
    first = next((name for name in ("started_at", "at") if name in rows.column_names), None)
    if first is None or not len(rows):
        return 0
    began_us: int = rows[first][0].cast(pa.int64()).as_py()
    return int(place.started_at.timestamp() * 1e6) - began_us
