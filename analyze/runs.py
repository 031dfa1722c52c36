"""Runs of replay: listed from the sessions they recorded, found on disk, or put together from sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from analyze.answers import RunSummary
from analyze.store import Store
from capture.errors import UsageProblem

if TYPE_CHECKING:
    from replay.runs import Run
    from replay.source import Source

_TAG = "run"
"""Name of the tag that joins sessions to a run of somebody's own."""
_COLUMNS = (
    *("session_id", "role", "started_at", "target", "host", "url", "region", "model", "model_echoed", "dialect"),
    *("transcription_model", "transcription_model_echoed", "voice", "turn_detection", "input_format"),
    *("handshake_status", "end_reason", "outcome", "failure_keys", "first_error"),
    *("run_id", "replay_of", "block", "trial", "trial_kind", "trial_outcome", "overrides"),
)


def list_runs(store: Store) -> list[RunSummary]:
    """List runs, newest first."""
    rows = store.rows(
        "SELECT run_id, MIN(started_at) AS started_at, LIST(DISTINCT replay_of) AS replay_of,"
        " COUNT(DISTINCT cell) AS cells, COUNT(*) AS trials,"
        " COUNT(CASE WHEN trial_outcome = 'failed' THEN 1 END) AS failed,"
        " COUNT(CASE WHEN trial_outcome = 'ok' THEN 1 END) AS ok"
        " FROM sessions WHERE run_id IS NOT NULL GROUP BY run_id ORDER BY started_at DESC, run_id DESC"
    )
    return [
        RunSummary(
            run_id=row["run_id"],
            started_at=_utc(row["started_at"]),
            replay_of=tuple(sorted(filter(None, row["replay_of"] or []))),
            cells=row["cells"],
            trials=row["trials"],
            failed=row["failed"],
            ok=row["ok"],
            not_counted=row["trials"] - row["failed"] - row["ok"],
        )
        for row in rows
    ]


def find_run(store: Store, texts: Sequence[str]) -> Run:
    """Find a run by its id, a unique prefix or `last`; several are put together, as are sessions tagged `run=NAME`.

    A run whose file is gone or damaged is put together from its sessions; where no run has a file, `last` is the last
    that sessions tell of. Raises `UsageProblem` where there is nothing of that name, and where one of several was
    adaptive.
    """
    from replay.composition import is_adaptive

    found = {name: (run, rows) for name, run, rows in (_find_one(store, text) for text in texts)}
    runs = [run for run, _ in found.values() if run is not None]
    if len(found) == 1 and runs:
        return runs[0]
    for name, (run, rows) in found.items():
        if len(found) > 1 and (is_adaptive(rows) if run is None else run.design == "adaptive"):
            raise UsageProblem(
                f"run {name} is of `replay isolate`: its trials were chosen by what came before them, and cannot be"
                " put together with others; ask for its verdict alone"
            )
    known = {row["session_id"]: row for _, rows in found.values() for row in rows}
    known |= {row["session_id"]: row for row in _rows(store, [run.run_id for run in runs])}
    return _compose(store, " + ".join(found), [known[session_id] for session_id in sorted(known)])


def find_run_id(store: Store, text: str) -> str:
    """Give the id of a run by itself, a unique prefix or `last`; of one without a file by itself, or as the last.

    Raises `UsageProblem` where there is neither a file nor a session of it.
    """
    from replay.runs import resolve_run

    text = _last_of_sessions(store) if text == "last" else text
    try:
        return resolve_run(store.root, text)
    except UsageProblem:
        if _select(store, "run_id", [text]):
            return text
        raise


def _last_of_sessions(store: Store) -> str:
    """Give the last run that sessions tell of, if no run has a file; else, and where there is none, `last`."""
    from replay.runs import list_run_ids

    known = [] if list_run_ids(store.root) else [run.run_id for run in list_runs(store)]
    # As those with files: the ids begin with the time.
    return max(known, default="last")


def _find_one(store: Store, text: str) -> tuple[str, Run | None, list[dict[str, Any]]]:
    """Find a run's name and file, else the sessions that tell of it; raises `UsageProblem` where there is neither."""
    from replay.runs import load_run, resolve_run

    name = text = _last_of_sessions(store) if text == "last" else text
    try:
        name = resolve_run(store.root, text)
        return name, load_run(store.root, name), []
    except UsageProblem:
        if rows := _rows(store, [name]):
            return name, None, rows
        raise


def _compose(store: Store, name: str, rows: Sequence[dict[str, Any]]) -> Run:
    from replay.composition import compose_run

    replayed = {row["replay_of"] for row in rows if row["replay_of"]}
    originals = {row["session_id"]: row for row in _select(store, "session_id", sorted(replayed))}

    @cache
    def source_of(session_id: str) -> Source | None:
        from capture.recording.reader import open_recording
        from replay.source import prepare

        try:
            return prepare(open_recording(store.root, session_id))
        except UsageProblem:
            return None

    def recorded(session_id: str, path: str) -> object:
        source = source_of(session_id)
        return source and source.recorded(path)

    run = compose_run(name, rows, originals, recorded)
    # With the options that further runs could vary, which no row tells.
    sources = [(recording, source_of(recording.session_id)) for recording in run.recordings]
    run.recordings = [source.recording if source else recording for recording, source in sources]
    return run


def _rows(store: Store, ids: Sequence[str]) -> list[dict[str, Any]]:
    found = {row["session_id"]: row for column in ("run_id", f"tags['{_TAG}']") for row in _select(store, column, ids)}
    return [found[session_id] for session_id in sorted(found)]


def _select(store: Store, column: str, values: Sequence[str]) -> list[dict[str, Any]]:
    if not values:
        return []
    places = ", ".join("?" for _ in values)
    # Columns are ours, values are parameters.
    sql = f"SELECT {', '.join(_COLUMNS)} FROM sessions WHERE {column} IN ({places}) ORDER BY session_id"  # noqa: S608
    rows = store.rows(sql, list(values))
    return [row | {"started_at": _utc(row["started_at"])} for row in rows]


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
