"""The first lines about a session: its facts, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from analyze.amounts import seconds
from analyze.answers import SessionDetail
from analyze.audio_health import AudioHealth
from analyze.findings import Finding
from analyze.left_out import unreadable_words, windows_words
from analyze.signatures import load_signatures
from analyze.totals import unexplained
from analyze.tui.figures import failure_text, mark, who
from analyze.tui.lines import Line, Run, join, spread, text
from analyze.tui.widgets.painted import Block
from capture.narration import counted

SHOWN_FAILURES = 3


class SessionHead(Block):
    """Outcome, id, where it went and how long it took; below it one line a finding or failure."""

    def __init__(self) -> None:
        super().__init__([()])
        self._detail: SessionDetail | None = None
        self._findings: Sequence[Finding] | None = None
        """None until the signatures were asked."""

    def show(self, detail: SessionDetail) -> None:
        """Show a session."""
        self._detail = detail
        self.refresh(layout=True)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Show what was found; failures that no finding accounts for keep their keys."""
        self._findings = findings
        self.refresh(layout=True)

    def lines_at(self, width: int) -> Sequence[Line]:
        """Write the facts, then what was found, what nobody knows first, then the judgement of the sent audio."""
        if self._detail is None:
            return [()]
        keys, findings = self._detail.summary.failure_keys, self._findings or ()
        sign = "▲" if self._findings is None else "?"
        lines = [_failure(sign, key) for key in unexplained(keys, findings)]
        lines += [_finding(finding, width) for finding in findings]
        row = self._detail.row
        left_out = [_left_out(words) for words in (windows_words(row), unreadable_words(row)) if words]
        return [_facts(self._detail, width), *_shortened(lines), *left_out, *_audio(self._detail.audio_health)]


def _facts(detail: SessionDetail, width: int) -> Line:
    summary = detail.summary
    region = summary.region if summary.region != summary.target else None
    names = (who(summary), region, summary.dialect, detail.row.get("server_session_id"))
    place = join([text(str(name)) for name in names if name], " · ")
    left = (Run(" "), mark(summary.outcome), Run(" "), *text(summary.session_id, "strong"), Run("  "), *place)
    return spread(left, text(f" {seconds(summary.duration_ms)} s · {counted(summary.turns, 'turn')} "), width)


def _failure(sign: str, failure_key: str) -> Line:
    return (Run(f" {sign} ", "failed"), *failure_text(failure_key))


def _finding(finding: Finding, width: int) -> Line:
    happened = next(signature.happened for signature in load_signatures() if signature.name == finding.name)
    left = (
        Run(" ▲ ", "failed"),
        *text(finding.name, "failed"),
        *text(f"  {finding.confidence}", "strong"),
        *text(f" · {happened}", "plain"),
    )
    rows = len(finding.evidence)
    return spread(left, text(f" [{counted(rows, 'row')}] " if rows else " [handshake] ", "muted"), width)


def _shortened(lines: list[Line]) -> list[Line]:
    if len(lines) <= SHOWN_FAILURES:
        return lines
    more = text(f"   and {counted(len(lines) - SHOWN_FAILURES, 'more failure')}", "failed")
    return [*lines[:SHOWN_FAILURES], more]


def _left_out(words: str) -> Line:
    return (Run(" ◐ ", "incomplete"), *text(words, "incomplete"))


def _audio(health: AudioHealth) -> list[Line]:
    if health.sent_ms <= 0:
        return []
    if health.is_wrong:
        return [(Run(" ◐ ", "incomplete"), *text(health.sentence, "incomplete"))]
    return [text(f" ● {health.sentence}" if health.is_clean else f"   {health.sentence}", "muted")]
