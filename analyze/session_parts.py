"""What one session is made of, read from the store: its events, turns, configuration and audio.

Of a session that is not there `read_parts`, `read_row` and `read_audio_health` say so, and the others find nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from analyze.answers import EventDetail, TimelineRow, TrackFacts, Turn
from analyze.audio_health import AudioHealth, SentAudio, judge
from analyze.event_columns import EventColumns
from analyze.levels import Chunks, peak_levels, range_levels
from analyze.store import Store
from analyze.timeline import STREAM_COLUMNS, AudioClock, AudioSpan, TimelineRows, event_detail, fold_events, unfolded
from analyze.wording import Event, parse_payload, spelled_out
from capture.errors import UsageProblem
from capture.realtime.configuration import CONFIGURATION_EVENTS, ConfigurationTracker
from capture.realtime.outcomes import failure_key
from capture.recording.reader import open_recording

Row = dict[str, Any]
_More = TypeVar("_More")

_EVENT_COLUMNS = ", ".join(Event._fields)
_ORDERS = {"sessions": "session_id", "turns": "turn", "tracks": "track, format, rate"}
_TURN_VALUES = itemgetter("turn", *tuple(Turn.__dataclass_fields__)[1:])
"""Of a row of the turns view, which names all but the number as a turn does."""
_UNFOLDED = "(SELECT *, seq AS last_seq, 1 AS events FROM events)"


class SessionParts(NamedTuple):
    """What the head of a session shows."""

    row: Row
    """Of the sessions view."""
    turns: list[Turn]
    """The user's turns with their answers."""
    configuration: ConfigurationTracker
    """What the client asked for and what the endpoint echoed."""
    tracks: list[TrackFacts]
    """The measures of each audio track."""
    audio_health: AudioHealth
    """Whether the audio that the client sent is sound."""


def read_parts(store: Store, session_id: str) -> SessionParts:
    """Read all of these; raises `UsageProblem` where there is no such session."""
    (parts,), _ = _read_beside(store, [session_id], lambda: None)
    return parts


def read_whole(store: Store, session_ids: Sequence[str]) -> list[tuple[SessionParts, TimelineRows]]:
    """Read all of these of some sessions, and their events, folded; raises `UsageProblem` where one is not there."""
    parts, timelines = _read_beside(
        store, session_ids, lambda: [read_timeline(store, each, fold=True) for each in session_ids]
    )
    return list(zip(parts, timelines, strict=True))


def _read_beside(
    store: Store, session_ids: Sequence[str], read_more: Callable[[], _More]
) -> tuple[list[SessionParts], _More]:
    # All sessions in each question: to plan one takes as long as to answer it.
    which = f"{_among(session_ids)} AND list_contains(?, type)"
    told = (
        f"SELECT session_id, sender, payload FROM events WHERE {which} ORDER BY seq",  # noqa: S608 - question marks
        [*session_ids, sorted(CONFIGURATION_EVENTS)],
    )
    others = (_about("sessions", session_ids), _about("tracks", session_ids), told)
    turns, (answers, more) = store.beside(
        _about("turns", session_ids),
        lambda: ([store.rows(*question, only=session_ids) for question in others], read_more()),
        only=session_ids,
    )
    of_each = [_by_session(rows) for rows in (turns, *answers)]
    return [_parts(store, each, *(rows[each] for rows in of_each)) for each in session_ids], more


def _about(table: str, session_ids: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Make the question for all rows of some sessions."""
    return f"SELECT * FROM {table} WHERE {_among(session_ids)} ORDER BY {_ORDERS[table]}", session_ids  # noqa: S608 - names of ours


def _among(session_ids: Sequence[str]) -> str:
    return f"session_id IN ({', '.join('?' for _ in session_ids)})"


def _by_session(rows: Iterable[Row]) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["session_id"]].append(row)
    return found


def _parts(
    store: Store, session_id: str, turns: list[Row], rows: list[Row], tracks: list[Row], told: list[Row]
) -> SessionParts:
    row = _only_row(store, session_id, rows)
    return SessionParts(row, _turns(turns), _configuration(told), _track_facts(tracks), _audio_health(row, tracks))


def read_row(store: Store, session_id: str) -> Row:
    """Read a session's row of the sessions view; raises `UsageProblem` where there is none."""
    return _only_row(store, session_id, store.rows(*_about("sessions", [session_id]), only=[session_id]))


def read_audio_health(store: Store, session_id: str) -> AudioHealth:
    """Judge the audio that the client sent; raises `UsageProblem` where there is no such session."""
    row = read_row(store, session_id)
    return _audio_health(row, store.rows(*_about("tracks", [session_id]), only=[session_id]))


def _only_row(store: Store, session_id: str, rows: Sequence[Row]) -> Row:
    if not rows:
        raise UsageProblem(f"there is no recording {session_id} in {store.root.path}")
    return rows[0]


def _turns(rows: Iterable[Row]) -> list[Turn]:
    return [Turn(*_TURN_VALUES(row)) for row in rows]


def _configuration(rows: Iterable[Row]) -> ConfigurationTracker:
    tracker = ConfigurationTracker()
    for row in rows:
        tracker.observe(row["sender"], parse_payload(row["payload"]))
    return tracker


def _track_facts(rows: Iterable[Row]) -> list[TrackFacts]:
    names = TrackFacts.__dataclass_fields__
    return [TrackFacts(**{name: row[name] for name in names} | {"clipped": int(row["clipped"] or 0)}) for row in rows]


def _audio_health(session: Row, tracks: Iterable[Row]) -> AudioHealth:
    sent = [SentAudio.from_row(session | track) for track in tracks if track["track"] == "client"]
    return judge(sent, whole_ms=session["audio_in_ms"] if session["kept"] == "window" else None)


def read_levels(store: Store, session_id: str, track: str, bins: int) -> list[float]:
    """Read the peak level (0..1) of a track in `bins` equal spans of the session, as it would have been heard."""
    recording = open_recording(store.root, session_id)
    chunks = store.table(
        "SELECT COALESCE(offset_ms, 0.0) AS offset_ms, audio_start, audio_bytes FROM events"
        " WHERE session_id = ? AND audio_track = ? AND audio_start IS NOT NULL ORDER BY seq",
        [session_id, track],
        only=[session_id],
    )
    arrays = Chunks(*(column.to_numpy() for column in chunks.columns))
    return peak_levels(recording.spans(track), arrays, recording.session["duration_ms"] or 0.0, bins)


def read_event_levels(store: Store, session_id: str, row: TimelineRow, bins: int) -> list[float]:
    """Read the peak level (0..1) of the audio that a row of the timeline carries, in at most `bins` equal parts."""
    found = store.rows(
        "SELECT audio_track, MIN(audio_start) AS first_byte, MAX(audio_start + audio_bytes) AS end_byte FROM events"
        " WHERE session_id = ? AND seq BETWEEN ? AND ? AND type = ? AND audio_track IS NOT NULL GROUP BY audio_track",
        [session_id, row.first_seq, row.last_seq, row.type],
        only=[session_id],
    )
    if not found:
        return []
    wanted = range(found[0]["first_byte"], found[0]["end_byte"])
    spans = open_recording(store.root, session_id).spans(found[0]["audio_track"], wanted)
    return range_levels(spans, wanted.start, len(wanted), bins)


def find_in_payloads(store: Store, session_id: str, words: str) -> list[int]:
    """Find the events whose text holds some words, as it stands or with escapes read, in any case; gives their seqs."""
    # Only a text with escapes can mean what it does not say.
    found = store.tuples(
        "SELECT seq, CASE WHEN NOT says THEN payload END"
        " FROM (SELECT seq, payload, CONTAINS(LOWER(payload), LOWER(?)) AS says FROM events WHERE session_id = ?)"
        " WHERE says OR CONTAINS(payload, '\\') ORDER BY seq",
        [words, session_id],
        only=[session_id],
    )
    return [int(seq) for seq, escaped in found if escaped is None or words.lower() in spelled_out(escaped).lower()]


def read_timeline(store: Store, session_id: str, *, fold: bool) -> TimelineRows:
    """Read the events in order; `fold` joins the pieces of one stream into one row."""
    events = _read_events(store, "timeline" if fold else _UNFOLDED, "session_id = ?", [session_id])
    clock = _audio_clock(store, session_id)
    return fold_events(events, clock) if fold else unfolded(events, clock)


def read_run(store: Store, session_id: str, run: TimelineRow) -> TimelineRows:
    """Read the events that a row of the folded timeline stands for, one row an event."""
    condition = "".join(f" AND {name} IS NOT DISTINCT FROM ?" for name in STREAM_COLUMNS)
    events = _read_events(
        store,
        _UNFOLDED,
        f"session_id = ? AND seq BETWEEN ? AND ?{condition}",
        [session_id, run.first_seq, run.last_seq, *(getattr(run, name) for name in STREAM_COLUMNS)],
    )
    return unfolded(events, _audio_clock(store, session_id))


def read_rows_at(store: Store, session_id: str, seqs: Collection[int]) -> TimelineRows:
    """Read some of the events in order, one row an event."""
    events = _read_events(store, _UNFOLDED, "session_id = ? AND list_contains(?, seq)", [session_id, list(seqs)])
    return unfolded(events, _audio_clock(store, session_id))


def _read_events(store: Store, source: str, condition: str, params: list[Any]) -> EventColumns:
    statement = f"SELECT {_EVENT_COLUMNS} FROM {source} WHERE {condition} ORDER BY seq"  # noqa: S608 - columns of ours
    return EventColumns(store.table(statement, params, only=[params[0]]))


def read_messages(
    store: Store, session_id: str, first_seq: int, last_seq: int, event_type: str | None
) -> list[EventDetail]:
    """Read the messages first_seq..last_seq (inclusive) as they were stored; of one type only if asked."""
    rows = store.rows(
        "SELECT * FROM events WHERE session_id = ? AND seq BETWEEN ? AND ? AND (? IS NULL OR type = ?) ORDER BY seq",
        [session_id, first_seq, last_seq, event_type, event_type],
        only=[session_id],
    )
    clock = _audio_clock(store, session_id)
    return [event_detail(row, clock) for row in rows]


def read_failing_seqs(store: Store, session_id: str) -> dict[str, list[int]]:
    """Read the failure keys that the events told, each with the seqs of these events."""
    rows = store.rows(
        "SELECT seq, type, error_type, error_code, error_message FROM errors WHERE session_id = ? ORDER BY seq",
        [session_id],
        only=[session_id],
    )
    found: dict[str, list[int]] = {}
    for row in rows:
        key = failure_key(row["type"] or "", row["error_type"], row["error_code"], row["error_message"])
        found.setdefault(key, []).append(row["seq"])
    return found


def lacks_events(store: Store, session_id: str) -> bool:
    """Tell whether a session whose row counts events has none that can be read, as where its file is damaged."""
    found = store.tuples(
        "SELECT COALESCE(events_sent, 0) + COALESCE(events_received, 0) > 0"
        " AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.session_id = s.session_id)"
        " FROM sessions AS s WHERE session_id = ?",
        [session_id],
        only=[session_id],
    )
    return bool(found and found[0][0])


def _audio_clock(store: Store, session_id: str) -> AudioClock:
    rows = store.rows(
        "SELECT track, start_byte, bytes / duration_ms AS bytes_per_ms FROM audio WHERE session_id = ?"
        " AND duration_ms > 0 ORDER BY track, start_byte",
        [session_id],
        only=[session_id],
    )
    return AudioClock((row["track"], AudioSpan(row["start_byte"], row["bytes_per_ms"])) for row in rows)
