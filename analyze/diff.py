"""Read what differs between two sessions: events, configuration, latencies, words; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, zip_longest
from typing import Literal

from rapidfuzz.distance import Indel, Levenshtein

from analyze.answers import LatencyDelta, SessionDiff, TranscriptDiff, Turn
from analyze.event_diff import Side, configuration_changes, pair_rows

LATENCIES = (
    ("commit", "commit_ms"),
    ("first audio", "first_audio_latency_ms"),
    ("transcription", "transcription_latency_ms"),
    ("response", "response_latency_ms"),
)
"""Name for people, property of a turn."""

_PUNCTUATION = re.compile(r"[^\w\s']|_|(?<!\w)'|'(?!\w)")
"""Apostrophes inside a word are part of it."""


_MOST_WORDS = 20_000
"""Two hours of speech. Beyond it texts are compared whole: word by word it would take minutes."""


def compare(left: Side, right: Side) -> SessionDiff:
    """Set two sessions side by side."""
    return SessionDiff(
        left=left.detail.summary,
        right=right.detail.summary,
        rows=pair_rows(left, right),
        configuration_asked=configuration_changes(left.detail.configuration_asked, right.detail.configuration_asked),
        configuration_echoed=configuration_changes(left.detail.configuration_echoed, right.detail.configuration_echoed),
        latencies=tuple(_latencies(left.detail.turns, right.detail.turns)),
        transcripts=tuple(_transcripts(left.detail.turns, right.detail.turns)),
    )


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
    if lefts == rights:
        if lefts:
            yield "=", " ".join(lefts)
        return
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
