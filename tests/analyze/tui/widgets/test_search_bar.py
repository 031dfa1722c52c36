from __future__ import annotations

from textual.app import App, ComposeResult

from analyze.tui.lines import plain
from analyze.tui.widgets.search_bar import SearchBar


class SearchApp(App[None]):
    def compose(self) -> ComposeResult:
        yield SearchBar()


async def test_it_goes_round_its_matches() -> None:
    app = SearchApp()
    async with app.run_test(size=(80, 5)):
        bar = app.query_one(SearchBar)
        bar.fill("error")
        bar.show_matches([3, 70, 106])
        assert [bar.next_after(seq) for seq in (0, 3, 80, 106)] == [3, 70, 106, 3]
        assert (plain(bar.found), bar.needle) == (" 3 events ", "error")


async def test_without_matches_there_is_no_next_and_nothing_to_light() -> None:
    app = SearchApp()
    async with app.run_test(size=(80, 5)):
        bar = app.query_one(SearchBar)
        bar.fill("whale")
        bar.show_matches([])
        assert (plain(bar.found), bar.needle, bar.next_after(0)) == (" 0 events ", "", None)
        bar.clear()
        assert bar.found == ()
