"""One line to type into, which shows harmlessly whatever is pasted or filled in."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Input

from capture.plain_text import hidden


class TextField(Input):
    """Textual's input, with one sign for each character that would act or hide; its value stays as it is."""

    @property
    def _value(self) -> Text:
        shown = super()._value
        shown.plain = hidden(shown.plain)
        return shown
