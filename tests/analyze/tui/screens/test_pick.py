from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.pick import PickScreen, nearness
from analyze.tui.screenshot import press, settle


def test_relatives_come_first(source: Any) -> None:
    replayed, captured = source.listed[0], source.listed[20]
    origin = replace(captured, session_id=replayed.replay_of)
    elsewhere = replace(captured, session_id="20260101T000000-00000000")
    stranger = replace(elsewhere, model="gpt-other")
    same_run = replace(replayed, replay_of="another")
    assert [nearness(replayed, other) for other in (origin, source.listed[3], same_run, elsewhere, stranger)] == [
        0,
        0,
        1,
        2,
        3,
    ]


async def test_the_session_itself_is_not_among_them(source: Any, shown: Callable[[App[None]], str]) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "d")
        screen = app.screen
        assert isinstance(screen, PickScreen)
        assert len(screen.table.rows) == 20
        await pilot.press("slash", *"region:swedencentral")
        await press(pilot, "enter")
        assert len(screen.table.rows) == 10
        await pilot.press("slash", "space", *"nope:1")
        await press(pilot, "enter")
        assert "▲ sessions have no field" in shown(app)


async def test_others_are_called_by_what_was_found_in_them_as_on_sessions(
    source: Any, shown: Callable[[App[None]], str]
) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "d")
        others = {session.session_id for session in source.listed[1:] if session.outcome == "failed"}
        assert shown(app).count("transcription_model_path_failure") == len(others) == 5
        await pilot.press("slash", *"outcome:failed")
        await press(pilot, "enter")
        assert shown(app).count("transcription_model_path_failure") == 5


async def test_relatives_are_asked_for_in_front_of_typed_sql(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "d")
        await pilot.press("slash", *"=turns")
        await settle(pilot)
        asked = len(source.asked)
        # Half typed it is not asked; accepted, it stands behind the terms.
        await press(pilot, "enter")
        texts = [question[1] for question in source.asked[asked:] if question[0] == "sessions"]
    assert texts
    assert all(text.endswith("=turns") for text in texts)


async def test_relatives_are_offered_however_old_they_are(source: Any) -> None:
    replayed, captured = source.listed[0], source.listed[20]
    strangers = [replace(captured, session_id=f"20260212T082000-{n:08x}", run_id="another") for n in range(2_100)]
    origin = replace(captured, session_id=replayed.replay_of)
    source.listed = [replayed, *strangers, origin]
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "d")
        screen = app.screen
        assert isinstance(screen, PickScreen)
        assert screen.table.rows[0].session_id == origin.session_id
        assert len(screen.table.rows) == 2_000
