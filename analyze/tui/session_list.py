"""The list of sessions: its columns, how it is read, and what it sums up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analyze.amounts import milliseconds, seconds
from analyze.answers import SessionSummary
from analyze.session_order import FINDING, NotedSession, Order
from analyze.tui.figures import clock, failure_name, finding_words, mark
from analyze.tui.lines import Line, Run, join, text, width_of
from analyze.tui.pages import Pages
from analyze.tui.source import Source
from analyze.tui.widgets.virtual_table import Column

_APART = "    "


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


COLUMNS: tuple[Column[SessionSummary], ...] = (
    Column("", lambda row: (mark(row.outcome),), 1, 1, order="outcome"),
    Column("started UTC", lambda row: text(clock(row.started_at)), 14, 14, order="started"),
    Column("target", lambda row: _words(row.target), 12, 26, order="target"),
    Column("region", lambda row: _words(row.region), 10, 16, 6, order="region"),
    Column("model", lambda row: _words(row.model), 12, 24, 3, order="model"),
    Column(
        "transcription",
        lambda row: _words(row.transcription_model),
        12,
        26,
        order="transcription_model",
    ),
    Column("turns", lambda row: text(str(row.turns)), 5, 6, 5, align="right", order="turns"),
    Column(
        "dur s",
        lambda row: text(seconds(row.duration_ms)),
        5,
        9,
        2,
        align="right",
        order="duration",
    ),
    Column(
        "1st audio ms",
        lambda row: text(milliseconds(row.first_audio_ms)),
        12,
        13,
        1,
        align="right",
        order="first_audio",
    ),
    Column("finding", _finding, 16, 60, order=FINDING, keep="ends", elastic=True),
    Column("said", _said, 8, 30, 7, order="said"),
    Column("run", _run_name, 6, 12, 4, order="run"),
)


@dataclass(frozen=True, slots=True)
class SessionList:
    """An answer of the source, ready to be shown."""

    rows: Sequence[SessionSummary]
    """All of them, read page by page; or the newest, where it is `cut`."""
    total: int
    """Sessions in the root, whatever the filter."""
    unreadable: Mapping[Path, str]
    """Files that were left out, with the reason."""
    cut: bool
    """Only the newest were read."""
    named: bool
    """What was found stands with the rows."""
    tally: Sequence[Line]
    """What the rows sum up to: outcomes, regions, failures."""
    failed: int
    """Rows that failed."""
    has_folder: bool = True
    """The root is there, if empty: else it was removed, or has another name."""
    slow: str = ""
    """Why the rest of them takes long, where it does."""


def glance(source: Source, limit: int) -> SessionList | None:
    """Give the newest sessions of a root that is not open yet, which takes longer; None where nothing is gained."""
    newest = source.glance(limit)
    if newest is None:
        return None
    rows, total = newest
    noted = [_noted(row) for row in rows if row.outcome != "ok" or row.failure_keys]
    failed = sum(session.outcome == "failed" for session in noted)
    line = tally(len(rows), noted)
    return SessionList(rows, total, {}, cut=True, named=False, tally=line, failed=failed, slow=source.slow)


def read_list(
    source: Source,
    filter_text: str,
    *,
    order: Order,
    only: frozenset[str] | None = None,
    names: Mapping[str, tuple[str, ...]] | None = None,
) -> SessionList:
    """Ask for sessions in an order, those of `only` where it is given; `names` are what was found in each."""
    listed = source.sessions_in_order(filter_text, order=order, only=only, names=names)

    def read(session_ids: Sequence[str]) -> Sequence[SessionSummary]:
        rows = source.sessions_by_id(session_ids)
        return rows if names is None else named(rows, names)

    rows = Pages(listed.session_ids, read, key=lambda row: row.session_id)
    if len(rows):
        rows.load(0)
    failed = sum(session.outcome == "failed" for session in listed.noted)
    return SessionList(
        rows,
        source.session_count(),
        source.unreadable(),
        cut=False,
        named=names is not None,
        tally=tally(len(rows), listed.noted, None if names is None else _among(names, listed.session_ids)),
        failed=failed,
        has_folder=source.root.path.is_dir(),
    )


def _among(names: Mapping[str, tuple[str, ...]], session_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    picked = set(session_ids) if names else set()
    return {session_id: having for session_id, having in names.items() if session_id in picked}


def _noted(row: SessionSummary) -> NotedSession:
    failure_key = row.failure_keys[0] if row.failure_keys else None
    return NotedSession(row.session_id, row.outcome, row.region or row.target or "unknown", failure_key)


def named(rows: Iterable[SessionSummary], names: Mapping[str, tuple[str, ...]]) -> list[SessionSummary]:
    """Note with each session what was found in it."""
    return [
        replace(row, findings=names.get(row.session_id, ())) if row.failure_keys or row.session_id in names else row
        for row in rows
    ]


def tally(
    sessions: int, noted: Sequence[NotedSession], names: Mapping[str, tuple[str, ...]] | None = None
) -> Sequence[Line]:
    """Count outcomes, failed sessions by region, and findings, those of them that there are.

    `noted` are those that are not plainly ok; `names` are what was found in each, None where nobody looked.
    """
    outcomes = Counter(session.outcome for session in noted)
    outcomes["ok"] += sessions - len(noted)
    regions = Counter(session.place for session in noted if session.outcome == "failed")
    found = Counter(name for having in (names or {}).values() for name in having)
    sign = "" if names is None else "? "
    failures = Counter(
        f"{sign}{failure_name(session.failure_key)}"
        for session in noted
        if session.failure_key is not None and not (names or {}).get(session.session_id)
    )
    marks = [
        (mark(outcome), Run(f" {outcomes[outcome]:,}"))
        for outcome in ("failed", "ok", "incomplete")
        if outcomes[outcome]
    ]
    failed_in = [(*text(f"{region} "), Run(f"{count:,}", "failed")) for region, count in regions.most_common(3)]
    # What nobody knows leads.
    counts = [*failures.most_common(1), *found.most_common(2)]
    named = [(*text(f"{name} "), Run(f"{count:,}", "failed")) for name, count in counts]
    parts = [
        _labelled("outcome", join(marks)),
        _labelled("failed in", join(failed_in, " · ")),
        _labelled("finding", join(named, " · ")),
    ]
    return [part for part in parts if part]


def tally_lines(counted: Sequence[Line], width: int) -> Sequence[Line]:
    """Set what was counted beside each other; where the width runs out, the names have a line of their own."""
    together = join(counted, _APART)
    if width_of(together) <= width or len(counted) == 1:
        return [together] if together else []
    return [join(counted[:-1], _APART), counted[-1]]


def _labelled(label: str, counts: Line) -> Line:
    return (Run(f"{label} ", "muted"), *counts) if counts else ()
