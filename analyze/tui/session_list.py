"""The list of sessions: its columns, how it is read, and what it sums up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analyze.answers import SessionSummary
from analyze.tui.figures import clock, failure_name, finding_words, mark, milliseconds, seconds
from analyze.tui.lines import Line, Run, join, text
from analyze.tui.source import Source
from analyze.tui.widgets.virtual_table import Column


def _run_name(session: SessionSummary) -> Line:
    if session.run_id is None:
        return ()
    trial = f"·{session.trial}" if session.trial is not None else ""
    return text(f"{session.run_id[-4:]}{trial}", "muted")


def _finding(session: SessionSummary) -> Line:
    if session.findings or session.failure_keys:
        return text(_found(session), "failed" if session.outcome == "failed" else "muted")
    return text("bytes lost or no end seen", "incomplete") if session.outcome == "incomplete" else ()


def _found(session: SessionSummary) -> str:
    """Say what was found: its name, else what failed, with `?` where no signature knows it."""
    if session.findings:
        return finding_words(session.findings)
    if not session.failure_keys:
        return ""
    # Until the signatures were asked nothing says that it is unknown.
    return f"{'' if session.findings is None else '? '}{failure_name(session.failure_keys[0])}"


def _said(session: SessionSummary) -> Line:
    tags = [text(f"{name}={value}" if value else name, "muted") for name, value in session.tags.items()]
    return join([*tags, *((Run("✎ ", "muted"), *text(note)) for note in session.notes[-1:])], " ")


def _words(value: str | None) -> Line:
    return text(value or "")


def _began(row: SessionSummary) -> tuple[str, str]:
    """Order by start; a session whose start is not known stands where its id puts it, by when it was imported."""
    return (f"{row.started_at:%Y%m%dT%H%M%S.%f}" if row.started_at else row.session_id, row.session_id)


COLUMNS: tuple[Column[SessionSummary], ...] = (
    Column("", lambda row: (mark(row.outcome),), 1, 1),
    Column("started UTC", lambda row: text(clock(row.started_at)), 14, 14, order=_began),
    Column("target", lambda row: _words(row.target), 12, 26, order=lambda row: row.target or ""),
    Column("region", lambda row: _words(row.region), 10, 16, 6, order=lambda row: row.region or ""),
    Column("model", lambda row: _words(row.model), 12, 24, 3, order=lambda row: row.model or ""),
    Column(
        "transcription",
        lambda row: _words(row.transcription_model),
        12,
        26,
        order=lambda row: row.transcription_model or "",
    ),
    Column("turns", lambda row: text(str(row.turns)), 5, 6, 5, align="right", order=lambda row: row.turns),
    Column(
        "dur s",
        lambda row: text(seconds(row.duration_ms)),
        5,
        9,
        2,
        align="right",
        order=lambda row: row.duration_ms or 0.0,
    ),
    Column(
        "1st audio ms",
        lambda row: text(milliseconds(row.first_audio_ms)),
        12,
        13,
        1,
        align="right",
        order=lambda row: row.first_audio_ms or 0.0,
    ),
    Column("finding", _finding, 16, 60, order=_found, elastic=True),
    Column("said", _said, 8, 30, 7),
    Column("run", _run_name, 6, 12, 4, order=lambda row: (row.run_id or "", row.trial or 0)),
)


NEWEST_FIRST = ("started UTC", True)


@dataclass(frozen=True, slots=True)
class SessionList:
    """An answer of the source, ready to be shown."""

    rows: Sequence[SessionSummary]
    total: int
    """Sessions in the root, whatever the filter."""
    live: int
    """Sessions in flight."""
    unreadable: Mapping[Path, str]
    """Files that were left out, with the reason."""
    cut: bool
    """Only the newest were read."""
    named: bool
    """What was found stands with the rows."""
    tally: Line
    """What the rows sum up to: regions, outcomes, failures."""

    @property
    def failed(self) -> int:
        """Rows that failed."""
        return sum(row.outcome == "failed" for row in self.rows)


def read_list(
    source: Source,
    filter_text: str,
    *,
    order: tuple[str, bool],
    only: frozenset[str] | None = None,
    limit: int | None = None,
    names: Mapping[str, tuple[str, ...]] | None = None,
) -> SessionList:
    """Ask for sessions, keep those of `only` where it is given, and sort them; `names` are those found in each."""
    total = source.session_count()
    rows: Sequence[SessionSummary] = source.sessions(filter_text, limit=limit)
    cut = limit is not None and len(rows) >= limit
    if only is not None:
        rows = [row for row in rows if row.session_id in only]
    rows = rows if names is None else named(rows, names)
    # The source gives the newest first already: the usual order costs nothing.
    rows = rows if order == NEWEST_FIRST else sort(rows, order)
    return SessionList(rows, total, source.live_count(), source.unreadable(), cut, names is not None, tally(rows))


def named(rows: Iterable[SessionSummary], names: Mapping[str, tuple[str, ...]]) -> list[SessionSummary]:
    """Note with each session what was found in it."""
    # Most sessions have nothing to be noted, and there may be many.
    return [
        replace(row, findings=names.get(row.session_id, ())) if row.failure_keys or row.session_id in names else row
        for row in rows
    ]


def sort(rows: Iterable[SessionSummary], order: tuple[str, bool]) -> list[SessionSummary]:
    """Sort by the column of a name; equal rows stay newest first."""
    name, descending = order
    by = next((column.order for column in COLUMNS if column.name == name and column.order), None)
    newest_first = sorted(rows, key=_began, reverse=True)
    return newest_first if by is None else sorted(newest_first, key=by, reverse=descending)


def tally(rows: Sequence[SessionSummary]) -> Line:
    """Count outcomes, failed sessions by region, and findings, in one line."""
    outcomes = Counter(row.outcome for row in rows)
    regions = Counter(row.region or row.target or "unknown" for row in rows if row.outcome == "failed")
    found = Counter(name for row in rows for name in row.findings or ())
    failures = Counter(_found(row) for row in rows if row.failure_keys and not row.findings)
    marks = [
        (mark(outcome), Run(f" {outcomes[outcome]:,}"))
        for outcome in ("failed", "ok", "incomplete")
        if outcomes[outcome]
    ]
    failed_in = [(*text(f"{region} "), Run(f"{count:,}", "failed")) for region, count in regions.most_common(3)]
    # What nobody knows leads.
    counts = [*failures.most_common(1), *found.most_common(2)]
    named = [(*text(f"{name} "), Run(f"{count:,}", "failed")) for name, count in counts]
    return join(
        [
            _labelled("outcome", join(marks)),
            _labelled("failed in", join(failed_in, " · ")),
            _labelled("finding", join(named, " · ")),
        ],
        "    ",
    )


def _labelled(label: str, counts: Line) -> Line:
    return (Run(f"{label} ", "muted"), *counts) if counts else ()
