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
# What one character of a string is spelled as where that is not itself; a pair of surrogates is one character.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.",
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
    return _ESCAPE.sub(lambda escape: _character(escape[0]), body)


def spelled(body: str, spans: Iterable[Span]) -> list[Span]:
    """Turn spans of the decoded string, in order and apart from each other, into spans of its JSON spelling."""
    place = _Places(body)
    return [(place.of_character(start), place.of_character(end)) for start, end in spans]


def touched(body: str, spans: Iterable[Span]) -> list[Span]:
    """Turn spans of a string's JSON spelling into spans of the decoded string: every character they touch.

    The spans are in order and apart from each other.
    """
    place = _Places(body)
    found = [(place.character_at(start), place.character_behind(end)) for start, end in spans]
    return [(first, behind) for first, behind in found if first < behind]


class _Places:
    """Where the characters of a string stand in its JSON spelling; asked for from its start to its end.

    Nothing is kept of each: a message may be as long as the memory can hold once.
    """

    def __init__(self, body: str) -> None:
        self._escapes = _ESCAPE.finditer(body) if "\\" in body else iter(())
        self._next = next(self._escapes, None)
        self._surplus = 0
        """By how much the spelling of what lies behind us is longer."""

    def of_character(self, number: int) -> int:
        """Tell where the spelling of a character begins, which is where that of the one before ends."""
        while self._next is not None and self._next.start() - self._surplus < number:
            self._pass()
        return number + self._surplus

    def character_at(self, place: int) -> int:
        """Tell which character is spelled at a place."""
        while self._next is not None and self._next.end() <= place:
            self._pass()
        begins = place if self._next is None else min(place, self._next.start())
        return begins - self._surplus

    def character_behind(self, place: int) -> int:
        """Tell the first character whose spelling begins at a place or behind it."""
        number = self.character_at(place)
        is_within = number + self._surplus < place
        return number + is_within

    def _pass(self) -> None:
        if self._next is not None:
            self._surplus += self._next.end() - self._next.start() - 1
            self._next = next(self._escapes, None)


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


def _character(escape: str) -> str:
    if len(escape) == len(r"\u0041"):
        return chr(int(escape.removeprefix(r"\u"), 16))
    if len(escape) > 2:
        return str(json.loads(f'"{escape}"'))
    return _SHORT_ESCAPES.get(escape[1], escape[1])
