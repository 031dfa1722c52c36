"""The steps of every turn as bars on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from analyze.amounts import milliseconds
from analyze.answers import Turn
from analyze.tui.lines import Line, Run, fit, pad, text
from analyze.tui.tones import Tone
from analyze.waterfall import END_OF_SPEECH, Step, steps_of
from capture.narration import counted

_TONES: dict[str, Tone] = {
    END_OF_SPEECH: "client",
    "commit": "muted",
    "first transcript": "ok",
    "first audio": "incomplete",
    "done": "server",
}
_NAME_CELLS = 20
_MS_CELLS = 9
_LEAST_BAR_CELLS = 8


def waterfall_lines(turns: Sequence[Turn], width: int) -> list[Line]:
    """Draw each turn's steps below each other: when, and a bar from the step before, all on one scale."""
    by_turn = [(turn, steps_of(turn)) for turn in turns]
    longest_ms = max((step.since_speech_ms for _, steps in by_turn for step in steps), default=0.0)
    cells = max(width - _NAME_CELLS - 2 * _MS_CELLS - 3, _LEAST_BAR_CELLS)
    lines = [text("milliseconds since the end of speech, and since the step before", "muted"), *_medians(by_turn), ()]
    for turn, steps in by_turn:
        lines.append(_title(turn, width))
        lines += [_step_line(step, longest_ms, cells) for step in steps]
        lines += [_missing(turn)] if turn.transcription in ("failed", "missing") else []
        lines.append(())
    return lines if turns else [text("no turns", "muted")]


def _medians(by_turn: Sequence[tuple[Turn, list[Step]]]) -> list[Line]:
    """Write each step's median over the turns; nothing to sum up where there is but one."""
    if len(by_turn) < 2:
        return []
    found: dict[str, list[float]] = {}
    for _, steps in by_turn:
        for step in steps:
            if step.name != END_OF_SPEECH:
                found.setdefault(step.name, []).append(step.since_speech_ms)
    return [
        text(f"  median {name} {milliseconds(median(values))} ms over {counted(len(values), 'turn')}", "muted")
        for name, values in found.items()
    ]


def _title(turn: Turn, width: int) -> Line:
    said = text(f"  “{turn.transcript}”", "muted") if turn.transcript else ()
    return fit((*text(f"turn {turn.number}", "strong"), *said), width)


def _step_line(step: Step, longest_ms: float, cells: int) -> Line:
    tone = _TONES[step.name]
    name = pad(text(f"  {step.name}", tone), _NAME_CELLS)
    at = pad(text(milliseconds(step.since_speech_ms)), _MS_CELLS, "right")
    more = pad(text(f"+{milliseconds(step.since_last_ms)}" if step.since_last_ms else "", "muted"), _MS_CELLS, "right")
    return (*name, *at, *more, Run("  "), *_bar(step, longest_ms, cells, tone))


def _bar(step: Step, longest_ms: float, cells: int, tone: Tone) -> Line:
    if longest_ms <= 0:
        return ()
    begin = max(step.since_speech_ms - step.since_last_ms, 0.0)
    first = round(begin / longest_ms * (cells - 1))
    last = round(max(step.since_speech_ms, 0.0) / longest_ms * (cells - 1))
    return (Run(" " * first), Run("█" * max(last - first, 1) if step.since_last_ms else "│", tone))


def _missing(turn: Turn) -> Line:
    after = turn.transcription_latency_ms
    when = f" {milliseconds(after)} ms after the commit" if after is not None else ""
    if turn.transcription == "failed":
        return text(f"  ✕ the transcription failed{when}", "failed")
    return text("  ◐ no transcription came", "incomplete")
