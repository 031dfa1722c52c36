"""Which lines of a laid-out JSON text belong to an object or list, so that it can fold; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

_PARTNERS = {"}": "{", "]": "["}


def fold_ends(lines: Sequence[str]) -> dict[int, int]:
    """Give for each line that opens an object or a list the line that closes it.

    `lines` are those of indented JSON: a bracket that opens ends its line, one that closes begins it. Text that is none
    has no such pairs, or few.
    """
    ends: dict[int, int] = {}
    opened: list[tuple[int, str]] = []
    for at, line in enumerate(lines):
        bare = line.strip()
        if opened and _PARTNERS.get(bare.rstrip(",")) == opened[-1][1]:
            ends[opened.pop()[0]] = at
        elif bare.endswith(("{", "[")):
            opened.append((at, bare[-1]))
    return ends


def lines_in_sight(count: int, ends: Mapping[int, int], folded: Collection[int]) -> list[int]:
    """Give the lines that are to be seen where some of those that open are folded."""
    shown: list[int] = []
    at = 0
    while at < count:
        shown.append(at)
        at = ends[at] + 1 if at in folded and at in ends else at + 1
    return shown


def folds_around(at: int, ends: Mapping[int, int]) -> list[int]:
    """Give the lines whose objects and lists hold a line."""
    return [first for first, last in ends.items() if first < at <= last]
