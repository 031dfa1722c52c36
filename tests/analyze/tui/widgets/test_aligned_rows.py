from __future__ import annotations

from typing import Any

from textual.app import App, ComposeResult

from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.aligned_rows import AlignedRows


class RowsApp(App[None]):
    def compose(self) -> ComposeResult:
        yield AlignedRows()


async def test_stretches_unfold_and_all_events_can_be_shown(source: Any) -> None:
    shown = source.side_by_side([source.listed[at].session_id for at in (0, 5)])
    app = RowsApp()
    async with app.run_test(size=(120, 30)) as pilot:
        rows = app.query_one(AlignedRows)
        assert rows.current_event() is None
        assert not rows.toggle()
        rows.show(shown.rows)
        await settle(pilot)
        await press(pilot, "down", "down")
        # A changed place belongs to the event above it.
        assert rows.current_event() is shown.rows[1]
        assert not rows.toggle()
        await press(pilot, "down")
        assert rows.toggle()
        assert len(rows.lines) == 16
        assert rows.toggle()
        rows.cursor = 4
        failed = rows.current_event()
        rows.show_every(every=True)
        assert rows.current_event() is failed
        assert len(rows.lines) == len(shown.rows) + 1
