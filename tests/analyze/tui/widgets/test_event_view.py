from __future__ import annotations

from textual.app import App, ComposeResult

from analyze.tui.lines import plain, text
from analyze.tui.payload import payload_lines
from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.event_view import EventView

PAYLOAD = '{"type":"session.updated","session":{"audio":{"input":{"format":"pcm16"}},"tools":[]}}'


class ViewApp(App[None]):
    def compose(self) -> ComposeResult:
        yield EventView()


def rows(view: EventView) -> list[str]:
    return [plain(view.row_at(at, 60)) for at in range(view.row_count)]


async def test_objects_fold_at_the_cursor_and_all_at_once() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(EventView)
        view.focus()
        view.show([text("session.updated"), *payload_lines(PAYLOAD)])
        await settle(pilot)
        unfolded = rows(view)
        assert unfolded[4] == '▾     "audio": {'
        await press(pilot, *["down"] * 4, "enter")
        assert rows(view)[4] == '▹     "audio": { … }, 3 lines'
        assert rows(view)[5].strip() == '"tools": []'
        await press(pilot, "enter")
        assert rows(view) == unfolded
        # Inside of something the key folds what the cursor is in.
        await press(pilot, "down", "down", "enter")
        assert rows(view)[5] == '▹       "input": { … } 1 line'
        assert view.cursor == 5
        await press(pilot, "z", "z")
        assert rows(view)[3] == '▹   "session": { … } 6 lines'
        assert view.row_count == 5
        await press(pilot, "z")
        assert rows(view) == unfolded


async def test_the_cursor_goes_to_what_was_found_and_stays_on_its_line_when_the_width_changes() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(EventView)
        view.show([text("word " * 40), text("here")], found=1)
        await settle(pilot)
        assert rows(view)[view.cursor].strip() == "here"
        await pilot.resize_terminal(30, 20)
        await settle(pilot)
        assert rows(view)[view.cursor].strip() == "here"
        view.show([])
        view.action_fold()
        assert view.row_count == 0


async def test_what_is_hidden_is_wrapped_once_it_is_seen_with_the_cursor_where_it_was_sent() -> None:
    app = ViewApp()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(EventView)
        view.display = False
        await settle(pilot)
        view.show([text("word " * 40), text("here")], found=1)
        assert view.row_count == 0
        view.display = True
        await settle(pilot)
        assert view.row_count == 5
        assert rows(view)[view.cursor].strip() == "here"
