from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.lines import plain
from analyze.tui.screens.configuration import ConfigurationScreen
from analyze.tui.screens.diff import DiffScreen
from analyze.tui.screens.pick import PickScreen
from analyze.tui.screens.replay import ReplayScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from analyze.tui.widgets.event_view import EventView
from tests.analyze.tui.conftest import make_event

Shown = Callable[[App[None]], str]


def session(app: WiretapeApp) -> SessionScreen:
    assert isinstance(app.screen, SessionScreen)
    return app.screen


@pytest.fixture
def app(source: Any) -> WiretapeApp:
    return WiretapeApp(source, start=source.listed[0].session_id)


async def test_the_failure_leads(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lines = shown(app).split("\n")
        assert lines[1].startswith(" ▲ 20260212T083055-4f3a9c12  eastus2 · gpt-realtime · gpt-4o-transcribe · ga")
        assert lines[1].rstrip().endswith("9.8 s · 1 turn")
        assert lines[2].startswith(" ▲ transcription_model_path_failure  likely · Every transcription")


async def test_levels_and_turns_stand_on_one_axis(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        client, marks, _, server = shown(app).split("\n")[5:9]
        assert client.startswith(" client ▁▁▁")
        assert server.startswith(" server ▁▁▁")
        assert "├" in marks
        assert "speech" in marks
        assert "✕ transcription" in marks
        # The failure at 3,914.6 ms of 9,812 ms stands above the same moment of the server's strip.
        assert marks.index("✕") == 8 + int(3914.6 / 9812.0 * 111)
        assert "end of speech ─ 142 → commit" in shown(app)
        assert "✕ transcript failed 512" in shown(app)


async def test_n_goes_to_the_failure_and_the_detail_follows(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        current = session(app).timeline.current
        assert current is not None
        assert current.row.error
        assert '"code": null' in shown(app)
        await press(pilot, "n")
        assert "no failure after this event" in shown(app)


async def test_where_no_event_tells_of_the_failure_n_says_what_leads_to_it(
    source: Any, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where the connection broke, or an answer never came.
    healthy = [replace(row, error=None) for row in source.timeline("")]
    monkeypatch.setattr(source, "timeline", lambda _: healthy)
    app = WiretapeApp(source, start=source.listed[0].session_id)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "home", "n")
        assert "no event tells of a failure: e goes to what was found" in shown(app)
        await press(pilot, "e")
        current = session(app).timeline.current
        assert current is not None
        assert current.row.first_seq == 106


async def test_enter_unfolds_a_run_and_folds_it_again(app: WiretapeApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        folded = len(session(app).timeline.rows)
        await press(pilot, "down", "down", "down", "enter")
        assert len(session(app).timeline.rows) == folded + 7
        await press(pilot, "enter")
        assert len(session(app).timeline.rows) == folded


async def test_below_100_columns_the_detail_opens_over_the_timeline(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert '"type": "session.created"' not in shown(app)
        await press(pilot, "enter")
        assert '"type": "session.created"' in shown(app)
        assert "speech_stopped" not in shown(app)
        await press(pilot, "escape")
        assert "speech_stopped" in shown(app)
        assert session(app).timeline.has_focus


async def test_search_goes_through_the_payloads_and_unfolds_what_it_finds(
    app: WiretapeApp, source: Any, shown: Shown
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("j", *"event_007")
        await press(pilot, "enter")
        assert "10 events" in shown(app)
        current = session(app).timeline.current
        assert current is not None
        assert (current.inside, current.row.first_seq) == (True, 70)
        await press(pilot, "J")
        assert session(app).timeline.current.row.first_seq == 71  # type: ignore[union-attr]
        await pilot.press("j", *"event_0071")
        await press(pilot, "enter")
        assert "1 event" in shown(app)
        await press(pilot, "escape")
        assert not session(app).has_class("-searching")
        assert ("find", session(app).session_id, "event_0071") in source.asked


async def test_a_search_that_finds_nothing_says_so(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("j", *"whale")
        await press(pilot, "enter")
        assert "0 events" in shown(app)
        await press(pilot, "escape")
        assert session(app).timeline.has_focus


async def test_a_hostile_payload_is_shown_escaped(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        await press(pilot, *["down"] * 8)
        assert r"[31mred" in shown(app)
        assert "[bold]not bold[/bold]" in shown(app)
        assert r"\u202e" in shown(app)
        assert not {"\x1b", "\u202e"} & set(shown(app))


async def test_c_shows_the_configuration(app: WiretapeApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "c")
        assert isinstance(app.screen, ConfigurationScreen)
        await press(pilot, "q")
        assert isinstance(app.screen, SessionScreen)


async def test_d_compares_with_a_session_that_is_picked(app: WiretapeApp, source: Any) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        assert isinstance(app.screen, PickScreen)
        await press(pilot, "down", "enter")
        assert isinstance(app.screen, DiffScreen)
        assert app.screen.session_ids[0] == source.listed[0].session_id
        await press(pilot, "escape", "d", "escape")
        assert isinstance(app.screen, SessionScreen)


async def test_r_opens_the_replay_form(app: WiretapeApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        assert isinstance(app.screen, ReplayScreen)
        assert app.screen.session_id == "20260212T083055-4f3a9c12"


async def test_q_goes_back(app: WiretapeApp) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "q")
        assert isinstance(app.screen, SessionsScreen)


async def test_e_goes_to_the_rows_that_findings_rest_on(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "▲ transcription_model_path_failure  likely · Every transcription" in shown(app)
        await press(pilot, "e")
        current = session(app).timeline.current
        assert current is not None
        assert current.row.first_seq == 106
        # After the last comes the first again.
        await press(pilot, "e")
        assert session(app).timeline.current == current


async def test_evidence_inside_a_run_unfolds_it(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        session(app).evidence = [70]
        await press(pilot, "e")
        current = session(app).timeline.current
        assert current is not None
        assert (current.inside, current.row.first_seq) == (True, 70)


async def test_without_evidence_e_says_so(app: WiretapeApp, source: Any, shown: Shown) -> None:
    source.listed[0] = replace(source.listed[0], failure_keys=())
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "e")
        assert "no finding rests on a row" in shown(app)


async def test_the_time_axis_zooms_around_the_cursor_and_the_timeline_follows_it(
    app: WiretapeApp, shown: Shown
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        screen = session(app)
        await press(pilot, "n", "plus", "plus", "plus")
        axis = screen.levels.axis
        assert axis.span_ms == pytest.approx(9812.0 / 8)
        assert axis.from_ms < 3914.6 < axis.to_ms
        assert "├─" not in shown(app).split("\n")[4]
        # To the right lie the end of the answer, then the close; each step brings the axis along.
        await press(pilot, "right")
        current = screen.timeline.current
        assert current is not None
        assert current.row.type == "response.done"
        assert screen.levels.axis.from_ms < 6181.0 < screen.levels.axis.to_ms
        await press(pilot, "left", "left")
        assert screen.timeline.current.row.offset_ms == 3402.9  # type: ignore[union-attr]
        await press(pilot, "minus")
        assert screen.levels.axis.span_ms == pytest.approx(9812.0 / 4)
        await press(pilot, "0")
        assert screen.levels.axis.is_whole


async def test_an_event_with_audio_shows_its_waveform(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *["down"] * 3)
        assert ("event_levels", session(app).session_id, 3, 9, 18) in source.asked
        assert "140 ms · peak -4 dBFS" in shown(app)


async def test_what_was_searched_for_is_in_sight_in_the_message(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("j", *"server_error")
        await press(pilot, "enter")
        view = app.screen.query_one(EventView)
        assert '"type": "server_error"' in plain(view.row_at(view.cursor, 60))
        # Enter opens the message; there it folds what the cursor is in.
        await press(pilot, "enter", "enter")
        assert '"error": { … }' in shown(app)


async def test_while_a_search_is_typed_the_keys_are_those_of_the_search(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "J")
        assert "nothing is searched for yet" in shown(app)
        await press(pilot, "j", "plus", "minus")
        assert "search ▏+-" in shown(app)
        assert shown(app).split("\n")[-1].strip().startswith("enter find · esc back to the events")
        assert "zoom" not in shown(app)
        await press(pilot, "tab")
        assert session(app).timeline.has_focus


def said(app: WiretapeApp) -> str:
    """What is said in passing, on one line."""
    return " ".join(notice.message for notice in app._notifications)


async def test_the_id_and_a_message_go_to_the_clipboard(source: Any) -> None:
    app = WiretapeApp(source)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "y")
        assert app.clipboard == source.listed[0].session_id
        assert said(app) == f"on the clipboard, where the terminal allows it: {app.clipboard}"
        await press(pilot, "n", "Y")
        assert json.loads(app.clipboard)["type"] == "conversation.item.input_audio_transcription.failed"
        copied = app.clipboard
        source.events = lambda *_: [replace(make_event(0), payload="A" * 100_001)]
        await press(pilot, "Y")
        assert said(app).startswith(
            "100,001 characters are too much for a terminal's clipboard: ask SQL for events.payload"
        )
        assert app.clipboard == copied
