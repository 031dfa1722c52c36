"""What the pages of answers have in common: JSON of any value, marks of outcomes, headings."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from analyze.plain_values import plain_value
from capture.narration import print_json as print_plain_json

MARKS = {"ok": ("●", "green"), "failed": ("▲", "red"), "incomplete": ("◐", "yellow")}
"""A sign and a colour for each outcome: the colour is never alone."""


def print_json(value: Any) -> None:
    """Print an answer as JSON; characters that act on a terminal are escaped."""
    print_plain_json(plain_value(value))


def mark(outcome: str) -> Text:
    """Give the sign of an outcome."""
    sign, style = MARKS.get(outcome, ("·", "dim"))
    return Text(sign, style=style)


def title(text: str) -> Text:
    """Make the line above the first part of a page."""
    return Text(text, style="bold")


def heading(text: str) -> Text:
    """Make the line above a part of the page."""
    return Text(f"\n{text}", style="bold")
