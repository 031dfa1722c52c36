"""The first lines about a session: its facts, and what failed."""

from __future__ import annotations

from collections.abc import Sequence

from analyze.answers import SessionDetail, SessionSummary
from analyze.audio_health import AudioHealth
from analyze.tui.figures import counted, failure_text, mark, seconds, who
from analyze.tui.lines import Line, Run, join, spread, text
from analyze.tui.widgets.painted import Block

SHOWN_FAILURES = 3


class SessionHead(Block):
    """Outcome, id, where it went and how long it took; below it one line a failure."""

    def __init__(self) -> None:
        super().__init__([()])
        self._detail: SessionDetail | None = None

    def show(self, detail: SessionDetail) -> None:
        """Show a session."""
        self._detail = detail
        self.refresh(layout=True)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write the facts, then the failures, then what is wrong with the sent audio."""
        if self._detail is None:
            return [()]
        return [_facts(self._detail, width), *_failures(self._detail.summary), *_audio(self._detail.audio_health)]


def _facts(detail: SessionDetail, width: int) -> Line:
    summary = detail.summary
    region = summary.region if summary.region != summary.target else None
    names = (who(summary), region, summary.dialect, detail.row.get("server_session_id"))
    place = join([text(str(name)) for name in names if name], " · ")
    left = (Run(" "), mark(summary.outcome), Run(" "), *text(summary.session_id, "strong"), Run("  "), *place)
    return spread(left, text(f" {seconds(summary.duration_ms)} s · {counted(summary.turns, 'turn')} "), width)


def _failures(summary: SessionSummary) -> list[Line]:
    keys = summary.failure_keys
    lines: list[Line] = [(Run(" ▲ ", "failed"), *failure_text(key)) for key in keys[:SHOWN_FAILURES]]
    if len(keys) > SHOWN_FAILURES:
        lines.append(text(f"   and {counted(len(keys) - SHOWN_FAILURES, 'more failure')}", "failed"))
    return lines


def _audio(health: AudioHealth) -> list[Line]:
    if health.sent_ms <= 0:
        return []
    if health.is_wrong:
        return [(Run(" ◐ ", "incomplete"), *text(health.sentence, "incomplete"))]
    return [text(f" ● {health.sentence}" if health.is_clean else f"   {health.sentence}", "muted")]
