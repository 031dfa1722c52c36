from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.memory import Memory
from analyze.tui.screens.diff import DiffScreen
from analyze.tui.screens.failures import FailuresScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sessions import FIRST_PAGE, SessionsScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.source import RootSource
from analyze.tui.widgets.filter_bar import FilterBar
from capture.recording.root import Root
from tests.analyze.conftest import Trace

Shown = Callable[[App[None]], str]


def sessions(app: WiretapeApp) -> SessionsScreen:
    assert isinstance(app.screen, SessionsScreen)
    return app.screen


async def test_the_filter_is_asked_for_and_counted(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "21 of 21 · 6 failed" in shown(app)
        await pilot.press("slash", *"outcome:failed")
        await press(pilot, "enter")
        assert "6 of 21 · 6 failed" in shown(app)
        assert sessions(app).table.has_focus
        await press(pilot, "escape")
        assert "21 of 21" in shown(app)


async def test_a_filter_counts_after_a_pause_too(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        sessions(app).query_one(FilterBar).post_message(
            FilterBar.Typed(sessions(app).query_one(FilterBar), "region:swedencentral", accepted=False)
        )
        await settle(pilot)
        assert len(sessions(app).table.rows) == 10
        assert not sessions(app).query_one(FilterBar).has_focus


async def test_a_filter_that_does_not_read_keeps_the_list(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"nope:1")
        await press(pilot, "enter")
        assert "▲ sessions have no field 'nope' to filter by" in shown(app)
        assert len(sessions(app).table.rows) == 21


async def test_sorting_goes_through_the_columns_in_sight(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "started UTC▾" in shown(app)
        await press(pilot, "s")
        assert "target▴" in shown(app)
        assert [row.target for row in sessions(app).table.rows][:11] == ["eastus2"] * 11
        await press(pilot, "S")
        assert "target▾" in shown(app)
        assert next(iter(sessions(app).table.rows)).target == "swedencentral"


async def test_two_marks_are_compared_in_their_order(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "down", "space", "home", "space", "end", "d")
        assert isinstance(app.screen, DiffScreen)
        assert app.screen.session_ids == [source.listed[2].session_id, source.listed[0].session_id]


async def test_one_mark_is_compared_with_the_current(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "space", "d")
        assert isinstance(app.screen, DiffScreen)
        assert app.screen.session_ids[1] == source.listed[1].session_id


async def test_nothing_marked_says_how(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        assert "mark sessions with space" in shown(app)


async def test_a_click_on_the_current_row_opens_it(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.click(sessions(app).table, offset=(10, 4))
        await settle(pilot)
        assert sessions(app).table.cursor == 3
        await pilot.click(sessions(app).table, offset=(10, 4))
        await settle(pilot)
        assert isinstance(app.screen, SessionScreen)
        assert app.screen.session_id == source.listed[3].session_id


async def test_an_empty_root_says_how_to_record(empty_source: Any, shown: Shown) -> None:
    app = WiretapeApp(empty_source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "No recordings yet in recordings/" in shown(app)
        assert "wiretape demo" in shown(app)
        assert "wiretape capture proxy --to" in shown(app)
        await press(pilot, "enter", "d", "space", "r", "s")
        assert isinstance(app.screen, SessionsScreen)


async def test_a_root_that_vanishes_meanwhile_is_not_called_empty(empty_source: Any, source: Any, shown: Shown) -> None:
    empty_source.listed = source.listed
    app = WiretapeApp(empty_source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "21 sessions" in shown(app)
        Path("recordings").rmdir()  # noqa: ASYNC240 - a folder of the test
        empty_source.listed = []
        await press(pilot, "f5")
        assert "No recordings: there is no folder recordings/" in shown(app)


async def test_f5_finds_what_was_recorded_since(empty_source: Any, source: Any, shown: Shown) -> None:
    app = WiretapeApp(empty_source)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        empty_source.listed = source.listed
        await press(pilot, "f5")
        assert "21 sessions" in shown(app)
        assert ("reload",) in empty_source.asked


async def test_an_empty_root_has_no_field_out_of_sight_that_takes_the_keys(empty_source: Any, shown: Shown) -> None:
    app = WiretapeApp(empty_source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "slash", "f")
        assert isinstance(app.screen, FailuresScreen)
        await press(pilot, "escape", "f")
        assert isinstance(app.screen, FailuresScreen)


async def test_the_first_recordings_of_a_root_can_be_walked_through(empty_source: Any, source: Any) -> None:
    app = WiretapeApp(empty_source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        empty_source.listed = source.listed
        await press(pilot, "f5", "down")
        assert sessions(app).table.cursor == 1


async def test_sessions_in_flight_stand_above_the_list_as_they_grow(
    source: Any, make_live: Callable[..., Any], shown: Shown
) -> None:
    source.in_flight = [make_live(1), make_live(2, events=5, bytes=2000, age_s=1.0, last_error="error: no [bold]luck")]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "◌ 2 live" in shown(app)
        newest, older = (line for line in shown(app).splitlines() if "events ·" in line)
        assert "◌  02-12 09:30:57  azure-eastus2       1 s  5 events · 2 kB  ▲ error: no [bold]luck" in newest
        assert "14 s  611 events · 1.2 MB" in older
        source.in_flight = [make_live(1, events=640)]
        screen = sessions(app)
        screen.look_at_live()
        await settle(pilot)
        assert "640 events" in shown(app)
        assert "◌ 1 live" in shown(app)


async def test_a_session_that_ended_brings_the_list_up_to_date(
    source: Any, make_live: Callable[..., Any], shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.in_flight = [make_live(1)]
    newest, source.listed = source.listed[0], source.listed[1:]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        source.in_flight, source.listed = [], [newest, *source.listed]
        # The list was read a moment ago: it is left alone for a while.
        sessions(app).look_at_live()
        await settle(pilot)
        assert "20 sessions" in shown(app)
        # Then it is read, though nothing else has ended.
        monkeypatch.setattr("analyze.tui.screens.sessions.REREAD_S", 0.0)
        sessions(app).look_at_live()
        await settle(pilot)
        assert "21 sessions" in shown(app)
        assert ("reload",) in source.asked


async def test_a_click_on_the_name_of_a_column_sorts_by_it(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.click(sessions(app).table, offset=(24, 0))
        await settle(pilot)
        assert "target▴" in shown(app)
        await pilot.click(sessions(app).table, offset=(24, 0))
        await settle(pilot)
        assert "target▾" in shown(app)
        await press(pilot, "o")
        await pilot.press(*"model")
        await press(pilot, "enter")
        assert sessions(app).order == ("model", False)


async def test_where_one_was_survives_a_restart(source: Any, tmp_path: Path, shown: Shown) -> None:
    def start() -> WiretapeApp:
        return WiretapeApp(source, memory=Memory(tmp_path / "screens.json", source.root))

    app = start()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "slash")
        await pilot.press(*"region:swedencentral")
        await press(pilot, "enter", "s", "down", "down", "down")
        selected = sessions(app).table.current
    again = start()
    async with again.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert sessions(again).filter_text == "region:swedencentral"
        assert "▏region:swedencentral" in shown(again)
        assert "target▴" in shown(again)
        assert sessions(again).table.current == selected
        assert sessions(again).table.cursor == 3
        await press(pilot, "f", "x")
    third = start()
    async with third.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert isinstance(third.screen, FailuresScreen)
        assert third.screen.columns == "model"


async def test_a_large_root_shows_its_newest_sessions_first_and_reads_the_rest_as_it_comes_into_sight(
    many_sessions: Callable[[int], Any], shown: Shown
) -> None:
    many = many_sessions(FIRST_PAGE * 20)
    many.opens_slowly = True
    app = WiretapeApp(many)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert ("glance", FIRST_PAGE) in many.asked
        assert len(sessions(app).table.rows) == FIRST_PAGE * 20
        await press(pilot, "end")
        await settle(pilot)
        assert sessions(app).table.cursor == FIRST_PAGE * 20 - 1
        current = sessions(app).table.current
        assert current is not None
        assert current.session_id == many.listed[-1].session_id
        # The first page, again once it is known what was found, and the last; never the pages between them.
        assert sum(question[1] for question in many.asked if question[0] == "sessions_by_id") < FIRST_PAGE * 10


async def test_files_that_cannot_be_read_are_named_and_the_rest_is_shown(source: Any, shown: Shown) -> None:
    day = Path("/root/events/date=2026-02-12")
    source.foreign = {day / "a.parquet": "no Parquet file", day / "b.parquet": "cut off"}
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "▲ left out: events/date=2026-02-12/a.parquet (no Parquet file), and 1 other file" in shown(app)
        assert len(sessions(app).table.rows) == 21


async def test_hostile_names_are_shown_escaped(source: Any, shown: Shown, hostile: str) -> None:
    source.listed[0] = replace(source.listed[0], target=hostile, failure_keys=(f"error|{hostile}||",))
    app = WiretapeApp(source)
    async with app.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        assert r"\x1b[31mred\x1b[0m" in shown(app)
        assert "\x1b" not in shown(app)
        await press(pilot, "r")
        assert "\x1b" not in shown(app)


async def test_findings_come_after_the_list_and_stay_with_it(source: Any, shown: Shown) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        assert "transcription_model_path_failure" in shown(app)
        assert "finding transcription_model_path_failure 6" in shown(app)
        await pilot.press("slash", *"outcome:failed")
        await press(pilot, "enter")
        assert [row.findings for row in sessions(app).table.rows] == [("transcription_model_path_failure",)] * 6
        assert source.asked.count(("findings",)) == 1


async def test_what_no_signature_knows_is_marked(source: Any, shown: Shown) -> None:
    source.listed[0] = replace(source.listed[0], failure_keys=("error|odd|strange|",))
    app = WiretapeApp(source)
    async with app.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        assert "? strange" in shown(app)


async def test_a_pass_that_fails_leaves_the_list(source: Any, shown: Shown) -> None:
    source.failing["findings"] = ValueError("no pass")
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "no pass" in shown(app)
        assert len(sessions(app).table.rows) == 21
        assert "transcription server_" in shown(app)


async def test_ids_go_to_the_clipboard(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "down", "y")
        assert app.clipboard == source.listed[1].session_id
        await press(pilot, "space", "space", "y")
        assert app.clipboard == f"{source.listed[1].session_id} {source.listed[2].session_id}"


async def test_where_one_was_is_kept_when_that_session_is_dropped(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *["down"] * 5)
        gone, below = source.listed[5], source.listed[6]
        source.listed = [session for session in source.listed if session != gone]
        await press(pilot, "f5")
        await settle(pilot)
        current = sessions(app).table.current
        assert (sessions(app).table.cursor, current and current.session_id) == (5, below.session_id)
        # Of what a filter picks the first is looked at first.
        await pilot.press("slash", *"region:swedencentral")
        await press(pilot, "enter")
        assert sessions(app).table.cursor == 0


async def test_a_call_that_came_and_went_while_another_screen_was_in_front_is_there_on_the_way_back(
    root: Root, failed_session: str, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = RootSource(root)
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "1 session" in shown(app)
        for key, number in (("colon", 1), ("f", 2), ("enter", 3)):
            # Else it would be waited for.
            monkeypatch.setattr("analyze.tui.screens.sessions.REREAD_S", 0.0)
            await press(pilot, key)
            Trace(f"20260212T10000{number}-0000000c").write(root)
            await press(pilot, "escape")
            await press(pilot, *["escape"] * (not isinstance(app.screen, SessionsScreen)))
            assert f"{number + 1} sessions" in shown(app)
        looks = source.looks
        await press(pilot, "f", "f")
        assert source.looks == looks
    source.close()
