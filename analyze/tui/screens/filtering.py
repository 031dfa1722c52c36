"""What the screens under a filter share: the line to type it, values to narrow by, and filters with a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on

from analyze.answers import Facet
from analyze.filters import is_open, narrowed
from analyze.tui.filter_completion import Way, term_of, values_of, ways
from analyze.tui.lines import Line, Run, join, pad, text, width_of
from analyze.tui.memory import Memory
from analyze.tui.screens.base import SourceScreen
from analyze.tui.screens.choose import Choice, ChooseScreen, Chosen
from analyze.tui.source import Source
from analyze.tui.widgets.filter_bar import FilterBar
from analyze.tui.widgets.row_list import READING

HINT = "region:eastus2 outcome:failed finding:transcription* since:2h"
_WAITING: Line = (Run(f" {READING} ", "muted"),)
_FIELD_CELLS = 21


class FilteringScreen(SourceScreen[None]):
    """A screen whose answers are of the sessions that a filter picks."""

    NAME: ClassVar[str]
    """Under which the screen is remembered."""

    def __init__(self, source: Source, memory: Memory | None = None) -> None:
        super().__init__(source)
        self.memory = memory or Memory(None, source.root)
        self.filter_text = self.memory.recall(self.NAME).get("filter", "")
        self.looked: int | None = None
        """Which look at the root what is shown is of; None before the first question."""
        self._values: Mapping[str, Sequence[str]] = values_of(())

    def on_screen_resume(self) -> None:
        """Ask anew where another screen has looked at the root since: the two count the same sessions."""
        if self.looked not in (None, self.source.looks):
            self.root_changed()

    def root_changed(self) -> None:
        """Ask anew: there may be other sessions."""
        raise NotImplementedError

    def filter_changed(self) -> None:
        """Ask anew: another filter holds from here on."""
        raise NotImplementedError

    def leave_filter(self) -> None:
        """Give the focus to what the filter is about."""
        raise NotImplementedError

    @property
    def bar(self) -> FilterBar:
        """The line to type into."""
        return self.query_one(FilterBar)

    def open_bar(self) -> None:
        """Show the filter that holds, and help with typing another one."""
        self.bar.complete = self._ways
        self.bar.fill(self.filter_text)

    def set_filter(self, filter_text: str) -> None:
        """Take a filter that was not typed here."""
        self.bar.fill(filter_text)
        self._take(filter_text)

    def _take(self, filter_text: str) -> None:
        self.filter_text = filter_text
        self.memory.remember(self.NAME, filter=filter_text)
        self.wait_for_count()
        self.filter_changed()

    def wait_for_count(self) -> None:
        """Say in place of the count that what stands below is not of this filter yet: a large root takes seconds."""
        self.bar.found = _WAITING

    def complain(self, sentence: str) -> None:
        """Show what went wrong; a count that was waited for does not come then."""
        super().complain(sentence)
        if sentence and self.bar.found == _WAITING:
            self.bar.found = ()

    def _ways(self, typed: str) -> list[Way]:
        return ways(typed, self._values)

    def action_filter(self) -> None:
        """Type a filter."""
        self.bar.enter()
        self.ask(lambda: values_of(self.source.facets()), self._know_values, kind="values")

    def _know_values(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values
        self.bar.offer()

    @on(FilterBar.Typed)
    def _typed(self, event: FilterBar.Typed) -> None:
        # A field whose value is still to be typed picks nothing yet, and SQL is run when it is written out.
        if event.content != self.filter_text and (event.accepted or not is_open(event.content)):
            self._take(event.content)
        if event.accepted:
            self.leave_filter()

    @on(FilterBar.Left)
    def _left(self) -> None:
        self.leave_filter()

    def action_values(self) -> None:
        """Choose a value of the sessions in sight, to narrow the filter by."""
        filter_text = self.filter_text
        self.ask(lambda: self.source.facets(filter_text), self._choose_value, kind="values")

    def _choose_value(self, facets: Sequence[Facet]) -> None:
        choices = [
            Choice(term, f"{facet.field}:{facet.value}", line)
            for facet, line in zip(facets, facet_lines(facets), strict=True)
            if (term := term_of(facet.field, facet.value)) is not None
        ]
        self.app.push_screen(ChooseScreen("Narrow by a value", choices, empty_text="no session"), self._narrow_by)

    def _narrow_by(self, chosen: Chosen | None) -> None:
        if chosen is not None and chosen.value not in self.filter_text.split():
            self.set_filter(narrowed(self.filter_text, chosen.value))

    def action_saved(self) -> None:
        """Choose a saved filter, or save the one that holds under a name."""
        self.memory.look()
        saved = sorted(self.memory.filters.items())
        choices = [
            Choice(name, f"{name} {content}", (*pad(text(name, "strong"), _FIELD_CELLS), *text(f" {content}", "muted")))
            for name, content in saved
        ]
        create = f"save {self.filter_text} as" if self.filter_text else None
        empty = "type a name to save the filter" if create else "no saved filter: type one with /, then save it here"
        self.app.push_screen(
            ChooseScreen("Saved filters", choices, create=create, removable=True, empty_text=empty), self._use_saved
        )

    def _use_saved(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        if chosen.action == "create":
            self.memory.save_filter(chosen.value, self.filter_text)
            self.hint(f"saved as {chosen.value}")
        elif chosen.action == "remove":
            self.memory.drop_filter(chosen.value)
            self.action_saved()
        elif chosen.value in self.memory.filters:
            self.set_filter(self.memory.filters[chosen.value])


def facet_lines(facets: Sequence[Facet]) -> list[Line]:
    """Write values, a line each: how many sessions have it, how many of them failed, its field, and the value."""
    counts = [text(f"{facet.sessions:,}") for facet in facets]
    failed: list[Line] = [(Run(f"▲ {facet.failed:,}", "failed"),) if facet.failed else () for facet in facets]
    fields = [text(facet.field.replace("_", " "), "muted") for facet in facets]
    # No wider than what stands in them: names of findings are long, and lists of 80 columns narrow.
    of_count, of_failed, of_field = (max(map(width_of, cells), default=0) for cells in (counts, failed, fields))
    return [
        join([pad(count, of_count, "right"), pad(share, of_failed), pad(field, of_field), text(facet.value)])
        for count, share, field, facet in zip(counts, failed, fields, facets, strict=True)
    ]
