"""The first lines about a session: its facts, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyze.amounts import seconds
from analyze.answers import SessionDetail
from analyze.audio_health import AudioHealth
from analyze.findings import Finding
from analyze.left_out import unreadable_words, windows_words
from analyze.signatures import load_signatures
from analyze.totals import numbers_words, unexplained
from analyze.tui.figures import failure_text, mark, who
from analyze.tui.lines import Line, Run, join, spread, text, wrap_short
from analyze.tui.widgets.painted import Block
from capture.narration import counted

SHOWN_FAILURES = 3
LONGEST_LINES = 3
"""Lines that the one failure of a session, and each caution beside it, take at most."""
LONGEST_NUMBERS = 2
"""Lines that what was measured of it takes at most: the events need theirs."""
_INDENT = 3


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
        unknown = list(unexplained(keys, findings))
        # One failure is told in full; of several each has a line, for the events need theirs.
        most = LONGEST_LINES if len(unknown) + len(findings) == 1 else 1
        told = [wrap_short(_failure(sign, key), width, _INDENT, most) for key in unknown]
        told += [_finding(finding, width, most) for finding in findings]
        beside = [*_left_out(self._detail.row, width), *_audio(self._detail.audio_health, width)]
        return [_facts(self._detail, width), *_shortened(told), *beside]


def _facts(detail: SessionDetail, width: int) -> Line:
    summary = detail.summary
    region = summary.region if summary.region != summary.target else None
    names = (who(summary), region, summary.dialect, detail.row.get("server_session_id"))
    place = join([text(str(name)) for name in names if name], " · ")
    left = (Run(" "), mark(summary.outcome), Run(" "), *text(summary.session_id, "strong"), Run("  "), *place)
    return spread(left, text(f" {seconds(summary.duration_ms)} s · {counted(summary.turns, 'turn')} "), width)


def _failure(sign: str, failure_key: str) -> Line:
    return (Run(f" {sign} ", "failed"), *failure_text(failure_key))


def _finding(finding: Finding, width: int, most: int) -> list[Line]:
    happened = next(signature.happened for signature in load_signatures() if signature.name == finding.name)
    left = (
        Run(" ▲ ", "failed"),
        *text(finding.name, "failed"),
        *text(f"  {finding.confidence}", "strong"),
        *text(f" · {happened}", "plain"),
    )
    rows = len(finding.evidence)
    right = text(f" [{counted(rows, 'row')}] " if rows else " [handshake] ", "muted")
    if most == 1:
        return [spread(left, right, width)]
    *others, last = wrap_short(left, width, _INDENT, most)
    return [*others, spread(last, right, width), *_numbers(finding, width)]


def _numbers(finding: Finding, width: int) -> list[Line]:
    if not finding.numbers:
        return []
    line = (Run(" " * _INDENT), *text(numbers_words(finding.numbers), "muted"))
    return wrap_short(line, width, _INDENT, LONGEST_NUMBERS)


def _shortened(told: list[list[Line]]) -> list[Line]:
    lines = [line for each in told[:SHOWN_FAILURES] for line in each]
    if len(told) <= SHOWN_FAILURES:
        return lines
    return [*lines, text(f"   and {counted(len(told) - SHOWN_FAILURES, 'more failure')}", "failed")]


def _left_out(row: Mapping[str, Any], width: int) -> list[Line]:
    told = (words for words in (windows_words(row), unreadable_words(row)) if words)
    return [line for words in told for line in _caution(words, width)]


def _audio(health: AudioHealth, width: int) -> list[Line]:
    if health.sent_ms <= 0:
        return []
    if health.is_wrong:
        return _caution(health.sentence, width)
    return [text(f" ● {health.sentence}" if health.is_clean else f"   {health.sentence}", "muted")]


def _caution(sentence: str, width: int) -> list[Line]:
    line = (Run(" ◐ ", "incomplete"), *text(sentence, "incomplete"))
    return wrap_short(line, width, _INDENT, LONGEST_LINES)
