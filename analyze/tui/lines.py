"""Lines: runs of text with a tone; never markup, never a control character."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from rich.cells import cell_len, set_cell_size

from analyze.tui.tones import Tone
from capture.plain_text import shorten, visible

_CHARACTERS_A_CELL = 16
"""With its combining marks a letter has fewer, unless somebody means to hide something."""


class Run(NamedTuple):
    """A stretch of text that means one thing."""

    text: str
    tone: Tone = "plain"


Line: TypeAlias = tuple[Run, ...]

ELLIPSIS = "…"
LONGEST = 200_000
"""Characters of a run made from text of any origin: more than a screen shows, and few enough to draw at each key."""


def text(content: str, tone: Tone = "plain") -> Line:
    """Make a line of one run, from text of any origin; what is longer than anybody reads in a line is cut."""
    return (Run(visible(shorten(content, LONGEST)), tone),)


def join(parts: Iterable[Line], separator: str = "  ") -> Line:
    """Put lines one after the other, leaving out empty ones."""
    runs: list[Run] = []
    for part in parts:
        if not any(run.text for run in part):
            continue
        if runs:
            runs.append(Run(separator, "muted"))
        runs.extend(part)
    return tuple(runs)


def width_of(line: Line) -> int:
    """Count the cells of a line."""
    return sum(map(_cells, (run.text for run in line)))


def _cells(content: str) -> int:
    # Most text is ASCII, a cell a character; control characters are in no line.
    return len(content) if content.isascii() else cell_len(content)


def plain(line: Line) -> str:
    """Give the text of a line without its tones."""
    return "".join(run.text for run in line)


def fit(line: Line, width: int) -> Line:
    """Cut a line to a width, with an ellipsis where something is lost."""
    # Measuring what is out of sight by far would take longer than anybody waits at a key.
    most = _CHARACTERS_A_CELL * (max(width, 0) + 1)
    line = tuple(Run(run.text[:most], run.tone) if len(run.text) > most else run for run in line)
    if width_of(line) <= width:
        return line
    kept: list[Run] = []
    room = width - 1
    for run in line:
        cells = _cells(run.text)
        if cells > room:
            kept.append(Run(set_cell_size(run.text, room) if room > 0 else "", run.tone))
            break
        kept.append(run)
        room -= cells
    last = kept[-1].tone if kept else "plain"
    return (*kept, Run(ELLIPSIS, last)) if width > 0 else ()


def fit_end(line: Line, width: int) -> Line:
    """Cut a line to a width at its front: for what says most at its end."""
    most = _CHARACTERS_A_CELL * (max(width, 0) + 1)
    line = tuple(Run(run.text[-most:], run.tone) if len(run.text) > most else run for run in line)
    if width_of(line) <= width:
        return line
    kept: list[Run] = []
    room = width - 1
    for run in reversed(line):
        content = run.text
        while content and _cells(content) > room:
            content = content[1:]
        kept.append(Run(content, run.tone))
        room -= _cells(content)
        if content != run.text:
            break
    return (Run(ELLIPSIS, kept[-1].tone), *reversed(kept)) if width > 0 else ()


def fit_ends(line: Line, width: int) -> Line:
    """Cut a line to a width in its middle: for names that begin alike, and end alike."""
    most = _CHARACTERS_A_CELL * (max(width, 0) + 1)
    if sum(len(run.text) for run in line) <= most and width_of(line) <= width:
        return line
    # The end tells names of one group apart: it has two thirds.
    head = max(width, 0) // 3
    return (*fit(line, head), *fit_end(line, width - head + 1)[1:]) if head else fit(line, width)


def pad(line: Line, width: int, align: Literal["left", "right"] = "left") -> Line:
    """Cut or fill a line to exactly a width."""
    line = fit(line, width)
    blank = Run(" " * (width - width_of(line)))
    if not blank.text:
        return line
    return (*line, blank) if align == "left" else (blank, *line)


def spread(left: Line, right: Line, width: int) -> Line:
    """Put one line at each end of a width; the left one gives way."""
    room = width - width_of(right) - 1
    if room <= 0:
        return fit(right, width)
    return (*pad(left, room), Run(" "), *right)


def wrap(line: Line, width: int, indent: int = 0) -> list[Line]:
    """Break a line after `width` cells; what continues is indented."""
    if sum(len(run.text) for run in line) <= width and width_of(line) <= width:
        return [line]
    indent = min(indent, width // 2)
    broken: list[Line] = []
    current: list[Run] = []
    room = width
    for run in line:
        rest = run.text
        if room < _cells(rest) <= width - indent and " " not in rest and current:
            # A word of its own goes to the next line whole.
            broken.append(tuple(current))
            current, room = [Run(" " * indent)] if indent else [], width - indent
        while _is_wider(rest, room):
            head, rest = _split(rest, room)
            broken.append((*current, Run(head, run.tone)))
            current = [Run(" " * indent)] if indent else []
            room = width - indent
        current.append(Run(rest, run.tone))
        room -= _cells(rest)
    return [*broken, tuple(current)]


def wrap_short(line: Line, width: int, indent: int, most: int) -> list[Line]:
    """Break a line as `wrap` does, into so many lines at most; the last says that there was more."""
    # Longer than what is shown would only be wrapped for nobody.
    lines = wrap(tuple(Run(shorten(run.text, most * width), run.tone) for run in line), width, indent)
    if len(lines) <= most:
        return lines
    *shown, last = lines[:most]
    return [*shown, fit((*last, Run(ELLIPSIS, last[-1].tone)), width)]


def _is_wider(content: str, cells: int) -> bool:
    # A long text is wider than a line at once: measuring all that is left of it, line by line, would take forever.
    start = content[: 2 * max(cells, 0) + 1]
    return _cells(start) > cells or (len(content) > len(start) and _cells(content) > cells)


def _split(content: str, cells: int) -> tuple[str, str]:
    # A wide character that would stand across the edge goes to the next line; a whole line always takes one.
    end = min(len(content), max(cells, 0))
    while end > 1 and _cells(content[:end]) > cells:
        end -= 1
    # Between words where there are some; a token without a space is broken anywhere.
    if content[end : end + 1] == " ":
        return content[:end], content[end + 1 :]
    space = content.rfind(" ", end // 2, end)
    end = space + 1 if space > 0 else end
    return content[:end], content[end:]


def lit(line: Line, needle: str) -> Line:
    """Light up every place where a text occurs, whatever its case; tones elsewhere stay."""
    if not needle:
        return line
    pattern = re.compile(re.escape(needle), re.IGNORECASE)
    runs: list[Run] = []
    for run in line:
        at = 0
        for match in pattern.finditer(run.text):
            runs += [Run(run.text[at : match.start()], run.tone), Run(match[0], "found")]
            at = match.end()
        runs.append(Run(run.text[at:], run.tone))
    return tuple(run for run in runs if run.text)


def columns(parts: Sequence[tuple[Line, int]], gap: str = "  ") -> Line:
    """Set lines beside each other, each cut or filled to its width."""
    runs: list[Run] = []
    for position, (part, width) in enumerate(parts):
        if position:
            runs.append(Run(gap, "pale"))
        runs.extend(pad(part, width))
    return tuple(runs)
