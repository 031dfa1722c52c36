"""Two messages side by side, as lines: JSON laid out, aligned line by line, ids and times no difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import msgspec
from rapidfuzz.distance import Indel

from analyze.alignment import masked
from analyze.answers import EventDetail
from analyze.tui.lines import Line, Run, columns, plain, text, wrap
from analyze.tui.payload import payload_lines
from analyze.tui.tones import Tone
from analyze.wording import parse_payload

_MOST_LINES = 4_000
"""Longer messages are cut before they are aligned: nobody reads on, and it would hold up the screen."""


@dataclass(frozen=True, slots=True)
class PayloadPair:
    """A line of one message beside its counterpart; None where there is none."""

    left: Line | None
    right: Line | None
    differs: bool


def pair_payloads(left: EventDetail | None, right: EventDetail | None) -> list[PayloadPair]:
    """Align the lines of two messages; what the masks of a comparison leave out is no difference here either."""
    lefts, rights = _lines(left), _lines(right)
    if left is None or right is None:
        return [PayloadPair(a, b, differs=True) for a, b in zip_longest(lefts, rights)]
    return list(_aligned(lefts, rights, _keys(left, lefts), _keys(right, rights)))


def _lines(event: EventDetail | None) -> list[Line]:
    if event is None:
        return []
    lines = payload_lines(event.payload)
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], text(f"… {more:,} more lines", "muted")]


def _keys(event: EventDetail, lines: list[Line]) -> list[str]:
    """Give what each line is compared by: the same line of the message with ids and times masked."""
    parsed = parse_payload(event.payload)
    if parsed:
        hidden = payload_lines(msgspec.json.encode(masked(parsed)).decode())
        # Masks replace values, so that lines stay in their places; where one held an object they do not.
        if len(hidden) == len(lines):
            return [plain(line) for line in hidden]
    return [plain(line) for line in lines]


def _aligned(
    lefts: list[Line], rights: list[Line], left_keys: list[str], right_keys: list[str]
) -> Iterator[PayloadPair]:
    numbers: dict[str, int] = {}
    left_numbers = [numbers.setdefault(key, len(numbers)) for key in left_keys]
    right_numbers = [numbers.setdefault(key, len(numbers)) for key in right_keys]
    gone: list[Line] = []
    new: list[Line] = []
    for operation in Indel.opcodes(left_numbers, right_numbers):
        here = lefts[operation.src_start : operation.src_end]
        there = rights[operation.dest_start : operation.dest_end]
        if operation.tag != "equal":
            gone += here
            new += there
            continue
        yield from (PayloadPair(a, b, differs=True) for a, b in zip_longest(gone, new))
        gone, new = [], []
        yield from (PayloadPair(a, b, differs=False) for a, b in zip(here, there, strict=True))
    yield from (PayloadPair(a, b, differs=True) for a, b in zip_longest(gone, new))


def pair_rows(pair: PayloadPair, width: int) -> list[Line]:
    """Draw a pair in two columns of a width; a long line goes on below."""
    cells = max((width - 7) // 2, 8)
    sides = [wrap(line, cells, 4) if line is not None else [] for line in (pair.left, pair.right)]
    sign = Run("≠", "changed") if pair.differs else Run(" ")
    if pair.differs:
        sides = [[_lit(part, tone) for part in parts] for parts, tone in zip(sides, _TONES, strict=True)]
    return [
        (sign, Run(" "), *columns([(left, cells), (right, cells)], " │ "))
        for left, right in zip_longest(*sides, fillvalue=())
    ]


_TONES: tuple[Tone, Tone] = ("removed", "added")


def _lit(line: Line, tone: Tone) -> Line:
    # The indent stays dark: what is lit is what is read.
    return tuple(run if not run.text.strip() else Run(run.text, tone) for run in line)
