"""The replay form over the sample, and a run against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.app import App

from analyze.tui.app import WiretapeApp
from analyze.tui.screens.command import CommandScreen
from analyze.tui.screens.confirm import ConfirmScreen
from analyze.tui.screens.failures import FailuresScreen
from analyze.tui.screens.replay import ReplayScreen
from analyze.tui.screens.session import SessionScreen
from analyze.tui.screens.sessions import SessionsScreen
from analyze.tui.screenshot import press, settle
from capture.recording.reader import list_session_ids
from replay.runs import list_run_ids, load_run
from replay.simulator import load_scenario, serve
from tests.analyze.tui.conftest import TARGETS, targets_of
from tests.sample import CALL, copy_sample

Shown = Callable[[App[None]], str]


@pytest.fixture
def app(source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WiretapeApp:
    """Give the app over a copy of the sample, of which the list shows the captured call alone."""
    monkeypatch.setenv("WIRETAPE_CONFIG", str(tmp_path / "wiretape.toml"))
    (tmp_path / "wiretape.toml").write_text(TARGETS)
    source.root = copy_sample(tmp_path)
    source.listed = [replace(source.listed[-1], session_id=CALL)]
    return WiretapeApp(source)


def form_of(app: WiretapeApp) -> ReplayScreen:
    assert isinstance(app.screen, ReplayScreen)
    return app.screen


async def test_nothing_is_sent_without_a_confirmation(app: WiretapeApp, shown: Shown) -> None:
    before = list_session_ids(app.source.root)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "end", "r")
        assert CALL in shown(app)
        assert "■ eastus2" in shown(app)
        assert "5 sessions  1 cell × 5 trials" in shown(app)
        await press(pilot, "down", "space")
        assert "10 sessions  2 cells × 5 trials" in shown(app)
        await press(pilot, "ctrl+r")
        assert isinstance(app.screen, ConfirmScreen)
        assert "Send 10 sessions to eastus2, swedencentral" in shown(app)
        await press(pilot, "enter", "escape")
        assert form_of(app).runner is None
        await press(pilot, "ctrl+y")
        assert isinstance(app.screen, CommandScreen)
        assert app.clipboard.startswith(f"wiretape replay run {CALL} --to eastus2 --to swedencentral --trials 5")
        await press(pilot, "escape", "escape")
        assert isinstance(app.screen, SessionsScreen)
    assert list_session_ids(app.source.root) == before
    assert len(list_run_ids(app.source.root)) == 1


async def test_what_is_missing_is_said_and_cannot_be_sent(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "end", "enter", "r", "space")
        assert "▲ choose at least one target with space" in shown(app)
        await press(pilot, "ctrl+r")
        assert form_of(app).runner is None
        await press(pilot, "space", "tab", "tab", *"session.nonsense=1", "enter")
        assert "▲ the recorded session has no 'session.nonsense'" in shown(app)
        await press(pilot, "tab", "x")
        assert "5 sessions" in shown(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, SessionScreen)


@pytest.mark.parametrize("key", ["ctrl+r", "ctrl+y"])
async def test_a_change_that_was_typed_and_not_added_is_not_left_out_of_what_is_sent(
    app: WiretapeApp, shown: Shown, key: str
) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "end", "r", "tab", "tab", *"voice=marin", key)
        assert "▲ 'voice=marin' is not in the plan yet: enter in its field adds it" in shown(app)
        assert isinstance(app.screen, ReplayScreen)
        await press(pilot, "enter", key)
        assert isinstance(app.screen, ConfirmScreen | CommandScreen)
        assert "▲" not in shown(app)


async def test_where_no_target_is_known_the_form_says_why_its_list_is_empty(
    app: WiretapeApp, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WIRETAPE_CONFIG")
    monkeypatch.chdir(tmp_path / "recordings")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "end", "r")
        assert "no wiretape.toml here: type a URL" in shown(app)


async def test_a_missing_key_leads_back_to_the_form(app: WiretapeApp, shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "wiretape.toml").write_text(TARGETS.replace("[targets.s", 'api_key_env = "NO_SUCH_KEY"\n[targets.s'))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "end", "r", "ctrl+r", "y")
        assert "▲ target eastus2 needs its key: set the environment variable NO_SUCH_KEY" in shown(app)
        assert form_of(app).runner is None
        assert "ctrl+r send" in shown(app)


async def test_a_recording_that_cannot_be_read_is_a_sentence(app: WiretapeApp, shown: Shown) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.push_screen(ReplayScreen(app.source, "20260212T083055-4f3a9c12"))
        await settle(pilot)
        assert "▲ there is no " in shown(app)
        await press(pilot, "ctrl+r")
        assert isinstance(app.screen, ReplayScreen)


async def test_a_run_is_watched_to_its_verdict(app: WiretapeApp, source: Any, shown: Shown, tmp_path: Path) -> None:
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        (tmp_path / "wiretape.toml").write_text(targets_of(simulator))
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await press(pilot, "end", "r", "down", "space", *["tab"] * 4, "end", "backspace", "1", "ctrl+r", "y")
            page = shown(app)
            assert "done · 2 of 2 · ▲ 1 failed  ● 1 ok" in page
            assert "▲ failed" in page
            assert "1/1" in page
            assert "verdict   " in page
            run_id = list_run_ids(app.source.root)[-1]
            assert load_run(app.source.root, run_id).finished_trials == 2
            [failed] = [trial for trial in form_of(app).trials.rows if trial.outcome == "failed"]
            trial_id = str(failed.session_id)
            source.listed.append(replace(source.listed[0], session_id=trial_id))
            await press(pilot, *["down"] * form_of(app).trials.rows.index(failed), "enter")
            assert isinstance(app.screen, SessionScreen)
            assert trial_id in shown(app)
            await press(pilot, "escape", "f")
            assert isinstance(app.screen, FailuresScreen)
            await press(pilot, "f", "escape")
            # The list looked at the root again when the run was over.
            assert isinstance(app.screen, SessionsScreen)
            assert ("reload",) in source.asked
            assert source.asked.count(("session_count",)) > 1


async def test_escape_twice_cancels_a_run(app: WiretapeApp, shown: Shown, tmp_path: Path) -> None:
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        (tmp_path / "wiretape.toml").write_text(targets_of(simulator))
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await press(pilot, "end", "r", "ctrl+r")
            await pilot.press("y")
            while not form_of_any(app):
                await pilot.pause(0.02)
            await pilot.press("enter", "escape", "escape")
            await settle(pilot)
            assert "▲ cancelled: what was done is kept in run" in shown(app)
            assert "◐ cancelled" in shown(app)
            await press(pilot, "escape")
            assert isinstance(app.screen, SessionsScreen)
    assert list(app.source.root.journal.glob("*.journal")) == []


async def test_leaving_the_app_cancels_a_run(app: WiretapeApp, tmp_path: Path) -> None:
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        (tmp_path / "wiretape.toml").write_text(targets_of(simulator))
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await press(pilot, "end", "r", "ctrl+r")
            await pilot.press("y")
            while not form_of_any(app):
                await pilot.pause(0.02)
            await pilot.press("ctrl+q")
        # The thread that plays it ends by itself.
        await asyncio.get_running_loop().shutdown_default_executor()
    root = app.source.root
    assert load_run(root, list_run_ids(root)[-1]).status == "interrupted"
    assert list(root.journal.glob("*.journal")) == []


async def test_a_run_does_not_stand_still_for_the_shell(
    app: WiretapeApp, shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyze.tui.app.may_be_stopped", lambda: True)
    async with serve([load_scenario("transcription_model_path_failure")]) as simulator:
        (tmp_path / "wiretape.toml").write_text(targets_of(simulator))
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await settle(pilot)
            await press(pilot, "end", "r", "ctrl+r")
            await pilot.press("y")
            while not form_of_any(app):
                await pilot.pause(0.02)
            await pilot.press("ctrl+z")
            await pilot.pause()
            assert "a replay runs, and would stand still too" in shown(app)
            await pilot.press("escape", "escape")
            await settle(pilot)
        await asyncio.get_running_loop().shutdown_default_executor()


def form_of_any(app: WiretapeApp) -> bool:
    return isinstance(app.screen, ReplayScreen) and bool(app.screen._trials)


async def test_every_field_comes_into_sight_in_a_terminal_of_24_lines(
    app: WiretapeApp, shown: Shown, tmp_path: Path
) -> None:
    regions = "".join(f'[targets.region-{at}]\nurl = "ws://127.0.0.1:9/{at}/realtime"\n' for at in range(12))
    (tmp_path / "wiretape.toml").write_text(regions)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "end", "r")
        for _ in range(12):
            await press(pilot, "space", "down")
        await press(pilot, "tab", "tab")
        for name in ("model", "dialect", "voice"):
            await pilot.press(*name, "equals_sign", *("beta" if name == "dialect" else "b"), "enter")
        await press(pilot, "tab", "end")
        assert "› voice=b" in shown(app)
        await press(pilot, "tab", "3")
        assert "trials   3" in shown(app)
        assert "36 sessions  12 cells × 3 trials" in shown(app)
        await press(pilot, "shift+tab", "shift+tab", "shift+tab", "shift+tab")
        assert "› ■ region-11" in shown(app)
