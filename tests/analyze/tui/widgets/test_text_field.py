"""A field that hostile text is pasted into."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import App, ComposeResult

from analyze.tui.screenshot import press
from analyze.tui.widgets.text_field import TextField

HOSTILE = "a\x1b[31m\u202e\x00b"


class FieldApp(App[None]):
    def compose(self) -> ComposeResult:
        yield TextField(select_on_focus=False)


async def test_what_would_act_is_one_sign_and_stays_in_the_value(shown: Callable[[App[None]], str]) -> None:
    app = FieldApp()
    async with app.run_test(size=(30, 5)) as pilot:
        field = app.query_one(TextField)
        field.post_message(events.Paste(HOSTILE))
        await pilot.pause()
        assert field.value == HOSTILE
        assert "a�[31m��b" in shown(app)
        # The cursor goes over each of them as over a letter.
        await press(pilot, "left", "backspace", "x")
        assert field.value == HOSTILE[:-2] + "xb"
        assert "a�[31m�xb" in shown(app)


async def test_a_line_break_does_not_break_the_line(shown: Callable[[App[None]], str]) -> None:
    app = FieldApp()
    async with app.run_test(size=(30, 5)) as pilot:
        app.query_one(TextField).value = "one\ntwo"
        await pilot.pause()
        assert "one�two" in shown(app)
