"""One session: what it was, what happened when, what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analyze.amounts import milliseconds, seconds
from analyze.answers import SessionDetail, TimelineRow, Turn
from analyze.audio_health import AudioHealth
from analyze.diff import LATENCIES
from analyze.findings import Finding
from analyze.left_out import unreadable_words, windows_words
from analyze.printing.findings import finding_json, session_findings_lines
from analyze.printing.page import heading, mark
from analyze.totals import unexplained
from analyze.waterfall import steps_of
from analyze.wording import handshake_words
from capture.narration import counted
from capture.plain_text import visible
from replay.printing.page import cell, table

_TYPE_LENGTH = 40
_ARROWS = {"client": ("▸", "cyan"), "server": ("◂", "magenta")}


def session_page(detail: SessionDetail, timeline: Sequence[TimelineRow], findings: Sequence[Finding]) -> Group:
    """Lay out a session: what was found, facts, turns, timeline, what is missing."""
    parts: list[RenderableType] = [session_title(detail), *_found(detail, findings), _facts(detail)]
    if detail.turns:
        parts += [heading("turns (ms from the end of speech; transcription from the commit)")]
        parts += [_turns(detail.turns), *(line for turn in detail.turns for line in _said(turn))]
    parts += [heading("timeline"), timeline_table(timeline)]
    missing = list(what_is_missing(detail))
    if missing:
        parts += [heading("missing"), *(Text(f"  {line}", style="yellow") for line in missing)]
    return Group(*parts)


def session_json(detail: SessionDetail, timeline: Sequence[TimelineRow], findings: Sequence[Finding]) -> dict[str, Any]:
    """Give a session as JSON."""
    return {
        "unknown_failures": unexplained(detail.summary.failure_keys, findings),
        "findings": [finding_json(finding) for finding in findings],
        "session": {name: _with_zone(value) for name, value in detail.row.items()},
        "configuration_asked": detail.configuration_asked,
        "configuration_echoed": detail.configuration_echoed,
        "turns": [turn_json(turn) for turn in detail.turns],
        "audio": detail.audio,
        "audio_health": audio_health_json(detail.audio_health),
        "missing": list(what_is_missing(detail)),
        "timeline": timeline,
    }


def _with_zone(value: Any) -> Any:
    # Views hold UTC without saying so; whoever reads JSON would take it for their own time.
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def audio_health_json(health: AudioHealth) -> dict[str, Any]:
    """Give the judgement on the sent audio as JSON."""
    return {
        "is_clean": health.is_clean,
        "is_measured": health.is_measured,
        "sentence": health.sentence,
        "facts": [asdict(fact) for fact in health.facts],
    }


def turn_json(turn: Turn) -> dict[str, Any]:
    """Give a turn with its latencies and its steps as JSON."""
    latencies = {f"{name.replace(' ', '_')}_latency_ms": getattr(turn, attribute) for name, attribute in LATENCIES}
    return asdict(turn) | latencies | {"waterfall": [asdict(step) for step in steps_of(turn)]}


def what_is_missing(detail: SessionDetail) -> Iterator[str]:
    """Name what should have come and did not, and what the recording lost."""
    for turn in detail.turns:
        if turn.transcription == "missing":
            yield f"turn {turn.number}: a transcription was asked for; it neither completed nor failed"
        if turn.response_id is None:
            if not detail.is_transcription_session:
                yield f"turn {turn.number}: no answer"
        elif turn.response_done_ms is None and turn.response_status is None:
            yield f"turn {turn.number}: the answer never ended"
    for key in detail.summary.failure_keys:
        if key.startswith("absent:"):
            yield f"{visible(key.removeprefix('absent:'))} never came"
    lost = detail.row.get("lost_bytes") or 0
    if lost:
        yield f"{lost:,} bytes were forwarded but not recorded"
    if unreadable := unreadable_words(detail.row):
        yield unreadable
    undecodable = detail.row.get("undecodable_bytes") or 0
    if undecodable:
        yield f"{undecodable:,} bytes could not be decoded"


def _found(detail: SessionDetail, findings: Sequence[Finding]) -> list[RenderableType]:
    lines = session_findings_lines(findings, unexplained(detail.summary.failure_keys, findings))
    return [*lines, Text("")] if lines else []


def session_title(detail: SessionDetail) -> Text:
    """Name a session: its outcome, id, role and length."""
    summary = detail.summary
    title = mark(summary.outcome)
    title.append(f" {summary.session_id}", style="bold")
    length, turns = f"{seconds(summary.duration_ms) or '?'} s", counted(summary.turns, "turn")
    title.append(f"  {summary.outcome} · {summary.role} · {length} · {turns}")
    return title


def _facts(detail: SessionDetail) -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, words in _fact_lines(detail):
        said = " · ".join(str(word) for word in words if word not in (None, ""))
        if said:
            made.add_row(f"  {name}", cell(said, "red" if name == "failed" else ""))
    return made


def _fact_lines(detail: SessionDetail) -> Iterator[tuple[str, Sequence[object]]]:
    row, summary = detail.row, detail.summary
    started_at = summary.started_at
    yield "started", (f"{started_at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC" if started_at else None,)
    yield "target", (summary.target, summary.provider, summary.region, summary.dialect, row["host"])
    yield "model", (summary.model, _echo(summary.model, row["model_echoed"]), row["voice"])
    echoed = _echo(summary.transcription_model, row["transcription_model_echoed"])
    yield "transcription", (summary.transcription_model, echoed)
    yield "turn detection", (row["turn_detection"],)
    yield "ids", (row["server_session_id"], *(f"{k} {v}" for k, v in (row["request_ids"] or {}).items()))
    yield "handshake", (handshake_words(row) if row["handshake_status"] != 101 else None,)
    close_code = f"code {row['close_code']}" if row["close_code"] is not None else None
    closed_by = f"by {row['closed_by']}" if row["closed_by"] else None
    yield "closed", (close_code, row["close_reason"], closed_by, row["end_reason"])
    yield "kept", (windows_words(row),)
    yield "replay", _replay_words(detail)
    yield "tags", [f"{name}={value}" for name, value in summary.tags.items()]
    for note in summary.notes:
        yield "note", (note,)
    for track in detail.audio:
        loudness = None if track.rms_dbfs is None else f"{track.rms_dbfs:.0f} dBFS" if track.peak else "silence"
        measures = (f"{seconds(track.duration_ms)} s", f"{track.format} {track.rate} Hz", loudness)
        clipped = f"{track.clipped} samples clipped" if track.clipped else None
        yield f"audio {track.track}", (*measures, f"speech {seconds(track.speech_ms)} s", clipped)
    if detail.audio_health.sent_ms > 0:
        yield "sent audio", (detail.audio_health.sentence,)
    for key in summary.failure_keys:
        yield "failed", [part for part in key.split("|") if part]


def _echo(asked: str | None, echoed: str | None) -> str | None:
    return f"echoed as {echoed}" if echoed is not None and echoed != asked else None


def _replay_words(detail: SessionDetail) -> Sequence[object]:
    summary = detail.summary
    if summary.run_id is None:
        return ()
    trial = f"trial {summary.trial}: {summary.trial_outcome or '?'}"
    return (f"of {summary.replay_of}", f"run {summary.run_id}", summary.cell, trial)


def _turns(turns: Sequence[Turn]) -> Table:
    numbers = [name for name, _ in LATENCIES]
    made = table("turn", *numbers, "", right=("turn", *numbers))
    for turn in turns:
        latencies = [milliseconds(getattr(turn, attribute)) for _, attribute in LATENCIES]
        made.add_row(str(turn.number), *latencies, _state(turn))
    return made


def _state(turn: Turn) -> Text:
    """Name what went wrong with a turn; empty where nothing did."""
    words = [f"✕ transcription {turn.transcription}" if turn.transcription in ("failed", "missing") else ""]
    if turn.response_status not in (None, "completed"):
        words.append(f"response {visible(turn.response_status)}")
    return Text(" · ".join(filter(None, words)), style="red")


def _said(turn: Turn) -> Iterator[Text]:
    for who, words in (("user", turn.transcript), ("assistant", turn.answer)):
        if words:
            line = Text(f"   {turn.number}  {who} ", style="dim")
            yield line.append(f"“{visible(words)}”", style="default")


def timeline_table(timeline: Sequence[TimelineRow]) -> Table:
    """Lay out a timeline: when, who, what."""
    made = table("+ms", "", "event", "", right=("+ms",))
    made.columns[2].no_wrap = True
    for row in timeline:
        at = "" if row.offset_ms is None else f"{row.offset_ms:,.1f}"
        made.add_row(at, arrow(row.sender), event_words(row), detail_words(row))
    return made


def arrow(sender: str) -> Text:
    """Point the way a message went."""
    sign, style = _ARROWS.get(sender, ("?", ""))
    return Text(sign, style=style)


def event_words(row: TimelineRow) -> Text:
    """Name a row's event: its type, how many were folded, how much audio they carried."""
    words = cell(_short_type(row.type or row.kind), "red" if row.error else "")
    if row.count > 1:
        words.append(f" × {row.count}", style="dim")
    if row.audio_ms is not None:
        words.append(f"  {row.audio_ms / 1000:.2f} s", style="dim")
    return words


def _short_type(event_type: str) -> str:
    """Leave out the first words of the longest types: the last ones tell what happened."""
    return event_type if len(event_type) <= _TYPE_LENGTH else "…" + event_type.split(".", 2)[-1]


def detail_words(row: TimelineRow) -> Text:
    """Say what a row tells: its error, else its summary."""
    return Text(f"✕ {row.error}", style="red") if row.error else Text(row.summary, style="dim")
