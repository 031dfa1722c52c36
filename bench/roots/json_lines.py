"""The same messages as JSON lines, as many log them, and the same question put to them by DuckDB and by jq."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import duckdb

from capture.recording.root import Root

LIKE = "%had an error while%"
_WORDS = LIKE.strip("%")
_TIMEOUT_S = 600


def write_json_lines(root: Root, path: Path) -> int:
    """Write the events of a root as lines of session, time, sender and message; gives their number."""
    with duckdb.connect() as connection, path.open("w", encoding="utf-8") as lines:
        found = connection.execute(
            'SELECT session_id, epoch_us("at"), sender, payload FROM read_parquet(?) WHERE kind = $$event$$',
            [f"{root.table('events')}/*/*.parquet"],
        )
        written = 0
        while rows := found.fetchmany(10_000):
            for session_id, at_us, sender, payload in rows:
                head = json.dumps({"session_id": session_id, "at_us": at_us, "sender": sender})
                lines.write(f'{head[:-1]}, "event": {payload}}}\n')
            written += len(rows)
    return written


def ask_duckdb(path: Path) -> int:
    """Count the errors with these words."""
    with duckdb.connect() as connection:
        (found,) = connection.execute(
            "SELECT COUNT(*) FROM read_json(?, format = 'newline_delimited', columns = {event: 'JSON'})"
            " WHERE json_extract_string(event, '$.response.status_details.error.message') LIKE ?"
            " OR json_extract_string(event, '$.error.message') LIKE ?",
            [str(path), LIKE, LIKE],
        ).fetchall()
    return int(found[0])


def has_jq() -> bool:
    """Tell whether jq is installed (Debian: apt-get install jq)."""
    return shutil.which("jq") is not None


def ask_jq(path: Path) -> int:
    """Count the same."""
    message = '(.error?.message? // .response?.status_details?.error?.message? // "")'
    program = f'select(.event | {message} | contains("{_WORDS}"))'
    command = ["jq", "-c", f"{program} | 1", str(path)]
    found = subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
    return found.stdout.count(b"\n")
