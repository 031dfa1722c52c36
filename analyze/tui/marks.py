"""What happened in a session, as marks on its time axis: a lane for the user, one for the assistant; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyze.answers import TimelineRow, Turn
from analyze.on_demand import rows_at
from analyze.timeline import columns_of
from analyze.tui.figures import failed_part
from analyze.tui.tones import Tone

Lane = Literal["client", "server"]
_LABEL_LENGTH = 24
_BEGIN, _END = "response.created", "response.done"
_TOOL_CALL = ("response.function_call_arguments.done", "response.mcp_call_arguments.done")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, or lasted, on the session's clock."""

    from_ms: float
    to_ms: float | None
    """None for a moment."""
    label: str
    """One cell a character."""
    tone: Tone
    lane: Lane = "client"


def marks_of(turns: Iterable[Turn], rows: Sequence[TimelineRow]) -> list[Mark]:
    """Collect failures, speech, commits, transcripts, responses and tool calls, the most telling first."""
    # Of 100,000 rows few tell anything here: only these are built.
    columns = columns_of(rows)
    telling = np.flatnonzero(columns.failed | columns.types.is_any((*_TOOL_CALL, _BEGIN, _END)))
    rows = rows_at(rows, telling.tolist())
    marks = [
        Mark(row.offset_ms, None, f"✕ {_plain(failed_part(row.type))}", "failed", _lane_of(row))
        for row in rows
        if row.error and row.offset_ms is not None
    ]
    for turn in turns:
        if turn.speech_started_ms is not None and turn.speech_stopped_ms is not None:
            marks.append(Mark(turn.speech_started_ms, turn.speech_stopped_ms, "speech", "client"))
        if turn.committed_ms is not None:
            marks.append(Mark(turn.committed_ms, None, "┆commit", "muted"))
        if turn.transcribed_ms is not None and turn.transcription == "completed":
            marks.append(Mark(turn.transcribed_ms, None, "“text", "ok"))
    return [*marks, *_tool_calls(rows), *_responses(rows)]


def _lane_of(row: TimelineRow) -> Lane:
    return "client" if "input_audio" in (row.type or "") else "server"


def _tool_calls(rows: Iterable[TimelineRow]) -> Iterator[Mark]:
    for row in rows:
        if row.type in _TOOL_CALL and row.offset_ms is not None:
            name = _plain(row.summary.partition("(")[0]) or "tool"
            yield Mark(row.offset_ms, None, f"ƒ {name}", "live", "server")


def _responses(rows: Iterable[TimelineRow]) -> Iterator[Mark]:
    """Give each response from its creation to its end; one that never ended is a moment."""
    begun: dict[str, float] = {}
    for row in rows:
        if row.response_id is None or row.offset_ms is None:
            continue
        if row.type == _BEGIN:
            begun[row.response_id] = row.offset_ms
        elif row.type == _END and row.response_id in begun:
            status = row.summary.partition(" · ")[0]
            name = "response" if status in ("", "completed") else f"response {_plain(status)}"
            yield Mark(begun.pop(row.response_id), row.offset_ms, name, "server", "server")
    for at_ms in begun.values():
        yield Mark(at_ms, None, "┆response", "server", "server")


def _plain(words: str) -> str:
    # Marks are laid out by cells: what is wider, or narrower, than a cell would shift all that follows.
    return re.sub(r"[^\x20-\x7e]", "?", words)[:_LABEL_LENGTH]
