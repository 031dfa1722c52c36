"""Write the whole answer of a typed question to a file: CSV, JSON or Parquet, as the file's name says."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from analyze.plain_values import plain_value
from capture.errors import UsageProblem
from capture.private_files import replacing

if TYPE_CHECKING:
    from analyze.store import Store


def export(store: Store, sql: str, path: Path, *, overwrite: bool = False) -> int:
    """Ask a question again and write every row of its answer; give the number of rows.

    What was recorded is written as it was recorded: a reader of the file has to expect control characters in it.
    Raises `UsageProblem` for a name without a known ending, for a file that is there already unless `overwrite`, for
    SQL that cannot be run, and where the file cannot be written; the file is then as it was before.
    """
    write = writer_of(path)
    if "\0" in str(path):
        raise UsageProblem(f"{path} cannot be written: no name of a file holds a NUL character")
    try:
        if path.exists() and not overwrite:
            raise UsageProblem(f"{path} exists already")
        # Answers hold what callers said: nobody else's business, like the recordings.
        with replacing(path) as stream:
            return write(store, sql, stream)
    except OSError as error:
        raise UsageProblem(f"{path} cannot be written: {error.strerror or error}") from error


def writer_of(path: Path) -> Callable[[Store, str, BinaryIO], int]:
    """Give what writes the format that a file's name ends in; raises `UsageProblem` for another ending."""
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UsageProblem(f"{path.name!r} does not say in which format: end the name in {', '.join(_WRITERS)}")
    return write


def _write_csv(store: Store, sql: str, stream: BinaryIO) -> int:
    result = store.console(sql)
    text = TextIOWrapper(stream, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.columns)
    writer.writerows([_csv_field(value) for value in row] for row in result.rows)
    # Else the stream is closed with the wrapper.
    text.detach()
    return len(result.rows)


def _write_json(store: Store, sql: str, stream: BinaryIO) -> int:
    result = store.console(sql)
    records = [dict(zip(result.columns, map(plain_value, row), strict=True)) for row in result.rows]
    stream.write(f"{json.dumps(records, ensure_ascii=False, indent=1, allow_nan=False)}\n".encode())
    return len(records)


def _write_parquet(store: Store, sql: str, stream: BinaryIO) -> int:
    import pyarrow.parquet as pq

    table = store.console_table(sql)
    pq.write_table(table, stream, compression="zstd")
    return int(table.num_rows)


def _csv_field(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, (bytes, bytearray)) else value


_WRITERS: dict[str, Callable[[Store, str, BinaryIO], int]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
}
