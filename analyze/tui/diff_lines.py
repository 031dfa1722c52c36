"""Two sessions side by side, as lines: events, configuration, latencies, transcripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from analyze.answers import DiffRow, LatencyDelta, Marker, PathChange, TimelineRow, TranscriptDiff
from analyze.tui.figures import change, counted, length, milliseconds
from analyze.tui.lines import Line, Run, columns, fit_end, join, pad, text, width_of
from analyze.tui.tones import Tone
from analyze.tui.widgets.timeline import event_name, sender_sign

SHOWN_CHANGES = 6
"""Changed places shown beneath one pair of events."""
KEPT_EQUAL = 3
"""A stretch of more equal rows than this folds into one line."""
_MARKER_TONES: dict[Marker, Tone] = {"=": "muted", "≠": "changed", "+": "added", "-": "removed"}
_MS_CELLS = 9
_LEAST_NAME_CELLS = 12


@dataclass(frozen=True, slots=True)
class PairLine:
    """One line of the aligned events: both sides, or a changed place beneath them, or a folded stretch."""

    marker: Marker
    row: DiffRow | None = None
    change: PathChange | None = None
    stretch: int | None = None
    """Number of the folded or unfolded stretch of equal rows that this line heads; None for other lines."""
    count: int = 0
    """Equal rows in that stretch."""

    @property
    def differs(self) -> bool:
        """Whether `n` stops here."""
        return self.marker != "=" and self.change is None


def pair_lines(rows: Sequence[DiffRow], unfolded: frozenset[int] = frozenset()) -> list[PairLine]:
    """Lay out aligned rows; stretches of equal rows fold, except those unfolded."""
    lines: list[PairLine] = []
    # Equal rows of two turns never fold together: the turn is where a reader looks for his place.
    for number, (key, stretch) in enumerate(groupby(rows, key=lambda row: (row.marker == "=", row.turn))):
        pairs = list(stretch)
        if not key[0]:
            lines += [line for row in pairs for line in _differing(row)]
            continue
        if len(pairs) > KEPT_EQUAL:
            lines.append(PairLine("=", stretch=number, count=len(pairs), row=pairs[0]))
        if len(pairs) <= KEPT_EQUAL or number in unfolded:
            lines += [PairLine("=", row=row) for row in pairs]
    return lines


def _differing(row: DiffRow) -> Iterator[PairLine]:
    yield PairLine(row.marker, row=row)
    for place in row.changes[:SHOWN_CHANGES]:
        yield PairLine(row.marker, change=place)
    if rest := row.changes[SHOWN_CHANGES:]:
        more = f"{len(rest)} more places"
        yield PairLine(row.marker, change=PathChange(more, None, None))


def halves(width: int, taken: int) -> tuple[int, int]:
    """Share what is left of a width between two columns."""
    room = max(width - taken, 8)
    return room - room // 2, room // 2


def pair_line(line: PairLine, width: int) -> Line:
    """Draw one line of the aligned events."""
    left_cells, right_cells = halves(width, 5)
    sign: Line = (Run(line.marker, _MARKER_TONES[line.marker]), Run(" "))
    if line.stretch is not None:
        turn = f" in turn {line.row.turn}" if line.row is not None and line.row.turn else ""
        return (*sign, *text(f"{counted(line.count, 'equal event')}{turn}", "muted"))
    if line.change is not None:
        return pad((Run("    "), *change_line(line.change, width - 4)), width)
    row = line.row
    left = _event(row.left, row.latency_left_ms, row.marker, left_cells) if row else ()
    right = _event(row.right, row.latency_right_ms, row.marker, right_cells) if row else ()
    return (*sign, *columns([(left, left_cells), (right, right_cells)], " │ "))


def pair_heading(width: int) -> Line:
    """Name the columns of the aligned events."""
    title = (*pad(text("+ms", "muted"), _MS_CELLS, "right"), *text("   event", "muted"))
    left_cells, right_cells = halves(width, 5)
    note = (*title, *text("  (ms since the end of speech)", "pale"))
    left = note if width_of(note) <= left_cells else title
    return (Run("  "), *columns([(left, left_cells), (title, right_cells)], " │ "))


def _event(event: TimelineRow | None, latency_ms: float | None, marker: Marker, cells: int) -> Line:
    if event is None:
        return ()
    count = text(f"× {event.count:,}", "muted") if event.count > 1 else ()
    audio = text(length(event.audio_ms), "muted") if event.audio_ms else ()
    words = join([count, audio])
    room = cells - _MS_CELLS - 3 - (width_of(words) + 2 if words else 0)
    name = fit_end(event_name(event), max(room, _LEAST_NAME_CELLS))
    if marker in "+-":
        name = tuple(Run(run.text, _MARKER_TONES[marker]) for run in name)
    at = milliseconds(latency_ms if latency_ms is not None else event.offset_ms)
    when = pad(text(at, "muted"), _MS_CELLS, "right")
    return pad((*when, Run(" "), *sender_sign(event), Run(" "), *join([name, words])), cells)


def change_line(place: PathChange, width: int | None = None) -> Line:
    """Write a changed place: what it was, and what it is, lit; the front of its path gives way to a width."""
    left = text(place.left, "removed") if place.left is not None else text("absent", "pale")
    right = text(place.right, "added") if place.right is not None else text("absent", "pale")
    if place.left is None and place.right is None:
        return text(place.path, "muted")
    values = (Run("  "), *left, Run(" → ", "muted"), *right)
    path = text(place.path, "muted")
    return (*(path if width is None else fit_end(path, max(width - width_of(values), width // 4))), *values)


def configuration_lines(asked: Sequence[PathChange], echoed: Sequence[PathChange]) -> list[Line]:
    """Write what differs in the configuration, asked and echoed."""
    lines: list[Line] = []
    for title, places in (("asked for", asked), ("echoed by the endpoint", echoed)):
        lines += [text(f"Configuration {title}", "strong"), ()]
        lines += [(Run("≠", "changed"), Run(" "), *change_line(place)) for place in places]
        if not places:
            lines.append((Run("= ", "muted"), Run("no difference", "muted")))
        lines.append(())
    return lines


def latency_lines(latencies: Sequence[LatencyDelta]) -> list[Line]:
    """Write every latency of every turn on both sides, and the difference."""
    head = _latency_row("turn", "latency", "left ms", "right ms", text("right − left", "muted"), "muted")
    rows = [
        _latency_row(
            str(latency.turn),
            latency.name,
            milliseconds(latency.left_ms) or "–",
            milliseconds(latency.right_ms) or "–",
            change(latency.left_ms, latency.right_ms),
            "plain",
        )
        for latency in latencies
    ]
    return [head, *rows] if rows else [text("no turns on either side", "muted")]


def _latency_row(turn: str, name: str, left: str, right: str, delta: Line, tone: Tone) -> Line:
    return (
        *pad(text(turn, "muted"), 5, "right"),
        Run("  "),
        *pad(text(name.replace("_", " "), tone), 24),
        *pad(text(left, tone), 10, "right"),
        *pad(text(right, tone), 12, "right"),
        Run("  "),
        *delta,
    )


def transcript_lines(transcripts: Sequence[TranscriptDiff]) -> list[Line]:
    """Write what was said on both sides, word by word; `[-left-]` and `{+right+}` where they differ."""
    lines: list[Line] = []
    for said in transcripts:
        equal = all(sign == "=" for sign, _ in said.words) and said.left is not None and said.right is not None
        who: Tone = "client" if said.who == "user" else "server"
        lines.append(
            (Run("=", "muted") if equal else Run("≠", "changed"), Run(" "), Run(f"turn {said.turn} {said.who}", who))
        )
        lines.append((Run("    "), *_words(said)))
        lines.append(())
    return lines or [text("no transcripts on either side", "muted")]


def _words(said: TranscriptDiff) -> Line:
    absent = [side for side, words in (("left", said.left), ("right", said.right)) if words is None]
    runs: list[Run] = [Run(f"(none on the {' or the '.join(absent)}) ", "incomplete")] if absent else []
    for sign, words in said.words:
        if sign == "=":
            runs += text(f"{words} ")
        elif sign == "-":
            runs += [*text(f"[-{words}-]", "removed"), Run(" ")]
        else:
            runs += [*text(f"{{+{words}+}}", "added"), Run(" ")]
    return tuple(runs)
