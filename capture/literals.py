"""Find the literals of a JSON text and their places in it, without decoding the message; pure.

A message is never decoded and encoded again: spans of its text are replaced, all else stays as it was sent.
Broken JSON is walked as far as it goes, because it may hold what must not be kept too.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

Span = tuple[int, int]
Edit = tuple[int, int, str]
"""From where to where a text is replaced, and by what."""
Path = list[str | None]
"""Keys from the top of a message to a value; None stands for a place in an array.

Those below `DEEPEST` levels are left out, but for the last: no event goes as deep, and a text that nests a hundred
thousand times would cost as much for each of its literals.
"""
DEEPEST = 64

# A string that never ends runs to the end of the text.
_TOKEN = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?P<end>"|\\?\Z)|[{}\[\]:,]|[^\s"{}\[\]:,]++',
    re.DOTALL,
)
_COLON = re.compile(r"\s*:")
# What one character of a string may be spelled as; a pair of surrogates is one character.
_UNIT = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.",
    re.DOTALL,
)
_SHORT_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Literal(NamedTuple):
    """A string, a number, `true`, `false` or `null` in a JSON text."""

    path: Path
    """Where it stands; of a key, where its value stands."""
    start: int
    """Of its text; of a string, behind the opening quote."""
    end: int
    """Of its text; of a string, before the closing quote."""
    is_string: bool
    is_key: bool

    @property
    def name(self) -> str | None:
        """The nearest key above it; None at the top."""
        return next((key for key in reversed(self.path) if key is not None), None)


def literals(text: str) -> Iterator[Literal]:
    """Walk the literals of a JSON text, keys included, in their order; keys given twice come twice."""
    path: Path = []
    depth = 0
    key: str | None = None
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        first = text[start]
        if first in "{[":
            if depth < DEEPEST:
                path.append(key)
            depth += 1
            key = None
        elif first in "}]":
            depth = max(depth - 1, 0)
            del path[depth:]
            key = None
        elif first == ",":
            key = None
        elif first == '"':
            start, end = start + 1, end - (token["end"] == '"')
            is_key = _COLON.match(text, token.end()) is not None
            if is_key:
                key = decoded(text[start:end])
            yield Literal([*path, key], start, end, is_string=True, is_key=is_key)
        elif first != ":":
            yield Literal([*path, key], start, end, is_string=False, is_key=False)


def decoded(body: str) -> str:
    """Read what stands between the quotes of a JSON string, leniently."""
    if "\\" not in body:
        return body
    return "".join(_character(unit) for unit in _UNIT.findall(body))


def spelled(body: str, spans: Iterable[Span]) -> list[Span]:
    """Turn spans of the decoded string into spans of its JSON spelling."""
    if "\\" not in body:
        return list(spans)
    units = [unit.span() for unit in _UNIT.finditer(body)]
    return [(units[start][0], units[end - 1][1]) for start, end in spans]


def touched(body: str, spans: Iterable[Span]) -> list[Span]:
    """Turn spans of a string's JSON spelling into spans of the decoded string: every character they touch."""
    if "\\" not in body:
        return list(spans)
    units = [unit.span() for unit in _UNIT.finditer(body)]
    found = []
    for start, end in spans:
        first = bisect_right(units, start, key=itemgetter(1))
        behind = bisect_left(units, end, key=itemgetter(0))
        if first < behind:
            found.append((first, behind))
    return found


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap or touch; empty ones go."""
    joined: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def overlapping(span: Span, others: Sequence[Span]) -> Sequence[Span]:
    """Give those of some spans, in order and apart from each other, that share a character with this one."""
    first = bisect_right(others, span[0], key=itemgetter(1))
    return others[first : bisect_left(others, span[1], key=itemgetter(0))]


def apart(spans: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """Give the spans that share no character with any of the others, which are in order and apart from each other."""
    return [span for span in spans if not overlapping(span, others)]


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Replace the spans, which are in order and do not overlap."""
    pieces: list[str] = []
    kept_to = 0
    for start, end, replacement in edits:
        pieces += (text[kept_to:start], replacement)
        kept_to = end
    return "".join((*pieces, text[kept_to:]))


def moved(at: int, edits: Iterable[Edit]) -> int:
    """Tell where a place between literals is after the edits."""
    return at + sum(len(replacement) - (end - start) for start, end, replacement in edits if end <= at)


def _character(unit: str) -> str:
    if len(unit) == 1:
        return unit
    if len(unit) > 2:
        return str(json.loads(f'"{unit}"'))
    return _SHORT_ESCAPES.get(unit[1], unit[1])
