"""How long each turn took, from the end of speech to the end of the answer."""

from __future__ import annotations

from collections.abc import Sequence

from textual.reactive import reactive

from analyze.amounts import milliseconds
from analyze.answers import Turn
from analyze.tui.lines import Line, Run, width_of
from analyze.tui.tones import Tone
from analyze.tui.widgets.painted import Block

SHOWN_TURNS = 3
_WIDE = 110
_BAR_CELLS = 40


class TurnBars(Block):
    """A line a turn; around the current one where there are many."""

    current: reactive[int] = reactive(1, layout=True)
    """Number of the turn the timeline's cursor is in."""

    def __init__(self) -> None:
        super().__init__()
        self._turns: Sequence[Turn] = ()
        self._begins_ms: Sequence[float] = ()
        self._longest_ms = 0.0

    def show(self, turns: Sequence[Turn]) -> None:
        """Show a session's turns."""
        self._turns = turns
        # Asked for whenever the cursor moves, and a conversation may have thousands of turns.
        self._begins_ms = [_begin_ms(turn) for turn in turns]
        self._longest_ms = max((turn.response_latency_ms or 0.0 for turn in turns), default=0.0)
        self.refresh(layout=True)

    def follow(self, offset_ms: float | None) -> None:
        """Make the turn current that an event of the session's clock belongs to."""
        if offset_ms is None:
            self.current = 1
            return
        begun = (at for at in reversed(range(len(self._turns))) if self._begins_ms[at] <= offset_ms)
        self.current = next((self._turns[at].number for at in begun), 1)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Draw the turns around the current one, all on one scale."""
        first = max(0, min(self.current - 2, len(self._turns) - SHOWN_TURNS))
        shown = self._turns[first : first + SHOWN_TURNS]
        lone = len(self._turns) == 1
        return [turn_line(turn, width, self._longest_ms, strong=lone or turn.number == self.current) for turn in shown]


def _begin_ms(turn: Turn) -> float:
    begin = turn.speech_started_ms if turn.speech_started_ms is not None else turn.end_of_speech_ms
    return 0.0 if begin is None else begin


def turn_line(turn: Turn, width: int, longest_ms: float, *, strong: bool = False) -> Line:
    """Write one turn: how long to the commit, to the first audio, to the end; and what became of the transcript."""
    wide = width >= _WIDE
    start = "end of speech" if wide and turn.speech_stopped_ms is not None else "speech"
    steps = _steps(turn, "first audio" if wide else "audio")
    head = (Run(f" turn {turn.number}{' ms' if wide else ''}  ", "strong" if strong else "muted"), Run(start, "client"))
    tail = (Run("  "), *_transcript(turn, wide=wide))
    words = sum(len(f" {ms:,.0f} → {name}") + 1 for name, ms, _, _ in steps)
    room = min(width - width_of(head) - width_of(tail) - words - 1, _BAR_CELLS + width // 4)
    runs: list[Run] = [*head]
    for name, ms, sign, tone in steps:
        cells = max(1, round(ms / longest_ms * room)) if longest_ms > 0 and room > 0 else 1
        runs += [Run(f" {sign * cells} {milliseconds(ms)} ", tone), Run(f"→ {name}", "muted")]
    return (*runs, *tail)


def _steps(turn: Turn, first_audio: str) -> list[tuple[str, float, str, Tone]]:
    points: list[tuple[str, float | None, str, Tone]] = [
        ("commit", turn.committed_ms, "─", "muted"),
        (first_audio, turn.first_audio_ms, "█", "incomplete"),
        ("done", turn.response_done_ms, "─", "server"),
    ]
    steps: list[tuple[str, float, str, Tone]] = []
    before = turn.end_of_speech_ms
    for name, at, sign, tone in points:
        if at is None or before is None or (name == "commit" and turn.speech_stopped_ms is None):
            continue
        steps.append((name, max(0.0, at - before), sign, tone))
        before = at
    return steps


def _transcript(turn: Turn, *, wide: bool) -> Line:
    word = "transcript" if wide else "text"
    after = f" {milliseconds(turn.transcription_latency_ms)}" if turn.transcription_latency_ms is not None else ""
    match turn.transcription:
        case "completed":
            return (Run(f"● {word}{after}", "ok"),)
        case "failed":
            return (Run(f"✕ {word}{' failed' if wide else ''}{after}", "failed"),)
        case "missing":
            return (Run(f"◐ no {word}", "incomplete"),)
    return ()
