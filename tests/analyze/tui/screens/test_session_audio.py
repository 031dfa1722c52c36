from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screenshot import press, settle
from capture.errors import UsageProblem

Shown = Callable[[App[None]], str]


def session(app: WiretapeApp) -> SessionScreen:
    assert isinstance(app.screen, SessionScreen)
    return app.screen


@pytest.fixture
def app(source: Any) -> WiretapeApp:
    return WiretapeApp(source, start=source.listed[0].session_id)


async def test_w_writes_both_tracks_to_the_current_folder(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert ("write_wav", session(app).session_id, Path.cwd(), False) in source.asked
        assert "Written" in shown(app)


@pytest.fixture
def client_wav(source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name the client's file of the session; it stands in the current folder already."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{source.listed[0].session_id}-client.wav"
    path.touch()
    return path.name


async def test_w_asks_before_it_overwrites(
    app: WiretapeApp, source: Any, shown: Shown, client_wav: str, tmp_path: Path
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert client_wav in shown(app)
        assert "y overwrite" in shown(app)
        await press(pilot, "escape", "w", "y")
    written = [question for question in source.asked if question[0] == "write_wav"]
    assert written == [("write_wav", source.listed[0].session_id, tmp_path, True)]


async def test_a_plays_the_side_at_the_cursor_and_stops_it(app: WiretapeApp, source: Any, shown: Shown) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        assert source.asked[-1] == ("play", session(app).session_id, "server")
        assert "the server's audio plays" in shown(app)
        await press(pilot, "a")
        assert source.asked[-1] == ("stop",)
        await press(pilot, "down", "a", "q")
        assert [question for question in source.asked if question[0] in ("play", "stop")][-2:] == [
            ("play", source.listed[0].session_id, "client"),
            ("stop",),
        ]


async def test_where_nothing_can_be_played_it_says_so(app: WiretapeApp, source: Any, shown: Shown) -> None:
    source.failing["play"] = UsageProblem("playing needs an extra: pip install 'wiretape[play]'")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        assert "▲ playing needs an extra: pip install 'wiretape[play]'" in shown(app)
