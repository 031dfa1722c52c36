"""Read what differs between two sessions: events, configuration, latencies, words; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any, Literal

from rapidfuzz.distance import Indel, Levenshtein

from analyze.alignment import ABSENT, align_by_turn, differences, masked
from analyze.answers import (
    DiffRow,
    LatencyDelta,
    PathChange,
    SessionDetail,
    SessionDiff,
    TimelineRow,
    TranscriptDiff,
    Turn,
)
from analyze.wording import parse_payload

LATENCIES = (
    ("commit", "commit_ms"),
    ("first audio", "first_audio_latency_ms"),
    ("transcription", "transcription_latency_ms"),
    ("response", "response_latency_ms"),
)
"""Name for people, property of a turn."""

_SLACK_MS = 200.0
"""Streams are cut where the other side speaks: so much more or less audio is timing, not content."""


_PUNCTUATION = re.compile(r"[^\w\s']|_|(?<!\w)'|'(?!\w)")
"""Apostrophes inside a word are part of it."""


_MOST_WORDS = 20_000
"""Two hours of speech. Beyond it texts are compared whole: word by word it would take minutes."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sessions."""

    detail: SessionDetail
    rows: Sequence[TimelineRow]
    """Folded."""
    payloads: Mapping[int, str]
    """Text of the events that stand in rows of their own, by seq."""


def compare(left: Side, right: Side) -> SessionDiff:
    """Set two sessions side by side."""
    return SessionDiff(
        left=left.detail.summary,
        right=right.detail.summary,
        rows=tuple(_diff_rows(left, right)),
        configuration_asked=changes(left.detail.configuration_asked, right.detail.configuration_asked),
        configuration_echoed=changes(left.detail.configuration_echoed, right.detail.configuration_echoed),
        latencies=tuple(_latencies(left.detail.turns, right.detail.turns)),
        transcripts=tuple(_transcripts(left.detail.turns, right.detail.turns)),
    )


def changes(left: Any, right: Any) -> tuple[PathChange, ...]:
    """List the places where two JSON values differ, ids and times masked."""
    return tuple(
        PathChange(path, _json_text(a), _json_text(b)) for path, a, b in differences(masked(left), masked(right))
    )


def _json_text(value: Any) -> str | None:
    return None if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _diff_rows(left: Side, right: Side) -> Iterator[DiffRow]:
    left_turns, right_turns = _turn_of_rows(left), _turn_of_rows(right)
    pairs = align_by_turn(_tokens_by_turn(left, left_turns), _tokens_by_turn(right, right_turns))
    for i, j in pairs:
        turn = left_turns[i] if i is not None else right_turns[j] if j is not None else 0
        left_row = left.rows[i] if i is not None else None
        right_row = right.rows[j] if j is not None else None
        found = _row_changes(left, left_row, right, right_row)
        yield DiffRow(
            marker="+" if left_row is None else "-" if right_row is None else "≠" if found else "=",
            turn=turn or None,
            left=left_row,
            right=right_row,
            changes=found,
            latency_left_ms=_since_speech(left, turn, left_row),
            latency_right_ms=_since_speech(right, turn, right_row),
        )


def _turn_of_rows(side: Side) -> list[int]:
    """Give the number of each row's turn; 0 before the first."""
    starts = [_start_of(turn) for turn in side.detail.turns]
    turn, numbers = 0, []
    for row in side.rows:
        while turn < len(starts) and row.offset_ms is not None and row.offset_ms >= starts[turn]:
            turn += 1
        numbers.append(turn)
    return numbers


def _start_of(turn: Turn) -> float:
    known = (turn.speech_started_ms, turn.end_of_speech_ms, turn.committed_ms)
    return next((at_ms for at_ms in known if at_ms is not None), float("inf"))


def _tokens_by_turn(side: Side, turns: Sequence[int]) -> list[list[tuple[str, str, str | None]]]:
    tokens: list[list[tuple[str, str, str | None]]] = [[] for _ in range(len(side.detail.turns) + 1)]
    for row, turn in zip(side.rows, turns, strict=True):
        tokens[turn].append((row.sender, row.kind, row.type))
    return tokens


def _row_changes(
    left: Side, left_row: TimelineRow | None, right: Side, right_row: TimelineRow | None
) -> tuple[PathChange, ...]:
    if left_row is None or right_row is None:
        return ()
    left_text = left.payloads.get(left_row.first_seq)
    right_text = right.payloads.get(right_row.first_seq)
    if left_text is None or right_text is None:
        return tuple(_stream_changes(left_row, right_row))
    return () if left_text == right_text else changes(parse_payload(left_text), parse_payload(right_text))


def _stream_changes(left: TimelineRow, right: TimelineRow) -> Iterator[PathChange]:
    left_ms, right_ms = left.audio_ms or 0.0, right.audio_ms or 0.0
    if abs(left_ms - right_ms) > _SLACK_MS:
        yield PathChange("audio_ms", f"{left_ms:.0f}", f"{right_ms:.0f}")
    if left.summary != right.summary:
        yield PathChange("text", _json_text(left.summary), _json_text(right.summary))


def _since_speech(side: Side, turn: int, row: TimelineRow | None) -> float | None:
    if row is None or not 0 < turn <= len(side.detail.turns):
        return None
    end_ms = side.detail.turns[turn - 1].end_of_speech_ms
    return None if end_ms is None or row.offset_ms is None else row.offset_ms - end_ms


def _latencies(left: Sequence[Turn], right: Sequence[Turn]) -> Iterator[LatencyDelta]:
    for number, (a, b) in enumerate(zip_longest(left, right), start=1):
        for name, attribute in LATENCIES:
            left_ms = getattr(a, attribute) if a else None
            right_ms = getattr(b, attribute) if b else None
            if left_ms is not None or right_ms is not None:
                yield LatencyDelta(name, number, left_ms, right_ms)


def _transcripts(left: Sequence[Turn], right: Sequence[Turn]) -> Iterator[TranscriptDiff]:
    for number, (a, b) in enumerate(zip_longest(left, right), start=1):
        said: tuple[tuple[Literal["user", "assistant"], str | None, str | None], ...] = (
            ("user", a.transcript if a else None, b.transcript if b else None),
            ("assistant", a.answer if a else None, b.answer if b else None),
        )
        for who, left_text, right_text in said:
            if left_text is not None or right_text is not None:
                words = tuple(diff_words(left_text or "", right_text or ""))
                # Two answers may say the same in other words: that is no error of anybody.
                rate = word_error_rate(left_text or "", right_text or "") if who == "user" else None
                yield TranscriptDiff(number, who, left_text, right_text, words, rate)


def word_error_rate(reference: str, heard: str) -> float | None:
    """Give the word error rate of a text: the fewest words replaced, left out and put in, over the reference's words.

    Case and punctuation are no words' difference: endpoints write the same speech with and without. It can exceed 1;
    None where the reference has no words, or either is no transcript by its length.
    """
    references, words = _bare_words(reference), _bare_words(heard)
    if max(len(references), len(words)) > _MOST_WORDS:
        return None
    return Levenshtein.distance(references, words) / len(references) if references else None


def _bare_words(text: str) -> list[str]:
    return _PUNCTUATION.sub(" ", text.casefold().replace("’", "'")).split()


def diff_words(left: str, right: str) -> Iterator[tuple[Literal["=", "+", "-"], str]]:
    """Compare two texts word by word: runs of common words, words only left (`-`), words only right (`+`)."""
    lefts, rights = left.split(), right.split()
    if max(len(lefts), len(rights)) > _MOST_WORDS:
        lefts, rights = [[text] if text else [] for text in (left, right)]
    for is_common, group in groupby(Indel.opcodes(lefts, rights), key=lambda operation: operation.tag == "equal"):
        operations = list(group)
        gone = " ".join(word for each in operations for word in lefts[each.src_start : each.src_end])
        new = " ".join(word for each in operations for word in rights[each.dest_start : each.dest_end])
        if is_common:
            yield "=", gone
            continue
        if gone:
            yield "-", gone
        if new:
            yield "+", new
