"""What is changed of a recording before it is sent again, in words; without credentials: CI systems keep their logs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from capture.plain_text import shorten
from capture.redaction import redact_setting
from replay.printing.page import cell_of_lines
from replay.rewrite import Change

_LONGEST = 300
"""In characters: instructions may be pages long, and stand whole in the JSON."""


def redacted_texts(change: Change) -> tuple[str, str]:
    """Give what stands there before and after, as JSON without credentials; empty where there is nothing."""
    return redact_setting(change.path, change.before), redact_setting(change.path, change.after)


def say_change(change: Change) -> str:
    """Say what is changed from what to what: `session.audio.output.voice: "marin" → "cedar"`."""
    before, after = redacted_texts(change)
    return f"{change.path or change.kind}: {before or 'absent'} → {after or 'left out'}"


def changes_cell(said: Iterable[str]) -> Text:
    """Make a cell of what `say_change` said, a line each."""
    return cell_of_lines([shorten(line, _LONGEST) for line in said] or ["none"])
